//! The allocator of the program: mimalloc. The crate that wraps it asks for an alignment in each call, which takes a path
//! four times as long for everything above a kilobyte; nearly all of ours is aligned to a word, as `mi_malloc` does by itself.

use libmimalloc_sys as mi;
use std::alloc::{GlobalAlloc, Layout};

/// `MI_MAX_ALIGN_SIZE`: what every block of at least that size is aligned to.
const NATURAL_ALIGNMENT: usize = 16;

/// mimalloc, as `#[global_allocator]`.
#[derive(Debug, Clone, Copy)]
pub struct Allocator;

/// Whether a block of this layout is aligned well enough without being told.
fn is_natural(layout: Layout) -> bool {
    layout.align() <= NATURAL_ALIGNMENT && layout.align() <= layout.size()
}

// SAFETY: each method gives what mimalloc gives, whose blocks are disjoint, as large as asked for, and live until they are
// freed; `is_natural` sends all other alignments to the functions that take one. Null is an allocation that failed.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_natural(layout) {
            // SAFETY: no precondition.
            unsafe { mi::mi_malloc(layout.size()).cast() }
        } else {
            // SAFETY: the alignment of a layout is a power of two.
            unsafe { mi::mi_malloc_aligned(layout.size(), layout.align()).cast() }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_natural(layout) {
            // SAFETY: no precondition.
            unsafe { mi::mi_zalloc(layout.size()).cast() }
        } else {
            // SAFETY: the alignment of a layout is a power of two.
            unsafe { mi::mi_zalloc_aligned(layout.size(), layout.align()).cast() }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller has `block` from this allocator, and does not use it again.
        unsafe { mi::mi_free(block.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= NATURAL_ALIGNMENT && layout.align() <= size {
            // SAFETY: the caller has `block` from this allocator, and does not use it again if this succeeds.
            unsafe { mi::mi_realloc(block.cast(), size).cast() }
        } else {
            // SAFETY: as above; the alignment of a layout is a power of two.
            unsafe { mi::mi_realloc_aligned(block.cast(), size, layout.align()).cast() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_all_sizes_and_alignments_are_aligned_and_keep_their_bytes() {
        let mut held = Vec::new();
        for shift in 0..13 {
            for size in [1, 7, 8, 15, 16, 24, 100, 1_024, 1_025, 4_192, 70_000, 3 << 20] {
                let layout = Layout::from_size_align(size, 1 << shift).expect("a layout");
                // SAFETY: the size is not zero; each block is written within its size, and freed once below.
                let block = unsafe {
                    let block = Allocator.alloc_zeroed(layout);
                    assert!(!block.is_null());
                    assert_eq!(block.addr() % layout.align(), 0, "{layout:?}");
                    assert_eq!((*block, *block.add(size - 1)), (0, 0), "{layout:?}");
                    block.write_bytes(held.len() as u8, size);
                    block
                };
                held.push((block, layout));
            }
        }
        for (number, (block, layout)) in held.into_iter().enumerate() {
            let larger = layout.size() * 2;
            // SAFETY: the block is from above; after `realloc` only what it returned is used, and freed.
            unsafe {
                let block = Allocator.realloc(block, layout, larger);
                assert_eq!(block.addr() % layout.align(), 0, "{layout:?}");
                assert_eq!(*block.add(layout.size() - 1), number as u8);
                Allocator.dealloc(block, Layout::from_size_align(larger, layout.align()).expect("a layout"));
            }
        }
    }
}
