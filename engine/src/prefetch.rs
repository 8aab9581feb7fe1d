//! Owns the asking for a cache line before it is needed.
//! Knows nothing of what lies in it. Invariant: it changes nothing that a program can see, so where
//! a processor offers no such thing it does nothing.
//!
//! The tables of client order ids and of orders lie outside of every cache, and what a command
//! needs of them depends on a load that depends on a load: the processor cannot look that far
//! ahead, the caller can.
#![expect(unsafe_code, reason = "the instruction has no safe name")]

/// Asks for the line in which an item begins, if there is such an item.
#[inline]
pub(crate) fn line_of<T>(items: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(item) = items.get(index) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is a hint about an address, whatever lies there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, index);
}
