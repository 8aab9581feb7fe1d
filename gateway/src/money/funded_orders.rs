//! Owns the placing of orders whose funds the wallet reserves one by one: announced in the log,
//! reserved, placed; or given up. Knows nothing of bodies and routes.
//! Invariant: an announced order is placed or given up, whoever has stopped waiting for it, and is
//! placed only when the wallet has said that its funds are reserved. What an end leaves over is
//! released by whoever follows the event log, so nothing here has to remember it.

use std::sync::Arc;
use std::time::Duration;

use engine::balances::Balance;
use engine::{AccountId, Amount, AssetId, Command, NewOrder, OrderId, RejectReason, Usage};
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use journal::fail_point;
use settlement::order_key;
use uuid::Uuid;
use wallet::client::{CallContext, ReserveRequest, WalletBalance, WalletClient, WalletError};
use wallet::ledger::types::ReserveReason;

use super::Venue;
use super::trading::open_account;
use super::under_way::UnderWay;
use crate::error::{ErrorCode, code_of};
use crate::limits::BALANCE_CALLS_MAX;
use crate::replies::{Answer, Answered};
use crate::views::OrderRecord;

/// Pause before the end of an announced order is submitted again.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// Places orders that wait for their funds.
#[derive(Debug)]
pub struct FundedOrders {
    shared: Arc<Shared>,
    under_way: UnderWay,
}

#[derive(Debug)]
struct Shared {
    venue: Venue,
    client: Arc<dyn WalletClient>,
}

/// What is to be reserved for an announced order.
#[derive(Clone, Copy, Debug)]
struct Needed {
    order_id: OrderId,
    account: AccountId,
    asset: AssetId,
    amount: Amount,
}

/// What an announcement came to.
enum Announced {
    New(Needed),
    /// Decided, now or before.
    Known(Answered),
    /// It was made before, and is not kept: given up, or older than what is.
    Gone(Answered),
}

impl FundedOrders {
    pub(super) fn new(venue: Venue, client: Arc<dyn WalletClient>) -> Self {
        Self { shared: Arc::new(Shared { venue, client }), under_way: UnderWay::default() }
    }

    /// The user's trading account, opened if there is none: what it may spend is the wallet's to
    /// say.
    ///
    /// # Errors
    /// The engine has no room, or the command has no outcome yet.
    pub async fn account(&self, user: Uuid) -> Result<AccountId, ErrorCode> {
        let opened = open_account(&self.shared.venue, user).await?;
        opened.map_err(code_of)
    }

