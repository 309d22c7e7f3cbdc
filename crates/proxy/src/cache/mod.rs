//! `cache` sections: small responses kept in memory, shared by all threads. Owns what is kept, its bound and its order of
//! leaving; what may be kept is decided in [`policy`], and messages are the session's.

mod fill;
pub mod policy;
mod vary;

pub use fill::Fill;
pub use policy::CacheRequest;

use haproxy_config::model;
use http::Head;
use parking_lot::Mutex;
use policy::Limits;
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use vary::{Variant, Varies};

/// What objects are counted in, as HAProxy: a block of an object that is not full is still one.
const BLOCK: usize = 1024;

/// Bytes of an object beside its head and body, as HAProxy counts them.
const OVERHEAD: usize = 128;

/// Objects without a size of their own may take this part of the cache.
const OBJECT_SHARE: usize = 256;

/// Hash of host and URI.
pub type Key = [u8; 20];

/// The key of a request's object.
pub fn key(request: &Head) -> Key {
    let uri = request.uri();
    let mut hasher = Sha1::new();
    if uri.starts_with(b"/") || uri.is_empty() {
        hasher.update(b"https://");
        hasher.update(request.get(b"host").unwrap_or_default());
    }
    hasher.update(uri);
    hasher.finalize().into()
}

/// One response, as it is sent.
#[derive(Debug)]
pub struct Object {
    /// Start line and fields, with the empty line.
    pub head: Box<[u8]>,
    pub body: Box<[u8]>,
    pub etag: Option<Box<[u8]>>,
    /// Seconds since 1970: when it was changed last, as far as it says.
    pub modified: u64,
    /// Seconds since 1970: when it came here.
    stored: u64,
    /// Its age then, in seconds.
    age: u64,
    /// Seconds since 1970.
    expires: u64,
    varies: Varies,
}

impl Object {
    /// Seconds since a server made it.
    pub fn age(&self, now: u64) -> u64 {
        self.age + now.saturating_sub(self.stored)
    }

    fn size(&self) -> usize {
        self.head.len() + self.body.len() + OVERHEAD
    }
}

struct Entry {
    object: Arc<Object>,
    /// Its place in the order of use.
    turn: u64,
}

#[derive(Default)]
struct Inner {
    /// Variants by key; the newest last.
    entries: HashMap<Key, Vec<Entry>>,
    /// Least recently used first.
    order: BTreeMap<u64, Key>,
    next_turn: u64,
    /// Blocks of entries, and of bodies that are still coming.
    blocks: usize,
}

/// One cache.
pub struct Cache {
    pub name: Arc<str>,
    blocks_max: usize,
    pub object_max: usize,
    pub limits: Limits,
    variants_max: usize,
    inner: Mutex<Inner>,
}

/// An object as `show cache` lists it.
pub struct Listed {
    pub hash: u32,
    pub variant: u64,
    pub size: usize,
    pub blocks: usize,
    pub users: usize,
    /// Seconds.
    pub expires_in: i64,
}

fn blocks_of(size: usize) -> usize {
    size.div_ceil(BLOCK)
}

impl Cache {
    pub fn new(section: &model::Cache) -> Cache {
        let bytes = section.total_max_size as usize * 1024 * 1024;
        Cache {
            name: section.name.as_str().into(),
            blocks_max: bytes / BLOCK,
            object_max: section.max_object_size.map_or(bytes / OBJECT_SHARE, |size| size as usize),
            limits: Limits { max_age: section.max_age.as_secs(), process_vary: section.process_vary },
            variants_max: section.max_secondary_entries as usize,
            inner: Mutex::default(),
        }
    }

    /// The object for a request, unless it has expired. `now`: seconds since 1970.
    pub fn find(&self, request: &CacheRequest, now: u64) -> Option<Arc<Object>> {
        self.get(&request.key, &request.variant, now)
    }

    fn get(&self, key: &Key, variant: &Variant, now: u64) -> Option<Arc<Object>> {
        let mut inner = self.inner.lock();
        inner.drop_where(key, |object| object.expires <= now);
        let turn = inner.next_turn;
        let entry = inner.entries.get_mut(key)?.iter_mut().find(|entry| entry.object.varies.fits(variant))?;
        let object = Arc::clone(&entry.object);
        let before = std::mem::replace(&mut entry.turn, turn);
        inner.next_turn += 1;
        inner.order.remove(&before);
        inner.order.insert(turn, *key);
        Some(object)
    }

