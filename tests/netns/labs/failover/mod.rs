//! Failover in labs of three hosts: `a` and `b` hold an address between them, `c` is their client.

mod adverts;
mod bfd;
mod dumps;
mod frr;
mod host;
mod interop;
mod late;
mod life;
mod outage;
mod points;
mod scale;
mod settings;
mod snmp;

use netns::hosts::Vrrp;

/// The part of a configuration that every lab shares, one instance and what it says beside its defaults.
pub fn configuration(priority: u8, address: &str, more: &str) -> String {
    format!(
        "global_defs {{\n script_user root\n}}\n\
         vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n{more}\n\
         virtual_ipaddress {{\n {address}\n }}\n}}\n"
    )
}

/// Runs the scenario with keepalived and with hawser; both must see the same.
#[track_caller]
pub fn same<T: PartialEq + std::fmt::Debug>(scenario: impl Fn(Vrrp) -> T) -> T {
    let keepalived = scenario(Vrrp::Keepalived);
    let hawser = scenario(Vrrp::Hawser);
    assert_eq!(hawser, keepalived, "hawser on the left, keepalived on the right");
    hawser
}
