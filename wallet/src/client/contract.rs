//! Owns what every wallet backend must do, as one list of cases.
//! Knows nothing of any backend. Invariant: each case brings its own users, and after each all
//! money adds up to zero.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use engine::{Amount, AssetCode, SignedAmount};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    CallContext, ReleaseRequest, ReserveRequest, SettleRequest, WalletBalance, WalletClient,
    WalletError,
};
use crate::ledger::types::{CreditTo, ReleaseReason, ReserveReason};
use crate::wire::Assets;

mod backends;
mod embedded;
mod fundings;
mod releases;
mod reserves;
pub(crate) mod served_mock;
mod settlements;

/// A wallet under test, and what only its owner can do with it.
#[async_trait]
pub(crate) trait Fixture: Send + Sync {
    fn wallet(&self) -> Arc<dyn WalletClient>;
    /// Makes the user known and gives them money to take out.
    async fn deposit(&self, user: Uuid, asset: AssetCode, amount: Amount);
    /// Lets the user take out money that is lent to trading; the id is that of the funding event.
    async fn take_out(&self, user: Uuid, asset: AssetCode, amount: Amount) -> Uuid;
    async fn fees(&self, asset: AssetCode) -> SignedAmount;
    /// Sum over all accounts, fees and the world outside.
    async fn total(&self, asset: AssetCode) -> SignedAmount;
}

pub(crate) fn btc() -> AssetCode {
    AssetCode::new("BTC").expect("legal")
}

pub(crate) fn usdt() -> AssetCode {
    AssetCode::new("USDT").expect("legal")
}

/// The assets of every fixture.
pub(crate) fn assets() -> Assets {
    Assets::new([(btc(), 8), (usdt(), 8)]).expect("legal")
}

/// Units of an asset with eight decimal places.
fn units(text: &str) -> Amount {
    fee(text).unsigned_abs()
}

fn fee(text: &str) -> SignedAmount {
    engine::decimal::parse(text, 8).expect("legal")
}

fn balance(available: &str, reserved: &str) -> WalletBalance {
    WalletBalance { available: units(available), reserved: units(reserved) }
}

/// What the cases work with.
struct Stage<'a> {
    fixture: &'a dyn Fixture,
    wallet: Arc<dyn WalletClient>,
    ids: AtomicU64,
}

impl Stage<'_> {
    /// An id that nothing else has.
    fn id(&self) -> Uuid {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        Uuid::new_v8((0xC0_47AC << 64 | u128::from(number)).to_be_bytes())
    }

    fn context(&self) -> CallContext {
        CallContext::within(Duration::from_secs(20)).traced(1)
    }

    async fn user(&self, btc_text: &str, usdt_text: &str) -> Uuid {
        let user = self.id();
        for (asset, text) in [(btc(), btc_text), (usdt(), usdt_text)] {
            if units(text) > 0 {
                self.fixture.deposit(user, asset, units(text)).await;
            }
        }
        user
    }

    async fn balance(&self, user: Uuid, asset: AssetCode) -> WalletBalance {
        self.wallet.get_balance(self.context(), user, asset).await.expect("a known user")
    }

    fn order(&self, user: Uuid, asset: AssetCode, amount: &str) -> ReserveRequest {
        let (order_id, reason) = (self.id(), ReserveReason::OrderPlacement);
        ReserveRequest { user_id: user, asset, amount: units(amount), order_id, reason }
    }

    /// Reserves for a new order and returns its id.
    async fn reserved(&self, user: Uuid, asset: AssetCode, amount: &str) -> Uuid {
        let request = self.order(user, asset, amount);
        self.wallet.reserve(self.context(), &request).await.expect("enough is there");
        request.order_id
    }

    /// Lends money to trading and returns the id of the reservation.
    async fn lent(&self, user: Uuid, asset: AssetCode, amount: &str) -> Uuid {
        let request = ReserveRequest {
            reason: ReserveReason::TradingFunding,
            ..self.order(user, asset, amount)
        };
        let reserved = self.wallet.reserve(self.context(), &request).await;
        reserved.expect("enough is there").reservation_id
    }

    fn release_of(&self, order: Uuid, asset: AssetCode) -> ReleaseRequest {
        ReleaseRequest {
            reservation_id: None,
            order_id: Some(order),
            asset,
            reason: ReleaseReason::OrderCancelled,
            captured_total: None,
        }
    }

    async fn release(&self, order: Uuid, asset: AssetCode) -> Result<Amount, WalletError> {
        let released = self.wallet.release(self.context(), &self.release_of(order, asset)).await;
        released.map(|released| released.released)
    }

    /// A trade of BTC for USDT without fees, paid from the orders' reservations.
    fn trade(&self, buyer: [Uuid; 2], seller: [Uuid; 2], btc_text: &str, at: u32) -> SettleRequest {
        let base_amount = units(btc_text);
        SettleRequest {
            trade_id: self.id(),
            buyer_id: buyer[0],
            seller_id: seller[0],
            buyer_order_id: buyer[1],
            seller_order_id: seller[1],
            base: btc(),
            quote: usdt(),
            base_amount,
            quote_amount: base_amount * Amount::from(at),
            price: Decimal::from(at),
            buyer_fee: 0,
            seller_fee: 0,
            credit_to: CreditTo::Available,
        }
    }

    async fn assert_sums(&self, case: &str) {
        for asset in [btc(), usdt()] {
            assert_eq!(self.fixture.total(asset).await, 0, "{asset} after {case}");
        }
    }
}

