//! The MIBs: which object is where, and what it says. Each module is a part of a tree; all of them fill one [`Build`].
//! Numbers and types are those that keepalived 2.2.7 shows; where it contradicts its own MIB, the MIB holds
//! (docs/decisions/0021-snmp.md).

mod addresses;
mod build;
mod global;
mod groups;
mod instances;
mod rfc2787;
mod rfc6527;
mod routes;
mod rules;
mod trackers;

pub use build::{Build, Row, address_type, number, octets, shown, truth};
pub use global::global;
pub use instances::initial_state;

use crate::office::dumps::View;
use agentx::{Oid, Tree};
use keepalived_config::model::Snmp;

/// keepalived's subtree: enterprises, Debian, a project of it.
const KEEPALIVED: [u32; 9] = [1, 3, 6, 1, 4, 1, 9586, 100, 5];
/// mib-2
const MIB_2: [u32; 6] = [1, 3, 6, 1, 2, 1];
/// `vrrpMIB` and `vrrpv3MIB` in mib-2.
const RFC_2787: u32 = 68;
const RFC_6527: u32 = 207;

/// A name in keepalived's subtree: 1 global, 2 VRRP, 3 checkers.
pub fn keepalived(more: &[u32]) -> Oid {
    Oid::new(&KEEPALIVED).with(more)
}

pub(super) fn rfc_2787(more: &[u32]) -> Oid {
    Oid::new(&MIB_2).with(&[RFC_2787]).with(more)
}

pub(super) fn rfc_6527(more: &[u32]) -> Oid {
    Oid::new(&MIB_2).with(&[RFC_6527]).with(more)
}

/// What the VRRP process answers for, each with a line on it.
/// `shows_daemon`: no other process shows what there is of the daemon as a whole.
pub fn subtrees(snmp: &Snmp, shows_daemon: bool) -> Vec<(Oid, String)> {
    let parts = [
        (snmp.vrrp && shows_daemon, keepalived(&[1]), "KEEPALIVED-MIB: the daemon"),
        (snmp.vrrp, keepalived(&[2]), "KEEPALIVED-MIB: VRRP"),
        (snmp.rfc_v2, rfc_2787(&[]), "VRRP-MIB (RFC 2787)"),
        (snmp.rfc_v3, rfc_6527(&[]), "VRRPV3-MIB (RFC 6527)"),
    ];
    let wanted = parts.into_iter().filter(|(is_wanted, ..)| *is_wanted);
    wanted.map(|(_, subtree, line)| (subtree, line.to_owned())).collect()
}

/// Everything of the VRRP process, as the view has it.
pub fn tree(view: &View<'_>) -> Tree {
    let mut build = Build::default();
    let snmp = &view.model.global.snmp;
    if snmp.vrrp {
        global(&mut build, view.model, view.host_name);
        groups::groups(&mut build, view);
        instances::instances(&mut build, view);
        addresses::addresses(&mut build, view);
        routes::routes(&mut build, view);
        rules::rules(&mut build, view);
        trackers::trackers(&mut build, view);
    }
    if snmp.rfc_v2 {
        rfc2787::rfc2787(&mut build, view);
    }
    if snmp.rfc_v3 {
        rfc6527::rfc6527(&mut build, view);
    }
    build.finish()
}
