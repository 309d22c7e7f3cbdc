//! A response on its way into a cache: its room is reserved as it comes, and given back when it does not arrive whole.

use super::policy::{self, CacheRequest};
use super::{Cache, Key, OVERHEAD, Object, blocks_of};
use http::{FieldKind, Head};
use std::sync::Arc;

/// Blocks that are reserved at once while the end is not known.
const RESERVED_STEP: usize = 16;

/// One response that is being kept.
pub struct Fill {
    cache: Arc<Cache>,
    key: Key,
    object: Object,
    body: Vec<u8>,
    /// Blocks.
    reserved: usize,
    failed: bool,
    /// The client wanted a fresh one.
    replaces: bool,
    now: u64,
}

impl std::fmt::Debug for Fill {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Fill").field("body", &self.body.len()).finish_non_exhaustive()
    }
}

impl Fill {
    /// Begins to keep a response, if it may be kept and there is room. Its `age` is the cache's to tell from here on, so
    /// it is taken out of `response`. `now`: seconds since 1970.
    pub fn begin(cache: &Arc<Cache>, request: &CacheRequest, response: &mut Head, now: u64) -> Option<Fill> {
        let storage = policy::storage(request, response, cache.limits, now)?;
        let length = response
            .get_kind(FieldKind::ContentLength)
            .and_then(|value| std::str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok()));
        if length.unwrap_or(0).saturating_add(response.wire_len()) > cache.object_max {
            return None;
        }
        response.remove(b"age");
        let mut kept = response.clone();
        kept.remove_kind(FieldKind::Connection);
        // The end is known when it is served: that is framing enough.
        kept.remove_kind(FieldKind::TransferEncoding);
        let mut head = Vec::new();
        kept.write_to(&mut head);
        let date = |name: &[u8]| response.get(name).and_then(http::date::parse);
        let object = Object {
            head: head.into(),
            body: Box::default(),
            etag: response.get(b"etag").map(Box::from),
            modified: date(b"last-modified").or_else(|| date(b"date")).unwrap_or(now),
            stored: now,
            age: storage.age,
            expires: now.saturating_add(storage.lifetime),
            varies: storage.varies,
        };
        let mut fill = Fill {
            cache: Arc::clone(cache),
            key: request.key,
            object,
            body: Vec::with_capacity(length.unwrap_or(0)),
            reserved: 0,
            failed: false,
            replaces: !request.looks_up,
            now,
        };
        fill.reserve(fill.object.head.len() + OVERHEAD + length.unwrap_or(0)).then_some(fill)
    }

    fn reserve(&mut self, size: usize) -> bool {
        let wanted = blocks_of(size);
        if wanted > self.reserved {
            let more = (wanted - self.reserved).max(RESERVED_STEP);
            if !self.cache.reserve(more) {
                return false;
            }
            self.reserved += more;
        }
        true
    }

    /// Takes a piece of the body.
    pub fn take(&mut self, data: &[u8]) {
        if self.failed {
            return;
        }
        let length = self.object.head.len() + self.body.len() + data.len();
        if length > self.cache.object_max || !self.reserve(length + OVERHEAD) {
            self.failed = true;
            self.body = Vec::new();
            return;
        }
        self.body.extend_from_slice(data);
    }

    /// The response is whole: from now on it is served. False when it did not fit.
    pub fn commit(mut self) -> bool {
        if self.failed {
            return false;
        }
        let empty = Object {
            head: Box::default(),
            body: Box::default(),
            etag: None,
            modified: 0,
            stored: 0,
            age: 0,
            expires: 0,
            varies: self.object.varies.clone(),
        };
        let mut object = std::mem::replace(&mut self.object, empty);
        object.body = std::mem::take(&mut self.body).into();
        let used = blocks_of(object.size());
        self.cache.release(self.reserved - used);
        self.reserved = 0;
        self.cache.put(self.key, object, self.replaces, self.now);
        true
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        if self.reserved > 0 {
            self.cache.release(self.reserved);
        }
    }
}
