//! The virtual services and real servers of a data plane, and what turns one such table into another. Pure.

use netlink::ipvs::{Destination, Flags, Key, Service, TCP, UDP};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// A real server within its service.
pub type ServerKey = (IpAddr, u16);

/// One service with its real servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub service: Service,
    pub servers: BTreeMap<ServerKey, Destination>,
}

/// What a data plane has, or should have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table(pub BTreeMap<Key, Entry>);

impl Table {
    /// Adds a service with its real servers; the last of equal real servers counts.
    pub fn insert(&mut self, service: Service, servers: impl IntoIterator<Item = Destination>) {
        let servers = servers.into_iter().map(|server| ((server.address, server.port), server)).collect();
        self.0.insert(service.key, Entry { service, servers });
    }
}

/// One step from one table to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    AddService(Service),
    EditService(Service),
    DeleteService(Key),
    AddServer(Key, Destination),
    EditServer(Key, Destination),
    DeleteServer(Key, Destination),
}

impl Change {
    /// The service that it is about.
    pub fn key(&self) -> &Key {
        match self {
            Self::AddService(service) | Self::EditService(service) => &service.key,
            Self::DeleteService(key)
            | Self::AddServer(key, _)
            | Self::EditServer(key, _)
            | Self::DeleteServer(key, _) => key,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = |server: &Destination| std::net::SocketAddr::new(server.address, server.port);
        match self {
            Self::AddService(service) => write!(formatter, "add service {}", Name(&service.key)),
            Self::EditService(service) => write!(formatter, "change service {}", Name(&service.key)),
            Self::DeleteService(key) => write!(formatter, "remove service {}", Name(key)),
            Self::AddServer(key, one) => write!(formatter, "add {} to {}", server(one), Name(key)),
            Self::EditServer(key, one) => write!(formatter, "change {} of {}", server(one), Name(key)),
            Self::DeleteServer(key, one) => write!(formatter, "remove {} from {}", server(one), Name(key)),
        }
    }
}

/// A service in messages: `[10.0.0.1]:tcp:80` or `FWM 7`, as keepalived says it.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a>(pub &'a Key);

impl fmt::Display for Name<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Key::Address { protocol, address, port } => {
                write!(formatter, "[{address}]:{}:{port}", protocol_name(*protocol))
            }
            Key::Mark { mark, .. } => write!(formatter, "FWM {mark}"),
        }
    }
}

fn protocol_name(protocol: u16) -> &'static str {
    match protocol {
        TCP => "tcp",
        UDP => "udp",
        _ => "sctp",
    }
}

/// The steps from `actual` to `wanted`. Services of `actual` that are in neither `wanted` nor `owned` are somebody
/// else's and stay as they are.
///
/// What comes is added before what goes is removed, so that no service is empty in between.
pub fn difference(actual: &Table, wanted: &Table, owned: &BTreeSet<Key>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, entry) in &wanted.0 {
        match actual.0.get(key) {
            None => {
                changes.push(Change::AddService(entry.service.clone()));
                changes.extend(entry.servers.values().map(|one| Change::AddServer(*key, one.clone())));
            }
            Some(there) => service_difference(key, there, entry, &mut changes),
        }
    }
    let gone = owned.iter().filter(|key| actual.0.contains_key(key) && !wanted.0.contains_key(key));
    changes.extend(gone.map(|key| Change::DeleteService(*key)));
    changes
}

fn service_difference(key: &Key, actual: &Entry, wanted: &Entry, changes: &mut Vec<Change>) {
    if !is_same_service(&actual.service, &wanted.service) {
        changes.push(Change::EditService(wanted.service.clone()));
    }
    for (server, one) in &wanted.servers {
        match actual.servers.get(server) {
            None => changes.push(Change::AddServer(*key, one.clone())),
            Some(there) if !is_same_server(there, one) => changes.push(Change::EditServer(*key, one.clone())),
            Some(_) => {}
        }
    }
    let gone = actual.servers.iter().filter(|(server, _)| !wanted.servers.contains_key(server));
    changes.extend(gone.map(|(_, one)| Change::DeleteServer(*key, one.clone())));
}

/// Whether the settings are the same; counters and the kernel's own flag aside.
fn is_same_service(one: &Service, other: &Service) -> bool {
    one.scheduler == other.scheduler
        && one.flags.0 & !Flags::HASHED == other.flags.0 & !Flags::HASHED
        && one.engine == other.engine
        && (!one.flags.has(Flags::PERSISTENT) || one.timeout == other.timeout && one.netmask == other.netmask)
}

fn is_same_server(one: &Destination, other: &Destination) -> bool {
    one.forward == other.forward
        && one.weight == other.weight
        && one.upper_threshold == other.upper_threshold
        && one.lower_threshold == other.lower_threshold
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink::ipvs::Forward;

    fn key(port: u16) -> Key {
        Key::Address { protocol: TCP, address: [10, 0, 0, 1].into(), port }
    }

    fn server(last: u8, weight: u32) -> Destination {
        Destination::new([10, 1, 0, last].into(), 80, Forward::Masquerade, weight)
    }

    fn table(rows: &[(u16, &[(u8, u32)])]) -> Table {
        let mut table = Table::default();
        for (port, servers) in rows {
            let servers = servers.iter().map(|(last, weight)| server(*last, *weight));
            table.insert(Service::new(key(*port), "rr"), servers);
        }
        table
    }

    #[test]
    fn a_table_that_is_as_wanted_needs_nothing() {
        let mut actual = table(&[(80, &[(1, 1), (2, 1)])]);
        let wanted = actual.clone();
        for entry in actual.0.values_mut() {
            entry.service.flags.0 |= Flags::HASHED;
            entry.service.statistics.connections = 9;
            entry.servers.values_mut().for_each(|one| one.active = 3);
        }
        assert_eq!(difference(&actual, &wanted, &BTreeSet::new()), []);
    }

    #[test]
    fn servers_come_before_others_go() {
        let actual = table(&[(80, &[(1, 1), (2, 1)])]);
        let wanted = table(&[(80, &[(2, 5), (3, 1)])]);
        let expected = [
            Change::EditServer(key(80), server(2, 5)),
            Change::AddServer(key(80), server(3, 1)),
            Change::DeleteServer(key(80), server(1, 1)),
        ];
        assert_eq!(difference(&actual, &wanted, &BTreeSet::new()), expected);
    }

    #[test]
    fn foreign_services_stay_and_own_ones_go() {
        let actual = table(&[(80, &[(1, 1)]), (81, &[]), (82, &[])]);
        let wanted = table(&[(83, &[(1, 1)])]);
        let expected = [
            Change::AddService(Service::new(key(83), "rr")),
            Change::AddServer(key(83), server(1, 1)),
            Change::DeleteService(key(81)),
        ];
        assert_eq!(difference(&actual, &wanted, &BTreeSet::from([key(81), key(99)])), expected);
    }

    #[test]
    fn a_service_with_other_settings_is_changed_in_place() {
        let actual = table(&[(80, &[(1, 1)])]);
        let mut wanted = actual.clone();
        let service = &mut wanted.0.get_mut(&key(80)).expect("there").service;
        service.scheduler = "wlc".to_owned();
        let expected = [Change::EditService(service.clone())];
        assert_eq!(difference(&actual, &wanted, &BTreeSet::new()), expected);
    }
}
