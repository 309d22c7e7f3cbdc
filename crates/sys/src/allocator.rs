//! The allocator of the program. A proxy makes many small allocations of short life, and has mimalloc, which takes less than half
//! the instructions of the C library for them. Other strands of the program make few and should stay small: mimalloc would
//! double what they hold (255 virtual routers: 36 MB for 19), so that they have the C library's.
//!
//! The crate that wraps mimalloc asks for an alignment in each call, which takes a path four times as long for everything
//! above a kilobyte; nearly all of ours is aligned to a word, as `mi_malloc` does by itself.

use libmimalloc_sys as mi;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// `MI_MAX_ALIGN_SIZE`: what every block of at least that size is aligned to.
const NATURAL_ALIGNMENT: usize = 16;

static FAST: AtomicBool = AtomicBool::new(false);

/// Lowest and highest address of a block of the C library: outside of them a block needs no question.
static EARLY_LOWEST: AtomicUsize = AtomicUsize::new(usize::MAX);
static EARLY_HIGHEST: AtomicUsize = AtomicUsize::new(0);

/// From now on blocks come from mimalloc. Those that are out go back where they came from.
pub fn prefer_speed() {
    FAST.store(true, Relaxed);
}

/// As `#[global_allocator]`.
#[derive(Debug, Clone, Copy)]
pub struct Allocator;

/// Whether a block of this layout is aligned well enough without being told.
fn is_natural(layout: Layout) -> bool {
    layout.align() <= NATURAL_ALIGNMENT && layout.align() <= layout.size()
}

#[inline]
fn is_fast(block: *mut u8) -> bool {
    let address = block.addr();
    let may_be_early = EARLY_LOWEST.load(Relaxed) <= address && address <= EARLY_HIGHEST.load(Relaxed);
    // SAFETY: any address may be asked for.
    FAST.load(Relaxed) && (!may_be_early || unsafe { mi::mi_is_in_heap_region(block.cast()) })
}

/// Remembers where the C library's blocks are. Whoever frees one has got it from the thread that came through here.
fn early(block: *mut u8) -> *mut u8 {
    let address = block.addr();
    if address < EARLY_LOWEST.load(Relaxed) {
        EARLY_LOWEST.fetch_min(address, Relaxed);
    }
    if address > EARLY_HIGHEST.load(Relaxed) {
        EARLY_HIGHEST.fetch_max(address, Relaxed);
    }
    block
}

// SAFETY: each method gives what mimalloc or the C library gives, whose blocks are disjoint, as large as asked for, and live
// until they are freed; `is_natural` sends all other alignments to the functions that take one. A block goes back to the
// one that has its address: without `prefer_speed` that is the C library, and after it mimalloc tells which are its own among
// those that lie where the C library's do.
// Null is an allocation that failed.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !FAST.load(Relaxed) {
            // SAFETY: the caller's layout.
            early(unsafe { System.alloc(layout) })
        } else if is_natural(layout) {
            // SAFETY: no precondition.
            unsafe { mi::mi_malloc(layout.size()).cast() }
        } else {
            // SAFETY: the alignment of a layout is a power of two.
            unsafe { mi::mi_malloc_aligned(layout.size(), layout.align()).cast() }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !FAST.load(Relaxed) {
            // SAFETY: the caller's layout.
            early(unsafe { System.alloc_zeroed(layout) })
        } else if is_natural(layout) {
            // SAFETY: no precondition.
            unsafe { mi::mi_zalloc(layout.size()).cast() }
        } else {
            // SAFETY: the alignment of a layout is a power of two.
            unsafe { mi::mi_zalloc_aligned(layout.size(), layout.align()).cast() }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_fast(block) {
            // SAFETY: mimalloc's own; the caller does not use it again.
            unsafe { mi::mi_free(block.cast()) }
        } else {
            // SAFETY: from the C library, by the same layout; the caller does not use it again.
            unsafe { System.dealloc(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_fast(block) {
            // SAFETY: from the C library, by the same layout; the caller does not use it again if this succeeds.
            early(unsafe { System.realloc(block, layout, size) })
        } else if layout.align() <= NATURAL_ALIGNMENT && layout.align() <= size {
            // SAFETY: mimalloc's own; the caller does not use it again if this succeeds.
            unsafe { mi::mi_realloc(block.cast(), size).cast() }
        } else {
            // SAFETY: as above; the alignment of a layout is a power of two.
            unsafe { mi::mi_realloc_aligned(block.cast(), size, layout.align()).cast() }
        }
    }
}

/// Gives memory that the calling thread has freed back to the system. For after something large and rare, as reading a
/// configuration: mimalloc itself keeps such memory for a need that may never come.
pub fn give_back() {
    // SAFETY: it frees what nobody holds; no precondition.
    unsafe { mi::mi_collect(true) };
    #[cfg(target_env = "gnu")]
    // SAFETY: as above.
    unsafe {
        libc::malloc_trim(0)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_all_sizes_and_alignments_are_aligned_and_keep_their_bytes() {
        let mut held = Vec::new();
        // SAFETY: sizes are not zero; blocks are written within their size, and freed once.
        let early = unsafe { Allocator.alloc_zeroed(Layout::new::<[u64; 100]>()) };
        prefer_speed();
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
        // A block from before goes back to the C library.
        let layout = Layout::new::<[u64; 100]>();
        // SAFETY: as above.
        unsafe { Allocator.dealloc(Allocator.realloc(early, layout, 8_000), Layout::new::<[u64; 1_000]>()) };
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
