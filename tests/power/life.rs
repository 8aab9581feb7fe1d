//! What belongs here: the process `drive`, told what to do, and what it said.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use tests::oracle::Heard;

/// One life of a process.
#[derive(Clone, Debug)]
pub(crate) struct Life<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) machine: &'a str,
    pub(crate) policy: &'a str,
    pub(crate) seed: u64,
    /// Number of the first command, and of those to submit.
    pub(crate) first: u64,
    pub(crate) commands: u64,
    /// Commands under way at the same time.
    pub(crate) window: u64,
    pub(crate) allow_fs: bool,
    /// Whether it waits, before it submits anything, for a line.
    pub(crate) wait: bool,
    /// Whether it takes a snapshot at its end: where that fails, the process goes on.
    pub(crate) snapshots: bool,
    /// Place to end in, and at which time, as `name:nth`.
    pub(crate) arm: Option<&'a str>,
}

impl Life<'_> {
    /// The arguments of a process that lives it.
    pub(crate) fn told(&self, command: &mut Command) {
        command.arg("--dir").arg(self.dir);
        command.args(["--machine", self.machine, "--policy", self.policy]);
        for (name, value) in [
            ("--seed", self.seed),
            ("--first", self.first),
            ("--commands", self.commands),
            ("--window", self.window),
        ] {
            command.arg(name).arg(value.to_string());
        }
        if let Some(arm) = self.arm {
            command.args(["--arm", arm]);
        }
        for (flag, is_set) in
            [("--allow-fs", self.allow_fs), ("--wait", self.wait), ("--snapshots", self.snapshots)]
        {
            command.args(is_set.then_some(flag));
        }
    }

    /// The process, not yet started.
    pub(crate) fn command(&self) -> Command {
        self.below(Command::new(DRIVE), &[])
    }

    /// The process below a program that watches it.
    pub(crate) fn below(&self, mut command: Command, arguments: &[String]) -> Command {
        command.env_clear().args(arguments);
        if !arguments.is_empty() {
            command.arg(DRIVE);
        }
        self.told(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Lives to the end, which is in order, and is heard.
    pub(crate) fn live(&self, heard: &mut Heard) {
        let output = self.command().output().expect("the process starts");
        assert!(output.status.success(), "{self:?}: {}", shown(&output));
        hear(heard, &output);
        assert!(heard.is_done, "{self:?}: {}", shown(&output));
    }
}

pub(crate) const DRIVE: &str = env!("CARGO_BIN_EXE_drive");

/// Takes down what a process has said.
pub(crate) fn hear(heard: &mut Heard, output: &Output) {
    let said = std::str::from_utf8(&output.stdout).expect("text");
    heard.take(said).unwrap_or_else(|why| panic!("{why}: {}", shown(output)));
}

/// Whether a signal ended it.
pub(crate) fn ended_by(output: &Output, signal: Signal) -> bool {
    output.status.signal() == Some(signal.as_raw())
}

/// How a process ended, the last thing that it said, and its messages.
pub(crate) fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout);
    format!("{}, said {:?}, {}", output.status, said.lines().next_back(), text(&output.stderr))
}
