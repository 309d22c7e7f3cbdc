//! Sessions that clients may resume without a ticket: rustls' own cache, and how often it is asked.

use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Of the process, whatever configuration is in force.
static LOOKUPS: AtomicU64 = AtomicU64::new(0);
static MISSES: AtomicU64 = AtomicU64::new(0);

/// How often a client's session was looked up, and how often there was none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheUse {
    pub lookups: u64,
    pub misses: u64,
}

/// `SslCacheLookups` and `SslCacheMisses`, since the start.
pub fn cache_use() -> CacheUse {
    CacheUse { lookups: LOOKUPS.load(Relaxed), misses: MISSES.load(Relaxed) }
}

/// A cache of so many sessions.
#[derive(Debug)]
pub(crate) struct Kept(Arc<ServerSessionMemoryCache>);

impl Kept {
    pub fn new(size: usize) -> Arc<Kept> {
        Arc::new(Kept(ServerSessionMemoryCache::new(size)))
    }
}

fn counted(found: Option<Vec<u8>>) -> Option<Vec<u8>> {
    LOOKUPS.fetch_add(1, Relaxed);
    if found.is_none() {
        MISSES.fetch_add(1, Relaxed);
    }
    found
}

impl StoresServerSessions for Kept {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.0.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        counted(self.0.get(key))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        counted(self.0.take(key))
    }

    fn can_cache(&self) -> bool {
        self.0.can_cache()
    }
}
