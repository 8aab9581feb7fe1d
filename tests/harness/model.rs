//! Owns the reference exchange: the rules of the market written down in the slowest obvious way.
//! Knows nothing of the fast engine but its vocabulary; it shares no data structure, no arithmetic
//! and no check with it. Invariant: nothing is cached: a book is a scan over the live orders, a
//! hold is a formula over one order, a held balance is the sum of those holds.

mod admission;
mod amendments;
mod arithmetic;
mod funding;
mod idempotency;
mod matching;
mod order;
mod reference;
mod self_trade;
mod session;
mod shape;
mod stops;
mod views;

use std::collections::BTreeSet;

use engine::command::EngineConfig;
use engine::{
    AccountId, AccountStatus, Amount, AssetCode, AssetId, Command, Event, Frame, InstrumentId,
    InstrumentSpec, OrderId, RejectReason, Side, SignedAmount, TradingStatus, TransferId,
};

use funding::Intent;
use idempotency::{ClientIdEntry, TransferEntry};
use order::Order;
use stops::Drained;

type Verdict = Result<(), RejectReason>;

/// A mistake put into the model on purpose, to prove that the comparison notices it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Fees are rounded down instead of up.
    FeesRoundDown,
    /// An order that grows keeps its place in the queue.
    GrowthKeepsPlace,
    /// Only accepted orders are remembered by their client order id.
    RefusalsForgotten,
    /// The base that a funded buy gets stays in the account.
    ProceedsStay,
    /// Orders of two accounts are never of one owner.
    GroupsIgnored,
    /// An amended order gets back what it was kept from trading with its owner.
    PreventedComesBack,
    /// Stops that are met together fire oldest first, whatever their triggers.
    StopsFireByAge,
    /// Stops that waited for a fall fire before those that waited for a rise.
    FallsFireFirst,
    /// One command may start one stop more than it may.
    OneStopTooMany,
    /// A stop whose trigger is moved to where it is met waits for the next trade.
    AmendedStopWaits,
    /// A stop that is met keeps the cap that it came with.
    CapStays,
    /// A trailing stop follows the price both ways.
    TrailGoesBack,
    /// An order still trades at the instant of its expiry.
    ExpiryAfterInstant,
    /// The next part of an order comes up where the last one was.
    RefreshKeepsPlace,
    /// All-or-nothing orders count what is shown only.
    ReserveForgotten,
    /// An account that trades with itself has traded once.
    OwnVolumeCountsOnce,
    /// A kill switch leaves stops that lie dormant.
    KillSparesDormant,
    /// The band moves with the trades that stops make before the order is looked at.
    BandNotFrozen,
    /// An order is late at its latest moment already.
    LateAtTheMoment,
    /// A late order takes its key.
    LateTakesKey,
}

/// The slow exchange: same commands in, same events out.
#[derive(Clone, Debug)]
pub struct Model {
    config: EngineConfig,
    last_sequence: u64,
    now_ns: u64,
    trades: u64,
    /// Places handed out in the queues of all levels so far.
    places: u64,
    assets: Vec<Asset>,
    /// Account `n` stands at `n - 1`.
    accounts: Vec<Account>,
    instruments: Vec<Instrument>,
    /// Live orders in ascending id.
    orders: Vec<Order>,
    client_ids: Vec<ClientIdEntry>,
    transfers: Vec<TransferEntry>,
    /// Orders that wait for their funds, in ascending id.
    intents: Vec<Intent>,
    /// Whether everything is stopped.
    killed: bool,
    /// Every order that ever was in and is not any more.
    closed: BTreeSet<OrderId>,
    events: Vec<Event>,
    defect: Option<Defect>,
}

#[derive(Clone, Debug)]
struct Asset {
    id: AssetId,
    code: AssetCode,
    supply: SignedAmount,
    fees: SignedAmount,
}

