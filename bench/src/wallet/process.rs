//! Owns the wallet process: its configuration, its start, its end, the audit of its logs.
//! Knows nothing of requests. Invariant: the process ends with the benchmark, however that ends.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const CONFIGURATION: &str = "[wallet]\nfunding = \"per_order\"\n[log]\njson = true\n";

/// The program and the folder that it works in.
pub(crate) struct Site {
    pub(crate) program: PathBuf,
    pub(crate) data_dir: PathBuf,
}

pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Site {
    /// Starts the wallet on a free port, and waits until it serves.
    pub(crate) fn start(&self, configuration: &Path) -> Result<Process> {
        std::fs::write(configuration, CONFIGURATION)?;
        let mut command = Command::new(&self.program);
        command.args(["wallet", "--listen", "127.0.0.1:0", "--config"]).arg(configuration);
        command.arg("--data-dir").arg(&self.data_dir);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child =
            child.spawn().with_context(|| format!("starting {}", self.program.display()))?;
        let mut process = Process { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        process.address = process.ready()?;
        Ok(process)
    }

    /// A bearer token of an operator who may write.
    pub(crate) fn token(&self) -> Result<String> {
        self.answer(&["token", "--user", "bench", "--scope", "wallet,admin"])
    }

    /// Has the logs checked and replayed by the program itself; it must not be running.
    pub(crate) fn verify(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.answer(&["wallet", "verify"])?)?)
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
    /// Reads the log until it names the address; the rest is read, too, so that it never blocks.
    fn ready(&mut self) -> Result<SocketAddr> {
        let mut log = BufReader::new(self.child.stderr.take().context("no log")?).lines();
        let mut said = String::new();
        for line in log.by_ref() {
            let line = line?;
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = entry["fields"]["wallet_address"].as_str() {
                let address = address.parse()?;
                std::thread::spawn(move || log.for_each(drop));
                return Ok(address);
            }
            said = line;
        }
        anyhow::bail!("the wallet did not start: {said}")
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status()?;
        ensure!(asked.success(), "the wallet could not be stopped");
        let status = self.child.wait()?;
        ensure!(status.success(), "the wallet ended with {status}");
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
