//! Owns the vocabulary of outputs: everything that the engine says happened.
//! Knows nothing of who listens. Invariant: every command but Tick emits at least one event; depth,
//! balances and order views are projections of this stream, the engine keeps none of them.

use bincode::{Decode, Encode};

use crate::codec::wire_enum;
use crate::command::EngineConfig;
use crate::instrument::{InstrumentSpec, TradingStatus};
use crate::limits::ENCODED_BYTES_MAX;
use crate::reject::RejectReason;
use crate::types::{
    AccountId, AccountStatus, Amount, AssetCode, AssetId, ClientOrderId, InstrumentId,
    KillSwitchScope, OrderId, OrderType, Price, Quantity, SelfTradePolicy, Side, SignedAmount,
    TimeInForce, TradeId, TransferId,
};

/// Name of one event: the sequence of its command and its place among that command's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    pub sequence: u64,
    pub index: u32,
}

wire_enum! {
    /// Why an order ended.
    pub enum CloseReason {
        Filled = 1, BudgetSpent = 2, IocRemainder = 3, NoLiquidity = 4, PriceCollar = 5,
        SelfTrade = 6, UserCancel = 7, MassCancel = 8, AmendedAway = 9, Expired = 10,
        SessionEnd = 11, KillSwitch = 12, PostOnlyWouldCross = 13, FokUnfillable = 14,
        MatchLimit = 15,
    }
}

wire_enum! {
    /// Why money came in or went out.
    pub enum TransferKind {
        /// A command of that name.
        Credit = 6,
        /// A command of that name.
        Debit = 7,
        /// An order brought its own money.
        FundedOrder = 8,
        /// What a trade gave to an order whose funds are reserved outside.
        Proceeds = 9,
        /// What such an order had left at its end.
        FundsReturned = 10,
    }
}

impl TransferKind {
    /// Whether it adds to the available balance; the others take from it.
    #[must_use]
    pub const fn brings_in(self) -> bool {
        matches!(self, Self::Credit | Self::FundedOrder)
    }
}

