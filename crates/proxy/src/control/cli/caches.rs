//! `show cache`: what every cache keeps.

use super::session::{Outcome, Reply, Session};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

/// Pointers mean nothing outside of the process; these only tell one line from the next.
pub fn show(session: &mut Session, _: &[&str]) -> Outcome {
    let now = session.state().clock.wall(Instant::now()).0.as_secs();
    let mut out = String::new();
    for cache in session.shared().caches.iter() {
        let place = Arc::as_ptr(cache);
        let _ = writeln!(
            out,
            "{place:p}: {} (shctx:{place:p}, available blocks:{})",
            cache.name,
            cache.blocks_free()
        );
        for (number, object) in cache.list(now).into_iter().enumerate() {
            let _ = writeln!(
                out,
                "{:#x} hash:{} vary:{:#018x} size:{} ({} blocks), refcount:{}, expire:{}",
                number + 1,
                object.hash,
                object.variant,
                object.size,
                object.blocks,
                object.users,
                object.expires_in
            );
        }
    }
    Ok(Reply::Dump(out))
}
