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
    /// Whether an order can fill completely: levels are counted whole, from the best on. No more
    /// makers are looked at than an order may meet.
    pub(crate) fn can_fill(&self, wanted: &Wanted, instrument: &Instrument) -> bool {
        let needed = u128::from(wanted.quantity.0);
        let steps_max = u64::from(self.config.max_steps_per_order);
        let (mut quantity, mut steps) = (0, 0u64);
        for level in instrument.book.side(wanted.side.opposite()).levels() {
            if quantity >= needed || !is_within(wanted.side, wanted.limit, level.price) {
                break;
            }
            let offered = self.offered(wanted, instrument, level, steps_max - steps);
            quantity += offered.quantity;
            steps = steps.saturating_add(offered.steps);
            if steps > steps_max {
                return false;
            }
            if offered.ends_here {
                break;
            }
        }
        quantity >= needed
    }

    /// What a level has, as the order's policy on orders of its own owner counts it. Counts no
    /// further once there are more than `steps_left` steps.
    fn offered(
        &self,
        wanted: &Wanted,
        instrument: &Instrument,
        level: &PriceLevel,
        steps_left: u64,
    ) -> Offered {
        use SelfTradePolicy as Policy;
        let policy = wanted.self_trade_policy;
        if policy == Policy::None && instrument.icebergs == 0 {
            let steps = u64::from(level.queue.len);
            return Offered { quantity: level.quantity, steps, ends_here: false };
        }
        let stops_at_own = !matches!(policy, Policy::None | Policy::CancelMaker);
        let mut all = Offered::default();
        // What it would get if it ended at an own order: the reserve of an iceberg comes back
        // behind that one.
        let mut shown = Offered { ends_here: true, ..Offered::default() };
        for (handle, maker) in self.orders.queue_from(level.queue.first) {
            let is_own = policy != Policy::None && self.same_owner(wanted.account, maker.account);
            if is_own && stops_at_own {
                return shown;
            }
            shown.quantity += u128::from(maker.visible.0);
            shown.steps += 1;
            // An own order that is cancelled costs a step, too.
            all.steps = all.steps.saturating_add(1);
            if !is_own {
                all.quantity += u128::from(self.orders.open(handle).0);
                all.steps = all.steps.saturating_add(self.refreshes(handle));
            }
            if shown.steps > steps_left {
                break;
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
