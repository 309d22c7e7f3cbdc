//! Who sees the bytes of a body as they pass: a cache, `filter trace`.

use super::trace::TracedBody;
use crate::cache::Fill;

#[derive(Debug, Default)]
pub struct Copies {
    pub fill: Option<Fill>,
    pub traced: Option<TracedBody>,
}

impl Copies {
    pub fn take(&mut self, bytes: &[u8]) {
        if let Some(fill) = &mut self.fill {
            fill.take(bytes);
        }
        if let Some(traced) = &mut self.traced {
            traced.take(bytes);
        }
    }

    /// The body is whole.
    pub fn end(self) {
        if let Some(fill) = self.fill {
            fill.commit();
        }
        if let Some(traced) = self.traced {
            traced.end();
        }
    }
}
