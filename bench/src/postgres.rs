//! Owns the same movements of money as plain SQL transactions: a throw-away PostgreSQL cluster on a
//! unix socket, durable commits, driven by its own load generator.
//!
//! Knows nothing of wallets. Invariant: the cluster ends with the benchmark, and what it committed
//! is what its clients were told, to the last entry.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use tempfile::TempDir;

use crate::report::{self, Latency};

/// Accounts that money moves between, and what each begins with.
const ACCOUNTS: u64 = 1_000;
const RICH: u64 = 1_000_000;

const SCHEMA: &str = "
CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference text NOT NULL UNIQUE,
    debit bigint,
    credit bigint,
    amount bigint NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO accounts SELECT id, 1000000 FROM generate_series(1, 1000) AS id;
";

/// Scripts of the load generator; the last account is only paid to, so that rows are locked in
/// ascending order.
const DEPOSIT: &str = r"
\set to random(1, 1000)
BEGIN;
UPDATE accounts SET balance = balance + 2 WHERE id = :to;
INSERT INTO entries (reference, credit, amount) VALUES (gen_random_uuid()::text, :to, 2);
COMMIT;
";
const WITHDRAW: &str = r"
\set from random(1, 1000)
BEGIN;
UPDATE accounts SET balance = balance - 1 WHERE id = :from;
INSERT INTO entries (reference, debit, amount) VALUES (gen_random_uuid()::text, :from, 1);
COMMIT;
";
const TRANSFER: &str = r"
\set from random(1, 999)
\set to :from + 1
BEGIN;
UPDATE accounts SET balance = balance - 1 WHERE id = :from;
UPDATE accounts SET balance = balance + 1 WHERE id = :to;
INSERT INTO entries (reference, debit, credit, amount)
    VALUES (gen_random_uuid()::text, :from, :to, 1);
COMMIT;
";
/// Entries, and by how much they and the balances differ.
const SUMS: &str = "
SELECT count(*), coalesce(sum(CASE WHEN debit IS NULL THEN amount WHEN credit IS NULL THEN -amount
    ELSE 0 END), 0) - (SELECT sum(balance) FROM accounts) FROM entries;
";

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Postgres {
    Skipped(&'static str),
    Measured {
        version: String,
        closed_loop_per_second: u64,
        closed_loop_ns: Latency,
        /// From due to committed, at the rate of the other side; in steps of a microsecond.
        at_rate_ns: Latency,
    },
}

impl Postgres {
    /// Transactions a second in the closed loop.
    pub(crate) fn rate(&self) -> Option<u64> {
        match self {
            Self::Skipped(_) => None,
            Self::Measured { closed_loop_per_second, .. } => Some(*closed_loop_per_second),
        }
    }
}

/// Runs the load: in a closed loop and at a rate, `seconds` each.
pub(crate) fn measure(bin: &Path, rate: u64, seconds: u64, clients: usize) -> Result<Postgres> {
    if !bin.join("initdb").is_file() || !bin.join("pgbench").is_file() {
        return Ok(Postgres::Skipped("skipped: no PostgreSQL"));
    }
    let cluster = Cluster::start(bin)?;
    cluster.sql(SCHEMA)?;
    let closed = cluster.load("closed", &[], seconds, clients)?;
    let paced = cluster.load("paced", &["-R", &rate.to_string()], seconds, clients)?;
    let (made, sums) = (closed.len() + paced.len(), cluster.sql(SUMS)?);
    let expected = format!("{made}|-{}", ACCOUNTS * RICH);
    ensure!(sums == expected, "entries and difference are {sums}, not {expected}");
    Ok(Postgres::Measured {
        version: cluster.sql("SHOW server_version")?,
        closed_loop_per_second: closed.len() / seconds,
        closed_loop_ns: Latency::of(&closed),
        at_rate_ns: Latency::of(&paced),
    })
}

struct Cluster {
    bin: PathBuf,
    directory: TempDir,
    /// The server refuses to run as root: it and its tools run as its own user then.
    as_root: bool,
}

impl Cluster {
    fn start(bin: &Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let as_root = std::os::unix::fs::MetadataExt::uid(&directory.path().metadata()?) == 0;
        let cluster = Self { bin: bin.to_owned(), directory, as_root };
        let place = cluster.place();
        for (name, script) in [("deposit", DEPOSIT), ("withdraw", WITHDRAW), ("transfer", TRANSFER)]
        {
            std::fs::write(cluster.directory.path().join(name), script)?;
        }
        if as_root {
            let mut command = Command::new("chown");
            done(command.args(["-R", "postgres:postgres", &place]).output()?)?;
        }
        let data = format!("{place}/data");
        cluster.tool("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8"])?;
        let options = format!(
            "-k {place} -c listen_addresses= -c fsync=on -c synchronous_commit=on \
             -c shared_buffers=256MB"
        );
        let log = format!("{place}/log");
        // A server keeps what it inherits open: its output goes to the log.
        cluster.tool("pg_ctl", &["-D", &data, "-w", "-l", &log, "-o", &options, "start"])?;
        Ok(cluster)
    }

    fn place(&self) -> String {
        self.directory.path().display().to_string()
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let program = self.bin.join(name);
        let mut command = if self.as_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir(self.directory.path());
        done(command.output()?).with_context(|| name.to_owned())
    }

    fn sql(&self, text: &str) -> Result<String> {
        let (place, stop) = (self.place(), "ON_ERROR_STOP=1");
        let arguments = ["-h", &place, "-U", "postgres", "-qAt", "-v", stop, "-c", text];
        Ok(self.tool("psql", &arguments)?.trim().to_owned())
    }

    /// One run of the three scripts in equal parts; gives the latency of each transaction.
    fn load(
        &self,
        name: &str,
        more: &[&str],
        seconds: u64,
        clients: usize,
    ) -> Result<Histogram<u64>> {
        let (place, seconds, clients) = (self.place(), seconds.to_string(), clients.to_string());
        let prefix = format!("--log-prefix={name}");
        let mut arguments = vec!["-h", &place, "-U", "postgres", "-n", "-M", "prepared", "-l"];
        arguments.extend(["-f", "deposit", "-f", "withdraw", "-f", "transfer", &prefix]);
        arguments.extend(["-j", "2", "-c", &clients, "-T", &seconds]);
        arguments.extend(more);
        arguments.push("postgres");
        self.tool("pgbench", &arguments)?;
        let mut latencies = report::histogram()?;
        for entry in std::fs::read_dir(self.directory.path())? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(&format!("{name}.")) {
                continue;
            }
            for line in std::fs::read_to_string(entry.path())?.lines() {
                // Client, transaction, microseconds, and more.
                let field = line.split(' ').nth(2).and_then(|field| field.parse::<u64>().ok());
                let taken_us = field.with_context(|| format!("no latency in {line:?}"))?;
                latencies.saturating_record((taken_us * 1_000).max(1));
            }
        }
        ensure!(!latencies.is_empty(), "no transaction was logged");
        Ok(latencies)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = format!("{}/data", self.place());
        // Nothing of it is kept, so it need not end in good order.
        let _ = self.tool("pg_ctl", &["-D", &data, "-w", "-m", "immediate", "stop"]);
    }
}

fn done(output: Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ended with {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
