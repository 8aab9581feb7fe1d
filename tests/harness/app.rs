//! Owns a process of the exchange on a data directory of its own: start, kill, start again, stop.
//! Knows nothing of orders. Invariant: whatever it starts ends with it, and every address is one
//! that the process itself has chosen and named.

pub mod binary;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::http_client::{HttpClient, Outcome, Request};

/// No start and no end takes longer than this; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);

/// Configuration by section and key; values as TOML.
#[derive(Clone, Debug)]
pub struct Settings(BTreeMap<(&'static str, &'static str), String>);

impl Default for Settings {
    /// Ports of the system's choice, small segments so that logs roll, any file system.
    fn default() -> Self {
        Self(BTreeMap::new())
            .with("server", "listen", "\"127.0.0.1:0\"")
            .with("server", "admin_listen", "\"127.0.0.1:0\"")
            .with("wallet", "listen", "\"127.0.0.1:0\"")
            .with("journal", "segment_mib", "1")
            .with("journal", "allow_fs", "true")
            .with("log", "json", "true")
    }
}

impl Settings {
    #[must_use]
    pub fn with(mut self, section: &'static str, key: &'static str, value: &str) -> Self {
        self.0.insert((section, key), value.to_owned());
        self
    }

    fn toml(&self) -> String {
        let (mut text, mut current) = (String::new(), "");
        for ((section, key), value) in &self.0 {
            if *section != current {
                writeln!(text, "[{section}]").expect("text grows");
                current = section;
            }
            writeln!(text, "{key} = {value}").expect("text grows");
        }
        text
    }
}

/// How a process ended that was expected to end by itself.
#[derive(Debug)]
pub struct Ended {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stderr: String,
}

/// A running process and its log.
#[derive(Debug)]
struct Process {
    child: Child,
    log: Receiver<String>,
}

/// Where a process listens.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    public: SocketAddr,
    admin: SocketAddr,
    /// None if the wallet is another process.
    wallet: Option<SocketAddr>,
}

/// An exchange that can be ended and started again; its files go with it.
#[derive(Debug)]
pub struct App {
    root: TempDir,
    process: Option<Process>,
    /// While a process is ready.
    addresses: Option<Addresses>,
}

impl App {
    /// Starts an exchange on an empty directory and waits until it is ready.
    ///
    /// # Panics
    /// If it does not get ready.
    #[must_use]
    pub fn start(settings: &Settings) -> Self {
        let mut app = Self::prepare(settings);
        app.restart();
        app
    }

    /// Writes the configuration and starts nothing.
    ///
    /// # Panics
    /// If the system refuses files.
    #[must_use]
    pub fn prepare(settings: &Settings) -> Self {
        let root = tempfile::Builder::new().prefix("matchring-").tempdir().expect("a directory");
        let app = Self { root, process: None, addresses: None };
        app.configure(settings);
        app
    }

    /// Replaces the configuration of the next start.
    ///
    /// # Panics
    /// If the system refuses the file.
    pub fn configure(&self, settings: &Settings) {
        fs::write(self.config_path(), settings.toml()).expect("configuration written");
    }

    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn config_path(&self) -> PathBuf {
        self.root.path().join("matchring.toml")
    }

