//! The addresses of servers at the start (`init-addr`): asked of the system, before anything is served.

use crate::state::{Admin, Running, State, Target};
use haproxy_config::Model;
use haproxy_config::model::{Address, InitAddress, Proxy, Server};
use rules::ServerId;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// What the system said of the names asked so far.
#[derive(Default)]
struct Asked(HashMap<String, Option<IpAddr>>);

impl Asked {
    fn address(&mut self, name: &str) -> Option<IpAddr> {
        if let Some(known) = self.0.get(name) {
            return *known;
        }
        let address = (name, 0).to_socket_addrs().ok().and_then(|mut all| all.next()).map(|first| first.ip());
        self.0.insert(name.to_owned(), address);
        address
    }
}

enum Found {
    Address(IpAddr),
    /// `none`, or an SRV label: starts without address.
    Later,
    Nowhere,
}

/// The servers whose address cannot be found, one message each: what `-c` reports.
pub fn unresolved(model: &Model) -> Vec<String> {
    let mut asked = Asked::default();
    let mut errors = Vec::new();
    for (proxy, server, name, _) in hosts(model) {
        if let Found::Nowhere = find(server, name, None, &mut asked) {
            errors.push(message(proxy, server, name));
        }
    }
    errors
}

/// Gives the servers of `state` their first address, but those that `settled` says have one. `last` is what a state file says
/// of them. Returns those that start without one, for [`wait`].
///
/// # Errors
/// The servers whose address cannot be found, one message each.
pub fn initialize(
    state: &State,
    last: &dyn Fn(ServerId) -> Option<IpAddr>,
    settled: &dyn Fn(ServerId) -> bool,
) -> Result<Vec<ServerId>, Vec<String>> {
    let mut asked = Asked::default();
    let mut errors = Vec::new();
    let mut later = Vec::new();
    for (proxy, server, name, index) in hosts(&state.model) {
        let Some(live) = state.backend(proxy.id).server(index) else { continue };
        if settled(live.id) {
            continue;
        }
        match find(server, name, last(live.id), &mut asked) {
            Found::Address(ip) => {
                let target = Target::Inet(SocketAddr::new(ip, port_of(server)));
                state.backend(proxy.id).move_server(live, Some(target));
            }
            Found::Later => later.push(live.id),
            Found::Nowhere => errors.push(message(proxy, server, name)),
        }
    }
    if errors.is_empty() { Ok(later) } else { Err(errors) }
}

/// Servers without an address wait for one in maintenance, told apart from an operator's.
pub fn wait(state: &State, servers: &[ServerId]) {
    for id in servers {
        let waiting =
            |live: &crate::state::ServerState| (live.admin().with(Admin::RESOLUTION_MAINT), Running::Stopped);
        state.backend(id.proxy).change(state.server(*id), waiting);
    }
}

fn hosts(model: &Model) -> impl Iterator<Item = (&Proxy, &Server, &str, u32)> {
    model.proxies.iter().flat_map(|proxy| {
        proxy.servers.iter().enumerate().filter_map(move |(index, server)| match &server.address {
            Address::Host { name, .. } => Some((proxy, server, name.as_str(), index as u32)),
            Address::Inet { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => None,
        })
    })
}

fn find(server: &Server, name: &str, last: Option<IpAddr>, asked: &mut Asked) -> Found {
    if name.starts_with('_') {
        return Found::Later;
    }
    let usual = [InitAddress::Last, InitAddress::Libc];
    let methods = if server.init_addr.is_empty() { &usual[..] } else { &server.init_addr };
    for method in methods {
        match method {
            InitAddress::Last => {
                if let Some(address) = last {
                    return Found::Address(address);
                }
            }
            InitAddress::Libc => {
                if let Some(address) = asked.address(name) {
                    return Found::Address(address);
                }
            }
            InitAddress::None => return Found::Later,
            InitAddress::Ip(address) => return Found::Address(*address),
        }
    }
    Found::Nowhere
}

fn message(proxy: &Proxy, server: &Server, name: &str) -> String {
    format!("'server {}/{}' : could not resolve address '{name}'.", proxy.name, server.name)
}

pub(super) fn port_of(server: &Server) -> u16 {
    match server.address {
        Address::Host { port, .. } | Address::Inet { port, .. } => port,
        Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => 0,
    }
}
