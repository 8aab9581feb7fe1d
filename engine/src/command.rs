//! Owns the vocabulary of inputs: everything that can change the engine's state.
//! Knows nothing of how a command is decided. Invariant: variants are appended, never reordered,
//! for their position is their tag in the journal.

use bincode::de::{BorrowDecoder, Decoder};
use bincode::error::DecodeError;
use bincode::{BorrowDecode, Decode, Encode};

use crate::instrument::{InstrumentSpec, TradingStatus};
use crate::limits::ENCODED_BYTES_MAX;
use crate::reject::RejectReason;
use crate::types::{
    AccountId, AccountStatus, Amount, AssetCode, AssetId, ClientOrderId, InstrumentId,
    KillSwitchScope, OrderId, OrderType, Price, Quantity, SelfTradePolicy, Side, TimeInForce,
    TransferId,
};

/// One input. A field that an order does not use is zero or empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Command {
    /// Replaces the engine-wide settings.
    Configure(EngineConfig),
    /// Makes an asset known, with its name and its decimal places.
    AddAsset {
        asset: AssetId,
        code: AssetCode,
        scale: u8,
    },
    /// Lists an instrument; it starts HALTED.
    AddInstrument(InstrumentSpec),
    /// Replaces the whole spec of an instrument; live orders keep what they copied.
    UpdateInstrument(InstrumentSpec),
    /// Opens, halts or limits the trading of an instrument.
    SetTradingStatus {
        instrument: InstrumentId,
        status: TradingStatus,
    },
    /// Makes an account known; `stp_group` 0 means that it shares orders with no other account.
    RegisterAccount {
        uuid: u128,
        stp_group: u32,
    },
    /// Brings money in. `transfer_id` makes it happen once.
    Credit {
        transfer_id: TransferId,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
    },
    /// Takes available money out. `transfer_id` makes it happen once.
    Debit {
        transfer_id: TransferId,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
    },
    NewOrder(NewOrder),
    /// By `order_id`, or by `client_order_id` where `order_id` is 0.
    CancelOrder {
        account: AccountId,
        order_id: OrderId,
        client_order_id: ClientOrderId,
    },
    AmendOrder(AmendOrder),
    /// Closes the account's live orders: of one instrument, or of all if it is 0; one side or both.
    MassCancel {
        account: AccountId,
        instrument: InstrumentId,
        side: Option<Side>,
    },
    /// Stops an account, an instrument or (`id` 0) the venue: its live orders are closed, and new
    /// ones refused until the switch is off.
    SetKillSwitch {
        scope: KillSwitchScope,
        id: u32,
        on: bool,
    },
    /// Closes the DAY orders of an instrument.
    EndSession {
        instrument: InstrumentId,
    },
    /// Lets time pass; also what the pipeline journals for its own control records.
    #[default]
    Tick,
    SetAccountStatus {
        account: AccountId,
        status: AccountStatus,
    },
    /// Reserved for call auctions: refused as UNSUPPORTED.
    Uncross {
        instrument: InstrumentId,
    },
    /// Announces an order whose funds are reserved outside before it trades. It is checked like any
    /// other, but for the money; it takes its client order id, and this command's sequence is its
    /// order id. `credit_id` and `credit_amount` are 0: the funds are exactly its hold.
    ReserveOrder(NewOrder),
    /// The funds of an announced order are reserved: they are credited and the order is placed.
    PlaceReserved {
        order_id: OrderId,
    },
    /// The funds of an announced order will not come: it is given up, for this reason.
    AbandonReserved {
        order_id: OrderId,
        reason: RejectReason,
    },
    /// A new order that is refused if engine time is past `latest_ns`, nanoseconds since the Unix
    /// epoch. Within it, it is the same order as one without such a moment.
    NewOrderBy {
        order: NewOrder,
        latest_ns: u64,
    },
}

