//! Owns the question that a fill-or-kill order asks before anything changes: is all of it there?
//! Changes nothing. Invariant: an order that is told yes fills completely.

use crate::book_side::{PriceLevel, is_within};
use crate::engine::{Engine, Instrument};
use crate::order::OrderHandle;
use crate::types::{AccountId, Price, Quantity, SelfTradePolicy, Side};

/// An order that must fill completely.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) account: AccountId,
    pub(crate) side: Side,
    pub(crate) self_trade_policy: SelfTradePolicy,
    pub(crate) quantity: Quantity,
    /// Worst price that it may trade at.
    pub(crate) limit: Price,
}

/// What a level has for it.
#[derive(Clone, Copy, Debug, Default)]
struct Offered {
    quantity: u128,
    /// Makers that it would meet, each refresh of a reserve counted.
    steps: u64,
    /// It would meet an order of its own owner here, which ends its way.
    ends_here: bool,
}

impl Engine {
    /// Whether an order can fill completely: levels are counted whole, from the best on.
    pub(crate) fn can_fill(&self, wanted: &Wanted, instrument: &Instrument) -> bool {
        let needed = u128::from(wanted.quantity.0);
        let (mut quantity, mut steps) = (0, 0u64);
        for level in instrument.book.side(wanted.side.opposite()).levels() {
            if quantity >= needed || !is_within(wanted.side, wanted.limit, level.price) {
                break;
            }
            let offered = self.offered(wanted, instrument, level);
            quantity += offered.quantity;
            steps = steps.saturating_add(offered.steps);
            if offered.ends_here {
                break;
            }
        }
        quantity >= needed && steps <= u64::from(self.config.max_steps_per_order)
    }

    /// What a level has, as the order's policy on orders of its own owner counts it.
    fn offered(&self, wanted: &Wanted, instrument: &Instrument, level: &PriceLevel) -> Offered {
        use SelfTradePolicy as Policy;
        let queue = || self.orders.queue_from(level.queue.first);
        let is_own = |account| self.same_owner(wanted.account, account);
        let policy = wanted.self_trade_policy;
        if policy == Policy::None && instrument.icebergs == 0 {
            let steps = u64::from(level.queue.len);
            return Offered { quantity: level.quantity, steps, ends_here: false };
        }
        let mut all = Offered::default();
        let stops_at_own = !matches!(policy, Policy::None | Policy::CancelMaker);
        if stops_at_own && queue().any(|(_, maker)| is_own(maker.account)) {
            // The reserve of an iceberg would come back behind the own order.
            for (_, maker) in queue().take_while(|(_, maker)| !is_own(maker.account)) {
                all.quantity += u128::from(maker.visible.0);
                all.steps += 1;
            }
            all.ends_here = true;
            return all;
        }
        for (handle, maker) in queue() {
            // An own order that is cancelled costs a step, too.
            all.steps = all.steps.saturating_add(1);
            if policy != Policy::CancelMaker || !is_own(maker.account) {
                all.quantity += u128::from(self.orders.open(handle).0);
                all.steps = all.steps.saturating_add(self.refreshes(handle));
            }
        }
        all
    }

    /// How often the reserve of an order fills what it shows again.
    fn refreshes(&self, handle: OrderHandle) -> u64 {
        self.orders
            .details(handle)
            .filter(|details| details.hidden > Quantity(0))
            .map_or(0, |details| details.hidden.0.div_ceil(details.display.0))
    }
}