#[derive(Clone, Debug)]
struct Account {
    uuid: u128,
    /// Accounts of one group do not trade with each other; 0 is no group.
    stp_group: u32,
    status: AccountStatus,
    killed: bool,
    /// Only assets that were ever touched.
    available: Vec<(AssetId, Amount)>,
    /// UTC day of its latest trade.
    volume_day: u64,
    /// Lots that it traded on that day.
    volumes: Vec<(InstrumentId, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Instrument {
    spec: InstrumentSpec,
    status: TradingStatus,
    killed: bool,
    /// 0 before the first trade.
    last_price: i64,
    /// What the band lies around during this command, 0 for none.
    band_reference: i64,
}

impl Default for Model {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Model {
    /// An empty exchange, correct unless `defect` says otherwise.
    #[must_use]
    pub fn new(defect: Option<Defect>) -> Self {
        Self {
            config: EngineConfig::default(),
            last_sequence: 0,
            now_ns: 0,
            trades: 0,
            places: 0,
            assets: Vec::new(),
            accounts: Vec::new(),
            instruments: Vec::new(),
            orders: Vec::new(),
            client_ids: Vec::new(),
            transfers: Vec::new(),
            intents: Vec::new(),
            killed: false,
            closed: BTreeSet::new(),
            events: Vec::new(),
            defect,
        }
    }

    /// Applies one frame and returns what happened.
    ///
    /// # Panics
    /// On a gap in the sequence, or if the model contradicts itself.
    pub fn apply(&mut self, frame: &Frame<Command>) -> Vec<Event> {
        assert_eq!(frame.sequence, self.last_sequence + 1, "gap in the sequence");
        self.last_sequence = frame.sequence;
        self.now_ns = self.now_ns.max(frame.timestamp_ns);
        self.freeze_bands();
        self.expire();
        let mut drained = Drained::default();
        self.drain(&mut drained);
        if self.has(Defect::BandNotFrozen) {
            self.freeze_bands();
        }
        if let Err(reason) = self.decide(&frame.command) {
            let (account, instrument, target) = subject(&frame.command);
            self.emit(Event::CommandRejected { reason, account, instrument, target });
        }
        self.drain(&mut drained);
        std::mem::take(&mut self.events)
    }

    fn freeze_bands(&mut self) {
        for Instrument { spec, last_price, band_reference, .. } in &mut self.instruments {
            let before_any_trade = *last_price == 0;
            *band_reference = if before_any_trade { spec.reference_price.0 } else { *last_price };
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// The UTC day of engine time.
    fn today(&self) -> u64 {
        const DAY_NS: u64 = 86_400_000_000_000;
        self.now_ns / DAY_NS
    }

    fn decide(&mut self, command: &Command) -> Verdict {
        match *command {
            Command::Configure(config) => self.configure(config),
            Command::AddAsset { asset, code, scale } => self.add_asset(asset, code, scale),
            Command::AddInstrument(spec) => self.add_instrument(spec),
            Command::UpdateInstrument(spec) => self.update_instrument(spec),
            Command::SetTradingStatus { instrument, status } => {
                self.set_trading_status(instrument, status)
            }
            Command::RegisterAccount { uuid, stp_group } => self.register_account(uuid, stp_group),
            Command::Credit { transfer_id, account, asset, amount } => {
                self.transfer(command, transfer_id, account, asset, amount)
            }
            Command::Debit { transfer_id, account, asset, amount } => {
                self.transfer(command, transfer_id, account, asset, amount)
            }
            Command::NewOrder(order) => self.new_order(&order),
            Command::NewOrderBy { order, latest_ns } => self.new_order_by(&order, latest_ns),
            Command::ReserveOrder(order) => self.reserve_order(&order),
            Command::PlaceReserved { order_id } => self.place_reserved(order_id),
            Command::AbandonReserved { order_id, reason } => {
                self.abandon_reserved(order_id, reason)
            }
            Command::CancelOrder { account, order_id, client_order_id } => {
                self.cancel_order(account, order_id, &client_order_id)
            }
            Command::AmendOrder(amend) => self.amend_order(&amend),
            Command::MassCancel { account, instrument, side } => {
                self.mass_cancel(account, instrument, side)
            }
            Command::SetAccountStatus { account, status } => {
                self.set_account_status(account, status)
            }
            Command::SetKillSwitch { scope, id, on } => self.set_kill_switch(scope, id, on),
            Command::EndSession { instrument } => self.end_session(instrument),
            Command::Uncross { instrument } => {
                self.instrument(instrument)?;
                Err(RejectReason::Unsupported)
            }
            Command::Tick => Ok(()),
        }
    }

    fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    fn account(&self, id: AccountId) -> Result<&Account, RejectReason> {
        let index = (id.0 as usize).checked_sub(1).ok_or(RejectReason::UnknownAccount)?;
        self.accounts.get(index).ok_or(RejectReason::UnknownAccount)
    }

    fn asset(&self, id: AssetId) -> Result<&Asset, RejectReason> {
        self.assets.iter().find(|a| a.id == id).ok_or(RejectReason::UnknownAsset)
    }

    fn asset_mut(&mut self, id: AssetId) -> &mut Asset {
        self.assets.iter_mut().find(|a| a.id == id).expect("a listed asset exists")
    }

    fn instrument(&self, id: InstrumentId) -> Result<&Instrument, RejectReason> {
        let found = self.instruments.iter().find(|i| i.spec.instrument == id);
        found.ok_or(RejectReason::UnknownSymbol)
    }

    fn instrument_mut(&mut self, id: InstrumentId) -> Result<&mut Instrument, RejectReason> {
        let found = self.instruments.iter_mut().find(|i| i.spec.instrument == id);
        found.ok_or(RejectReason::UnknownSymbol)
    }

    /// The spec of an instrument that an order is in.
    fn spec(&self, id: InstrumentId) -> InstrumentSpec {
        self.instrument(id).expect("orders are in listed instruments").spec
    }

    fn available(&self, account: AccountId, asset: AssetId) -> Amount {
        let account = self.account(account).expect("money belongs to a registered account");
        account.available.iter().find(|(id, _)| *id == asset).map_or(0, |(_, amount)| *amount)
    }

    /// Moves an available balance by a signed amount.
    fn move_available(&mut self, account: AccountId, asset: AssetId, change: SignedAmount) {
        let before = self.available(account, asset);
        let after = before.checked_add_signed(change).expect("no available balance is negative");
        let row = &mut self.accounts[account.0 as usize - 1].available;
        row.retain(|(id, _)| *id != asset);
        row.push((asset, after));
        row.sort_unstable();
    }
}

/// What a refusal of this command names: account, instrument and order, 0 where it has none.
fn subject(command: &Command) -> (AccountId, InstrumentId, OrderId) {
    let mut account = AccountId(0);
    let mut instrument = InstrumentId(0);
    let mut target = OrderId(0);
    match *command {
        Command::AddInstrument(spec) | Command::UpdateInstrument(spec) => {
            instrument = spec.instrument;
        }
        Command::SetTradingStatus { instrument: id, .. }
        | Command::EndSession { instrument: id }
        | Command::Uncross { instrument: id } => instrument = id,
        Command::Credit { account: id, .. }
        | Command::Debit { account: id, .. }
        | Command::SetAccountStatus { account: id, .. } => account = id,
        Command::NewOrder(order)
        | Command::NewOrderBy { order, .. }
        | Command::ReserveOrder(order) => {
            (account, instrument) = (order.account, order.instrument);
        }
        Command::PlaceReserved { order_id } | Command::AbandonReserved { order_id, .. } => {
            target = order_id;
        }
        Command::CancelOrder { account: id, order_id, .. } => (account, target) = (id, order_id),
        Command::AmendOrder(amend) => (account, target) = (amend.account, amend.order_id),
        Command::MassCancel { account: a, instrument: i, .. } => (account, instrument) = (a, i),
        Command::Configure(_)
        | Command::AddAsset { .. }
        | Command::RegisterAccount { .. }
        | Command::SetKillSwitch { .. }
        | Command::Tick => {}
    }
    (account, instrument, target)
}

/// The asset that an order of this side holds.
fn hold_asset(spec: &InstrumentSpec, side: Side) -> AssetId {
    match side {
        Side::Buy => spec.quote_asset,
        Side::Sell => spec.base_asset,
    }
}

fn refuse_if(broken: bool, reason: RejectReason) -> Verdict {
    if broken { Err(reason) } else { Ok(()) }
}

/// A transfer id of 0 is no key.
fn is_key(id: TransferId) -> bool {
    id.0 != 0
}