/// One thing that happened. Its time is its command's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    CommandRejected {
        reason: RejectReason,
        /// Of the command, else 0.
        account: AccountId,
        instrument: InstrumentId,
        /// The order that a cancel or amend named, or that waited for its funds, else 0.
        target: OrderId,
    },
    /// The same client order id and body as before: nothing happened this time.
    OrderDuplicate {
        account: AccountId,
        order_id: OrderId,
        /// How the first one was refused, `None` if it was accepted.
        reason: Option<RejectReason>,
    },
    OrderAccepted(OrderAccepted),
    /// Entered its level at the tail of the queue.
    OrderRested {
        order_id: OrderId,
        instrument: InstrumentId,
        side: Side,
        price: Price,
        open: Quantity,
        visible: Quantity,
    },
    Trade(Trade),
    IcebergRefreshed {
        order_id: OrderId,
        visible: Quantity,
    },
    SelfTradePrevented {
        instrument: InstrumentId,
        price: Price,
        maker_order_id: OrderId,
        taker_order_id: OrderId,
        mode: SelfTradePolicy,
        maker_quantity: Quantity,
        taker_quantity: Quantity,
        maker_released: Amount,
        taker_released: Amount,
    },
    OrderAmended {
        order_id: OrderId,
        price: Price,
        trigger: Price,
        cap: Price,
        quantity: Quantity,
        open: Quantity,
        /// 0 unless the order was kept in its level.
        visible: Quantity,
        /// Whether it kept its place in the queue.
        kept: bool,
        hold: Amount,
    },
    OrderTriggered {
        order_id: OrderId,
        trigger: Price,
        limit: Price,
        released: Amount,
    },
    OrderClosed {
        order_id: OrderId,
        account: AccountId,
        instrument: InstrumentId,
        reason: CloseReason,
        filled: Quantity,
        /// Open quantity given up.
        open: Quantity,
        prevented: Quantity,
        released: Amount,
    },
    TransferApplied {
        transfer_id: TransferId,
        kind: TransferKind,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        /// Available balance afterwards.
        available: Amount,
    },
    TransferDuplicate {
        transfer_id: TransferId,
        reason: Option<RejectReason>,
    },
    AccountRegistered {
        account: AccountId,
        uuid: u128,
        stp_group: u32,
    },
    AssetAdded {
        asset: AssetId,
        code: AssetCode,
        scale: u8,
    },
    InstrumentAdded(InstrumentSpec),
    InstrumentUpdated(InstrumentSpec),
    StatusChanged {
        instrument: InstrumentId,
        status: TradingStatus,
    },
    KillSwitchChanged {
        scope: KillSwitchScope,
        id: u32,
        on: bool,
        closed: u32,
    },
    MassCancelled {
        account: AccountId,
        instrument: InstrumentId,
        side: Option<Side>,
        closed: u32,
    },
    SessionEnded {
        instrument: InstrumentId,
        closed: u32,
    },
    ConfigChanged(EngineConfig),
    AccountStatusChanged {
        account: AccountId,
        status: AccountStatus,
    },
    /// An order waits for its funds to be reserved: nothing moved yet.
    OrderReserving {
        order_id: OrderId,
        account: AccountId,
        instrument: InstrumentId,
        side: Side,
        /// What it pays with: the quote asset of a buy, the base asset of a sell.
        asset: AssetId,
        /// All that it may need, fees included; units of `asset`.
        amount: Amount,
        client_order_id: ClientOrderId,
    },
    /// An order that waited for its funds will not be placed.
    OrderAbandoned {
        order_id: OrderId,
        account: AccountId,
        instrument: InstrumentId,
        reason: RejectReason,
    },
    /// The end of an order whose funds were reserved outside, once for each: placed and closed,
    /// refused when it was to be placed, or given up. `reserved` = `captured` + `returned`, units
    /// of `asset`.
    FundsReturned {
        order_id: OrderId,
        account: AccountId,
        asset: AssetId,
        /// The amount of its [`Event::OrderReserving`].
        reserved: Amount,
        /// What its trades took: base of a sell, quote and fees of a buy.
        captured: Amount,
        returned: Amount,
    },
}

/// The order as it entered, and what is held for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OrderAccepted {
    pub order_id: OrderId,
    pub account: AccountId,
    pub instrument: InstrumentId,
    pub side: Side,
    pub order_type: OrderType,
    pub time_in_force: TimeInForce,
    pub self_trade_policy: SelfTradePolicy,
    pub post_only: bool,
    pub price: Price,
    pub trigger: Price,
    /// Worst price that an order without a price of its own may trade at, else 0.
    pub cap: Price,
    pub quantity: Quantity,
    pub display: Quantity,
    pub quote_budget: Amount,
    pub expire_at_ns: u64,
    /// Quote units of a buy, base units of a sell.
    pub hold: Amount,
    pub client_order_id: ClientOrderId,
}

/// One execution, with everything that settlement needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Trade {
    pub trade_id: TradeId,
    pub instrument: InstrumentId,
    /// The maker's price.
    pub price: Price,
    pub quantity: Quantity,
    pub maker_order_id: OrderId,
    pub taker_order_id: OrderId,
    pub maker_account: AccountId,
    pub taker_account: AccountId,
    pub taker_side: Side,
    /// Value in base units.
    pub base: Amount,
    /// Value in quote units.
    pub quote: Amount,
    /// Quote units; negative for a rebate.
    pub maker_fee: SignedAmount,
    /// Quote units.
    pub taker_fee: SignedAmount,
    /// Quote units of the buyer's hold that this fill set free.
    pub buyer_released: Amount,
    /// Open quantities after the fill, 0 for an order by budget.
    pub maker_open: Quantity,
    pub taker_open: Quantity,
}

impl Default for Event {
    fn default() -> Self {
        Self::TransferDuplicate { transfer_id: TransferId(0), reason: None }
    }
}

crate::wire_value!(Event, ENCODED_BYTES_MAX);
