//! Owns the logs of a data directory: where each lies, and what its records say in words.
//! Knows nothing of files beyond their folder. Invariant: a record that cannot be read is shown as
//! such, and ends nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use engine::{Codec, Command};
use journal::{Record, RecordKind};
use pipeline::Control;

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
