//! Limits on one evaluation: work, elements, text. Whatever the input, it ends.

use std::cell::Cell;

/// Most elements that the lists and maps of one evaluation may have together, as in expr-lang.
const MAX_ELEMENTS: u64 = 1_000_000;
/// Most steps: a node evaluated, a value compared, 32 bytes of text read. A few seconds at worst.
const MAX_STEPS: u64 = 10_000_000;
/// Most bytes of text made.
const MAX_TEXT: u64 = 64 << 20;

/// What is used so far.
#[derive(Default)]
pub(super) struct Budget {
    elements: Cell<u64>,
    steps: Cell<u64>,
    text: Cell<u64>,
}

impl Budget {
    /// Counts work.
    pub(super) fn spend(&self, steps: u64) -> Result<(), String> {
        self.steps.set(self.steps.get().saturating_add(steps));
        if self.steps.get() > MAX_STEPS { Err("the expression takes too long: more than 10 million steps".into()) } else { Ok(()) }
    }

    /// Counts new elements.
    pub(super) fn elements(&self, count: usize) -> Result<(), String> {
        self.elements.set(self.elements.get().saturating_add(count as u64));
        if self.elements.get() >= MAX_ELEMENTS {
            return Err("memory budget exceeded: lists and maps of an expression may have less than 1,000,000 elements together".into());
        }
        Ok(())
    }

    /// Counts new text.
    pub(super) fn text(&self, bytes: usize) -> Result<(), String> {
        self.text.set(self.text.get().saturating_add(bytes as u64));
        if self.text.get() > MAX_TEXT {
            return Err("memory budget exceeded: an expression may make at most 64 MiB of text".into());
        }
        self.spend(bytes as u64 / 32)
    }
}
