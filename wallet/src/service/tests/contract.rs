//! The service behind the HTTP client obeys the contract of every wallet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use axum::Extension;
use engine::{Amount, AssetCode, SignedAmount, decimal};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::harness::{Service, Setup, money, operator};
use crate::bank::Answer;
use crate::client::contract::{Fixture, assets, contract};
use crate::client::{HttpWalletClient, WalletClient, WalletClientOptions};
use crate::ids;
use crate::ledger::types::{Account, Description, Reference, TransactionKind};
use crate::ledger::{Command, Post, Posting, Postings};

struct Served {
    client: Arc<dyn WalletClient>,
    service: Service,
    references: AtomicU64,
}

impl Served {
    async fn start() -> Self {
        let service = Service::start_with(Setup::default()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let router = service.router.clone().layer(Extension(operator()));
        // It ends with the runtime of its test.
        tokio::spawn(async move { axum::serve(listener, router).await });
        let options = WalletClientOptions { base_url, ..WalletClientOptions::default() };
        let client = Arc::new(HttpWalletClient::new(&options, assets()).unwrap());
        Self { client, service, references: AtomicU64::new(1) }
    }

    fn reference(&self) -> String {
        format!("contract-{}", self.references.fetch_add(1, Ordering::Relaxed))
    }
}

fn text(amount: Amount) -> String {
    decimal::Decimal { units: amount.cast_signed(), scale: 8 }.to_string()
}

fn units(text: &str) -> SignedAmount {
    decimal::parse(text, 8).unwrap()
}

#[async_trait]
impl Fixture for Served {
    fn wallet(&self) -> Arc<dyn WalletClient> {
        Arc::clone(&self.client)
    }

    async fn deposit(&self, user: Uuid, asset: AssetCode, amount: Amount) {
        let wallet = self.service.open(&user.to_string(), asset.as_str()).await;
        let path = format!("/api/v1/wallets/{wallet}/adjust");
        let mut body = money(&text(amount), &self.reference());
        body["direction"] = json!("CREDIT");
        self.service.post(operator(), &path, &body).await.expect(200);
    }

    async fn take_out(&self, user: Uuid, asset: AssetCode, amount: Amount) -> Uuid {
        let wallet = self.service.open(&user.to_string(), asset.as_str()).await;
        let teller = &self.service.teller;
        let asset = teller.views().asset_by_code(asset).unwrap().id;
        let (wallet, _) = ids::parse_wallet(wallet.parse().unwrap()).unwrap();
        let (debit, credit) = (Account::Available(wallet), Account::External(asset));
        let post = Post {
            kind: TransactionKind::Withdrawal,
            caller: operator().id(),
            reference: Reference::new(&self.reference()).unwrap(),
            description: Description::EMPTY,
            postings: Postings::new(&[Posting { debit, credit, amount }]).unwrap(),
            // The service would do so only if everything was lent to trading from the beginning.
            fund: true,
            dry_run: false,
        };
        match teller.submit(Command::Post(post)).await.unwrap().answer {
            Answer::Transaction { outcome, .. } => {
                ids::transaction(outcome.transaction, outcome.timestamp_ns)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn fees(&self, asset: AssetCode) -> SignedAmount {
        self.sums(asset).await[1]
    }

    async fn total(&self, asset: AssetCode) -> SignedAmount {
        self.sums(asset).await.iter().sum()
    }
}

impl Served {
    /// Owned, fees, external.
    async fn sums(&self, asset: AssetCode) -> [SignedAmount; 3] {
        let ledger = self.service.get(operator(), "/api/v1/ledger").await.expect(200);
        let assets = ledger.body["assets"].as_array().unwrap();
        let found = assets.iter().find(|sums| sums["currency"] == asset.as_str()).unwrap();
        ["owned", "fees", "external"].map(|field| units(found[field].as_str().unwrap()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_behind_the_client_obeys_the_contract() {
    contract(&Served::start().await).await;
}
