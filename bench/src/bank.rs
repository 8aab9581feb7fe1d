//! Owns a durable wallet in this process, and filling it quickly.
//! Knows nothing of what is measured.
//! Invariant: every command is answered as asked, or the benchmark ends.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use engine::{Amount, AssetCode, AssetId};
use journal::SyncPolicy;
use pipeline::SystemClock;
use wallet::bank::{Answer, Answered, AssetTerms, Bank, BankOptions, HandOverError, Teller};
use wallet::ledger::types::{
    Account, Description, Reference, TransactionKind, TransactionStatus, UserId, WalletId,
};
use wallet::ledger::{Command, Post, Posting, Postings};

/// Ids, decimal places and bounds of movements as in the default configuration of the exchange,
/// but for the least amount.
const ASSETS: [(u32, &str); 2] = [(1, "BTC"), (4, "USDT")];
const SCALE: u8 = 8;
const AMOUNT_MAX: Amount = 1 << 80;
/// Commands that wait for their answers at once.
const WAITING_MAX: usize = 1_024;
/// Writes whose sync is timed.
const SYNCS: u32 = 500;
/// How long a disk that is late is left alone.
const DISK_PAUSE: Duration = Duration::from_millis(10);

pub(crate) fn code(text: &str) -> Result<AssetCode> {
    AssetCode::new(text).context("not an asset code")
}

pub(crate) fn asset(text: &str) -> Result<AssetId> {
    let found = ASSETS.iter().find(|(_, code)| *code == text);
    found.map(|(id, _)| AssetId(*id)).context("not an asset")
}

/// A new ledger in `directory`, group commit, with the assets.
pub(crate) fn open(directory: &Path) -> Result<Bank> {
    let mut options = pipeline::Options::new(directory);
    options.journal.sync = SyncPolicy::Group;
    let options = BankOptions {
        pipeline: options,
        assets: Vec::<AssetTerms>::new(),
        timeout: Duration::from_secs(10),
        fund: false,
        read_only: false,
        snapshots: None,
    };
    let bank = Bank::open(&options, Arc::new(SystemClock::new()))?;
    let commands = ASSETS.iter().map(|(id, text)| {
        Ok(Command::AddAsset {
            asset: AssetId(*id),
            code: code(text)?,
            scale: SCALE,
            amount_min: 1,
            amount_max: AMOUNT_MAX,
        })
    });
    submit(&bank.teller(), commands.collect::<Result<Vec<_>>>()?, |_| ())?;
    Ok(bank)
}

/// Money from outside into a wallet; `fund` lends it to trading at once.
pub(crate) fn deposit(
    asset: AssetId,
    wallet: WalletId,
    amount: Amount,
    reference: &str,
    fund: bool,
) -> Result<Command> {
    let (debit, credit) = (Account::External(asset), Account::Available(wallet));
    Ok(Command::Post(Post {
        kind: TransactionKind::Deposit,
        caller: UserId(1),
        reference: Reference::new(reference).context("the reference is too long")?,
        description: Description::EMPTY,
        postings: Postings::new(&[Posting { debit, credit, amount }]).context("one posting")?,
        fund,
        dry_run: false,
    }))
}

/// Opens a wallet in an asset for each of the users 1 to `users`, in this order.
pub(crate) fn open_wallets(teller: &Teller, asset: AssetId, users: u32) -> Result<Vec<WalletId>> {
    let commands = (1..=users).map(|user| Command::OpenWallet { user: UserId(user.into()), asset });
    let mut wallets = Vec::new();
    submit(teller, commands, |answered| {
        if let Answer::Wallet { wallet, .. } = answered.answer {
            wallets.push(wallet);
        }
    })?;
    ensure!(wallets.len() == users as usize, "{} wallets were opened", wallets.len());
    Ok(wallets)
}

/// Submits commands as fast as they are taken; shows each answer, in order.
pub(crate) fn submit(
    teller: &Teller,
    commands: impl IntoIterator<Item = Command>,
    mut show: impl FnMut(&Answered),
) -> Result<()> {
    let mut waiting = VecDeque::new();
    let mut commands = commands.into_iter();
    let mut next = commands.next();
    while next.is_some() || !waiting.is_empty() {
        if let Some(command) = next
            && waiting.len() < WAITING_MAX
        {
            match teller.hand_over(command) {
                Ok(receiver) => {
                    waiting.push_back(receiver);
                    next = commands.next();
                    continue;
                }
                Err(HandOverError::Overloaded | HandOverError::SyncDelayed)
                    if !waiting.is_empty() => {}
                Err(HandOverError::SyncDelayed) => {
                    std::thread::sleep(DISK_PAUSE);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let oldest = waiting.pop_front().context("nothing waits")?;
        let answered = oldest.blocking_recv()?;
        match answered.answer {
            Answer::Rejected(reason) => bail!("a command was refused: {reason:?}"),
            Answer::Transaction { outcome, again } => {
                let done = outcome.status == TransactionStatus::Completed && !again;
                ensure!(done, "a transaction is {outcome:?}");
            }
            _ => {}
        }
        show(&answered);
    }
    Ok(())
}

/// What one write of 4 KiB with its fdatasync takes in `directory`, mean, nanoseconds.
pub(crate) fn fdatasync_ns(directory: &Path) -> Result<u64> {
    const BLOCK: [u8; 4_096] = [1; 4_096];
    let path = directory.join("yardstick");
    let mut file = File::create(&path)?;
    for _ in 0..SYNCS {
        file.write_all(&BLOCK)?;
    }
    file.sync_all()?;
    let mut file = File::options().write(true).open(&path)?;
    let start = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&BLOCK)?;
        file.sync_data()?;
    }
    let taken = start.elapsed() / SYNCS;
    std::fs::remove_file(path)?;
    Ok(crate::report::nanos(taken))
}