    /// Where clients connect.
    ///
    /// # Panics
    /// If no process is ready.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.addresses.expect("a process is ready").public
    }

    /// Where operators connect.
    ///
    /// # Panics
    /// If no process is ready.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.addresses.expect("a process is ready").admin
    }

    /// Where the wallet is reached.
    ///
    /// # Panics
    /// If no process is ready, or its wallet is elsewhere.
    #[must_use]
    pub fn wallet(&self) -> SocketAddr {
        let addresses = self.addresses.expect("a process is ready");
        addresses.wallet.expect("the wallet is in the process")
    }

    /// Whether the process has not ended by itself.
    ///
    /// # Panics
    /// If none was started.
    pub fn is_alive(&mut self) -> bool {
        let process = self.process.as_mut().expect("a process was started");
        process.child.try_wait().expect("a child").is_none()
    }

    /// Starts a process and returns at once; it is not ready yet.
    ///
    /// # Panics
    /// If one is running.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "one process at a time");
        let mut child = self.serve().spawn().expect("the binary starts");
        let stderr = child.stderr.take().expect("a pipe");
        let (sender, log) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Whoever does not read the log any more has no use for it.
                let _ = sender.send(line);
            }
        });
        self.process = Some(Process { child, log });
    }

    /// Starts a process on the same files and waits until it is ready.
    ///
    /// # Panics
    /// If it does not get ready.
    pub fn restart(&mut self) {
        self.spawn();
        let process = self.process.as_mut().expect("just started");
        let addresses = process.wait_for_addresses();
        let public = addresses.public;
        self.addresses = Some(addresses);
        let started = Instant::now();
        while !is_ready(public) {
            assert!(started.elapsed() < PATIENCE, "the exchange does not get ready");
            thread::sleep(POLL);
        }
    }

    /// Ends the process with SIGKILL: it can do nothing about it.
    ///
    /// # Panics
    /// If the process was not running any more.
    pub fn kill(&mut self) {
        assert!(self.is_alive(), "there is a process to kill");
        self.addresses = None;
        let mut process = self.process.take().expect("a process was started");
        process.child.kill().expect("a child can be killed");
        process.child.wait().expect("a child can be waited for");
    }

    /// Asks the process to end, and waits.
    ///
    /// # Panics
    /// If it does not end.
    pub fn terminate(&mut self) -> Ended {
        self.ask_to_end();
        self.wait_for_end()
    }

    /// Asks the process to end with SIGTERM, and returns at once.
    ///
    /// # Panics
    /// If none was started.
    pub fn ask_to_end(&self) {
        self.process.as_ref().expect("a process was started").terminate();
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// If it does not end.
    pub fn wait_for_end(&mut self) -> Ended {
        self.addresses = None;
        let mut process = self.process.take().expect("a process was started");
        let status = process.wait();
        Ended { code: status.code(), stderr: process.log.iter().collect::<Vec<_>>().join("\n") }
    }

    /// Starts one more process on the same files, which is expected to refuse.
    ///
    /// # Panics
    /// If the binary cannot be started, or does not end.
    #[must_use]
    pub fn refused_start(&self) -> Ended {
        let mut child = self.serve().spawn().expect("the binary starts");
        let stderr = child.stderr.take().expect("a pipe");
        let reader = thread::spawn(move || std::io::read_to_string(stderr).expect("text"));
        let (sender, log) = channel();
        drop(sender);
        let mut process = Process { child, log };
        let status = process.wait();
        Ended { code: status.code(), stderr: reader.join().expect("the log is read") }
    }

    /// Runs another subcommand to its end.
    ///
    /// # Panics
    /// If the binary cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).arg("--data-dir").arg(self.data_dir());
        command.output().expect("the binary starts")
    }

    /// [`Self::run`] of a subcommand that prints one line of JSON.
    ///
    /// # Panics
    /// If it fails, or prints something else.
    #[must_use]
    pub fn run_json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("one line of JSON")
    }

    /// A bearer token.
    ///
    /// # Panics
    /// If none is signed.
    #[must_use]
    pub fn token(&self, user: &str, scope: &str) -> String {
        let output = self.run(&["token", "--user", user, "--scope", scope]);
        assert!(output.status.success(), "token: {output:?}");
        String::from_utf8(output.stdout).expect("a token is text").trim().to_owned()
    }

    fn serve(&self) -> Command {
        let mut command = self.command();
        command.arg("serve").arg("--config").arg(self.config_path());
        command.arg("--data-dir").arg(self.data_dir());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Whatever the environment of the tests says is not for the exchange.
    fn command(&self) -> Command {
        let mut command = Command::new(binary::path());
        command.env_clear().current_dir(self.root.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.terminate();
        let asked = Instant::now();
        while matches!(process.child.try_wait(), Ok(None)) && asked.elapsed() < PATIENCE {
            thread::sleep(POLL);
        }
        // It has ended, or has to: there is nobody left to tell if that fails.
        let _ = process.child.kill();
        let _ = process.child.wait();
    }
}

impl Process {
    /// Reads the log up to the line that names the addresses.
    fn wait_for_addresses(&mut self) -> Addresses {
        let mut seen = Vec::new();
        loop {
            let line = match self.log.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("no progress after {seen:#?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended with {:?} after {seen:#?}", self.child.wait())
                }
            };
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            let address = |name: &str| entry["fields"][name].as_str()?.parse().ok();
            if let (Some(public), Some(admin)) =
                (address("public_address"), address("admin_address"))
            {
                return Addresses { public, admin, wallet: address("wallet_address") };
            }
            seen.push(line);
        }
    }

    fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // It may have ended a moment ago.
        let _ = kill_process(pid.expect("a process id"), Signal::TERM);
    }

    fn wait(&mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            if asked.elapsed() > PATIENCE {
                self.child.kill().expect("a child can be killed");
                panic!("the process does not end");
            }
            thread::sleep(POLL);
        }
    }
}

fn is_ready(server: SocketAddr) -> bool {
    let outcome = HttpClient::new(server).send(&Request::get("/ready"));
    matches!(outcome, Outcome::Answered(answer) if answer.status == 200)
}

/// Every file below `dir` with its content, by path.
///
/// # Panics
/// If something cannot be read.
#[must_use]
pub fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = fs::read(&path).expect("a file");
                found.insert(path, content);
            }
        }
    }
    found
}
