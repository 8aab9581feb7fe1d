//! The ledger in this process as a backend under test, with a journal in a directory of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use engine::{Amount, AssetCode, AssetId, SignedAmount};
use pipeline::SystemClock;
use tempfile::TempDir;
use uuid::Uuid;

use super::{Fixture, btc, usdt};
use crate::bank::{Answer, AssetTerms, Bank, BankOptions, Teller};
use crate::client::{EmbeddedWallet, WalletClient};
use crate::ids;
use crate::ledger::types::{Account, Description, Reference, TransactionKind, UserId, WalletId};
use crate::ledger::{Command, Outcome, Post, Posting, Postings};
use crate::views::AssetView;

/// A bank, open as long as this lives.
#[derive(Debug)]
pub(super) struct Embedded {
    client: Arc<dyn WalletClient>,
    teller: Teller,
    references: AtomicU64,
    bank: Option<Bank>,
    /// Removed after the bank has closed.
    _directory: TempDir,
}

impl Embedded {
    pub(super) async fn open() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut pipeline = pipeline::Options::new(directory.path());
        pipeline.journal.allow_fs = true;
        pipeline.journal.segment_bytes = 1 << 20;
        let terms = |(id, code)| AssetTerms {
            id: AssetId(id),
            code,
            scale: 8,
            amount_min: 1,
            amount_max: 1 << 90,
        };
        let assets: Vec<_> = [(1, btc()), (2, usdt())].map(terms).into();
        let options = BankOptions {
            pipeline,
            assets: assets.clone(),
            timeout: Duration::from_secs(20),
            fund: false,
            read_only: false,
            snapshots: None,
        };
        let bank = Bank::open(&options, Arc::new(SystemClock::new())).expect("an empty directory");
        bank.add_assets(&assets).await.expect("new assets");
        let teller = bank.teller();
        let client = Arc::new(EmbeddedWallet::new(bank.teller()));
        let references = AtomicU64::new(1);
        Self { client, teller, references, bank: Some(bank), _directory: directory }
    }

    fn asset(&self, code: AssetCode) -> AssetView {
        self.teller.views().asset_by_code(code).expect("a known asset")
    }

    async fn wallet_of(&self, user: Uuid, asset: AssetId) -> WalletId {
        let command = Command::OpenWallet { user: UserId(user.as_u128()), asset };
        match self.teller.submit(command).await.expect("an answer").answer {
            Answer::Wallet { wallet, .. } => wallet,
            other => panic!("{other:?}"),
        }
    }

    async fn post(&self, kind: TransactionKind, posting: Posting, fund: bool) -> Outcome {
        let number = self.references.fetch_add(1, Ordering::Relaxed);
        let post = Post {
            kind,
            caller: UserId(1),
            reference: Reference::new(&format!("reference-{number}")).expect("short"),
            description: Description::EMPTY,
            postings: Postings::new(&[posting]).expect("few"),
            fund,
            dry_run: false,
        };
        match self.teller.submit(Command::Post(post)).await.expect("an answer").answer {
            Answer::Transaction { outcome, again: false } => outcome,
            other => panic!("{other:?}"),
        }
    }
}

#[async_trait]
impl Fixture for Embedded {
    fn wallet(&self) -> Arc<dyn WalletClient> {
        Arc::clone(&self.client)
    }

    async fn deposit(&self, user: Uuid, asset: AssetCode, amount: Amount) {
        let asset = self.asset(asset).id;
        let wallet = self.wallet_of(user, asset).await;
        let (debit, credit) = (Account::External(asset), Account::Available(wallet));
        let posting = Posting { debit, credit, amount };
        let outcome = self.post(TransactionKind::Deposit, posting, false).await;
        assert_eq!(outcome.reason, None);
    }

    async fn take_out(&self, user: Uuid, asset: AssetCode, amount: Amount) -> Uuid {
        let asset = self.asset(asset).id;
        let wallet = self.wallet_of(user, asset).await;
        let (debit, credit) = (Account::Available(wallet), Account::External(asset));
        let posting = Posting { debit, credit, amount };
        let outcome = self.post(TransactionKind::Withdrawal, posting, true).await;
        ids::transaction(outcome.transaction, outcome.timestamp_ns)
    }

    async fn fees(&self, asset: AssetCode) -> SignedAmount {
        self.asset(asset).fees
    }

    async fn total(&self, asset: AssetCode) -> SignedAmount {
        let asset = self.asset(asset);
        let wallets = self.teller.views().wallets_after(WalletId(0), usize::MAX).value;
        let of_asset = wallets.iter().filter(|wallet| wallet.asset == asset.id);
        let owned: Amount = of_asset.map(|wallet| wallet.total()).sum();
        owned.cast_signed() + asset.fees + asset.external
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(bank) = self.bank.take() {
            drop(bank.close());
        }
    }
}
