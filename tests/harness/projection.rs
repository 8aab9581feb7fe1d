//! Owns the books as somebody sees them who only reads events.
//! Knows nothing of any exchange's state. Invariant: the events alone determine every queue.

use engine::{Event, InstrumentId, OrderId, Price, Quantity, SelfTradePolicy, Side};

use crate::exchange::Resting;

/// All books, rebuilt from events.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// In the order in which they came to rest.
    resting: Vec<Placed>,
    last_prices: Vec<(InstrumentId, Price)>,
    /// Lots that live orders lost instead of trading with their owner.
    prevented: Vec<(OrderId, Quantity)>,
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    instrument: InstrumentId,
    side: Side,
    order: Resting,
}

impl Books {
    /// Takes over what one event says.
    ///
    /// # Panics
    /// If the event contradicts the ones before.
    pub fn apply(&mut self, event: &Event) {
        match *event {
            Event::OrderRested { order_id: id, instrument, side, price, open, visible } => {
                let order = Resting { id, price, open, visible };
                self.resting.push(Placed { instrument, side, order });
            }
            Event::IcebergRefreshed { order_id, visible } => {
                let index = self.resting.iter().position(|o| o.order.id == order_id);
                let mut placed = self.resting.remove(index.expect("what comes up rests"));
                assert_eq!(placed.order.visible.0, 0, "order {order_id} shows something already");
                placed.order.visible = visible;
                self.resting.push(placed);
            }
            Event::Trade(trade) => {
                let maker = self.take_off(trade.maker_order_id, trade.quantity);
                assert_eq!(maker.open, trade.maker_open, "order {}", maker.id);
                self.last_prices.retain(|(id, _)| *id != trade.instrument);
                self.last_prices.push((trade.instrument, trade.price));
            }
            Event::SelfTradePrevented {
                maker_order_id,
                taker_order_id,
                mode: SelfTradePolicy::Decrement,
                maker_quantity,
                taker_quantity,
                ..
            } => {
                self.take_off(maker_order_id, maker_quantity);
                self.add_prevented(maker_order_id, maker_quantity);
                self.add_prevented(taker_order_id, taker_quantity);
            }
            // A stop that lies dormant is in no level and shows nothing.
            Event::OrderAmended { order_id, open, visible, kept: true, .. } if visible.0 != 0 => {
                let order = self.order_mut(order_id);
                (order.open, order.visible) = (open, visible);
            }
            Event::OrderAmended { order_id, kept: false, .. } => {
                self.resting.retain(|o| o.order.id != order_id);
            }
            Event::OrderClosed { order_id, prevented, .. } => {
                self.resting.retain(|o| o.order.id != order_id);
                assert_eq!(self.prevented(order_id), prevented, "order {order_id} lost");
                self.prevented.retain(|(id, _)| *id != order_id);
            }
            _ => {}
        }
    }

    fn order_mut(&mut self, id: OrderId) -> &mut Resting {
        let placed = self.resting.iter_mut().find(|o| o.order.id == id);
        &mut placed.expect("makers and what is amended in place rest").order
    }

    /// Takes lots off what a maker shows and has.
    fn take_off(&mut self, id: OrderId, lots: Quantity) -> Resting {
        let order = self.order_mut(id);
        order.open.0 -= lots.0;
        order.visible.0 -= lots.0;
        *order
    }

    fn prevented(&self, id: OrderId) -> Quantity {
        let found = self.prevented.iter().find(|(order, _)| *order == id);
        found.map_or(Quantity(0), |(_, quantity)| *quantity)
    }

    fn add_prevented(&mut self, id: OrderId, more: Quantity) {
        let sum = Quantity(self.prevented(id).0 + more.0);
        self.prevented.retain(|(order, _)| *order != id);
        self.prevented.push((id, sum));
    }

    /// The resting orders of one side, first to trade first.
    #[must_use]
    pub fn resting_orders(&self, instrument: InstrumentId, side: Side) -> Vec<Resting> {
        let here = self.resting.iter().filter(|o| o.instrument == instrument && o.side == side);
        let mut queue: Vec<Resting> = here.map(|o| o.order).collect();
        // The sort is stable: within a price the order of arrival stays.
        queue.sort_by_key(|o| if side == Side::Buy { -o.price.0 } else { o.price.0 });
        queue
    }

    /// Price of the latest trade, 0 before the first.
    #[must_use]
    pub fn last_price(&self, instrument: InstrumentId) -> Price {
        let found = self.last_prices.iter().find(|(id, _)| *id == instrument);
        found.map_or(Price(0), |(_, price)| *price)
    }
}
