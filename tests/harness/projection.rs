//! Owns the books as somebody sees them who only reads events.
//! Knows nothing of any exchange's state. Invariant: the events alone determine every queue.

use engine::{Event, InstrumentId, OrderId, Price, Quantity, SelfTradePolicy, Side};

/// All books, rebuilt from events.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// In the order in which they came to rest.
    resting: Vec<Resting>,
    last_prices: Vec<(InstrumentId, Price)>,
    /// Lots that live orders lost instead of trading with their owner.
    prevented: Vec<(OrderId, Quantity)>,
}

#[derive(Clone, Copy, Debug)]
struct Resting {
    id: OrderId,
    instrument: InstrumentId,
    side: Side,
    price: Price,
    open: Quantity,
}

impl Books {
    /// Takes over what one event says.
    ///
    /// # Panics
    /// If the event contradicts the ones before.
    pub fn apply(&mut self, event: &Event) {
        match *event {
            Event::OrderRested { order_id: id, instrument, side, price, open, .. } => {
                self.resting.push(Resting { id, instrument, side, price, open });
            }
            Event::Trade(trade) => {
                self.set_open(trade.maker_order_id, trade.maker_open);
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
                let maker = self.resting.iter().find(|o| o.id == maker_order_id);
                let open = maker.expect("makers rest").open.0 - maker_quantity.0;
                self.set_open(maker_order_id, Quantity(open));
                self.add_prevented(maker_order_id, maker_quantity);
                self.add_prevented(taker_order_id, taker_quantity);
            }
            Event::OrderAmended { order_id, open, kept: true, .. } => {
                self.set_open(order_id, open);
            }
            Event::OrderAmended { order_id, kept: false, .. } => {
                self.resting.retain(|o| o.id != order_id);
            }
            Event::OrderClosed { order_id, prevented, .. } => {
                self.resting.retain(|o| o.id != order_id);
                assert_eq!(self.prevented(order_id), prevented, "order {order_id} lost");
                self.prevented.retain(|(id, _)| *id != order_id);
            }
            _ => {}
        }
    }

    fn set_open(&mut self, id: OrderId, open: Quantity) {
        let order = self.resting.iter_mut().find(|o| o.id == id);
        order.expect("trades and amends in place name resting orders").open = open;
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

    /// Id, price and open quantity of the resting orders of one side, first to trade first.
    #[must_use]
    pub fn resting_orders(
        &self,
        instrument: InstrumentId,
        side: Side,
    ) -> Vec<(OrderId, Price, Quantity)> {
        let here = self.resting.iter().filter(|o| o.instrument == instrument && o.side == side);
        let mut queue: Vec<_> = here.map(|o| (o.id, o.price, o.open)).collect();
        // The sort is stable: within a price the order of arrival stays.
        queue.sort_by_key(|(_, price, _)| if side == Side::Buy { -price.0 } else { price.0 });
        queue
    }

    /// Price of the latest trade, 0 before the first.
    #[must_use]
    pub fn last_price(&self, instrument: InstrumentId) -> Price {
        let found = self.last_prices.iter().find(|(id, _)| *id == instrument);
        found.map_or(Price(0), |(_, price)| *price)
    }
}
