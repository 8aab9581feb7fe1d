//! Owns the audit of a wallet's logs without a running wallet. Knows nothing of servers.
//! Invariant: logs are only read, and the first bad place is named.

use std::path::PathBuf;

use clap::Args;
use engine::StateMachine;
use pipeline::{EventLogReader, Shadow};
use serde_json::json;
use wallet::audit::Audit;
use wallet::ledger::{Event, Ledger};

use crate::money::WALLET_DIR;
use crate::offline::OfflineError;
use crate::routes::admin::hex;

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
}

/// Checks journal, event log and hash chain, replays the journal, and compares what it says with
/// the event log. Prints one line of JSON.
pub(crate) fn verify(arguments: &VerifyArguments) -> Result<String, OfflineError> {
    let dir = arguments.data_dir.join(WALLET_DIR);
    let journal = dir.join("journal");
    if !journal.is_dir() {
        return Err(OfflineError::NoJournal(journal));
    }
    let verified = journal::verify(&journal)?;
    journal::verify(&dir.join("events"))?;
    let mut log = EventLogReader::<Ledger>::open(&dir, 1)?;
    let mut audit = Audit::default();
    let (mut compared, mut problem) = (0u64, None);
    let mut shadow = Shadow::open(&dir, Ledger::default())?;
    shadow.advance(u64::MAX, |_, events| {
        for event in events {
            if problem.is_none() {
                problem = compare(&mut log, &mut audit, event, &mut compared).err();
            }
        }
    })?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    if let Some(extra) = log.next_event()? {
        let what = "the event log goes on behind the journal".to_owned();
        return Err(OfflineError::Audit { event_sequence: extra.event_sequence, what });
    }
    let ledger = shadow.machine();
    ledger.check().map_err(|breaches| OfflineError::Audit {
        event_sequence: compared,
        what: breaches.join("; "),
    })?;
    let (chain, transactions) = audit.head();
    let body = json!({
        "groups": verified.groups,
        "last_sequence": ledger.last_sequence(),
        "events": compared,
        "transactions": transactions,
        "wallets": ledger.books().wallet_count(),
        "chain": hex(&chain),
        "state_hash": hex(&ledger.state_hash()),
    });
    Ok(body.to_string())
}

/// The next event of the log must be the one that the replay gave, and fit the chain.
fn compare(
    log: &mut EventLogReader<Ledger>,
    audit: &mut Audit,
    replayed: &Event,
    compared: &mut u64,
) -> Result<(), OfflineError> {
    let Some(logged) = log.next_event()? else {
        // The event log may end early: it is written again from the journal at the next start.
        return Ok(());
    };
    let event_sequence = logged.event_sequence;
    audit
        .follow(event_sequence, &logged.event)
        .map_err(|error| OfflineError::Audit { event_sequence, what: error.to_string() })?;
    if logged.event != *replayed {
        let what = "the journal replays to another event".to_owned();
        return Err(OfflineError::Audit { event_sequence, what });
    }
    *compared = event_sequence;
    Ok(())
}
