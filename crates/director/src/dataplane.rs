//! The planes that carry packets: what the director needs of each, and the kernel's IPVS as one.
//!
//! A plane is told single steps; the director computes them with [`crate::table::difference`], so that a plane keeps no
//! plan of its own. A second plane, of our own XDP programs, implements the same trait: its services and real servers
//! are maps, and a step is a map update (see `docs/director.md`).

use crate::kernel::{Kernel, Refusal};
use crate::remembered::{Remembered, remembered};
use crate::table::{Change, Table, difference};
use netlink::ipvs::{Destination, Key, Reply, Request, Service};
use std::collections::BTreeSet;
use std::io::BufReader;

const CONNECTIONS: &str = "/proc/net/ip_vs_conn";

/// What carries the packets of virtual services.
pub trait Dataplane {
    /// Everything that is there, ours or not, with its counters.
    ///
    /// # Errors
    /// The plane cannot be asked.
    fn read(&mut self) -> Result<Table, Refusal>;

    /// Takes one step.
    ///
    /// # Errors
    /// The plane refuses it; nothing has changed.
    fn apply(&mut self, change: &Change) -> Result<(), Refusal>;

    /// Takes several steps; a plane that is written service by service may write each but once. A refused step keeps no
    /// other from being taken. Returns those that were refused, by their place.
    fn apply_all(&mut self, changes: &[Change]) -> Vec<(usize, Refusal)> {
        let steps = changes.iter().enumerate();
        steps.filter_map(|(at, change)| self.apply(change).err().map(|refusal| (at, refusal))).collect()
    }

    /// Connections that are over and only remembered, where the plane can tell; without an answer all count as in use.
    fn remembered(&mut self) -> Remembered {
        Remembered::new()
    }
}

/// The kernel's IP virtual server.
#[derive(Debug)]
pub struct Ipvs {
    kernel: Kernel,
}

impl Ipvs {
    /// # Errors
    /// `ENOPROTOOPT` where the kernel has no IPVS.
    pub fn open() -> Result<Self, Refusal> {
        Ok(Self { kernel: Kernel::open()? })
    }

    /// The kernel's, or our own plane at its socket: see [`Kernel::any`].
    ///
    /// # Errors
    /// `ENOPROTOOPT` where neither is there.
    pub fn any() -> Result<Self, Refusal> {
        Ok(Self { kernel: Kernel::any()? })
    }

    fn services(&mut self) -> Result<Vec<Service>, Refusal> {
        let replies = self.kernel.ask(&Request::Services)?;
        Ok(replies
            .into_iter()
            .filter_map(|reply| match reply {
                Reply::Service(service) => Some(service),
                Reply::Destination(_)
                | Reply::Daemon(_)
                | Reply::Timeouts(_)
                | Reply::Information(_)
                | Reply::Connection(_) => None,
            })
            .collect())
    }

    fn servers(&mut self, key: &Key) -> Result<Vec<Destination>, Refusal> {
        let replies = self.kernel.ask(&Request::Destinations(key))?;
        Ok(replies
            .into_iter()
            .filter_map(|reply| match reply {
                Reply::Destination(server) => Some(server),
                Reply::Service(_)
                | Reply::Daemon(_)
                | Reply::Timeouts(_)
                | Reply::Information(_)
                | Reply::Connection(_) => None,
            })
            .collect())
    }
}

impl Dataplane for Ipvs {
    fn remembered(&mut self) -> Remembered {
        // Another namespace's connections are not there, and all of them count.
        let file = std::fs::File::open(CONNECTIONS);
        file.ok().and_then(|file| remembered(BufReader::new(file))).unwrap_or_default()
    }

    fn read(&mut self) -> Result<Table, Refusal> {
        let mut table = Table::default();
        for service in self.services()? {
            let servers = self.servers(&service.key)?;
            table.insert(service, servers);
        }
        Ok(table)
    }

    fn apply(&mut self, change: &Change) -> Result<(), Refusal> {
        let request = match change {
            Change::AddService(service) => Request::AddService(service),
            Change::EditService(service) => Request::EditService(service),
            Change::DeleteService(key) => Request::DeleteService(key),
            Change::AddServer(key, server) => Request::AddDestination(key, server),
            Change::EditServer(key, server) => Request::EditDestination(key, server),
            Change::DeleteServer(key, server) => Request::DeleteDestination(key, server),
        };
        self.kernel.ask(&request).map(drop)
    }
}

/// A step that the plane refused.
#[derive(Debug)]
pub struct Failed {
    pub change: Change,
    pub refusal: Refusal,
}

/// Brings the plane to `wanted`. A refused step keeps no other step from being taken, but for those that need it: the
/// real servers of a service that could not be added.
///
/// # Errors
/// The plane cannot be read. What it refused is in the list.
pub fn bring_to(
    plane: &mut dyn Dataplane,
    wanted: &Table,
    owned: &BTreeSet<Key>,
) -> Result<Vec<Failed>, Refusal> {
    let actual = plane.read()?;
    let changes = difference(&actual, wanted, owned);
    let refused = plane.apply_all(&changes);
    let is_service = |at: usize| matches!(changes[at], Change::AddService(_));
    let missing: BTreeSet<Key> =
        refused.iter().filter(|(at, _)| is_service(*at)).map(|(at, _)| *changes[*at].key()).collect();
    // What a service that is not there refuses besides says nothing new.
    let told = refused.into_iter().filter(|(at, _)| is_service(*at) || !missing.contains(changes[*at].key()));
    Ok(told.map(|(at, refusal)| Failed { change: changes[at].clone(), refusal }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink::ipvs::{Forward, TCP};

    /// Refuses the service of port 81, and keeps what it took.
    #[derive(Default)]
    struct Picky(Vec<Change>);

    impl Dataplane for Picky {
        fn read(&mut self) -> Result<Table, Refusal> {
            Ok(Table::default())
        }

        fn apply(&mut self, change: &Change) -> Result<(), Refusal> {
            if let Change::AddService(Service { key: Key::Address { port: 81, .. }, .. }) = change {
                return Err(Refusal::Kernel(2));
            }
            self.0.push(change.clone());
            Ok(())
        }
    }

    #[test]
    fn a_refused_service_does_not_keep_the_others_out() {
        let mut wanted = Table::default();
        for port in [80, 81, 82] {
            let key = Key::Address { protocol: TCP, address: [10, 0, 0, 1].into(), port };
            let server = Destination::new([10, 1, 0, 1].into(), port, Forward::Route, 1);
            wanted.insert(Service::new(key, "rr"), [server]);
        }
        let mut plane = Picky::default();
        let failed = bring_to(&mut plane, &wanted, &BTreeSet::new()).expect("it can be read");
        let services = plane.0.iter().filter(|change| matches!(change, Change::AddService(_))).count();
        assert_eq!(services, 2, "{:?}", plane.0);
        assert_eq!(failed.len(), 1);
        let text = format!("cannot {}: {}", failed[0].change, failed[0].refusal);
        assert_eq!(text, "cannot add service [10.0.0.1]:tcp:81: No such file or directory");
    }
}
