//! Memory that is wiped when it is freed, where somebody asked for that.
//!
//! Owned here: an allocator that a program can make its own, and a future whose work is wiped after it. For secrets
//! that must pass through libraries which keep them in buffers of their own, as the access token of a request does.
//! What is secret for longer belongs into [`crate::secret`].
#![expect(unsafe_code, reason = "an allocator is unsafe by nature")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::Pin;
use std::sync::atomic::{Ordering, compiler_fence};
use std::task::{Context, Poll};

thread_local! {
    /// Constant and without a destructor, so that the allocator may look at it at any time.
    static WIPING: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator; what is freed inside a [`Wiped`] future is overwritten first. Elsewhere it costs a look at a
/// flag of the thread.
pub struct Allocator;

fn wiping() -> bool {
    // A thread that is ending frees as the system does.
    WIPING.try_with(Cell::get).unwrap_or(false)
}

// SAFETY: every block comes from `System` and goes back to it with its own layout; the contract is that of `System`.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if wiping() {
            // SAFETY: the caller gives up a block of this size, so nobody else looks at it.
            unsafe { block.write_bytes(0, layout.size()) };
            // Nobody reads the zeros; the compiler must write them all the same.
            std::hint::black_box(block);
            compiler_fence(Ordering::SeqCst);
        }
        // SAFETY: the block came from `System` with this layout.
        unsafe { System.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !wiping() {
            // SAFETY: the block came from `System` with this layout; the caller promises a valid size.
            return unsafe { System.realloc(block, layout, size) };
        }
        // `System` would move the block and leave the old one as it is.
        // SAFETY: the caller promises that `size`, rounded up to the alignment, does not overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller promises a size above zero.
        let new = unsafe { System.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both blocks are valid for the smaller of their sizes, and they are two.
            unsafe { new.copy_from_nonoverlapping(block, layout.size().min(size)) };
            // SAFETY: the caller gives up the old block, which came from here with this layout.
            unsafe { self.dealloc(block, layout) };
        }
        new
    }
}

/// A future during whose work everything that is freed is wiped, if the program's allocator is [`Allocator`]. What it
/// gives to other threads is not its work.
pub struct Wiped<F>(Pin<Box<F>>);

impl<F> Wiped<F> {
    /// Takes the future.
    pub fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

/// Sets the flag back, also after a panic.
struct Before(bool);

impl Before {
    fn set() -> Self {
        Self(WIPING.replace(true))
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        WIPING.set(self.0);
    }
}

impl<F: Future> Future for Wiped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _before = Before::set();
        self.0.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_keeps_what_is_there() {
        let mut future = std::pin::pin!(Wiped::new(async {
            let layout = Layout::from_size_align(32, 8).unwrap();
            // SAFETY: the size is not zero.
            let block = unsafe { Allocator.alloc_zeroed(layout) };
            // SAFETY: the block has 32 bytes.
            unsafe { block.write_bytes(7, 32) };
            // SAFETY: it came from there with this layout.
            let grown = unsafe { Allocator.realloc(block, layout, 4096) };
            // SAFETY: it has 4096 bytes, and the first 32 were written.
            let kept = unsafe { std::slice::from_raw_parts(grown, 32) }.to_vec();
            // SAFETY: it came from there with this layout.
            unsafe { Allocator.dealloc(grown, Layout::from_size_align(4096, 8).unwrap()) };
            kept
        }));
        let done = future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
        assert_eq!(done, Poll::Ready(vec![7; 32]));
        assert!(!wiping(), "the flag is set back");
    }

    #[test]
    fn the_flag_is_set_inside_and_nowhere_else() {
        assert!(!wiping());
        let mut future = std::pin::pin!(Wiped::new(async { wiping() }));
        assert_eq!(future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())), Poll::Ready(true));
        assert!(!wiping());
    }
}
