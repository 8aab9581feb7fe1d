//! Owns the look at settlement's files, and the comparison of both journals, without a running
//! exchange. Knows nothing of servers. Invariant: files are only read.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pipeline::Shadow;
use serde_json::json;
use settlement::reconcile::Reconciler;
use settlement::releases;
use uuid::Uuid;
use wallet::ledger::Ledger;

use crate::convert;
use crate::money::{SETTLEMENT_DIR, WALLET_DIR, fresh_engine};
use crate::offline::OfflineError;

#[derive(Debug, Subcommand)]
pub(crate) enum SettlementCommand {
    /// How far settlement has come.
    Status(DirectoryArguments),
    /// Trades that could not be settled, one line of JSON each.
    Dlq(DirectoryArguments),
    /// Compare the books of exchange and wallet; exit status 70 if they do not agree.
    Reconcile(DirectoryArguments),
}

#[derive(Debug, Args)]
pub(crate) struct DirectoryArguments {
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
}

pub(crate) fn settlement(command: &SettlementCommand) -> Result<String, OfflineError> {
    match command {
        SettlementCommand::Status(at) => status(at),
        SettlementCommand::Dlq(at) => dead_letters(at),
        SettlementCommand::Reconcile(at) => reconcile(at),
    }
}

fn progress(at: &DirectoryArguments) -> Result<settlement::Progress, OfflineError> {
    let path = at.data_dir.join(SETTLEMENT_DIR).join(settlement::STATE_FILE);
    if !path.exists() {
        return Err(OfflineError::NoJournal(path));
    }
    Ok(settlement::peek(&path)?)
}

fn status(at: &DirectoryArguments) -> Result<String, OfflineError> {
    let progress = progress(at)?;
    let head = journal::stat(&at.data_dir.join("events"))?.last_seq;
    let body = json!({
        "cursor": progress.cursor,
        "head": head,
        "lag": head.saturating_sub(progress.cursor),
        "sequence": progress.sequence,
        "trades": progress.trade.0,
        "dead_letters": progress.letters.len(),
    });
    Ok(body.to_string())
}

fn dead_letters(at: &DirectoryArguments) -> Result<String, OfflineError> {
    let progress = progress(at)?;
    let lines = progress.letters.iter().map(|letter| {
        json!({
            "id": letter.trade.request.trade_id,
            "class": letter.class.name(),
            "reason": letter.reason,
            "attempts": letter.attempts,
            "first_at": convert::time(letter.first_ns),
            "last_at": convert::time(letter.last_ns),
            "next_retry_at": letter.next_retry_ns.map(convert::time),
        })
        .to_string()
    });
    let discarded = progress.letters.discarded().map(|letter| {
        json!({
            "id": Uuid::from_u128(letter.trade_id),
            "discarded_at": convert::time(letter.at_ns),
            "reason": letter.reason,
            "correction": Uuid::from_u128(letter.correction),
        })
        .to_string()
    });
    Ok(lines.chain(discarded).collect::<Vec<_>>().join("\n"))
}

fn reconcile(at: &DirectoryArguments) -> Result<String, OfflineError> {
    let mut reconciler = Reconciler::default();
    let mut engine = Shadow::open(&at.data_dir, fresh_engine())?;
    let mut ledger = Shadow::open(&at.data_dir.join(WALLET_DIR), Ledger::default())?;
    // Before the ledger is read to its end: so everything up to it is in what is read.
    let progress = progress(at)?;
    let releases = releases::peek(&at.data_dir.join(SETTLEMENT_DIR))?;
    ledger.advance(u64::MAX, |frame, events| reconciler.follow_ledger(frame, events))?;
    let until = progress.sequence;
    engine.advance(until, |frame, events| reconciler.follow_engine(frame, events))?;
    let report = reconciler.check(engine.machine(), ledger.machine(), &progress, releases.as_ref());
    let line = serde_json::to_string(&report).map_err(std::io::Error::from)?;
    if report.breaches.is_empty() { Ok(line) } else { Err(OfflineError::Breach(line)) }
}
