//! Owns the order book alone: the engine's structures with the thinnest policy around them.
//! Knows nothing of accounts or money. Invariant: price-time priority, trades at the maker's price.

use engine::book_side::is_within;
use engine::order::{OrderHandle, QueuedOrder};
use engine::order_book::OrderBook;
use engine::order_index::OrderIndex;
use engine::order_slab::OrderSlab;
use engine::{OrderId, Price, Quantity, Side};

use super::Books;
use crate::tape::format::{Kind, Record, TapeSide};
use crate::tape::oracle::Summary;

/// One execution, as small as a consumer of a bare book needs it.
#[derive(Clone, Copy)]
struct Execution {
    maker: u64,
    taker: u64,
    price: i64,
    quantity: u64,
}

/// An order on its way in.
#[derive(Clone, Copy)]
struct Incoming {
    id: OrderId,
    side: Side,
    price: Price,
    open: Quantity,
}

/// The engine's structures with the thinnest policy around them: price-time, maker's price. Books
/// share one slab and one index, as they do in the engine.
pub(super) struct BareBooks {
    books: Vec<OrderBook>,
    orders: OrderSlab,
    index: OrderIndex,
    executions: Vec<Execution>,
    totals: Vec<Summary>,
}

impl BareBooks {
    pub(super) fn new(instruments: u16) -> Self {
        let count = usize::from(instruments);
        Self {
            books: vec![OrderBook::default(); count],
            orders: OrderSlab::default(),
            index: OrderIndex::default(),
            executions: Vec::with_capacity(1_024),
            totals: vec![Summary::new(); count],
        }
    }

    #[inline]
    fn apply(&mut self, record: &Record) {
        let at = usize::from(record.instrument);
        match record.kind {
            Kind::NewGtc => {
                let order = incoming(record);
                let visible = self.take(at, &order);
                if visible > Quantity(0) {
                    let queued = QueuedOrder { id: order.id, visible, ..QueuedOrder::default() };
                    let handle = self.orders.insert(queued);
                    self.index.insert(&self.orders, handle);
                    self.books[at].add(&mut self.orders, handle, order.side, order.price);
                }
            }
            Kind::NewIoc => {
                self.take(at, &incoming(record));
            }
            Kind::Cancel => {
                let handle = self.find(record.id);
                self.books[at].remove(&mut self.orders, handle);
                self.forget(handle);
            }
            Kind::Move => {
                let handle = self.find(record.id);
                let QueuedOrder { id, visible, level, .. } = *self.orders.queued(handle);
                self.books[at].remove(&mut self.orders, handle);
                let price = Price(i64::from(record.price));
                let moved = Incoming { id, side: level.side(), price, open: visible };
                let left = self.take(at, &moved);
                if left == Quantity(0) {
                    self.forget(handle);
                } else {
                    self.orders.queued_mut(handle).visible = left;
                    self.books[at].add(&mut self.orders, handle, moved.side, price);
                }
            }
            Kind::Reduce => {
                let handle = self.find(record.id);
                let by = Quantity(u64::from(record.quantity));
                self.books[at].reduce(&mut self.orders, handle, by);
            }
        }
    }

    fn find(&self, id: u64) -> OrderHandle {
        self.index.get(&self.orders, OrderId(id)).expect("the tape names live orders")
    }

    fn forget(&mut self, handle: OrderHandle) {
        self.index.remove(&self.orders, handle);
        self.orders.remove(handle);
    }

    /// Matches an order that is in no level; gives what is left of it.
    #[inline]
    fn take(&mut self, at: usize, taker: &Incoming) -> Quantity {
        let mut left = taker.open;
        while left > Quantity(0) {
            let Some(level) = self.books[at].best(taker.side.opposite()) else { break };
            let (price, maker) = (level.price, level.queue.first);
            if !is_within(taker.side, taker.price, price) {
                break;
            }
            let made = self.orders.queued(maker);
            let quantity = left.min(made.visible);
            let filled = quantity == made.visible;
            self.executions.push(Execution {
                maker: made.id.0,
                taker: taker.id.0,
                price: price.0,
                quantity: quantity.0,
            });
            left.0 -= quantity.0;
            if filled {
                self.books[at].remove(&mut self.orders, maker);
                self.forget(maker);
            } else {
                self.books[at].reduce(&mut self.orders, maker, quantity);
            }
        }
        left
    }

    fn summary(&self, book: &OrderBook, totals: &Summary) -> Summary {
        let mut summary = totals.clone();
        for (side, tape_side) in [(Side::Buy, TapeSide::Bid), (Side::Sell, TapeSide::Ask)] {
            for level in book.side(side).levels() {
                let price = level.price.0.unsigned_abs();
                for (_, order) in self.orders.queue_from(level.queue.first) {
                    summary.rests(tape_side, price, order.id.0, order.visible.0);
                }
            }
        }
        summary
    }
}

impl Books for BareBooks {
    #[inline]
    fn step(&mut self, record: &Record) {
        self.executions.clear();
        self.apply(record);
        for execution in &self.executions {
            let price = execution.price.unsigned_abs();
            self.totals[usize::from(record.instrument)].trade(
                execution.maker,
                execution.taker,
                price,
                execution.quantity,
            );
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        let both = self.books.iter().zip(&self.totals);
        both.map(|(book, totals)| self.summary(book, totals)).collect()
    }
}

#[inline]
fn incoming(record: &Record) -> Incoming {
    Incoming {
        id: OrderId(record.id),
        price: Price(i64::from(record.price)),
        open: Quantity(u64::from(record.quantity)),
        side: match record.side {
            TapeSide::Bid => Side::Buy,
            TapeSide::Ask => Side::Sell,
        },
    }
}
