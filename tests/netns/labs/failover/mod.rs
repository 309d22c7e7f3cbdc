//! Failover in labs of three hosts: `a` and `b` hold an address between them, `c` is their client.

mod interop;
mod outage;

/// The part of a configuration that every lab shares, one instance and what it says beside its defaults.
pub fn configuration(priority: u8, address: &str, more: &str) -> String {
    format!(
        "global_defs {{\n script_user root\n}}\n\
         vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n{more}\n\
         virtual_ipaddress {{\n {address}\n }}\n}}\n"
    )
}
