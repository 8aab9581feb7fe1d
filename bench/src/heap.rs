//! Owns the count of the heap: the system's allocator, and how many bytes each thread holds of it.
//! Knows nothing of what they are for. Invariant: a thread counts for itself, so that benchmarks of
//! many threads share nothing by being counted.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pipeline::HugePages;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
}

struct CountingAllocator;

#[global_allocator]
static ALLOCATOR: HugePages<CountingAllocator> = HugePages(CountingAllocator);

/// Bytes that this thread asked for and did not give back: only differences mean anything, for
/// memory may be given back by another thread.
pub(crate) fn held() -> i64 {
    HELD.get()
}

fn add(bytes: usize) {
    HELD.set(HELD.get().wrapping_add_unsigned(bytes as u64));
}

fn take(bytes: usize) {
    HELD.set(HELD.get().wrapping_sub_unsigned(bytes as u64));
}

// SAFETY: every call is passed on to the system allocator unchanged; counting touches only a
// thread-local number that needs neither memory nor a destructor.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the system allocator's too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        take(layout.size());
        // SAFETY: the pointer came from `alloc` above, so from the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        take(layout.size());
        add(new_size);
        // SAFETY: as for `dealloc`; the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_to_the_byte() {
        let before = held();
        let mut list: Vec<u64> = Vec::with_capacity(1_000);
        assert_eq!(held() - before, 8_000);
        list.reserve_exact(3_000);
        assert_eq!(held() - before, 24_000);
        let zeros = vec![0u8; 500];
        assert_eq!(held() - before, 24_500);
        drop((list, zeros));
        assert_eq!(held(), before);
    }
}
