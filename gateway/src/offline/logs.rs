//! Owns replay, the look at a journal, and its repair. Knows nothing of tokens and servers.
//! Invariant: a log is only read unless a repair is to be applied, and a folder without one is left
//! as it is.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use engine::{Engine, EngineOptions, StateMachine};
use journal::{DirectoryLock, Record, RepairOptions, SnapshotStore, VerifyReport};
use pipeline::{Clock, SystemClock};
use serde::Serialize;
use serde_json::{Value, json};
use wallet::ledger::Ledger;

use crate::convert::{self, NS_PER_S};
use crate::offline::OfflineError;
use crate::offline::log_name::LogName;
use crate::routes::admin::hex;

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// State of the log by its headers.
    Stat(LogArguments),
    /// Check every header, checksum and seal.
    Verify(LogArguments),
    /// One line of JSON for each record.
    Dump(DumpArguments),
    /// Put back what is damaged from a copy; without --apply only say what that would be.
    Repair(RepairArguments),
}

#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
    /// Which of the logs in it.
    #[arg(long, value_enum, default_value_t = LogName::Journal)]
    log: LogName,
}

#[derive(Debug, Args)]
pub(crate) struct DumpArguments {
    #[command(flatten)]
    log: LogArguments,
    /// First sequence.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Last sequence.
    #[arg(long, default_value_t = u64::MAX)]
    to: u64,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArguments {
    #[command(flatten)]
    log: LogArguments,
    /// Data directory of the copy: a backup, or what another machine has.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Replace the damaged files; they are kept in the folder quarantine of the log.
    #[arg(long)]
    apply: bool,
    /// Take an end behind which acknowledged records may have stood, and lose those.
    #[arg(long)]
    accept_end: bool,
}

#[derive(Serialize)]
struct ReplayLine {
    commands: u64,
    events: u64,
    last_sequence: u64,
    state_hash: String,
    seconds: f64,
    commands_per_second: u64,
}

pub(crate) fn replay(arguments: &ReplayArguments) -> Result<String, OfflineError> {
    journal_dir(&arguments.data_dir)?;
    let clock = SystemClock::new();
    let engine = Engine::new(EngineOptions::default());
    let summary = pipeline::replay(&arguments.data_dir, engine)?;
    let elapsed = Duration::from_nanos(clock.monotonic_ns());
    let seconds = elapsed.as_secs_f64();
    let per_second =
        u128::from(summary.commands) * u128::from(NS_PER_S) / elapsed.as_nanos().max(1);
    let commands_per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
    let (commands, events) = (summary.commands, summary.events);
    let last_sequence = summary.last_sequence;
    let state_hash = hex(&summary.machine.state_hash());
    Ok(if arguments.json {
        let line = ReplayLine {
            commands,
            events,
            last_sequence,
            state_hash,
            seconds,
            commands_per_second,
        };
        serde_json::to_string(&line).map_err(io::Error::from)?
    } else {
        format!(
            "{commands} commands up to sequence {last_sequence} gave {events} events in \
             {seconds:.3} s ({commands_per_second} commands/s); state hash {state_hash}"
        )
    })
}

pub(crate) fn journal(
    command: &JournalCommand,
    output: &mut impl Write,
) -> Result<(), OfflineError> {
    let dir = |log: &LogArguments| log.log.dir(&log.data_dir);
    match command {
        JournalCommand::Stat(log) => {
            let stat = journal::stat(&dir(log)?)?;
            let body = json!({
                "exchange": uuid::Uuid::from_bytes(stat.exchange_uuid),
                "epoch": stat.epoch,
                "boot_count": stat.boot_count,
                "clean_shutdown": stat.clean_shutdown,
                "trim_pending": stat.trim_pending,
                "durable_sequence": stat.durable_seq,
                "active_segment": stat.active_segment,
                "segments": stat.segments,
                "segment_bytes": stat.segment_bytes,
                "first_sequence": stat.first_seq,
                "last_sequence": stat.last_seq,
            });
            Ok(writeln!(output, "{body}")?)
        }
        JournalCommand::Verify(log) => {
            let (log_dir, name) = (dir(log)?, log.log);
            let mut body = verified(&journal::verify(&log_dir)?);
            body["snapshots"] = snapshots(name, &log_dir)?.into();
            Ok(writeln!(output, "{body}")?)
        }
        JournalCommand::Repair(arguments) => Ok(writeln!(output, "{}", repair(arguments)?)?),
        JournalCommand::Dump(DumpArguments { log, from, to }) => {
            dump(log.log, &dir(log)?, *from, *to, output)
        }
    }
}

/// Whoever writes the log must not run meanwhile, and does not start.
fn repair(arguments: &RepairArguments) -> Result<Value, OfflineError> {
    let RepairArguments { log: LogArguments { data_dir, log }, from, apply, accept_end } =
        arguments;
    let (dir, copy) = (log.dir(data_dir)?, log.dir(from)?);
    // The exchange and the wallet each lock the folder that their logs are in.
    let _lock = DirectoryLock::acquire(&log.locked_dir(data_dir))?;
    let options = RepairOptions {
        apply: *apply,
        accept_end: *accept_end,
        witness_seq: log.witness(data_dir),
    };
    let report = journal::repair(&dir, &copy, &options)?;
    let mended = report.mended.iter().map(|mended| {
        json!({
            "damage": mended.damage.to_string(),
            "segment": mended.segment,
            "offset": mended.offset,
            "bytes": mended.bytes,
        })
    });
    Ok(json!({
        "mended": mended.collect::<Value>(),
        "applied": apply,
        "quarantined": report.quarantined,
        "verified": verified(&report.verified),
    }))
}

fn verified(report: &VerifyReport) -> Value {
    json!({
        "segments": report.segments,
        "groups": report.groups,
        "records": report.records,
        "last_sequence": report.last_seq,
        "epoch": report.epoch,
        "sealed_bytes": report.sealed_bytes,
        "header_copies_damaged": report.header_copies_damaged,
        "tail": format!("{:?}", report.tail),
        "tail_bytes": report.tail_bytes,
    })
}

/// The journal of a data directory that has one.
fn journal_dir(data_dir: &Path) -> Result<PathBuf, OfflineError> {
    let dir = data_dir.join("journal");
    if dir.is_dir() { Ok(dir) } else { Err(OfflineError::NoJournal(data_dir.to_owned())) }
}

/// Each snapshot beside a journal, and whether it can be used as far as its bytes say.
fn snapshots(log: LogName, dir: &Path) -> Result<Vec<Value>, OfflineError> {
    let (machine, schema) = match log {
        LogName::Journal => (Engine::MACHINE_ID, Engine::schema_hash()),
        LogName::Wallet => (Ledger::MACHINE_ID, Ledger::schema_hash()),
        LogName::Events | LogName::WalletEvents => return Ok(Vec::new()),
    };
    let Some(store) = SnapshotStore::open(dir, machine, schema, true)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for sequence in store.list()? {
        found.push(match store.load(sequence) {
            Ok(snapshot) => json!({"sequence": sequence, "bytes": snapshot.file_bytes()}),
            Err(error) => json!({"sequence": sequence, "damaged": error.to_string()}),
        });
    }
    Ok(found)
}

fn dump(
    log: LogName,
    dir: &Path,
    from: u64,
    to: u64,
    output: &mut impl Write,
) -> Result<(), OfflineError> {
    let mut written = Ok(());
    journal::dump(dir, from, to, |record| {
        if written.is_ok() {
            written = writeln!(output, "{}", record_line(log, &record));
        }
    })?;
    match written {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn record_line(log: LogName, record: &Record<'_>) -> Value {
    json!({
        "sequence": record.seq,
        "time": convert::time(record.ts_ns),
        "timestamp_ns": record.ts_ns,
        "kind": format!("{:?}", record.kind),
        "content": log.content(record),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_status;

    #[test]
    fn a_folder_without_a_journal_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("nothing");
        let replayed = replay(&ReplayArguments { data_dir: data_dir.clone(), json: true });
        let log = LogArguments { data_dir: data_dir.clone(), log: LogName::Journal };
        let verified = journal(&JournalCommand::Verify(log), &mut Vec::new());
        for error in [replayed.unwrap_err(), verified.unwrap_err()] {
            assert_eq!(error.exit_code(), exit_status::CONFIGURATION);
            assert!(error.to_string().contains("nothing"), "{error}");
        }
        assert!(!data_dir.exists());
    }
}
