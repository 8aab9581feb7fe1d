//! Owns what all examples share: a wallet, in memory or real, and users who have money in it.
//! Knows no example. Invariant: users, orders and trades are new in every run, so examples can be
//! run against the same wallet again and again.

#![allow(dead_code, reason = "each example needs a part of it")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use engine::decimal::{Decimal, parse};
use engine::{Amount, AssetCode};
use serde_json::{Value, json};
use uuid::Uuid;
use wallet::client::{
    CallContext, HttpWalletClient, MockWallet, ReserveRequest, Secret, SettleRequest, WalletClient,
    WalletClientOptions,
};
use wallet::ids;
use wallet::ledger::types::{CreditTo, ReserveReason};
use wallet::wire::Assets;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Both assets have eight decimal places.
pub(crate) const SCALE: u8 = 8;

#[derive(Debug, Parser)]
struct Arguments {
    /// A running wallet (with `wallet.funding = "per_order"`), as http://127.0.0.1:3002; without
    /// it, the wallet is a mock in memory.
    #[arg(long, requires = "token")]
    url: Option<String>,
    /// What it is shown: `matchring token --user payments --scope wallet,admin`.
    #[arg(long)]
    token: Option<String>,
}

/// A wallet to try things with.
pub(crate) struct Site {
    pub(crate) client: Arc<dyn WalletClient>,
    /// The same, if it is a mock: its faults can be chosen.
    pub(crate) mock: Option<Arc<MockWallet>>,
    cashier: Option<Cashier>,
}

/// Deposits at a real wallet.
struct Cashier {
    http: reqwest::Client,
    base_url: String,
    token: String,
}

impl Site {
    /// The wallet that the command line asks for.
    pub(crate) fn open() -> Outcome<Self> {
        let arguments = Arguments::parse();
        let assets = Assets::new(["BTC", "USDT"].map(|code| (asset(code), SCALE)));
        let assets = assets.ok_or("two assets")?;
        let (Some(base_url), Some(token)) = (arguments.url, arguments.token) else {
            let mock = Arc::new(MockWallet::new(assets));
            return Ok(Self { client: Arc::clone(&mock) as _, mock: Some(mock), cashier: None });
        };
        let options = WalletClientOptions {
            base_url: base_url.clone(),
            token: Some(Secret::new(token.clone())),
            ..WalletClientOptions::default()
        };
        let client = Arc::new(HttpWalletClient::new(&options, assets)?);
        let cashier = Cashier { http: reqwest::Client::new(), base_url, token };
        Ok(Self { client, mock: None, cashier: Some(cashier) })
    }

    /// A new user with this much available.
    pub(crate) async fn user(&self, code: &str, amount: &str) -> Outcome<Uuid> {
        let user = Uuid::now_v7();
        if let Some(mock) = &self.mock {
            mock.set_balance(user, asset(code), units(amount));
        }
        if let Some(cashier) = &self.cashier {
            cashier.deposit(user, code, amount).await?;
        }
        Ok(user)
    }

    /// Available and reserved, as text.
    pub(crate) async fn balance(&self, user: Uuid, code: &str) -> Outcome<(String, String)> {
        let balance = self.client.get_balance(context(), user, asset(code)).await?;
        Ok((text(balance.available), text(balance.reserved)))
    }
}

impl Cashier {
    async fn deposit(&self, user: Uuid, code: &str, amount: &str) -> Outcome {
        let wallet = json!({"userId": user, "currency": code});
        let wallet = self.post("/api/v1/wallets", &wallet).await?;
        let id = wallet["walletId"].as_str().ok_or("no wallet")?;
        let deposit = json!({"amount": amount, "referenceId": Uuid::now_v7()});
        self.post(&format!("/api/v1/wallets/{id}/deposit"), &deposit).await?;
        Ok(())
    }

    async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        let request = self.http.post(format!("{}{path}", self.base_url)).json(body);
        let answer = request.bearer_auth(&self.token).send().await?;
        let (status, body) = (answer.status(), answer.json::<Value>().await?);
        if status.is_success() { Ok(body) } else { Err(format!("{status}: {body}").into()) }
    }
}

/// Long enough for every retry; an exchange takes what is left of its own request's time.
pub(crate) fn context() -> CallContext {
    CallContext::within(Duration::from_secs(10))
}

pub(crate) fn asset(code: &str) -> AssetCode {
    AssetCode::new(code).unwrap_or_else(|| panic!("{code} is a code"))
}

/// Units of an amount that is written as a decimal number.
pub(crate) fn units(amount: &str) -> Amount {
    let units = parse(amount, SCALE).ok().and_then(|units| Amount::try_from(units).ok());
    units.unwrap_or_else(|| panic!("{amount} is an amount"))
}

/// An amount as a decimal number.
pub(crate) fn text(amount: Amount) -> String {
    let units = i128::try_from(amount).unwrap_or(i128::MAX);
    Decimal { units, scale: SCALE }.to_string()
}

/// What an order needs, set aside under the order's id.
pub(crate) fn reserve(user_id: Uuid, code: &str, amount: &str, order_id: Uuid) -> ReserveRequest {
    let (asset, amount) = (asset(code), units(amount));
    ReserveRequest { user_id, asset, amount, order_id, reason: ReserveReason::OrderPlacement }
}

/// A trade in BTC/USDT between two orders; fees are in USDT.
pub(crate) fn trade(
    (buyer_id, buyer_order_id): (Uuid, Uuid),
    (seller_id, seller_order_id): (Uuid, Uuid),
    (quantity, price, value): (&str, i64, &str),
    (buyer_fee, seller_fee): (&str, &str),
) -> SettleRequest {
    // The wallet knows trades by ids of this form; an exchange counts them.
    let (number, now_ns) = Uuid::now_v7().as_u64_pair();
    SettleRequest {
        trade_id: ids::encode(ids::Kind::Trade, now_ns, number),
        buyer_id,
        seller_id,
        buyer_order_id,
        seller_order_id,
        base: asset("BTC"),
        quote: asset("USDT"),
        base_amount: units(quantity),
        quote_amount: units(value),
        price: price.into(),
        buyer_fee: units(buyer_fee).cast_signed(),
        seller_fee: units(seller_fee).cast_signed(),
        credit_to: CreditTo::Available,
    }
}
