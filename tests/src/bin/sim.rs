//! Runs seeds of the simulation, half of them with the engine and half with the ledger, in child
//! processes of its own: whatever a seed does to its process, the parent says which one it was, and
//! the command that repeats it. Prints one line of JSON.

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::process::{Child, Command, ExitCode, Stdio};

use engine::Engine;
use tests::report::say;
use tests::sim::{Outcome, run};
use wallet::ledger::Ledger;

/// Every so-manieth seed is run twice, and must leave the same trace.
const TWICE_EVERY: u64 = 49;

#[derive(Clone, Copy)]
struct Told {
    from: u64,
    seeds: u64,
    commands: u64,
    jobs: u64,
    is_child: bool,
}

impl Told {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let number = |name: &str, default| {
            let at = arguments.iter().position(|argument| argument == name);
            let text = at.and_then(|at| arguments.get(at + 1));
            text.map_or(default, |text| text.parse().expect("a number"))
        };
        Self {
            from: number("--from", 1),
            seeds: number("--seeds", 1_000),
            commands: number("--commands", 20_000),
            jobs: number("--jobs", 2),
            is_child: arguments.iter().any(|argument| argument == "--child"),
        }
    }

    const fn range(&self) -> Range<u64> {
        self.from..self.from + self.seeds
    }
}

/// A command of the ledger takes about twice as long as one of the engine, because of its chain of
/// hashes: of two seeds with `commands` each on average, the engine's is twice as long.
fn run_one(seed: u64, commands: u64) -> Result<Outcome, String> {
    let ledger = commands * 2 / 3;
    if seed.is_multiple_of(2) {
        run::<Engine>(seed, 2 * commands - ledger)
    } else {
        run::<Ledger>(seed, ledger)
    }
}

/// Runs its seeds and prints what each came to.
fn child(told: &Told) -> ExitCode {
    for seed in told.range() {
        let outcome = run_one(seed, told.commands);
        let again = seed.is_multiple_of(TWICE_EVERY).then(|| run_one(seed, told.commands));
        if again.as_ref().is_some_and(|again| *again != outcome) {
            say(&format!("seed {seed}: {outcome:?}, and again: {again:?}"));
            return ExitCode::FAILURE;
        }
        match outcome {
            Ok(o) => print(&[
                o.trace,
                o.commands,
                o.kills,
                o.power_cuts,
                o.deaths_in_calls,
                o.sectors_lost,
                o.answers_lost,
                o.snapshots,
                o.from_snapshot,
            ]),
            Err(why) => {
                say(&format!("seed {seed}: {why}"));
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn print(numbers: &[u64]) {
    let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
    println!("{}", words.join(" "));
}

/// Starts a child on a part of the seeds.
fn spawn(told: &Told, part: Range<u64>) -> std::io::Result<Child> {
    let program = std::env::current_exe()?;
    let (from, seeds) = (part.start.to_string(), (part.end - part.start).to_string());
    let commands = told.commands.to_string();
    Command::new(program)
        .args(["--child", "--from", &from, "--seeds", &seeds, "--commands", &commands])
        .stdout(Stdio::piped())
        .spawn()
}

/// Reads what a child has to say; the seed that it died of, if it did.
fn hear(mut child: Child, part: Range<u64>, sum: &mut [u64; 9]) -> Result<(), u64> {
    let mut seed = part.start;
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for line in lines.map_while(Result::ok) {
        let numbers = line.split(' ').map(|word| word.parse::<u64>().expect("a number"));
        for (sum, number) in sum.iter_mut().zip(numbers) {
            *sum = sum.wrapping_add(number);
        }
        seed += 1;
    }
    let status = child.wait().expect("a child");
    if status.success() && seed == part.end { Ok(()) } else { Err(seed) }
}

fn main() -> ExitCode {
    let told = Told::from_arguments();
    if told.is_child {
        return child(&told);
    }
    let size = told.seeds.div_ceil(told.jobs.max(1));
    let end = told.from + told.seeds;
    let starts = (told.from..end).step_by(usize::try_from(size.max(1)).expect("a count"));
    let parts: Vec<Range<u64>> = starts.map(|start| start..end.min(start + size)).collect();
    let children: Vec<_> =
        parts.iter().map(|part| spawn(&told, part.clone()).expect("a child starts")).collect();
    let mut sum = [0; 9];
    let mut failed = false;
    for (child, part) in children.into_iter().zip(parts) {
        if let Err(seed) = hear(child, part, &mut sum) {
            failed = true;
            let program = std::env::args().next().unwrap_or_default();
            let commands = told.commands;
            say(&format!(
                "FAILED; repeat with: {program} --from {seed} --seeds 1 --commands {commands}"
            ));
        }
    }
    let [trace, commands, kills, cuts, in_calls, sectors, answers, snapshots, from_snapshot] = sum;
    let body = serde_json::json!({
        "seeds": told.seeds,
        "commands": commands,
        "kills": kills,
        "power_cuts": cuts,
        "deaths_in_calls": in_calls,
        "sectors_lost": sectors,
        "answers_lost": answers,
        "snapshots": snapshots,
        "starts_from_snapshot": from_snapshot,
        "trace": trace,
        "passed": !failed,
    });
    say(&body.to_string());
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
