//! A process for others to kill: recovers a pipeline, submits what it was told, a few commands at a
//! time, and prints a line for every answer. Knows nothing of why. Invariant: a line is printed
//! with one write, after its command was acknowledged and before the one that follows it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{ExitCode, abort};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use engine::{Engine, Frame};
use journal::{Retention, SyncPolicy, fail_point};
use pipeline::{
    Ingress, Instance, Lane, Options, Outcome, PipelineError, Reply, SnapshotPolicy, SystemClock,
};
use tests::drive::{Ack, Answer, Line, Script, hex};
use tests::report::say;
use wallet::ledger::Ledger;

/// Exit code of a process that should have aborted.
const ABORT: i32 = 134;

/// So that the next process begins with one.
const AT_THE_END: SnapshotPolicy = SnapshotPolicy {
    at_shutdown: true,
    retention: Retention::Archive,
    ..SnapshotPolicy::ON_DEMAND
};

struct Told {
    dir: PathBuf,
    machine: String,
    policy: SyncPolicy,
    seed: u64,
    /// Number of the first command, and of those to submit.
    first: u64,
    commands: u64,
    /// Commands that wait for their answers at the same time.
    window: usize,
    allow_fs: bool,
    /// Waits for a line before anything is submitted.
    wait: bool,
    /// Takes a snapshot at the end.
    snapshots: bool,
    /// Asks for one when all is answered, while it still runs.
    snapshot_live: bool,
    /// A place to end in, and at which time.
    arm: Option<(String, u64)>,
}

impl Told {
    /// Names and values; whoever starts this process has tests of its own.
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name);
            at.and_then(|at| arguments.get(at + 1)).map(String::as_str)
        };
        let text = |name: &str| value(name).unwrap_or_else(|| panic!("{name} is missing"));
        let number = |name: &str| text(name).parse().expect("a number");
        Self {
            dir: PathBuf::from(text("--dir")),
            machine: text("--machine").to_owned(),
            policy: text("--policy").parse().expect("a policy"),
            seed: number("--seed"),
            first: number("--first"),
            commands: number("--commands"),
            window: usize::try_from(number("--window")).expect("small"),
            allow_fs: arguments.iter().any(|argument| argument == "--allow-fs"),
            wait: arguments.iter().any(|argument| argument == "--wait"),
            snapshots: arguments.iter().any(|argument| argument == "--snapshots"),
            snapshot_live: arguments.iter().any(|argument| argument == "--snapshot-live"),
            arm: value("--arm")
                .and_then(|text| text.split_once(':'))
                .map(|(name, nth)| (name.to_owned(), nth.parse().expect("a number"))),
        }
    }

    fn options(&self) -> Options {
        let mut options = Options {
            input_slots: 1024,
            output_slots: 4096,
            replies_max: 1024,
            ..Options::new(&self.dir)
        };
        options.journal.segment_bytes = journal::limits::SEGMENT_BYTES_MIN;
        options.journal.sync = self.policy;
        options.journal.allow_fs = self.allow_fs;
        options
    }
}

/// What a command came to; `None` if it has no key.
type Answered = (u64, Option<(u64, Answer)>);

struct Waiting(SyncSender<Answered>);

impl<S: Script> Reply<S> for Waiting {
    fn complete(self, frame: &Frame<S::Command>, outcome: Outcome<'_, S::Event>) {
        let Outcome::Events(events) = outcome else { panic!("nobody asked for a hash") };
        let answer = S::number(&frame.command).map(|number| (number, S::answer(events)));
        // There is room for all that wait; a process on its way out takes nothing.
        let _ = self.0.try_send((frame.sequence, answer));
    }
}

fn print(line: &Line) {
    // A line of text goes out with one write.
    io::stdout().write_all(format!("{line}\n").as_bytes()).expect("somebody reads");
}

/// Waits for the oldest answer and says it.
fn hear(waiting: &mut VecDeque<Receiver<Answered>>) {
    let oldest = waiting.pop_front().expect("something was submitted");
    let (sequence, answer) = oldest.recv().expect("a pipeline that runs answers");
    if let Some((number, answer)) = answer {
        print(&Line::Ack(Ack { sequence, number, answer }));
    }
}

fn submit<S: Script>(
    ingress: &Ingress<S, Waiting>,
    commands: impl Iterator<Item = S::Command>,
    window: usize,
) {
    let mut waiting = VecDeque::new();
    for command in commands {
        if waiting.len() == window {
            hear(&mut waiting);
        }
        let (sender, receiver) = sync_channel(1);
        ingress.try_submit(command, Some(Waiting(sender)), Lane::Control).expect("room");
        waiting.push_back(receiver);
    }
    while !waiting.is_empty() {
        hear(&mut waiting);
    }
}

fn live<S: Script>(told: &Told) -> Result<(), PipelineError> {
    let options = told.options();
    if let Some((name, nth)) = &told.arm {
        fail_point::arm(name, *nth);
    }
    let recovered = pipeline::recover(&options, || Instance::bare(S::fresh()))?;
    let last_sequence = recovered.report.last_sequence;
    print(&Line::Start { last_sequence, hash: hex(recovered.instance.machine.state_hash()) });
    let clock = Arc::new(SystemClock::new());
    let mut running = pipeline::start::<S, Waiting>(recovered, &options, clock)?;
    let desk =
        told.snapshots.then(|| running.take_snapshots(AT_THE_END, || Instance::bare(S::fresh())));
    let desk = desk.transpose()?;
    print(&Line::Ready);
    if told.wait {
        io::stdin().read_line(&mut String::new()).expect("somebody says when");
    }
    let numbers = told.first..told.first + told.commands;
    let commands = numbers.map(|number| S::command(told.seed, number));
    submit(&running.ingress(), S::opening().into_iter().chain(commands), told.window);
    if told.snapshot_live {
        let asked = desk.expect("a process that takes snapshots").ask().expect("nobody else asks");
        asked.recv().expect("an answer").expect("a snapshot");
    }
    drop(running.shutdown());
    print(&Line::Done);
    Ok(())
}

fn main() -> ExitCode {
    let told = Told::from_arguments();
    let lived = match told.machine.as_str() {
        "engine" => live::<Engine>(&told),
        "ledger" => live::<Ledger>(&told),
        other => panic!("no machine {other}"),
    };
    let Err(error) = lived else { return ExitCode::SUCCESS };
    say(&format!("fatal: {error}"));
    if error.exit_code() == ABORT {
        abort();
    }
    ExitCode::from(u8::try_from(error.exit_code()).expect("a small exit code"))
}
