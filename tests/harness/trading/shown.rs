//! Owns what the exchange shows of itself over HTTP while nobody trades, held against the engine
//! that a replay of its journal gives. Knows nothing of what was acknowledged. Invariant:
//! everything is compared, nothing is sampled: every balance, every level, every order, the
//! trades.

use std::collections::{BTreeMap, BTreeSet};

use crate::http_client::{HttpClient, Request};
use engine::decimal::{Decimal, parse};
use engine::{AccountId, AssetCode, CloseReason, Engine, InstrumentId, Side};
use serde_json::Value;

use super::drafts::{LOT_SCALE, Market, TICK_SCALE};
use super::ledger::{lots, prevented};
use super::trader::Identity;

use super::desk::text;
use super::truth::{End, Order, Progress, Truth};

const PAGE: usize = 100;
const DEPTH: usize = 100;
const TRADES: usize = 500;

/// What one user sees.
#[derive(Debug)]
struct Account {
    user: String,
    balances: Value,
    orders: Vec<Value>,
    open: Vec<Value>,
}

/// What everybody sees, and each user his own.
#[derive(Debug)]
pub struct Shown {
    markets: &'static [Market],
    accounts: Vec<Account>,
    books: Vec<Value>,
    trades: Vec<Value>,
}

fn get(client: &mut HttpClient, token: &str, path: &str) -> Value {
    let answer = client.ask(&Request::get(path).with_token(token));
    assert_eq!(answer.status, 200, "{path}: {:?}", answer.json());
    answer.json()
}

/// All pages of a list.
fn pages(client: &mut HttpClient, token: &str, query: &str) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let offset = all.len();
        let path = format!("/api/v1/orders?limit={PAGE}&offset={offset}&{query}");
        let page = get(client, token, &path);
        let page = page.as_array().expect("a list");
        all.extend(page.iter().cloned());
        if page.len() < PAGE {
            return all;
        }
    }
}

/// The user's balances.
pub fn balances(public: &mut HttpClient, identity: &Identity) -> Value {
    get(public, &identity.token, "/api/v1/balances")
}

impl Shown {
    /// Asks for everything.
    pub fn read(
        public: &mut HttpClient,
        identities: &[Identity],
        markets: &'static [Market],
    ) -> Self {
        let account = |identity: &Identity| {
            let token = &identity.token;
            let balances = balances(public, identity);
            let orders = pages(public, token, "order_by=created_at:asc");
            let mut open = pages(public, token, "status=OPEN");
            open.extend(pages(public, token, "status=PARTIALLY_FILLED"));
            Account { user: identity.user.clone(), balances, orders, open }
        };
        let accounts = identities.iter().map(account).collect();
        let mut of_markets = |path: &dyn Fn(&str) -> String| {
            markets.iter().map(|market| get(public, "", &path(market.path))).collect()
        };
        let books = of_markets(&|symbol| format!("/api/v1/orderbook/{symbol}?depth={DEPTH}"));
        let trades = of_markets(&|symbol| format!("/api/v1/trades/{symbol}/recent?limit={TRADES}"));
        Self { markets, accounts, books, trades }
    }

    /// Everything that was shown is what the journal says. `accounts` by user.
    pub fn check(&self, truth: &Truth, accounts: &BTreeMap<String, AccountId>) {
        // Money that stays in the wallet is not the engine's to know.
        if truth.reserves == 0 {
            let all: Vec<_> =
                self.accounts.iter().map(|a| (accounts[&a.user], a.balances.clone())).collect();
            check_balances(&truth.engine, &all);
        }
        for shown in &self.accounts {
            check_orders(truth, accounts[&shown.user], &shown.orders);
        }
        self.check_open_orders(truth);
        for (market, (book, trades)) in self.markets.iter().zip(self.books.iter().zip(&self.trades))
        {
            check_book(&truth.engine, market.id, book);
            check_trades(truth, market.id, trades);
        }
    }

    fn check_open_orders(&self, truth: &Truth) {
        let open = |order: &Value| {
            let price = parse(text(order, "price"), TICK_SCALE).expect("a price");
            let gone = lots(order, "filled_quantity") + prevented(order);
            let left = lots(order, "quantity") - gone;
            (number(text(order, "id")).0, price, left)
        };
        let shown: Vec<_> = self.accounts.iter().flat_map(|a| a.open.iter().map(open)).collect();
        let shown_once: BTreeSet<_> = shown.iter().copied().collect();
        assert_eq!(shown_once.len(), shown.len(), "an open order is shown twice");
        let engine = &truth.engine;
        let sides =
            self.markets.iter().flat_map(|market| Side::ALL.iter().map(|side| (market.id, *side)));
        let resting = sides.flat_map(|(market, side)| engine.resting_orders(market, side));
        let resting: BTreeSet<_> =
            resting.map(|o| (o.order_id.0, o.price.0.into(), o.open.0.into())).collect();
        assert_eq!(shown_once, resting, "open orders");
    }
}

/// The number and the time in milliseconds that an id carries.
pub fn number(id: &str) -> (u64, u64) {
    let bits = u128::from_str_radix(&id.replace('-', ""), 16).expect("an id");
    let time_ms = u64::try_from(bits >> 80).expect("48 bits");
    (u64::try_from(bits & ((1 << 62) - 1)).expect("62 bits"), time_ms)
}