    /// Places an order as soon as its funds are reserved; the answer is that of an order that has
    /// its money in the exchange.
    ///
    /// # Errors
    /// `FAIR_SHARE_EXCEEDED`, `OVERLOADED`, `NO_SPACE`, `SYNC_DELAYED`, `SERVICE_UNAVAILABLE`:
    /// nothing was announced. `OUTCOME_UNKNOWN`: it was, and its outcome will be found in the
    /// views.
    pub async fn place(&self, order: NewOrder) -> Result<Answered, ErrorCode> {
        let entered = self.under_way.enter(order.account).ok_or(ErrorCode::Overloaded)?;
        let shared = Arc::clone(&self.shared);
        let timeout = shared.venue.exchange.timeout();
        // Goes on when nobody waits for it any more.
        let placing = tokio::spawn(async move {
            let _entered = entered;
            shared.place(order).await
        });
        match tokio::time::timeout(timeout, placing).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(ErrorCode::InternalError),
            Err(_) => Err(ErrorCode::OutcomeUnknown),
        }
    }

    /// Orders whose funds are being reserved.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.under_way.usage()
    }

    /// The user's money at the wallet: available, and reserved as held. Assets without any are left
    /// out.
    ///
    /// # Errors
    /// As an order is refused when the wallet does not answer.
    pub async fn balances(&self, user: Uuid) -> Result<Vec<(AssetId, Balance)>, ErrorCode> {
        let Shared { venue, client } = &*self.shared;
        let products = venue.views.products();
        let context = CallContext::within(venue.exchange.timeout());
        let listed = products.assets().iter().map(|asset| (asset.id, asset.code));
        let listed: Vec<_> = listed.collect();
        let each = listed.into_iter().map(|(id, code)| async move {
            match client.get_balance(context, user, code).await {
                Ok(WalletBalance { available: 0, reserved: 0 }) => Ok(None),
                Ok(WalletBalance { available, reserved: held }) => {
                    Ok(Some((id, Balance { available, held })))
                }
                // Nobody it knows, or an asset that it does not list.
                Err(WalletError::UserNotFound | WalletError::InvalidRequest(_)) => Ok(None),
                Err(error) => Err(code_of(reason_of(&error))),
            }
        });
        let all = stream::iter(each).buffered(BALANCE_CALLS_MAX);
        all.try_filter_map(async |balance| Ok(balance)).try_collect().await
    }

    /// Gives up every order that the last run left waiting: whether its funds were reserved is not
    /// known, and nobody waits for it. Whatever was reserved is released.
    pub(super) async fn give_up_waiting(&self) {
        let waiting = self.shared.venue.views.orders(|orders| orders.waiting()).value;
        let give_up = waiting.into_iter().map(|order_id| async move {
            tracing::info!(%order_id, "an order was waiting for its funds: it is given up");
            let reason = RejectReason::FundsUnavailable;
            self.shared.end(Command::AbandonReserved { order_id, reason }).await;
            fail_point::hit("order-given-up");
        });
        join_all(give_up).await;
    }

    /// Waits until no order is under way, as long as one may take; none is taken on any more.
    pub(super) async fn stop(&self) {
        let longest = self.shared.venue.exchange.timeout() * 2;
        if tokio::time::timeout(longest, self.under_way.close()).await.is_err() {
            tracing::warn!("orders wait for their funds: the next start gives them up");
        }
    }
}

impl Shared {
    async fn place(&self, order: NewOrder) -> Result<Answered, ErrorCode> {
        let Venue { exchange, views, .. } = &self.venue;
        // Time is left to answer when the wallet does not.
        let context = CallContext::within(exchange.timeout() * 4 / 5);
        let announced = match self.announce(order).await? {
            // Given up before anybody could look at it: its key is free again.
            Announced::Gone(_) => self.announce(order).await?,
            announced => announced,
        };
        let needed = match announced {
            Announced::New(needed) => needed,
            Announced::Known(answered) | Announced::Gone(answered) => return Ok(answered),
        };
        fail_point::hit("order-announced");
        let order_id = needed.order_id;
        let reserved = self.reserve(&needed, context).await;
        self.end(match reserved {
            Ok(()) => Command::PlaceReserved { order_id },
            Err(reason) => Command::AbandonReserved { order_id, reason },
        })
        .await;
        fail_point::hit("order-ended");
        let record = views.orders(|orders| orders.get(order_id).cloned()).value;
        match (record, reserved) {
            (Some(record), _) if record.waits() => Err(ErrorCode::ServiceUnavailable),
            // Whatever came first decided: the wallet's answer, or a cancel.
            (Some(record), _) => {
                let record = Box::new(record.first_answer());
                Ok(Answered { sequence: record.decided, answer: Answer::Placed(record) })
            }
            (None, Err(reason)) => {
                Ok(Answered { sequence: order_id.0, answer: Answer::Rejected(reason) })
            }
            (None, Ok(())) => Err(ErrorCode::OrderNotKept),
        }
    }

    /// Announces an order; if it was announced before, waits until that one is decided.
    async fn announce(&self, order: NewOrder) -> Result<Announced, ErrorCode> {
        let Venue { exchange, views, .. } = &self.venue;
        let answered = exchange.see_through(Command::ReserveOrder(order)).await?;
        let order_id = match answered.answer {
            Answer::Announced { order_id, asset, amount } => {
                let account = order.account;
                return Ok(Announced::New(Needed { order_id, account, asset, amount }));
            }
            Answer::OrderDuplicate { order_id, .. } => order_id,
            _ => return Ok(Announced::Known(answered)),
        };
        let waits = || views.orders(|orders| orders.get(order_id).map(OrderRecord::waits)).value;
        match waits() {
            None => return Ok(Announced::Gone(answered)),
            Some(false) => return Ok(Announced::Known(answered)),
            Some(true) => {}
        }
        let decided = tokio::time::timeout(exchange.timeout(), self.decided(order_id));
        decided.await.map_err(|_| ErrorCode::OutcomeUnknown)?;
        // Given up, and nobody has decided about it: so is this request.
        let answer = match waits() {
            None => Answer::Rejected(RejectReason::FundsUnavailable),
            Some(_) => answered.answer,
        };
        Ok(Announced::Known(Answered { answer, ..answered }))
    }

