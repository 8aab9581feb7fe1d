//! Owns the asking for large pages: an allocator that passes large requests on so that the
//! system can back them with pages of two MiB.
//! Knows nothing of what the memory is for. Invariant: what it hands out is what the allocator
//! below handed out for the same widened request, and goes back as that.
//!
//! A table of many MiB that is read at random costs a walk of the page tables beside every miss of
//! the cache, in a virtual machine two of them nested. Pages of two MiB need one entry where small
//! ones need 512. Where the system has none to give it answers with small ones.
#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout};

/// Bytes of a large page on the processors that this is for.
const PAGE_BYTES: usize = 2 << 20;

/// An allocator over another one: requests of a large page or more begin at one and fill whole
/// ones.
#[derive(Debug)]
pub struct HugePages<A>(pub A);

/// The request that is passed on; the same for the same request.
fn widened(layout: Layout) -> Layout {
    if layout.size() < PAGE_BYTES {
        return layout;
    }
    let pages = layout.size().checked_next_multiple_of(PAGE_BYTES);
    let wide =
        pages.and_then(|size| Layout::from_size_align(size, layout.align().max(PAGE_BYTES)).ok());
    wide.unwrap_or(layout)
}

fn advise(pointer: *mut u8, layout: Layout) {
    if !pointer.is_null() && layout.align() >= PAGE_BYTES {
        // SAFETY: the range was just handed out and is nobody else's; the advice changes how it is
        // backed, not what it holds.
        let outcome = unsafe {
            rustix::mm::madvise(pointer.cast(), layout.size(), rustix::mm::Advice::LinuxHugepage)
        };
        // A system without large pages refuses, and small ones do as well.
        let _ = outcome;
    }
}

// SAFETY: every request goes to the allocator below, widened or as it is, and every pointer goes
// back to it with the request that it came from.
unsafe impl<A: GlobalAlloc> GlobalAlloc for HugePages<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let layout = widened(layout);
        // SAFETY: the caller keeps the contract; widening keeps size above zero.
        let pointer = unsafe { self.0.alloc(layout) };
        advise(pointer, layout);
        pointer
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let layout = widened(layout);
        // SAFETY: as for `alloc`.
        let pointer = unsafe { self.0.alloc_zeroed(layout) };
        advise(pointer, layout);
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` with the same layout, which widens the same.
        unsafe { self.0.dealloc(pointer, widened(layout)) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.size() < PAGE_BYTES && new_size < PAGE_BYTES {
            // SAFETY: neither request is widened; the caller keeps the contract.
            return unsafe { self.0.realloc(pointer, layout, new_size) };
        }
        // SAFETY: the caller promises that the new size with the old alignment is a layout.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if widened(layout) == widened(new_layout) {
            return pointer;
        }
        // SAFETY: both blocks are at least as long as what is copied, and do not overlap.
        unsafe {
            let new_pointer = self.alloc(new_layout);
            if !new_pointer.is_null() {
                let kept = layout.size().min(new_size);
                std::ptr::copy_nonoverlapping(pointer, new_pointer, kept);
                self.dealloc(pointer, layout);
            }
            new_pointer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;

    #[test]
    fn large_blocks_begin_at_a_large_page_and_keep_their_bytes() {
        let pages = HugePages(System);
        let layout = |size| Layout::from_size_align(size, 64).unwrap();
        let sizes = [100, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 5 * PAGE_BYTES, 4_096, 10];
        // SAFETY: each block is used within its size and given back as what it then is.
        unsafe {
            let mut pointer = pages.alloc_zeroed(layout(sizes[0]));
            pointer.write(7);
            for pair in sizes.windows(2) {
                pointer = pages.realloc(pointer, layout(pair[0]), pair[1]);
                assert_eq!(pointer.read(), 7, "{pair:?}");
                assert!(pair[1] < PAGE_BYTES || pointer.addr().is_multiple_of(PAGE_BYTES));
                pointer.add(pair[1] - 1).write(9);
            }
            pages.dealloc(pointer, layout(sizes[6]));
        }
    }
}
