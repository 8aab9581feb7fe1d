//! Owns the logs of a data directory: where each lies, and what its records say in words.
//! Knows nothing of files beyond their folder. Invariant: a record that cannot be read is shown as
//! such, and ends nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use engine::{Codec, Command, Engine, StateMachine};
use journal::{Record, RecordKind};
use pipeline::{Control, EventLogReader};
use wallet::ledger::Ledger;

use crate::money::WALLET_DIR;
use crate::offline::OfflineError;
use crate::routes::admin::hex;

/// The logs of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogName {
    /// Inputs of the exchange.
    Journal,
    /// What they caused.
    Events,
    /// Inputs of the wallet.
    Wallet,
    /// What those caused.
    WalletEvents,
}

impl LogName {
    /// The folder of the log, if there is one.
    pub(super) fn dir(self, data_dir: &Path) -> Result<PathBuf, OfflineError> {
        let dir = match self {
            Self::Journal => data_dir.join("journal"),
            Self::Events => data_dir.join("events"),
            Self::Wallet => data_dir.join(WALLET_DIR).join("journal"),
            Self::WalletEvents => data_dir.join(WALLET_DIR).join("events"),
        };
        if dir.is_dir() { Ok(dir) } else { Err(OfflineError::NoJournal(data_dir.to_owned())) }
    }

    /// The folder that whoever writes the log holds.
    pub(super) fn locked_dir(self, data_dir: &Path) -> PathBuf {
        match self {
            Self::Journal | Self::Events => data_dir.to_owned(),
            Self::Wallet | Self::WalletEvents => data_dir.join(WALLET_DIR),
        }
    }

    /// Last input that is known elsewhere: the one that the last event came from. 0 if there is no
    /// event log, or none that can be read at its end.
    pub(super) fn witness(self, data_dir: &Path) -> u64 {
        match self {
            Self::Journal => last_cause::<Engine>(data_dir),
            Self::Wallet => last_cause::<Ledger>(&data_dir.join(WALLET_DIR)),
            Self::Events | Self::WalletEvents => 0,
        }
    }

    /// What a record with a number of its own says, in words.
    pub(super) fn content(self, record: &Record<'_>) -> String {
        match (self, record.kind) {
            (Self::Journal, RecordKind::Command) => decoded::<Command>(record.payload),
            (Self::Wallet, RecordKind::Command) => {
                decoded::<wallet::ledger::Command>(record.payload)
            }
            (Self::Journal | Self::Wallet, RecordKind::Control) => {
                shown(Control::decode_from(record.payload))
            }
            (Self::Events, RecordKind::EVENT) => event::<engine::Event>(record.payload),
            (Self::WalletEvents, RecordKind::EVENT) => {
                event::<wallet::ledger::Event>(record.payload)
            }
            _ => hex(record.payload),
        }
    }
}

/// The input of the last event that is logged. Where the log ends is only guessed, so it is read
/// on from there.
fn last_cause<S: StateMachine>(data_dir: &Path) -> u64 {
    let guess = journal::newest_sequence(&data_dir.join("events")).unwrap_or(0);
    let Ok(mut reader) = EventLogReader::<S>::open(data_dir, guess.max(1)) else { return 0 };
    let events = std::iter::from_fn(|| reader.next_event().ok().flatten());
    events.last().map_or(0, |event| event.input_sequence)
}

fn shown<T: fmt::Debug, E: fmt::Display>(value: Result<T, E>) -> String {
    match value {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("cannot be decoded: {error}"),
    }
}

fn decoded<C: Codec + fmt::Debug>(payload: &[u8]) -> String {
    shown(C::decode_from(payload))
}

/// The sequence of the input and the place among its events stand in front of an event.
fn event<E: Codec + fmt::Debug>(payload: &[u8]) -> String {
    match pipeline::split_event(payload) {
        Some((sequence, index, bytes)) => {
            format!("{index} of {sequence}: {}", decoded::<E>(bytes))
        }
        None => hex(payload),
    }
}