/// Engine-wide settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EngineConfig {
    /// Triggered orders that one command may start.
    pub max_triggers_per_command: u32,
    /// Makers that one order may meet, each part of an iceberg counted; once the triggered orders
    /// of a command have met so many, no further one is started.
    pub max_steps_per_order: u32,
    /// Client order ids remembered.
    pub client_id_capacity: u32,
    /// Client order ids remembered of one account: an account that uses more pushes out its own.
    pub client_ids_per_account: u32,
    /// How long a client order id is remembered after its order closed, nanoseconds.
    pub dedup_window_ns: u64,
    /// Transfer ids remembered.
    pub transfer_capacity: u32,
    /// How long a transfer id is remembered, nanoseconds.
    pub transfer_window_ns: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        const HOUR_NS: u64 = 3_600_000_000_000;
        Self {
            max_triggers_per_command: 1_000,
            max_steps_per_order: 10_000,
            client_id_capacity: 1 << 20,
            client_ids_per_account: 1 << 16,
            dedup_window_ns: 24 * HOUR_NS,
            transfer_capacity: 1 << 22,
            transfer_window_ns: 30 * 24 * HOUR_NS,
        }
    }
}

/// A new order, FIX D.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
pub struct NewOrder {
    pub account: AccountId,
    pub instrument: InstrumentId,
    pub side: Side,
    pub order_type: OrderType,
    pub time_in_force: TimeInForce,
    pub self_trade_policy: SelfTradePolicy,
    pub post_only: bool,
    pub price: Price,
    pub trigger: Price,
    pub trail_ticks: i64,
    pub trail_bps: u32,
    /// Total quantity in lots; 0 for an order by quote budget.
    pub quantity: Quantity,
    /// Visible part of an iceberg order, lots.
    pub display: Quantity,
    /// Quote units that a buy without a price may spend, fee included; 0 for an order by quantity.
    pub quote_budget: Amount,
    /// Engine time at which a GTD order ends, nanoseconds since the Unix epoch.
    pub expire_at_ns: u64,
    /// Not 0: `credit_amount` of the hold asset is credited under this key in the same step.
    pub credit_id: TransferId,
    pub credit_amount: Amount,
    pub client_order_id: ClientOrderId,
}

impl NewOrder {
    /// A LIMIT GTC order with every optional field absent.
    #[must_use]
    pub fn limit(
        account: AccountId,
        instrument: InstrumentId,
        side: Side,
        quantity: Quantity,
        price: Price,
    ) -> Self {
        Self {
            account,
            instrument,
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            self_trade_policy: SelfTradePolicy::None,
            post_only: false,
            price,
            trigger: Price(0),
            trail_ticks: 0,
            trail_bps: 0,
            quantity,
            display: Quantity(0),
            quote_budget: 0,
            expire_at_ns: 0,
            credit_id: TransferId(0),
            credit_amount: 0,
            client_order_id: ClientOrderId::EMPTY,
        }
    }

    /// A MARKET IOC order by quantity.
    #[must_use]
    pub fn market(
        account: AccountId,
        instrument: InstrumentId,
        side: Side,
        quantity: Quantity,
    ) -> Self {
        Self {
            order_type: OrderType::Market,
            time_in_force: TimeInForce::Ioc,
            ..Self::limit(account, instrument, side, quantity, Price(0))
        }
    }
}

/// What a derive would write, but inlined: several commands carry an order, and decoding it out of
/// line costs a replay 8 % of its speed.
impl<C> Decode<C> for NewOrder {
    #[expect(clippy::inline_always, reason = "measured")]
    #[inline(always)]
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            account: Decode::decode(decoder)?,
            instrument: Decode::decode(decoder)?,
            side: Decode::decode(decoder)?,
            order_type: Decode::decode(decoder)?,
            time_in_force: Decode::decode(decoder)?,
            self_trade_policy: Decode::decode(decoder)?,
            post_only: Decode::decode(decoder)?,
            price: Decode::decode(decoder)?,
            trigger: Decode::decode(decoder)?,
            trail_ticks: Decode::decode(decoder)?,
            trail_bps: Decode::decode(decoder)?,
            quantity: Decode::decode(decoder)?,
            display: Decode::decode(decoder)?,
            quote_budget: Decode::decode(decoder)?,
            expire_at_ns: Decode::decode(decoder)?,
            credit_id: Decode::decode(decoder)?,
            credit_amount: Decode::decode(decoder)?,
            client_order_id: Decode::decode(decoder)?,
        })
    }
}

impl<'de, C> BorrowDecode<'de, C> for NewOrder {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// A change to a live order, FIX G. A zero field is kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AmendOrder {
    pub account: AccountId,
    pub order_id: OrderId,
    pub new_price: Price,
    /// New total quantity, what is already filled included.
    pub new_quantity: Quantity,
    pub new_trigger: Price,
}

crate::wire_value!(Command, ENCODED_BYTES_MAX);
