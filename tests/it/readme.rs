//! The README is a program: every `console` block is typed into one shell, in a fresh folder, and
//! must print what the README says. Ids, times and hashes are compared by shape.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::app::binary;

/// A command as the README shows it, and the output below it.
struct Typed {
    command: String,
    output: String,
}

fn typed(readme: &str) -> Vec<Typed> {
    let mut typed: Vec<Typed> = Vec::new();
    let blocks = readme.split("```console\n").skip(1);
    for line in blocks.filter_map(|rest| rest.split("```").next()).flat_map(str::lines) {
        let continues = typed.last().is_some_and(|last| last.command.ends_with('\\'));
        if let Some(command) = line.strip_prefix("$ ") {
            typed.push(Typed { command: command.to_owned(), output: String::new() });
        } else if let Some(last) = typed.last_mut() {
            let part = if continues { &mut last.command } else { &mut last.output };
            let separator = if continues || !part.is_empty() { "\n" } else { "" };
            *part += separator;
            *part += line;
        }
    }
    typed
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Runs the commands in one shell; gives what each printed.
fn run(commands: &[Typed], folder: &Path) -> Vec<String> {
    let [public, admin, wallet] = [(); 3].map(|()| free_port().to_string());
    let mark = |place: usize| format!("printf '\\n@@%d@@\\n' {place}\n");
    let mut script = String::from("exec 2>&1\n");
    for (place, typed) in commands.iter().enumerate() {
        let command = typed.command.replace("8080", &public).replace("9090", &admin);
        let command = command.replace("3002", &wallet);
        // The binary is built already, and the folder is no checkout.
        let command = if command.starts_with("cargo ") { ":" } else { &command };
        script += &mark(place);
        script += command;
        script.push('\n');
    }
    script += &mark(commands.len());
    script += "kill -9 $(cat matchring.pid) 2> /dev/null\n";
    let output = Command::new("timeout")
        .args(["120", "bash", "-c"])
        .arg(script)
        .current_dir(folder)
        .env("MATCHRING__SERVER__LISTEN", format!("127.0.0.1:{public}"))
        .env("MATCHRING__SERVER__ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
        .env("MATCHRING__WALLET__LISTEN", format!("127.0.0.1:{wallet}"))
        .env("MATCHRING__JOURNAL__ALLOW_FS", "true")
        .output()
        .expect("timeout and bash run");
    let text = String::from_utf8(output.stdout).expect("text");
    let text = text.replace(&public, "8080").replace(&admin, "9090").replace(&wallet, "3002");
    // The shell's own word about the process that was killed on purpose.
    let is_notice = |line: &&str| line.starts_with("bash: line") && line.contains("Killed");
    let text: String =
        text.lines().filter(|line| !is_notice(line)).flat_map(|line| [line, "\n"]).collect();
    let parts = text.split("\n@@").skip(1).filter_map(|part| part.split_once("@@\n"));
    parts.map(|(_, printed)| printed.trim_end_matches('\n').to_owned()).collect()
}

/// Leaves out the numbers of commands: a start repeats, without effect, what the kill kept from
/// being noted down, and each repeat is a command of its own.
fn unnumbered(text: &str) -> String {
    let mut parts =
        text.split_inclusive("seq\":").flat_map(|part| part.split_inclusive("sequence\":"));
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Replaces what differs from run to run by its shape.
fn shape(text: &str) -> String {
    let mut shaped = String::new();
    let mut word = String::new();
    for letter in unnumbered(text).chars().chain(['\n']) {
        if letter.is_ascii_alphanumeric() || "-:.".contains(letter) {
            word.push(letter);
            continue;
        }
        shaped += shape_of(&word);
        word.clear();
        shaped.push(letter);
    }
    shaped.trim_end().to_owned()
}

fn shape_of(word: &str) -> &str {
    let hex = |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = word.split('-').collect();
    let is_uuid = match parts.as_slice() {
        [a, b, c, d, e] => hex(a, 8) && hex(b, 4) && hex(c, 4) && hex(d, 4) && hex(e, 12),
        _ => false,
    };
    let is_time = word.ends_with('Z') && word.contains('T') && parts.len() == 3;
    match word {
        _ if is_uuid => "ID",
        _ if is_time => "TIME",
        _ if hex(word, 64) => "HASH",
        other => other,
    }
}

#[test]
fn the_readme_prints_what_the_readme_says() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    let commands = typed(&readme);
    assert!(commands.len() > 10, "the commands are not found");
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir_all(folder.path().join("target/release")).expect("a folder");
    symlink(binary::path(), folder.path().join("target/release/matchring")).expect("a link");
    let printed = run(&commands, folder.path());
    assert_eq!(printed.len(), commands.len() + 1, "the shell stopped early: {printed:?}");
    for (typed, printed) in commands.iter().zip(&printed) {
        let (expected, got) = (shape(&typed.output), shape(printed));
        assert_eq!(got, expected, "\n$ {}\nprinted\n{printed}", typed.command);
    }
}
