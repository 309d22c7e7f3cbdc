//! Values that rules and `capture` lines keep of a message, for logs and for rules that run later.

use std::cell::{Ref, RefCell};

/// The slots of one direction. `capture-req` and `capture-res` fill them while an expression is evaluated, which sees
/// everything else read-only: hence the cell.
#[derive(Debug, Clone, Default)]
pub struct Captures(RefCell<Vec<Option<Vec<u8>>>>);

impl Captures {
    /// Makes this many slots; new ones are empty.
    pub fn resize(&self, count: usize) {
        self.0.borrow_mut().resize(count, None);
    }

    /// Fills the next slot.
    pub fn push(&self, value: Option<Vec<u8>>) {
        self.0.borrow_mut().push(value);
    }

    /// Fills a slot, which is made if there is none yet.
    pub fn set(&self, slot: usize, value: Option<Vec<u8>>) {
        let mut slots = self.0.borrow_mut();
        if slots.len() <= slot {
            slots.resize(slot + 1, None);
        }
        slots[slot] = value;
    }

    /// What is in a slot.
    pub fn get(&self, slot: usize) -> Option<Vec<u8>> {
        self.0.borrow().get(slot).cloned().flatten()
    }

    /// All slots. Nothing may be captured while this is held.
    pub fn slots(&self) -> Ref<'_, [Option<Vec<u8>>]> {
        Ref::map(self.0.borrow(), Vec::as_slice)
    }
}

impl From<Vec<Option<Vec<u8>>>> for Captures {
    fn from(slots: Vec<Option<Vec<u8>>>) -> Captures {
        Captures(RefCell::new(slots))
    }
}
