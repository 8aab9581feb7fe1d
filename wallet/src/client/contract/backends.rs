//! The backends that the contract is held against: a fixture and a line each.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{Amount, AssetCode, SignedAmount};
use uuid::Uuid;

use super::embedded::Embedded;
use super::served_mock::ServedMock;
use super::{Fixture, assets, contract};
use crate::client::{CallContext, HttpWalletClient, MockWallet, WalletClient, WalletClientOptions};

/// A mock, and the client by which it is spoken to: itself, or over HTTP.
struct MockFixture {
    mock: Arc<MockWallet>,
    client: Arc<dyn WalletClient>,
}

#[async_trait]
impl Fixture for MockFixture {
    fn wallet(&self) -> Arc<dyn WalletClient> {
        Arc::clone(&self.client)
    }

    async fn deposit(&self, user: Uuid, asset: AssetCode, amount: Amount) {
        let context = CallContext::within(std::time::Duration::from_secs(20));
        let before = self.mock.get_balance(context, user, asset).await;
        let before = before.map_or(0, |balance| balance.available);
        self.mock.set_balance(user, asset, before + amount);
    }

    async fn take_out(&self, user: Uuid, asset: AssetCode, amount: Amount) -> Uuid {
        self.mock.recall(user, asset, amount).expect("a known user")
    }

    async fn fees(&self, asset: AssetCode) -> SignedAmount {
        self.mock.fees(asset)
    }

    async fn total(&self, asset: AssetCode) -> SignedAmount {
        self.mock.total(asset)
    }
}

#[tokio::test]
async fn d07_mock_obeys_the_contract() {
    let mock = Arc::new(MockWallet::new(assets()));
    let client = Arc::clone(&mock) as Arc<dyn WalletClient>;
    contract(&MockFixture { mock, client }).await;
}

#[tokio::test]
async fn a_mock_over_http_obeys_the_contract() {
    let (base_url, served) = ServedMock::start(assets(), 0).await;
    let options = WalletClientOptions { base_url, ..WalletClientOptions::default() };
    let client = Arc::new(HttpWalletClient::new(&options, assets()).expect("legal"));
    contract(&MockFixture { mock: Arc::clone(&served.mock), client }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_ledger_obeys_the_contract() {
    contract(&Embedded::open().await).await;
}