    /// Has the wallet set the funds of an order aside, under the order's key.
    async fn reserve(&self, needed: &Needed, context: CallContext) -> Result<(), RejectReason> {
        let Needed { order_id, account, asset, amount } = *needed;
        let Venue { views, .. } = &self.venue;
        // The number of an announcement that a power cut takes back would be another order's.
        if !self.venue.lasts(order_id.0).await {
            return Err(RejectReason::FundsUnavailable);
        }
        let user_id = views.user(account).ok_or(RejectReason::FundsOwnerUnknown)?;
        let products = views.products();
        let asset = products.asset(asset).ok_or(RejectReason::FundsRefused)?.code;
        let (order_id, reason) = (order_key(order_id), ReserveReason::OrderPlacement);
        let request = ReserveRequest { user_id, asset, amount, order_id, reason };
        fail_point::hit("reserve-before-call");
        let reserved = self.client.reserve(context, &request);
        // The client keeps to the deadline; this is for one that does not.
        let reserved = tokio::time::timeout_at(context.deadline, reserved).await;
        fail_point::hit("reserve-called");
        match reserved.unwrap_or(Err(WalletError::Timeout)) {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::info!(order = %order_id, %error, "no funds are reserved");
                Err(reason_of(&error))
            }
        }
    }

    /// Submits the end of an announced order until it is taken. If the exchange ends before, the
    /// next start gives the order up.
    async fn end(&self, command: Command) {
        while let Err(ErrorCode::Overloaded | ErrorCode::NoSpace) =
            self.venue.exchange.see_through(command).await
        {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Waits until an order does not wait for its funds any more.
    async fn decided(&self, order_id: OrderId) {
        let views = &self.venue.views;
        loop {
            let read = views.orders(|orders| orders.get(order_id).is_some_and(|o| o.waits()));
            if !read.value {
                return;
            }
            views.reach(read.sequence + 1).await;
        }
    }
}

/// Why an order is given up. The wallet's answer may be unknown: then the release that follows from
/// giving up takes back what was reserved, or keeps it from being reserved at all.
fn reason_of(error: &WalletError) -> RejectReason {
    match error {
        WalletError::InsufficientBalance => RejectReason::InsufficientBalance,
        WalletError::UserNotFound => RejectReason::FundsOwnerUnknown,
        WalletError::CircuitOpen => RejectReason::FundsDegraded,
        WalletError::InvalidRequest(_)
        | WalletError::Conflict(_)
        | WalletError::CapturePending
        | WalletError::ReservationNotFound => RejectReason::FundsRefused,
        WalletError::WalletServiceDown
        | WalletError::Timeout
        | WalletError::InvalidResponse(_)
        | WalletError::RateLimited { .. }
        | WalletError::ReadOnly
        | WalletError::Closed => RejectReason::FundsUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_wallet_says_is_what_the_trader_is_told() {
        for (error, code) in [
            (WalletError::InsufficientBalance, ErrorCode::InsufficientBalance),
            (WalletError::UserNotFound, ErrorCode::UserNotFound),
            (WalletError::WalletServiceDown, ErrorCode::ServiceUnavailable),
            (WalletError::CircuitOpen, ErrorCode::ServiceDegraded),
            (WalletError::Timeout, ErrorCode::ServiceUnavailable),
            (WalletError::InvalidResponse(String::new()), ErrorCode::ServiceUnavailable),
            (WalletError::InvalidRequest(String::new()), ErrorCode::FundsRefused),
        ] {
            assert_eq!(code_of(reason_of(&error)), code, "{error}");
        }
    }
}
