//! How many connections draining real servers have left.

use super::Director;
use crate::pool::Pool;
use crate::remembered::Remembered;
use crate::table::Table;
use netlink::ipvs::{Destination, Key};
use std::time::{Duration, Instant};

/// Looking through all connections takes time: not more often than this.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

impl Director {
    /// Ends the drains that are over. Closed connections that the plane remembers are looked through once nothing else is
    /// left.
    pub(super) fn count_connections(&mut self) {
        let Ok(table) = self.plane.read() else { return };
        let now = Instant::now();
        let mut remembered = Remembered::new();
        let is_quiet = |pool: &Pool| {
            let draining =
                (0..pool.virtual_server().real_servers.len()).filter(|one| pool.is_draining_at(*one));
            draining.into_iter().any(|server| active(&rows(&table, pool, server)) == 0)
        };
        if now >= self.next_look && self.pools.iter().any(is_quiet) {
            self.next_look = now + LOOK_INTERVAL;
            remembered = self.plane.remembered();
        }
        for pool in self.pools.iter_mut().filter(|pool| pool.is_draining()) {
            let left: Vec<u32> = (0..pool.virtual_server().real_servers.len())
                .map(|server| left(&rows(&table, pool, server), &remembered))
                .collect();
            pool.handle_timeout(now, |server| left[server]);
        }
    }
}

/// A real server in each of its services.
fn rows<'a>(table: &'a Table, pool: &Pool, server: usize) -> Vec<(Key, &'a Destination)> {
    let address = pool.virtual_server().real_servers[server].address;
    let of_service = |key: &Key| {
        let servers = table.0.get(key).into_iter().flat_map(|entry| entry.servers.values());
        let key = *key;
        servers.map(move |one| (key, one))
    };
    let is_it = |one: &Destination| {
        one.address == address.ip() && (one.port == address.port() || address.port() == 0)
    };
    pool.keys().iter().flat_map(of_service).filter(|(_, one)| is_it(one)).collect()
}

fn active(rows: &[(Key, &Destination)]) -> u32 {
    rows.iter().map(|(_, one)| one.active).sum()
}

fn left(rows: &[(Key, &Destination)], remembered: &Remembered) -> u32 {
    let in_use = |(key, one): &(Key, &Destination)| {
        let over = remembered.get(&(*key, one.address, one.port)).copied().unwrap_or(0);
        one.active + one.inactive.saturating_sub(over)
    };
    rows.iter().map(in_use).sum()
}
