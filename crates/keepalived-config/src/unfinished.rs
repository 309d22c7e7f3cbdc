//! Keywords that are read into the model while the rest of the program does nothing with them yet. One list, so that a
//! row goes away with the change that gives it effect. Using one is a notice; the docs say the same.

/// Why a whole group of keywords has no effect.
const NO_BUFFERS: &str = "sockets have the system's buffers";
const NO_OPTION: &str = "the route is set without it";

/// Block, keywords, what is lacking.
const UNFINISHED: &[(&str, &[&str], &str)] = &[
    ("the file", &["interface_up_down_delays"], "links count at once"),
    ("global_defs", &["vrrp_rlimit_rttime", "vrrp_rlimit_rtime"], "the system's settings hold"),
    ("global_defs", &["disable_local_igmp"], "IGMP is left alone"),
    ("global_defs", &["vmac_addr_prefix"], "addresses elsewhere get no macvlan"),
    (
        "global_defs",
        &["vrrp_garp_extra_if", "vrrp_vmac_garp_intvl"],
        "GARPs leave by the addresses' interfaces only",
    ),
    ("global_defs", &["reload_time_file", "reload_repeat", "reload_file"], "reloads come by signal only"),
    (
        "global_defs",
        &[
            "vrrp_netlink_cmd_rcv_bufs",
            "vrrp_netlink_cmd_rcv_bufs_force",
            "vrrp_netlink_monitor_rcv_bufs",
            "vrrp_netlink_monitor_rcv_bufs_force",
            "lvs_netlink_cmd_rcv_bufs",
            "lvs_netlink_cmd_rcv_bufs_force",
            "lvs_netlink_monitor_rcv_bufs",
            "lvs_netlink_monitor_rcv_bufs_force",
            "process_monitor_rcv_bufs",
            "process_monitor_rcv_bufs_force",
        ],
        NO_BUFFERS,
    ),
    ("vrrp_instance", &["vrf"], "adverts do not leave by a VRF"),
    ("vrrp_instance", &["use_vmac_addr"], "addresses elsewhere get no macvlan"),
    ("vrrp_instance", &["use_ipvlan"], "no ipvlan is made"),
    ("vrrp_instance", &["unicast_fault_no_peer"], "an instance without peers is no FAULT"),
    ("vrrp_instance", &["old_unicast_checksum"], "both forms of the checksum are taken"),
    ("vrrp_instance", &["kernel_rx_buf_size"], NO_BUFFERS),
    ("vrrp_instance", &["garp_extra_if", "vmac_garp_intvl"], "GARPs leave by the addresses' interfaces only"),
    ("address line", &["use_vmac"], "the address gets no macvlan of its own"),
    (
        "route line",
        &[
            "expires",
            "hoplimit",
            "advmss",
            "rtt",
            "rttvar",
            "reordering",
            "window",
            "cwnd",
            "ssthresh",
            "realms",
            "rto_min",
            "initcwnd",
            "initrwnd",
            "features",
            "quickack",
            "congctl",
            "pref",
            "ttl-propagate",
            "fastopen_no_cookie",
        ],
        NO_OPTION,
    ),
];

/// What a keyword of a block lacks; `None`: nothing.
pub(crate) fn lack(block: &str, name: &str) -> Option<&'static str> {
    let block = if block == "root" { "the file" } else { block };
    UNFINISHED.iter().find(|row| row.0 == block && row.1.contains(&name)).map(|row| row.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_a_keyword_that_is_in_a_table() {
        let listed = crate::listing::all();
        for (block, names, _) in UNFINISHED {
            let block = if *block == "the file" { "root" } else { block };
            for name in *names {
                assert!(listed.iter().any(|row| row.block == block && row.name == *name), "{block} {name}");
            }
        }
    }
}