/// The name of the error that a call must have ended with.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, WalletError>) -> &'static str {
    result.expect_err("a refusal").name()
}

macro_rules! run_cases {
    ($stage:expr; $($module:ident :: { $($case:ident),+ $(,)? }),+ $(,)?) => {
        $($(
            Box::pin($module::$case($stage)).await;
            $stage.assert_sums(stringify!($case)).await;
        )+)+
    };
}

/// Runs all cases; the wallet is closed by the last one.
pub(crate) async fn contract(fixture: &dyn Fixture) {
    let stage = &Stage { fixture, wallet: fixture.wallet(), ids: AtomicU64::new(1) };
    run_cases!(stage;
        reserves::{
            reserve_sets_money_aside,
            the_same_reserve_gives_the_same_answer,
            another_payload_is_a_conflict,
            insufficient_balance_is_the_answer_for_good,
            unknown_users_and_empty_wallets,
            requests_without_sense,
            identical_reserves_in_parallel_hold_once,
            reserves_in_parallel_never_overdraw,
            reserves_in_a_batch_stand_alone,
            a_reservation_can_be_asked_for,
        },
        releases::{
            release_by_order_alone_gives_back_the_rest,
            release_by_reservation,
            a_second_release_repeats_the_first,
            an_unknown_order_is_burned,
            releases_without_sense,
            release_waits_for_captures,
            releases_in_a_batch_stand_alone,
        },
        settlements::{
            settlement_pays_both_sides_and_the_fees,
            the_per_order_example,
            the_prefunded_example,
            the_same_settlement_gives_the_same_answer,
            another_trade_under_the_same_id_is_a_conflict,
            many_partial_captures_add_up,
            capture_beyond_the_rest_is_refused,
            a_missing_reservation_may_still_come,
            a_short_pool_may_still_be_filled,
            unknown_parties_and_wrong_amounts,
            trades_with_oneself,
            rebates_come_from_the_fees,
            settlements_in_a_batch_follow_their_order,
            identical_settlements_in_parallel_pay_once,
        },
        fundings::{
            lending_tells_trading,
            waiting_ends_with_the_first_event,
            money_that_trading_refuses_comes_back,
            money_is_taken_out_once_trading_agrees,
            money_stays_if_trading_does_not_agree,
            unknown_fundings_and_assets,
            the_wallet_is_healthy_until_it_is_closed,
        },
    );
}
