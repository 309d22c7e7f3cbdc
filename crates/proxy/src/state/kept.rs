//! What of a new configuration was there before, by name: frontends, backends, servers, and listening sockets.

use super::{FrontendStatus, State};
use haproxy_config::Model;
use haproxy_config::model::Bind;
use rules::ProxyId;
use std::collections::HashMap;

/// Old frontend and position of its line, by new frontend and position.
type Places = Box<[Box<[Option<(ProxyId, u32)>]>]>;

/// For each part of the new configuration, where it was in the old one.
#[derive(Debug)]
pub struct Kept {
    /// By `ProxyId`.
    pub frontends: Box<[Option<ProxyId>]>,
    pub backends: Box<[Option<ProxyId>]>,
    /// By `ProxyId` and position of the `bind` line: whose socket goes on.
    pub listeners: Places,
    /// By slot.
    pub servers: Box<[Option<u32>]>,
    /// By `TableId`: position of the table of the same name and form.
    pub tables: Box<[Option<usize>]>,
}

impl Kept {
    pub fn between(old: &State, model: &Model) -> Kept {
        let before = &old.model.proxies;
        let by_name = |of: fn(&haproxy_config::model::Proxy) -> bool| -> HashMap<&str, ProxyId> {
            before.iter().filter(|proxy| of(proxy)).map(|proxy| (proxy.name.as_str(), proxy.id)).collect()
        };
        let old_frontends = by_name(|proxy| proxy.is_frontend);
        let old_backends = by_name(|proxy| proxy.is_backend);
        let frontends: Box<[_]> = (model.proxies.iter())
            .map(|proxy| old_frontends.get(proxy.name.as_str()).copied().filter(|_| proxy.is_frontend))
            .collect();
        let backends: Box<[_]> = (model.proxies.iter())
            .map(|proxy| old_backends.get(proxy.name.as_str()).copied().filter(|_| proxy.is_backend))
            .collect();
        let mut servers = Vec::new();
        for (proxy, before) in model.proxies.iter().zip(&backends) {
            let known: HashMap<&str, u32> = before.map_or_else(HashMap::new, |before| {
                let servers = old.backend(before).servers.iter().map(|(_, server)| server);
                let there =
                    servers.filter(|server| !server.deleted.load(std::sync::atomic::Ordering::Relaxed));
                there.map(|server| (server.name(), server.slot)).collect()
            });
            servers.extend(proxy.servers.iter().map(|server| known.get(server.name.as_str()).copied()));
        }
        let table = |table: &haproxy_config::model::Table| {
            let same =
                |old: &haproxy_config::model::Table| old.name == table.name && old.config == table.config;
            old.model.tables.iter().position(same)
        };
        Kept {
            listeners: listeners(old, model, &frontends),
            tables: model.tables.iter().map(table).collect(),
            frontends,
            backends,
            servers: servers.into(),
        }
    }
}

/// Each socket goes on for the first line that is the same: of its own frontend, else of any.
fn listeners(old: &State, model: &Model, frontends: &[Option<ProxyId>]) -> Places {
    let mut free: Vec<(ProxyId, u32, &Bind)> = Vec::new();
    for proxy in old.model.proxies.iter().filter(|proxy| !proxy.disabled) {
        if old.proxy(proxy.id).frontend.status() != FrontendStatus::Stopped {
            free.extend(proxy.binds.iter().enumerate().map(|(at, bind)| (proxy.id, at as u32, bind)));
        }
    }
    let mut found: Box<[Box<[_]>]> =
        model.proxies.iter().map(|proxy| vec![None; proxy.binds.len()].into_boxed_slice()).collect();
    for own in [true, false] {
        for proxy in model.proxies.iter().filter(|proxy| !proxy.disabled) {
            for (at, bind) in proxy.binds.iter().enumerate() {
                let fits = |(owner, _, before): &(ProxyId, u32, &Bind)| {
                    (!own || frontends[proxy.id.index()] == Some(*owner)) && is_same_socket(before, bind)
                };
                if found[proxy.id.index()][at].is_none()
                    && let Some(place) = free.iter().position(fits)
                {
                    let (owner, index, _) = free.swap_remove(place);
                    found[proxy.id.index()][at] = Some((owner, index));
                }
            }
        }
    }
    found
}

/// Whether the socket of one line serves for the other: the address, and what cannot be set on a socket that listens.
pub fn is_same_socket(one: &Bind, other: &Bind) -> bool {
    let fixed = |bind: &Bind| {
        (
            bind.address.clone(),
            bind.namespace.clone(),
            bind.interface.clone(),
            (bind.transparent, bind.v4v6, bind.v6only),
            (bind.unix_mode, bind.unix_uid, bind.unix_gid),
        )
    };
    fixed(one) == fixed(other)
}
