//! Owns a process of the wallet on the files of an exchange, always on the same port. Knows nothing
//! of money. Invariant: the port is one that the system gives to no connection, so that it is still
//! free when the process comes back, and nobody who knocks meanwhile meets himself.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::Signal;
use serde_json::Value;

use super::process::{Ended, Process, Remarks};
use super::{App, command_in};

/// Below the ports of outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that nobody listens on, and that nobody is given by chance.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn lasting_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at the same time begin elsewhere.
    let begin = u16::try_from(std::process::id() % 10_000).expect("small");
    for _ in PORTS {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(begin) % 12_000;
        let address = SocketAddr::from(([127, 0, 0, 1], PORTS.start + offset));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("all ports are in use");
}

/// A wallet that can be ended and started again.
#[derive(Debug)]
pub struct WalletProcess {
    root: PathBuf,
    address: SocketAddr,
    process: Option<Process>,
    remarks: Remarks,
}

impl WalletProcess {
    /// Of the wallet in the files of this exchange, at this address; starts nothing.
    #[must_use]
    pub fn of(app: &App, address: SocketAddr) -> Self {
        let (root, process, remarks) = (app.root.path().to_owned(), None, Remarks::default());
        Self { root, address, process, remarks }
    }

    /// Where it listens, if it runs.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn command(&self) -> Command {
        let mut command = command_in(&self.root);
        command.arg("wallet").arg("--config").arg("matchring.toml");
        command.args(["--data-dir", "data", "--listen", &self.address.to_string()]);
        command
    }

    /// Starts the process and returns at once; it is not ready yet.
    ///
    /// # Panics
    /// If one is running.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "one process at a time");
        self.process = Some(Process::start(self.command(), &self.remarks));
    }

    /// Waits until the process that was spawned takes requests.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait_until_ready(&mut self) {
        let process = self.process.as_mut().expect("a process was started");
        let ready = |entry: &Value| entry["fields"]["wallet_address"].as_str().map(drop);
        process.wait_for(ready);
    }

    /// Starts the process and waits until it takes requests.
    ///
    /// # Panics
    /// If it does not.
    pub fn restart(&mut self) {
        self.spawn();
        self.wait_until_ready();
    }

    /// Ends the process with SIGKILL.
    ///
    /// # Panics
    /// If none was running.
    pub fn kill(&mut self) {
        self.process.take().expect("a process was started").kill();
    }

    /// Ends the process with SIGKILL, unless it has ended by itself.
    ///
    /// # Panics
    /// If none was started.
    pub fn bury(&mut self) {
        self.process.take().expect("a process was started").bury();
    }

    /// Stops it where it is; its connections stay.
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

    /// Asks the process to end, and waits.
    ///
    /// # Panics
    /// If it does not end.
    pub fn terminate(&mut self) -> Ended {
        let process = self.process.take().expect("a process was started");
        process.signal(Signal::TERM);
        process.ended()
    }
}
