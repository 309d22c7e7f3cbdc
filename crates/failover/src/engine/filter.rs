//! Addresses that are held but not to be answered on (`no_accept`, strict mode): packets to and from them are dropped by
//! nftables, in a table of ours with a set of addresses. Neighbour discovery passes.

use crate::kernel::{Kernel, gone_is_fine};
use netlink::nftables::{Batch, Hook, Side, Verdict};
use netlink::{FAMILY_IPV4, FAMILY_IPV6};
use std::io;
use std::net::IpAddr;

const SET: &str = "vips";
const CHAIN_IN: &str = "in";
const CHAIN_OUT: &str = "out";
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// The tables that are there.
#[derive(Debug, Default)]
pub struct Filter {
    table: String,
    priority: i32,
    made: Vec<u8>,
}

impl Filter {
    pub fn configure(&mut self, table: &str, priority: i32) {
        if self.made.is_empty() {
            table.clone_into(&mut self.table);
            self.priority = priority;
        }
    }

    /// Drops packets to and from these addresses, or lets them be again.
    ///
    /// # Errors
    /// What nftables says.
    pub fn set(&mut self, kernel: &mut Kernel, addresses: &[IpAddr], dropped: bool) -> io::Result<()> {
        for family in [FAMILY_IPV4, FAMILY_IPV6] {
            let of_family: Vec<IpAddr> =
                addresses.iter().copied().filter(|address| netlink::family(*address) == family).collect();
            if of_family.is_empty() || (!dropped && !self.made.contains(&family)) {
                continue;
            }
            if !self.made.contains(&family) {
                self.make(kernel, family)?;
            }
            let change = |sequence| {
                let mut batch = Batch::new(family, sequence);
                batch.change_elements(&self.table, SET, &of_family, dropped);
                batch
            };
            let result = kernel.filter(change);
            // Taking out what is not in is what we want.
            if dropped { result? } else { gone_is_fine(result)? }
        }
        Ok(())
    }

    fn make(&mut self, kernel: &mut Kernel, family: u8) -> io::Result<()> {
        let table = self.table.clone();
        // A table left by a predecessor goes first; a table that is not there fails alone.
        gone_is_fine(kernel.filter(|sequence| {
            let mut batch = Batch::new(family, sequence);
            batch.remove_table(&table);
            batch
        }))?;
        let priority = self.priority;
        kernel.filter(|sequence| {
            let mut batch = Batch::new(family, sequence);
            batch.add_table(&table).add_set(&table, SET);
            batch.add_chain(&table, CHAIN_IN, Hook::Input, priority);
            batch.add_chain(&table, CHAIN_OUT, Hook::Output, priority);
            if family == FAMILY_IPV6 {
                for chain in [CHAIN_IN, CHAIN_OUT] {
                    for kind in [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT] {
                        batch.add_icmpv6(&table, chain, kind, Verdict::Accept);
                    }
                }
            }
            batch.add_lookup(&table, CHAIN_IN, Side::Destination, SET, Verdict::Drop);
            batch.add_lookup(&table, CHAIN_OUT, Side::Source, SET, Verdict::Drop);
            batch
        })?;
        self.made.push(family);
        Ok(())
    }

    /// Removes the tables, at the end.
    pub fn remove(&mut self, kernel: &mut Kernel) {
        for family in std::mem::take(&mut self.made) {
            let table = self.table.clone();
            // Somebody may have removed it before us.
            let _ = kernel.filter(|sequence| {
                let mut batch = Batch::new(family, sequence);
                batch.remove_table(&table);
                batch
            });
        }
    }
}
