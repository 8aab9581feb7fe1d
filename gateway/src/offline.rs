//! Owns what the command line does without a running exchange: tokens, replay, a look at the logs.
//! Knows nothing of servers. Invariant: a log is only read; the one thing ever made is a token key
//! where there is none.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use engine::{Codec, Command, Engine, EngineOptions, StateMachine};
use journal::{JournalError, Record, RecordKind};
use pipeline::{Clock, Control, PipelineError, SystemClock};
use serde::Serialize;
use serde_json::json;

use crate::auth::{Authenticator, Scope};
use crate::config::{Config, ConfigError, Overrides, environment_is_production};
use crate::convert;
use crate::ids;
use crate::limits::TOKEN_TTL_MAX_S;
use crate::routes::admin::hex;
use crate::token_key::{self, TokenKeyError};

const EXIT_CONFIGURATION: i32 = 78;
const NS_PER_S: u64 = 1_000_000_000;

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// A name, or a UUID.
    #[arg(long)]
    user: String,
    /// Any of read, trade, admin, separated by commas.
    #[arg(long)]
    scope: String,
    /// How long it is valid: a number and s, m, h or d.
    #[arg(long, default_value = "24h")]
    ttl: String,
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

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
}

#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
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

/// Why an offline command failed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    TokenKey(#[from] TokenKeyError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("tokens are not signed on the command line where ENVIRONMENT is production")]
    Production,
    #[error("--{argument} {text:?}: {problem}")]
    Argument { argument: &'static str, text: String, problem: &'static str },
    #[error("there is no journal in {}", .0.display())]
    NoJournal(PathBuf),
    #[error("the token cannot be signed")]
    Sign,
    #[error("writing to standard output: {0}")]
    Output(#[from] io::Error),
}

impl OfflineError {
    /// Status with which the process should exit.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Pipeline(error) => error.exit_code(),
            Self::Journal(error) => error.exit_code(),
            Self::Config(_)
            | Self::TokenKey(_)
            | Self::Production
            | Self::Argument { .. }
            | Self::NoJournal(_)
            | Self::Sign
            | Self::Output(_) => EXIT_CONFIGURATION,
        }
    }
}

pub(crate) fn token(arguments: &TokenArguments) -> Result<String, OfflineError> {
    if environment_is_production() {
        return Err(OfflineError::Production);
    }
    let refuse = |argument, text: &str, problem| OfflineError::Argument {
        argument,
        text: text.to_owned(),
        problem,
    };
    let user = ids::user(&arguments.user)
        .ok_or_else(|| refuse("user", &arguments.user, "expected a name or a UUID"))?;
    let scopes = scopes(&arguments.scope)
        .ok_or_else(|| refuse("scope", &arguments.scope, "expected read, trade or admin"))?;
    let ttl = ttl(&arguments.ttl)
        .ok_or_else(|| refuse("ttl", &arguments.ttl, "expected for example 30m, 24h or 7d"))?;
    let overrides = Overrides { data_dir: arguments.data_dir.clone(), ..Overrides::default() };
    let config = Config::load(arguments.config.as_deref(), overrides)?;
    let secret = token_key::load_or_create(&config.data_dir)?;
    let now_s = SystemClock::new().wall_ns() / NS_PER_S;
    let token = Authenticator::new(&secret, config.auth).sign(user, &scopes, now_s, ttl);
    token.ok_or(OfflineError::Sign)
}

fn scopes(text: &str) -> Option<Vec<Scope>> {
    let scope = |word: &str| Scope::ALL.iter().copied().find(|scope| scope.name() == word);
    text.split(',').map(scope).collect()
}

/// A time like `90s`, `30m`, `24h` or `7d`, at most a year.
fn ttl(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    (1..=TOKEN_TTL_MAX_S).contains(&seconds).then(|| Duration::from_secs(seconds))
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
    let dir = |log: &LogArguments| journal_dir(&log.data_dir);
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
            let report = journal::verify(&dir(log)?)?;
            let body = json!({
                "segments": report.segments,
                "groups": report.groups,
                "records": report.records,
                "last_sequence": report.last_seq,
                "epoch": report.epoch,
                "sealed_bytes": report.sealed_bytes,
                "header_copies_damaged": report.header_copies_damaged,
                "tail": format!("{:?}", report.tail),
                "tail_bytes": report.tail_bytes,
            });
            Ok(writeln!(output, "{body}")?)
        }
        JournalCommand::Dump(DumpArguments { log, from, to }) => {
            dump(&dir(log)?, *from, *to, output)
        }
    }
}

/// The journal of a data directory that has one.
fn journal_dir(data_dir: &Path) -> Result<PathBuf, OfflineError> {
    let dir = data_dir.join("journal");
    if dir.is_dir() { Ok(dir) } else { Err(OfflineError::NoJournal(data_dir.to_owned())) }
}

fn dump(dir: &Path, from: u64, to: u64, output: &mut impl Write) -> Result<(), OfflineError> {
    let mut written = Ok(());
    journal::dump(dir, from, to, |record| {
        if written.is_ok() {
            written = writeln!(output, "{}", record_line(&record));
        }
    })?;
    match written {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn record_line(record: &Record<'_>) -> serde_json::Value {
    let undecodable = |error: &dyn std::fmt::Display| format!("cannot be decoded: {error}");
    let content = match record.kind {
        RecordKind::Command => match Command::decode_from(record.payload) {
            Ok(command) => format!("{command:?}"),
            Err(error) => undecodable(&error),
        },
        RecordKind::Control => match Control::decode_from(record.payload) {
            Ok(control) => format!("{control:?}"),
            Err(error) => undecodable(&error),
        },
        RecordKind::Timer | RecordKind::External | RecordKind::Digest | RecordKind::Seal => {
            hex(record.payload)
        }
    };
    json!({
        "sequence": record.seq,
        "time": convert::time(record.ts_ns),
        "timestamp_ns": record.ts_ns,
        "kind": format!("{:?}", record.kind),
        "content": content,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(ttl(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert!(ttl("366d").is_some());
        for text in ["", "h", "0s", "24", "24x", "-1h", "1.5h", "367d", "99999999999999999999d"] {
            assert_eq!(ttl(text), None, "{text}");
        }
    }

    #[test]
    fn a_folder_without_a_journal_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("nothing");
        let replayed = replay(&ReplayArguments { data_dir: data_dir.clone(), json: true });
        let log = LogArguments { data_dir: data_dir.clone() };
        let verified = journal(&JournalCommand::Verify(log), &mut Vec::new());
        for error in [replayed.unwrap_err(), verified.unwrap_err()] {
            assert_eq!(error.exit_code(), EXIT_CONFIGURATION);
            assert!(error.to_string().contains("nothing"), "{error}");
        }
        assert!(!data_dir.exists());
    }

    #[test]
    fn scopes_are_known_words() {
        assert_eq!(scopes("read,trade"), Some(vec![Scope::Read, Scope::Trade]));
        assert_eq!(scopes("admin"), Some(vec![Scope::Admin]));
        for text in ["", "read,", "write", "read trade"] {
            assert_eq!(scopes(text), None, "{text:?}");
        }
    }
}