    /// Forgets every variant.
    pub fn forget(&self, key: &Key) {
        self.inner.lock().drop_where(key, |_| true);
    }

    /// Makes room for so many blocks, at the expense of what was not used for the longest time. False when that much
    /// is being filled in at this moment.
    fn reserve(&self, blocks: usize) -> bool {
        let mut inner = self.inner.lock();
        while inner.blocks + blocks > self.blocks_max {
            let Some((turn, key)) = inner.order.pop_first() else { return false };
            inner.drop_turn(&key, turn);
        }
        inner.blocks += blocks;
        true
    }

    fn release(&self, blocks: usize) {
        self.inner.lock().blocks -= blocks;
    }

    /// Puts an object in whose blocks are reserved. A variant that is there stays, unless the client wanted a fresh one.
    fn put(&self, key: Key, object: Object, replaces: bool, now: u64) {
        let blocks = blocks_of(object.size());
        let mut inner = self.inner.lock();
        let all = object.varies.is_empty();
        inner.drop_where(&key, |old| all || old.expires <= now || (replaces && old.varies == object.varies));
        let is_known = |entry: &Entry| entry.object.varies == object.varies;
        let full =
            |variants: &Vec<Entry>| variants.len() >= self.variants_max || variants.iter().any(is_known);
        if inner.entries.get(&key).is_some_and(full) {
            inner.blocks -= blocks;
            return;
        }
        let turn = inner.next_turn;
        inner.next_turn += 1;
        inner.order.insert(turn, key);
        inner.entries.entry(key).or_default().push(Entry { object: Arc::new(object), turn });
    }

    /// Blocks that are not in use.
    pub fn blocks_free(&self) -> usize {
        self.blocks_max - self.inner.lock().blocks
    }

    /// Everything kept, by key.
    pub fn list(&self, now: u64) -> Vec<Listed> {
        let inner = self.inner.lock();
        let mut listed: Vec<(Key, Listed)> = Vec::new();
        for (key, variants) in &inner.entries {
            for Entry { object, .. } in variants {
                let row = Listed {
                    hash: u32::from_le_bytes([key[0], key[1], key[2], key[3]]),
                    variant: object.varies.number(),
                    size: object.size(),
                    blocks: blocks_of(object.size()),
                    users: Arc::strong_count(object) - 1,
                    expires_in: object.expires as i64 - now as i64,
                };
                listed.push((*key, row));
            }
        }
        listed.sort_by_key(|(key, _)| *key);
        listed.into_iter().map(|(_, row)| row).collect()
    }
}

impl Inner {
    fn drop_where(&mut self, key: &Key, unwanted: impl Fn(&Object) -> bool) {
        let Some(variants) = self.entries.get_mut(key) else { return };
        let Inner { order, blocks, .. } = self;
        variants.retain(|entry| {
            let goes = unwanted(&entry.object);
            if goes {
                order.remove(&entry.turn);
                *blocks -= blocks_of(entry.object.size());
            }
            !goes
        });
        if variants.is_empty() {
            self.entries.remove(key);
        }
    }

    fn drop_turn(&mut self, key: &Key, turn: u64) {
        let Some(variants) = self.entries.get_mut(key) else { return };
        let Some(at) = variants.iter().position(|entry| entry.turn == turn) else { return };
        let entry = variants.remove(at);
        self.blocks -= blocks_of(entry.object.size());
        if variants.is_empty() {
            self.entries.remove(key);
        }
    }
}

/// All caches of the process.
#[derive(Default)]
pub struct Caches(Vec<Arc<Cache>>);

impl Caches {
    pub fn new(sections: &[model::Cache]) -> Caches {
        Caches(sections.iter().map(|section| Arc::new(Cache::new(section))).collect())
    }