/// Balances are the engine's, for each user and asset, and nothing is lost between them.
pub fn check_balances(engine: &Engine, shown: &[(AccountId, Value)]) {
    engine.assert_invariants();
    for asset in engine.assets().iter() {
        let mut owned = 0;
        for (account, balances) in shown {
            let entry = balances.as_array().expect("a list").iter();
            let entry =
                entry.clone().find(|b| AssetCode::new(text(b, "asset")) == Some(asset.code));
            let units = |field: &str| match entry {
                Some(entry) => parse(text(entry, field), asset.scale).expect("an amount"),
                None => 0,
            };
            let balance = engine.balance(*account, asset.id);
            let expected = (signed(balance.available), signed(balance.held));
            assert_eq!(
                (units("available"), units("held")),
                expected,
                "{} of {account}",
                asset.code
            );
            owned += units("available") + units("held");
        }
        assert_eq!(owned + asset.fees, asset.supply, "{} is not conserved", asset.code);
    }
}

fn signed(amount: u128) -> i128 {
    i128::try_from(amount).expect("far below the limit")
}

fn check_orders(truth: &Truth, account: AccountId, shown: &[Value]) {
    let mut left: BTreeMap<u64, &Order> = truth
        .orders
        .iter()
        .filter(|(_, order)| order.request.account == account && !order.is_undecided())
        .map(|(number, order)| (*number, order))
        .collect();
    for view in shown {
        let order = left.remove(&number(text(view, "id")).0);
        let order = order.unwrap_or_else(|| panic!("shown twice, or invented: {view}"));
        check_view(view, order, &order.now);
    }
    assert!(left.is_empty(), "not shown to {account}: {left:?}");
}

/// A full view of an order shows this progress.
pub fn check_view(view: &Value, order: &Order, progress: &Progress) {
    let filled = progress.filled;
    let status = match progress.end {
        None if filled.0 == 0 => "OPEN",
        None => "PARTIALLY_FILLED",
        Some((_, End::Refused(_))) => "REJECTED",
        Some((_, End::Closed(CloseReason::Filled))) => "FILLED",
        Some((_, End::Closed(CloseReason::BudgetSpent))) if filled.0 > 0 => "FILLED",
        Some((_, End::Closed(_))) => "CANCELLED",
    };
    let reason = match progress.end {
        None => String::new(),
        Some((_, End::Refused(reason))) => reason.name().to_owned(),
        Some((_, End::Closed(CloseReason::SelfTrade))) => "STP".to_owned(),
        Some((_, End::Closed(reason))) => upper_snake(&format!("{reason:?}")),
    };
    let by_budget = order.request.quote_budget > 0;
    let quantity = if by_budget { filled } else { progress.quantity };
    let price = match progress.price.0 {
        0 => String::new(),
        ticks => Decimal { units: ticks.into(), scale: TICK_SCALE }.to_string(),
    };
    assert_eq!(text(view, "status"), status, "{view} {progress:?}");
    assert_eq!(text(view, "status_reason"), reason, "{view} {progress:?}");
    assert_eq!(lots(view, "filled_quantity"), filled.0.into(), "{view} {progress:?}");
    assert_eq!(prevented(view), progress.prevented.0.into(), "{view} {progress:?}");
    assert_eq!(lots(view, "quantity"), quantity.0.into(), "{view} {progress:?}");
    assert_eq!(text(view, "price"), price, "{view} {progress:?}");
    let key = order.request.client_order_id;
    assert_eq!(text(view, "client_order_id").as_bytes(), key.as_bytes(), "{view}");
}

/// `UserCancel` as `USER_CANCEL`.
fn upper_snake(name: &str) -> String {
    let mut word = String::new();
    for (place, letter) in name.char_indices() {
        if place > 0 && letter.is_ascii_uppercase() {
            word.push('_');
        }
        word.push(letter.to_ascii_uppercase());
    }
    word
}

fn check_book(engine: &Engine, market: InstrumentId, book: &Value) {
    for (side, name) in [(Side::Buy, "bids"), (Side::Sell, "asks")] {
        let level = |(price, quantity, count): (engine::Price, engine::Quantity, u32)| {
            let price = Decimal { units: price.0.into(), scale: TICK_SCALE };
            let volume = Decimal { units: quantity.0.into(), scale: LOT_SCALE };
            serde_json::json!({
                "price": price.to_string(), "volume": volume.to_string(), "count": count,
            })
        };
        let levels: Vec<_> = engine.depth(market, side, DEPTH).map(level).collect();
        assert_eq!(book[name], Value::Array(levels), "{name} of {market}");
    }
}

fn check_trades(truth: &Truth, market: InstrumentId, shown: &Value) {
    let of_market = truth.trades.iter().rev().filter(|(trade, _)| trade.instrument == market);
    let latest = of_market.take(TRADES).map(|(trade, time_ns)| {
        let buyer_is_maker = trade.taker_side == Side::Sell;
        (trade.trade_id.0, time_ns / 1_000_000, i128::from(trade.quantity.0), buyer_is_maker)
    });
    let entry = |trade: &Value| {
        let (number, time_ms) = number(text(trade, "id"));
        let buyer_is_maker = trade["is_buyer_maker"].as_bool().expect("a flag");
        (number, time_ms, lots(trade, "quantity"), buyer_is_maker)
    };
    let shown: Vec<_> = shown.as_array().expect("a list").iter().map(entry).collect();
    assert_eq!(shown, latest.collect::<Vec<_>>(), "trades of {market}");
}
