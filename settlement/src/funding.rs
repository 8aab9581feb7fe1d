//! Owns the way of money between wallets and trading accounts.
//! Knows nothing of orders. Invariant: what a wallet lends is credited to trading exactly once;
//! what a wallet asks back leaves trading before it leaves the wallet, and a refusal leaves both as
//! they were. Whatever fails is done again from the cursor; every step is idempotent by its key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bincode::{Decode, Encode};
use engine::{Amount, AssetCode, codec};
use journal::{JournalError, StateFile};
use tokio::sync::watch;
use uuid::Uuid;
use wallet::client::{FundingEvent, WalletClient};

use crate::board::Board;
use crate::desk::create;
use crate::follower::Follower;
use crate::options::RetryPolicy;
use crate::saved::Saved;

mod conclusions;
mod movements;
mod worker;

use conclusions::{Conclusion, Conclusions};
use worker::Worker;

/// File of the cursor in the directory of settlement.
pub const FUNDING_FILE: &str = "funding.state";

/// Version of its body.
const FORMAT: u16 = 1;

/// Namespace of the ids under which trading knows a movement.
const MOVEMENTS: Uuid = Uuid::from_u128(0x5b0e_11c6_3c0f_5d5e_8f7a_6d61_7463_6805);

/// What became of a movement in the trading account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Now or before; `sequence` is that of a command at or behind the movement.
    Done { sequence: u64 },
    /// It never will be.
    Refused(String),
    /// It may have been: ask again.
    Unknown(String),
}

/// The trading accounts. Every movement is known by its id, and is made once.
#[async_trait]
pub trait Trading: Send + Sync {
    async fn credit(&self, id: Uuid, user: Uuid, asset: AssetCode, amount: Amount) -> Moved;

    async fn debit(&self, id: Uuid, user: Uuid, asset: AssetCode, amount: Amount) -> Moved;
}

/// The id under which trading knows the movement of a transaction.
#[must_use]
pub fn movement_id(event: &FundingEvent) -> Uuid {
    let mut name = Vec::with_capacity(48);
    name.extend_from_slice(event.transaction_id.as_bytes());
    name.extend_from_slice(event.user_id.as_bytes());
    name.push(event.direction.code());
    // A user has one wallet in an asset, and a transaction lends to a wallet once.
    name.extend_from_slice(event.asset.as_str().as_bytes());
    Uuid::new_v5(&MOVEMENTS, &name)
}

/// Both in one file: what trading has answered is never asked of it again, and what the wallet is
/// to be told is not forgotten.
#[derive(Encode, Decode)]
struct Stored {
    format: u16,
    cursor: u64,
    conclusions: Vec<Conclusion>,
}

/// Why funding does not start.
#[derive(Debug, thiserror::Error)]
pub enum FundingError {
    #[error("funding: {0}")]
    File(#[from] JournalError),
    #[error("funding: {0}: not written by this program")]
    Unreadable(PathBuf),
}

/// Running funding.
#[derive(Debug)]
pub struct Funding {
    cursor: watch::Receiver<u64>,
    follower: Follower,
}

impl Funding {
    /// Takes over the cursor, and carries out everything behind it. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`FundingError`]; nothing is left running.
    pub fn start(
        directory: &Path,
        client: Arc<dyn WalletClient>,
        trading: Arc<dyn Trading>,
        board: Arc<Board>,
        retry: RetryPolicy,
    ) -> Result<Self, FundingError> {
        create(directory)?;
        let path = directory.join(FUNDING_FILE);
        let (file, body) = StateFile::open(&path)?;
        let (cursor, conclusions) = match body {
            Some(body) => read(&path, &body)?,
            None => (0, Vec::new()),
        };
        let (progress, shown) = watch::channel(cursor);
        let conclusions = Conclusions::new(conclusions);
        let saved = Saved::new("funding", file);
        let worker =
            Worker::new(client, trading, board, retry, saved, (cursor, conclusions), progress);
        Ok(Self { cursor: shown, follower: Follower::spawn(|stopped| worker.run(stopped)) })
    }

    /// Trading has answered the wallet's events up to this one.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        *self.cursor.borrow()
    }

    /// Ends at once; what is under way is done again, without effect, after the next start.
    /// Whoever asks again waits, too.
    pub async fn stop(&self) {
        self.follower.stop().await;
    }
}

/// The cursor that the file in this directory says, which another process may have; 0 if there is
/// none.
///
/// # Errors
/// The file is damaged.
pub fn saved_cursor(directory: &Path) -> Result<u64, FundingError> {
    let path = directory.join(FUNDING_FILE);
    let body = StateFile::peek(&path)?;
    Ok(body.map(|body| read(&path, &body)).transpose()?.map_or(0, |(cursor, _)| cursor))
}

fn read(path: &Path, body: &[u8]) -> Result<(u64, Vec<Conclusion>), FundingError> {
    let unreadable = || FundingError::Unreadable(path.to_owned());
    let stored: Stored = codec::read_whole(body).map_err(|_| unreadable())?;
    if stored.format != FORMAT {
        return Err(unreadable());
    }
    Ok((stored.cursor, stored.conclusions))
}