    /// The same, going on with those of `old` that are of the same name and form.
    pub fn after(old: &Caches, before: &[model::Cache], sections: &[model::Cache]) -> Caches {
        let known = |section: &model::Cache| {
            let place = before.iter().position(|before| before == section)?;
            old.0.get(place).map(Arc::clone)
        };
        Caches(
            (sections.iter())
                .map(|section| known(section).unwrap_or_else(|| Arc::new(Cache::new(section))))
                .collect(),
        )
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Cache>> {
        self.0.iter().find(|cache| *cache.name == *name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Cache>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Limits as HeadLimits, parse_request, parse_response};
    use std::time::Duration;

    fn cache(megabytes: u32) -> Arc<Cache> {
        Arc::new(Cache::new(&model::Cache {
            name: "c".to_owned(),
            total_max_size: megabytes,
            max_object_size: Some(300_000),
            max_age: Duration::from_secs(60),
            process_vary: true,
            max_secondary_entries: 2,
        }))
    }

    fn request(path: &str, fields: &str) -> CacheRequest {
        let mut head = Head::new();
        let text = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        parse_request(text.as_bytes(), &HeadLimits::default(), &mut head).expect("a request");
        CacheRequest::of(&head)
    }

    fn store(cache: &Arc<Cache>, request: &CacheRequest, fields: &str, length: usize, now: u64) -> bool {
        let mut head = Head::new();
        let text = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=30\r\n{fields}\r\n");
        parse_response(text.as_bytes(), &HeadLimits::default(), &mut head).expect("a response");
        let Some(mut fill) = Fill::begin(cache, request, &mut head, now) else { return false };
        fill.take(&vec![b'x'; length]);
        fill.commit()
    }

    #[test]
    fn an_object_is_found_until_it_expires() {
        let cache = cache(1);
        let request = request("/", "");
        assert!(store(&cache, &request, "", 10, 100));
        assert_eq!(cache.find(&request, 129).map(|object| object.age(129)), Some(29));
        assert!(cache.find(&request, 130).is_none());
        assert_eq!(cache.blocks_free(), 1024);
    }

    #[test]
    fn the_least_recently_used_leaves_when_room_is_needed() {
        let cache = cache(1);
        for number in 0..6 {
            assert!(store(&cache, &request(&format!("/{number}"), ""), "", 200_000, 0));
            // The first one stays in use.
            assert!(cache.find(&request("/0", ""), 1).is_some(), "{number}");
        }
        let there: Vec<bool> =
            (0..6).map(|number| cache.find(&request(&format!("/{number}"), ""), 1).is_some()).collect();
        assert_eq!(there, [true, false, true, true, true, true]);
    }

    #[test]
    fn what_is_too_large_or_never_ends_costs_nothing() {
        let cache = cache(1);
        assert!(!store(&cache, &request("/", ""), "", 300_001, 0));
        assert!(!store(&cache, &request("/", ""), "Content-Length: 300001\r\n", 0, 0));
        let mut head = Head::new();
        let text = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=30\r\n\r\n";
        parse_response(text, &HeadLimits::default(), &mut head).expect("a response");
        let mut abandoned = Fill::begin(&cache, &request("/", ""), &mut head, 0).expect("it may be kept");
        abandoned.take(&[0; 5_000]);
        drop(abandoned);
        assert_eq!(cache.blocks_free(), 1024);
        assert!(cache.find(&request("/", ""), 0).is_none());
    }

    #[test]
    fn variants_are_kept_apart_and_are_few() {
        let cache = cache(1);
        let gzip = request("/", "Accept-Encoding: gzip\r\n");
        let plain = request("/", "Accept-Encoding: identity\r\n");
        let vary = "Vary: Accept-Encoding\r\n";
        assert!(store(&cache, &gzip, &format!("{vary}Content-Encoding: gzip\r\n"), 10, 0));
        assert!(cache.find(&plain, 0).is_none());
        assert!(store(&cache, &plain, vary, 20, 0));
        assert_eq!(cache.find(&plain, 0).map(|object| object.body.len()), Some(20));
        let brotli = format!("{vary}Content-Encoding: br\r\n");
        store(&cache, &request("/", "Accept-Encoding: br\r\n"), &brotli, 30, 0);
        assert_eq!(cache.list(0).len(), 2);
        cache.forget(&plain.key);
        assert_eq!(cache.blocks_free(), 1024);
    }
}
