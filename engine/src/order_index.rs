//! Owns the way from an order id to the live order's handle.
//! Knows nothing of orders. Invariant: only live orders are in it.
//!
//! Order ids are command sequences: dense, ascending, and most live orders are recent. So handles
//! stand in pages of 64 consecutive ids, a page exists while one of its ids is live, and a small
//! hash index finds the page. Recent pages stay in the cache, and memory follows the live orders,
//! not the number of commands ever seen.

use crate::hash_index::HashIndex;
use crate::order::OrderHandle;
use crate::types::OrderId;

const PAGE_IDS: usize = 64;
const PAGE_BITS: u32 = PAGE_IDS.ilog2();

#[derive(Clone, Debug)]
struct Page {
    number: u64,
    live: u32,
    handles: [OrderHandle; PAGE_IDS],
}

/// Map from the ids of live orders to their handles.
#[derive(Clone, Debug)]
pub struct OrderIndex {
    pages: Vec<Page>,
    free: Vec<u32>,
    by_number: HashIndex,
    /// Page of the last insertion: new ids ascend, so the next one mostly goes there too.
    recent: u32,
}

impl Default for OrderIndex {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            free: Vec::new(),
            by_number: HashIndex::with_capacity(0),
            recent: 0,
        }
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a remainder of 64 fits")]
fn split(id: OrderId) -> (u64, usize) {
    (id.0 >> PAGE_BITS, (id.0 % PAGE_IDS as u64) as usize)
}

/// Fibonacci hashing: page numbers are consecutive, and their products spread evenly.
#[inline]
fn hash(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl OrderIndex {
    #[inline]
    fn find(&self, number: u64) -> Option<u32> {
        let is_recent = |page: &&Page| page.number == number && page.live > 0;
        if self.pages.get(self.recent as usize).filter(is_recent).is_some() {
            return Some(self.recent);
        }
        self.by_number.find(hash(number), |page| self.pages[page as usize].number == number)
    }

    /// The handle of a live order.
    #[inline]
    #[must_use]
    pub fn get(&self, id: OrderId) -> Option<OrderHandle> {
        let (number, place) = split(id);
        let handle = self.pages[self.find(number)? as usize].handles[place];
        (!handle.is_none()).then_some(handle)
    }

    /// Files a live order.
    ///
    /// # Panics
    /// If the id is already filed.
    pub fn insert(&mut self, id: OrderId, handle: OrderHandle) {
        let (number, place) = split(id);
        let page = self.find(number).unwrap_or_else(|| self.add_page(number));
        self.recent = page;
        let page = &mut self.pages[page as usize];
        assert!(page.handles[place].is_none(), "order id filed twice");
        page.handles[place] = handle;
        page.live += 1;
    }

    fn add_page(&mut self, number: u64) -> u32 {
        let page = self.free.pop().unwrap_or_else(|| {
            self.pages.push(Page { number: 0, live: 0, handles: [OrderHandle::NONE; PAGE_IDS] });
            // Room to free every page, so that freeing never allocates.
            self.free.reserve(self.pages.len());
            u32::try_from(self.pages.len() - 1).unwrap_or(u32::MAX)
        });
        self.pages[page as usize].number = number;
        self.by_number.insert(hash(number), page);
        page
    }

    /// Takes out a closed order.
    ///
    /// # Panics
    /// If the id is not filed.
    pub fn remove(&mut self, id: OrderId) {
        let (number, place) = split(id);
        let Some(index) = self.find(number) else { panic!("order id is not filed") };
        let page = &mut self.pages[index as usize];
        assert!(!page.handles[place].is_none(), "order id is not filed");
        page.handles[place] = OrderHandle::NONE;
        page.live -= 1;
        if page.live == 0 {
            self.by_number.remove(hash(number), index);
            self.free.push(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_live_ids_and_no_others() {
        let mut index = OrderIndex::default();
        for id in 1..=1_000u64 {
            index.insert(OrderId(id * 7), OrderHandle(u32::try_from(id).unwrap()));
        }
        for id in (1..=1_000u64).filter(|id| !id.is_multiple_of(10)) {
            index.remove(OrderId(id * 7));
        }
        for id in 1..=1_000u64 {
            let expected = id.is_multiple_of(10).then(|| OrderHandle(u32::try_from(id).unwrap()));
            assert_eq!(index.get(OrderId(id * 7)), expected);
            assert_eq!(index.get(OrderId(id * 7 + 1)), None);
        }
    }

    #[test]
    fn memory_follows_the_live_orders() {
        let mut index = OrderIndex::default();
        for id in 1..=100_000u64 {
            index.insert(OrderId(id), OrderHandle(1));
            if id > 100 {
                index.remove(OrderId(id - 100));
            }
        }
        assert!(index.pages.len() <= 4, "{} pages", index.pages.len());
    }

    #[test]
    #[should_panic(expected = "filed twice")]
    fn an_id_is_filed_once() {
        let mut index = OrderIndex::default();
        index.insert(OrderId(5), OrderHandle(1));
        index.insert(OrderId(5), OrderHandle(2));
    }
}
