//! Cookie values made of a server's address and a secret (configuration manual, `dynamic-cookie-key`): several proxies
//! with the same key give a server the same value, without one being written for each. Owns the values; which response
//! carries one is `session::persist`'s.

use super::{ServerState, Target};
use haproxy_config::model::{self, ServerPort};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The dynamic cookies of one backend.
#[derive(Debug, Default)]
pub struct DynamicCookies {
    /// Some server has a value: what requests look at before they take the lock.
    in_use: AtomicBool,
    book: RwLock<Book>,
}

#[derive(Debug, Default)]
struct Book {
    enabled: bool,
    key: Option<Vec<u8>>,
    /// By the server's index.
    values: HashMap<u32, Arc<str>>,
    servers: HashMap<Arc<str>, u32>,
}

impl DynamicCookies {
    pub(super) fn new(proxy: &model::Proxy) -> DynamicCookies {
        let enabled = proxy.cookie.as_ref().is_some_and(|cookie| cookie.dynamic);
        let key = proxy.dynamic_cookie_key.as_ref().map(|key| key.clone().into_bytes());
        let book = Book { enabled, key, ..Book::default() };
        DynamicCookies { in_use: AtomicBool::new(false), book: RwLock::new(book) }
    }

    /// The value that stands for the server of this index.
    pub(super) fn value(&self, index: u32) -> Option<Arc<str>> {
        if !self.in_use.load(Relaxed) {
            return None;
        }
        self.book.read().values.get(&index).cloned()
    }

    /// The server that a value stands for.
    pub fn server(&self, value: &[u8]) -> Option<u32> {
        if !self.in_use.load(Relaxed) {
            return None;
        }
        let value = std::str::from_utf8(value).ok()?;
        self.book.read().servers.get(value).copied()
    }

    /// `enable dynamic-cookie backend`, and its opposite, which takes all values away.
    pub(super) fn enable(&self, enabled: bool) {
        let mut book = self.book.write();
        book.enabled = enabled;
        if !enabled {
            book.values.clear();
            book.servers.clear();
            self.in_use.store(false, Relaxed);
        }
    }

    pub(super) fn set_key(&self, key: &str) {
        self.book.write().key = Some(key.as_bytes().to_vec());
    }

    /// Makes the values anew. A server with a `cookie` of its own keeps that; one without an IP address keeps what it
    /// had. Of two servers with the same address the first is found by their value.
    pub(super) fn refresh<'s>(&self, servers: impl Iterator<Item = &'s Arc<ServerState>>) {
        let mut book = self.book.write();
        let book = &mut *book;
        let Some(key) = book.key.as_deref().filter(|_| book.enabled) else { return };
        let old = std::mem::take(&mut book.values);
        book.servers.clear();
        for server in servers.filter(|server| server.settings.cookie.is_none()) {
            let index = server.id.index;
            let made = match &*server.target.read() {
                Some(Target::Inet(address)) => {
                    let port = match server.settings.port {
                        ServerPort::Fixed => u32::from(address.port()),
                        ServerPort::Relative(offset) => offset.cast_unsigned(),
                    };
                    Some(Arc::from(value(key, address.ip(), port)))
                }
                Some(Target::Unix(_) | Target::Abstract(_)) | None => old.get(&index).cloned(),
            };
            if let Some(made) = made {
                book.servers.entry(Arc::clone(&made)).or_insert(index);
                book.values.insert(index, made);
            }
        }
        self.in_use.store(!book.values.is_empty(), Relaxed);
    }
}

/// As HAProxy makes it: XXH64 over the key, the address and the port as four bytes, the highest first.
fn value(key: &[u8], address: IpAddr, port: u32) -> String {
    let mut text = key.to_vec();
    match address {
        IpAddr::V4(address) => text.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => text.extend_from_slice(&address.octets()),
    }
    text.extend_from_slice(&port.to_be_bytes());
    format!("{:016x}", xxhash_rust::xxh64::xxh64(&text, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_that_haproxy_made() {
        assert_eq!(value(b"secret", [127, 0, 0, 1].into(), 18_771), "470cbeaccf7b7bac");
        assert_eq!(value(b"secret", [127, 0, 0, 7].into(), 18_771), "042eb80179d7048e");
        assert_eq!(value(b"secret", "::1".parse().unwrap(), 18_771), "2f422917e5270ef7");
        assert_eq!(value(b"zz", [127, 0, 0, 1].into(), 18_771), "0ab3ab60656d00fd");
    }
}
