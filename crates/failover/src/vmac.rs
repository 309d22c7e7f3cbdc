//! Interfaces of an instance's own: a macvlan with the virtual router's hardware address. Makes it, sets its sysctls and
//! those of the interface below as keepalived does, and takes all of it back. Runs on the ordinary side: it writes files.

use crate::kernel::{Kernel, gone_is_fine};
use keepalived_config::model::{Family, Instance, OwnInterface};
use netlink::Address;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// A macvlan to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macvlan {
    pub name: String,
    pub base: String,
    pub mac: [u8; 6],
    pub ipv6: bool,
    pub group: Option<u32>,
}

/// What the configuration wants, for one instance.
pub fn wanted(instance: &Instance, name_prefix: &str) -> Option<Macvlan> {
    let OwnInterface::Macvlan { name, mac, netlink_notify: _, group } = &instance.own_interface else {
        return None;
    };
    let ipv6 = instance.family == Family::Ipv6;
    let standard = [0, 0, 0x5e, 0, if ipv6 { 2 } else { 1 }, instance.virtual_router_id];
    Some(Macvlan {
        name: name.clone().unwrap_or_else(|| format!("{name_prefix}.{}", instance.virtual_router_id)),
        base: instance.interface.clone()?,
        mac: mac.unwrap_or(standard),
        ipv6,
        group: *group,
    })
}

/// The macvlans that are there, and what the interfaces below them had before.
#[derive(Debug, Default)]
pub struct Macvlans {
    made: Vec<Macvlan>,
    /// Setting, and its value before us.
    before: BTreeMap<PathBuf, String>,
}

/// What happened to one, for the log.
pub type Outcome = (String, io::Result<()>);

impl Macvlans {
    /// Makes what is wanted and not there, removes what is there and not wanted. One left by a predecessor is taken over.
    pub fn apply(&mut self, kernel: &mut Kernel, wanted: &[Macvlan]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let old = std::mem::take(&mut self.made);
        for gone in old.iter().filter(|one| !wanted.contains(one)) {
            outcomes.push((format!("removing VMAC interface {}", gone.name), remove(kernel, &gone.name)));
        }
        for macvlan in wanted {
            if !old.contains(macvlan) {
                let result = self.make(kernel, macvlan);
                outcomes.push((format!("creating VMAC interface {}", macvlan.name), result));
            }
            self.made.push(macvlan.clone());
        }
        outcomes
    }

    /// They went away without us, and are to be made again.
    pub fn forget(&mut self, is_gone: impl Fn(&Macvlan) -> bool) {
        self.made.retain(|macvlan| !is_gone(macvlan));
    }

    fn make(&mut self, kernel: &mut Kernel, macvlan: &Macvlan) -> io::Result<()> {
        let missing = || io::Error::from(rustix::io::Errno::NODEV);
        let base = kernel.interfaces.by_name(&macvlan.base).cloned().ok_or_else(missing)?;
        let there = kernel.interfaces.by_name(&macvlan.name).is_some_and(|there| {
            there.link.base == Some(base.link.index) && there.link.ethernet_address() == Some(macvlan.mac)
        });
        if !there {
            remove(kernel, &macvlan.name)?;
            kernel.request(|sequence| {
                netlink::link::add_macvlan(sequence, &macvlan.name, base.link.index, macvlan.mac)
            })?;
            kernel.read_all()?;
        }
        let index = kernel.interfaces.index_of(&macvlan.name).ok_or_else(missing)?;
        for (interface, settings) in [
            (
                &macvlan.name,
                [
                    ("arp_ignore", "1"),
                    ("accept_local", "1"),
                    ("promote_secondaries", "1"),
                    ("rp_filter", "0"),
                ]
                .as_slice(),
            ),
            (&macvlan.base, [("arp_ignore", "1"), ("arp_filter", "1")].as_slice()),
        ] {
            for (setting, value) in settings {
                self.set(&format!("ipv4/conf/{interface}/{setting}"), value, interface == &macvlan.base)?;
            }
        }
        if macvlan.ipv6 {
            kernel.request(|sequence| netlink::link::without_link_local(sequence, index))?;
        } else {
            self.set(&format!("ipv6/conf/{}/disable_ipv6", macvlan.name), "1", false)?;
        }
        if let Some(group) = macvlan.group {
            kernel.request(|sequence| netlink::link::set_group(sequence, index, group))?;
        }
        kernel.request(|sequence| netlink::link::set_up(sequence, index, true))?;
        // Adverts leave with the base's link-local address; deprecated, so that nothing else uses it as a source.
        if macvlan.ipv6
            && let Some(local) = base.primary(true, &[])
        {
            let mut address = Address::new(index, local, 64);
            address.flags = netlink::address::NO_DETECTION;
            address.preferred_lifetime = 0;
            kernel.add_address(&address)?;
        }
        kernel.read_all()
    }

    /// Makes the interfaces keep their other addresses when their first goes (`promote_secondaries`).
    ///
    /// # Errors
    /// What the file system says.
    pub fn promote_secondaries(&mut self, interfaces: &[String]) -> io::Result<()> {
        interfaces
            .iter()
            .try_for_each(|name| self.set(&format!("ipv4/conf/{name}/promote_secondaries"), "1", true))
    }

    /// Writes a setting below /proc/sys/net. Kernels without it, or with IPv6 off, are no error.
    fn set(&mut self, setting: &str, value: &str, restore: bool) -> io::Result<()> {
        let path = PathBuf::from("/proc/sys/net").join(setting);
        let before = match std::fs::read_to_string(&path) {
            Ok(before) => before.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if before == value {
            return Ok(());
        }
        std::fs::write(&path, value)?;
        if restore {
            self.before.entry(path).or_insert(before);
        }
        Ok(())
    }

    /// Takes everything back, at the end.
    pub fn remove_all(&mut self, kernel: &mut Kernel) -> Vec<Outcome> {
        let outcomes = self.apply(kernel, &[]);
        for (path, value) in std::mem::take(&mut self.before) {
            // The interface may be gone.
            let _ = std::fs::write(path, value);
        }
        outcomes
    }
}

fn remove(kernel: &mut Kernel, name: &str) -> io::Result<()> {
    let Some(index) = kernel.interfaces.index_of(name) else { return Ok(()) };
    gone_is_fine(kernel.request(|sequence| netlink::link::remove(sequence, index)))?;
    kernel.read_all()
}
