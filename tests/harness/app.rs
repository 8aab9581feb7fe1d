//! Owns a process of the exchange on a data directory of its own: start, kill, start again, stop.
//! Knows nothing of orders. Invariant: whatever it starts ends with it, and every address is one
//! that the process itself has chosen and named.

pub mod binary;
mod process;
pub mod wallet;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::http_client::{HttpClient, Outcome, Request};
pub use process::{Ended, Memory, Remarks, Said};
use process::{PATIENCE, POLL, Process};

/// What tells a process that knows the places in which to end: `name:nth`.
pub const PLACE_VARIABLE: &str = "MATCHRING_ENDS_IN";

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

/// Where a process listens.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    public: SocketAddr,
    admin: SocketAddr,
    /// None if the wallet is another process.
    wallet: Option<SocketAddr>,
}

/// How a process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// With SIGTERM, as a supervisor does.
    Terminate,
    /// With SIGINT, as a terminal does.
    Interrupt,
}

/// An exchange that can be ended and started again; its files go with it.
#[derive(Debug)]
pub struct App {
    process: Option<Process>,
    /// Goes after whoever writes to it.
    root: TempDir,
    /// While a process is ready.
    addresses: Option<Addresses>,
    remarks: Remarks,
    /// Where the processes that are started from now on end.
    ends_in: Option<String>,
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
        Self::prepare_below(&std::env::temp_dir(), settings)
    }

    /// The same with all files below a folder, which outlives it.
    ///
    /// # Panics
    /// If the system refuses files.
    #[must_use]
    pub fn prepare_below(folder: &Path, settings: &Settings) -> Self {
        let root = tempfile::Builder::new().prefix("matchring-").tempdir_in(folder);
        let root = root.expect("a directory");
        let (process, addresses, remarks, ends_in) = (None, None, Remarks::default(), None);
        let app = Self { root, process, addresses, remarks, ends_in };
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
        self.process.as_mut().expect("a process was started").is_alive()
    }

    /// Starts a process and returns at once; it is not ready yet.
    ///
    /// # Panics
    /// If one is running.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "one process at a time");
        self.process = Some(Process::start(self.serve(), &self.remarks));
    }

    /// Starts a process on the same files and waits until it is ready.
    ///
    /// # Panics
    /// If it does not get ready.
    pub fn restart(&mut self) {
        self.spawn();
        self.wait_until_ready();
    }

    /// Waits until the process that was spawned is ready.
    ///
    /// # Panics
    /// If it does not get ready.
    pub fn wait_until_ready(&mut self) {
        let process = self.process.as_mut().expect("a process was started");
        let addresses = process.wait_for(Addresses::named_in);
        let public = addresses.public;
        self.addresses = Some(addresses);
        let started = Instant::now();
        while !is_ready(public) {
            assert!(started.elapsed() < PATIENCE, "the exchange does not get ready");
            thread::sleep(POLL);
        }
    }

    /// Has the processes that are started from now on end in a place, as `name:nth`, or in none.
    /// The binary must be one that knows the places.
    pub fn end_in(&mut self, place: Option<String>) {
        self.ends_in = place;
    }

    /// Waits until the process that was spawned is ready, or has ended; whether it is ready.
    ///
    /// # Panics
    /// If it does neither.
    pub fn is_ready_at_last(&mut self) -> bool {
        let process = self.process.as_mut().expect("a process was started");
        self.addresses = process.wait_for_or_end(Addresses::named_in);
        let started = Instant::now();
        while let Some(addresses) = self.addresses.filter(|_| self.is_alive()) {
            if is_ready(addresses.public) {
                return true;
            }
            assert!(started.elapsed() < PATIENCE, "the exchange does not get ready");
            thread::sleep(POLL);
        }
        self.addresses = None;
        false
    }

    /// Ends the process with SIGKILL: it can do nothing about it.
    ///
    /// # Panics
    /// If the process was not running any more.
    pub fn kill(&mut self) {
        self.addresses = None;
        self.process.take().expect("a process was started").kill();
    }

    /// Ends the process with SIGKILL, unless it has ended by itself.
    ///
    /// # Panics
    /// If none was started.
    pub fn bury(&mut self) {
        self.addresses = None;
        self.process.take().expect("a process was started").bury();
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
        self.ask(Asked::Terminate);
    }

    /// Asks the process to end, and returns at once.
    ///
    /// # Panics
    /// If none was started.
    pub fn ask(&self, how: Asked) {
        let signal = match how {
            Asked::Terminate => Signal::TERM,
            Asked::Interrupt => Signal::INT,
        };
        self.process.as_ref().expect("a process was started").signal(signal);
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// If it does not end.
    pub fn wait_for_end(&mut self) -> Ended {
        self.addresses = None;
        self.process.take().expect("a process was started").ended()
    }

    /// The process's number.
    ///
    /// # Panics
    /// If none was started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a process was started").id()
    }

    /// Stops the process where it is; its connections stay.
    ///
    /// # Panics
    /// If none was started.
    pub fn freeze(&self) {
        self.process.as_ref().expect("a process was started").freeze();
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If none was started.
    pub fn thaw(&self) {
        self.process.as_ref().expect("a process was started").thaw();
    }

    /// What its processes said.
    #[must_use]
    pub fn remarks(&self) -> &Remarks {
        &self.remarks
    }

    /// Starts one more process on the same files, which is expected to refuse.
    ///
    /// # Panics
    /// If the binary cannot be started, or does not end.
    #[must_use]
    pub fn refused_start(&self) -> Ended {
        Process::start(self.serve(), &self.remarks).ended()
    }

    /// What the process uses.
    ///
    /// # Panics
    /// If none is running.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.process.as_ref().expect("a process was started").memory()
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

    /// Takes a snapshot of what is not running, under the configuration that a start would have.
    ///
    /// # Panics
    /// If the binary does not start.
    #[must_use]
    pub fn snapshot(&self) -> Output {
        let mut command = self.command();
        command.arg("snapshot").arg("--config").arg(self.config_path());
        command.arg("--data-dir").arg(self.data_dir()).output().expect("the binary starts")
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
        command.envs(self.ends_in.iter().map(|place| (PLACE_VARIABLE, place)));
        command
    }

    fn command(&self) -> Command {
        command_in(self.root.path())
    }
}

/// Whatever the environment of the tests says is not for the exchange.
fn command_in(root: &Path) -> Command {
    let mut command = Command::new(binary::path());
    command.env_clear().current_dir(root).stdin(Stdio::null());
    command
}

impl Addresses {
    /// The addresses in an entry of the log, if it is the one that names them.
    fn named_in(entry: &Value) -> Option<Self> {
        let address = |name: &str| entry["fields"][name].as_str()?.parse().ok();
        let (public, admin) = (address("public_address")?, address("admin_address")?);
        Some(Self { public, admin, wallet: address("wallet_address") })
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
