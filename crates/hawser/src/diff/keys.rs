//! How many keys a change of servers moves: the same keys are placed by both configurations with the algorithms that the
//! proxy itself uses.

use balance::{Algorithm, HashMethod, Picker, Server, ServerIndex};
use haproxy_config::model::Proxy;

/// Keys that are placed; the share is exact to about a percent.
pub const KEYS: usize = 10_000;

/// Keys placed by both configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Keys whose server has another name, or none, afterwards.
    pub moved: usize,
    /// Those of them whose old server is gone or may not be used any more: they had to move.
    pub forced: usize,
}

/// `None`: no algorithm of the two places by key.
pub fn moved(old: &Proxy, new: &Proxy) -> Option<Moved> {
    let hash = |proxy: &Proxy| match proxy.balance.algorithm {
        Algorithm::Hash(hash) => Some(hash),
        Algorithm::RoundRobin
        | Algorithm::StaticRoundRobin
        | Algorithm::LeastConn
        | Algorithm::First
        | Algorithm::Random { .. } => None,
    };
    let (first, second) = (hash(old)?, hash(new)?);
    let (mut before, mut after) = (picker(old), picker(new));
    let mut moved = Moved { moved: 0, forced: 0 };
    for number in 0..KEYS {
        // What a key is made of (address, path, header) does not change which share of them moves.
        let key = format!("key-{number}");
        let was = place(&mut before, first.digest(key.as_bytes())).map(|at| old.servers[at].name.as_str());
        let is = place(&mut after, second.digest(key.as_bytes())).map(|at| new.servers[at].name.as_str());
        if was != is {
            moved.moved += 1;
            let stays =
                was.is_some_and(|name| new.servers.iter().any(|one| one.name == name && !one.disabled));
            moved.forced += usize::from(!stays);
        }
    }
    Some(moved)
}

/// What an administrator can do about it.
pub fn advice(proxy: &Proxy) -> Option<&'static str> {
    match proxy.balance.algorithm {
        Algorithm::Hash(hash) if hash.method == HashMethod::MapBased => {
            Some("`hash-type consistent` moves only the keys of the servers that change")
        }
        _ => None,
    }
}

fn picker(proxy: &Proxy) -> Picker {
    let servers: Vec<Server> = proxy
        .servers
        .iter()
        .map(|server| {
            let mut one =
                Server::new(server.puid).weight(u16::try_from(server.weight).unwrap_or(balance::MAX_WEIGHT));
            if server.backup {
                one = one.backup();
            }
            if server.disabled { one.down() } else { one }
        })
        .collect();
    Picker::new(proxy.balance.algorithm, &servers, proxy.options.allbackups, 1)
}

fn place(picker: &mut Picker, key: u32) -> Option<usize> {
    picker.pick(Some(key), None, &|_| false).map(ServerIndex::position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use haproxy_config::{LoadOptions, load_text};

    fn backend(hash_type: &str, servers: usize) -> Proxy {
        let mut text = format!("backend app\n    mode http\n    balance uri\n    hash-type {hash_type}\n");
        for number in 1..=servers {
            text.push_str(&format!("    server s{number} 10.0.0.{number}:80\n"));
        }
        let loaded = load_text(&LoadOptions::new(Vec::new()), "a.cfg", &text);
        loaded.model.expect("valid").proxies.remove(0)
    }

    #[test]
    fn a_tenth_server_moves_a_tenth_of_the_keys_of_a_ring_and_most_of_a_map() {
        let ring = moved(&backend("consistent", 9), &backend("consistent", 10)).expect("by key");
        assert!((500..1700).contains(&ring.moved), "{ring:?}");
        let map = moved(&backend("map-based", 9), &backend("map-based", 10)).expect("by key");
        assert!(map.moved > 8000, "{map:?}");
    }

    #[test]
    fn keys_of_a_server_that_goes_must_move_and_others_stay() {
        let ring = moved(&backend("consistent", 10), &backend("consistent", 9)).expect("by key");
        assert_eq!(ring.moved, ring.forced, "{ring:?}");
        let nothing = moved(&backend("consistent", 5), &backend("consistent", 5)).expect("by key");
        assert_eq!(nothing, Moved { moved: 0, forced: 0 });
    }
}
