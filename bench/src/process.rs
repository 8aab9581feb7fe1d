//! Owns a process of the exchange or of the wallet alone: its configuration, its start, its end,
//! the audit of its logs. Knows nothing of requests. Invariant: the process ends with the
//! benchmark, however that ends.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Where the program is.
#[derive(Debug, clap::Args)]
pub(crate) struct Program {
    /// The exchange's program; the one beside this one unless given.
    #[arg(long)]
    program: Option<PathBuf>,
}

impl Program {
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let program = match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name("matchring"),
        };
        ensure!(program.is_file(), "{}: build the gateway first", program.display());
        Ok(program)
    }
}

/// The program and the folder that it works in.
pub(crate) struct Site {
    pub(crate) program: PathBuf,
    pub(crate) data_dir: PathBuf,
}

pub(crate) struct Process {
    child: Child,
    pub(crate) wallet: SocketAddr,
    /// Of the exchange's traders.
    public: Option<SocketAddr>,
}

impl Site {
    /// Starts `serve` or `wallet` on free ports, and waits until it serves.
    pub(crate) fn start(&self, subcommand: &str, funding: &str) -> Result<Process> {
        let configuration = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
             [wallet]\nlisten = \"127.0.0.1:0\"\nfunding = \"{funding}\"\n\
             [journal]\nallow_fs = true\n[log]\njson = true\n"
        );
        std::fs::create_dir_all(&self.data_dir)?;
        let path = self.data_dir.with_extension("toml");
        std::fs::write(&path, configuration)?;
        let mut command = Command::new(&self.program);
        command.arg(subcommand).arg("--config").arg(path).arg("--data-dir").arg(&self.data_dir);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child =
            child.spawn().with_context(|| format!("starting {}", self.program.display()))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Process { child, wallet: nowhere, public: None };
        (process.wallet, process.public) = process.ready()?;
        Ok(process)
    }

    /// A bearer token.
    pub(crate) fn token(&self, user: &str, scopes: &str) -> Result<String> {
        self.answer(&["token", "--user", user, "--scope", scopes])
    }

    /// Has the logs checked and replayed by the program itself; it must not be running.
    pub(crate) fn verify(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.answer(&["wallet", "verify"])?)?)
    }

    /// Has the program compare the books of trading and of the wallet.
    pub(crate) fn reconcile(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.answer(&["settlement", "reconcile"])?)?)
    }

    fn answer(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        let output = command.args(arguments).arg("--data-dir").arg(&self.data_dir).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

impl Process {
    /// Where traders connect.
    pub(crate) fn public(&self) -> Result<SocketAddr> {
        self.public.context("the wallet alone takes no orders")
    }

    /// Reads the log until it names the addresses; the rest is read, too, so that it never blocks.
    fn ready(&mut self) -> Result<(SocketAddr, Option<SocketAddr>)> {
        let mut log = BufReader::new(self.child.stderr.take().context("no log")?).lines();
        let mut said = String::new();
        for line in log.by_ref() {
            let line = line?;
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            let named = |field: &str| entry["fields"][field].as_str();
            if let Some(wallet) = named("wallet_address") {
                let public = named("public_address").map(str::parse).transpose()?;
                std::thread::spawn(move || log.for_each(drop));
                return Ok((wallet.parse()?, public));
            }
            said = line;
        }
        anyhow::bail!("the program did not start: {said}")
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status()?;
        ensure!(asked.success(), "the program could not be stopped");
        let status = self.child.wait()?;
        ensure!(status.success(), "the program ended with {status}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Has ended already unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
