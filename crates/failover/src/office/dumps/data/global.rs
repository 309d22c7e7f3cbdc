//! What the whole daemon is set to: the first part of the dump, and all that keepalived's parent process writes.

use super::{on, seconds};
use keepalived_config::Model;
use keepalived_config::model::{Fifo, Garp, LvsFlush, ProcessTuning, UnicastChecksum, Version};
use std::fmt::Write;

/// keepalived's defaults where a file says nothing.
const HELO_TIMEOUT: u64 = 30;
const REALTIME_LIMIT: u64 = 10_000;
const RECEIVE_BUFFERS: u32 = 3;
const UMASK: u32 = 0o177;

fn yes(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// The mode of the checksum of unicast adverts of version 2.
pub(super) fn checksum(mode: UnicastChecksum) -> &'static str {
    match mode {
        UnicastChecksum::Auto => "no",
        UnicastChecksum::Old => "yes",
        UnicastChecksum::Never => "never",
    }
}

/// `of_vrrp`: as keepalived's VRRP process writes it; the others do not say all.
pub(in super::super) fn global_definitions(model: &Model, host_name: &str, of_vrrp: bool) -> String {
    let global = &model.global;
    let option = |flag: Option<bool>| flag.map_or("unset", |flag| if flag { "on" } else { "off" });
    let mut text = String::from("------< Global definitions >------\n");
    let mut put = |line: String| {
        let _ = writeln!(text, " {line}");
    };
    put(format!("Network namespace = {}", global.net_namespace.as_deref().unwrap_or("(default)")));
    let of_ipvs = global.net_namespace_ipvs.as_deref().unwrap_or("(main namespace)");
    put(format!("Network namespace ipvs = {of_ipvs}"));
    put(format!("Router ID = {}", global.router_id.as_deref().unwrap_or(host_name)));
    if let Some(server) = &global.smtp.server {
        put(format!("Smtp server = {server}"));
        put(format!("Smtp server port = {}", global.smtp.port.unwrap_or(25)));
        // Without anybody to write to, keepalived does not look for a name of its own.
        let own = (!global.smtp.to.is_empty()).then_some(host_name);
        if let Some(name) = global.smtp.helo_name.as_deref().or(own) {
            put(format!("Smtp HELO name = {name}"));
        }
        let timeout = global.smtp.connect_timeout.map_or(HELO_TIMEOUT, |timeout| timeout.as_secs());
        put(format!("Smtp server connection timeout = {timeout}"));
    }
    if let Some(from) = &global.smtp.from {
        put(format!("Email notification from = {from}"));
    }
    if !global.smtp.to.is_empty() {
        put("Email notification to:".to_owned());
        global.smtp.to.iter().for_each(|to| put(format!("  {to}")));
    }
    put(format!("Default smtp_alert = {}", option(global.smtp.alert)));
    put(format!("Default smtp_alert_vrrp = {}", option(global.smtp.alert_vrrp)));
    put(format!("Default smtp_alert_checker = {}", option(global.smtp.alert_checker)));
    put(format!("Checkers log all failures = {}", yes(global.checker_log_all_failures)));
    if global.reload_check_log.is_none() {
        put("No test config before reload".to_owned());
    }
    put(format!("Dynamic interfaces = {}", yes(global.dynamic_interfaces)));
    if of_vrrp {
        put(format!("Default interface = {}", global.default_interface.as_deref().unwrap_or("eth0")));
    }
    let timeouts = &global.lvs_timeouts;
    // keepalived calls the last one TCP's too.
    for (name, timeout) in [("TCP", timeouts.tcp), ("TCP FIN", timeouts.tcp_fin), ("TCP", timeouts.udp)] {
        if let Some(timeout) = timeout {
            put(format!("LVS {name} timeout = {}", timeout.as_secs()));
        }
    }
    put(format!("Disable local IGMP = {}", super::yes_no(global.disable_local_igmp)));
    put(format!("LVS flush = {}", yes(global.lvs_flush)));
    put(format!(
        "LVS flush on stop = {}",
        match global.lvs_flush_on_stop {
            LvsFlush::No => "disabled",
            LvsFlush::All => "full",
            LvsFlush::VirtualServers => "VS",
        }
    ));
    fifo("Global", global.notify_fifo.as_ref(), &mut put);
    fifo("LVS", global.lvs_notify_fifo.as_ref(), &mut put);
    put(format!("FIFO write vrrp states on reload = {}", yes(global.fifo_states_on_reload)));
    put(format!("VRRP notify priority changes = {}", yes(global.notify_priority_changes)));
    put(format!("VRRP IPv4 mcast group = {}", global.multicast_group4));
    put(format!("VRRP IPv6 mcast group = {}", global.multicast_group6));
    garp(&global.garp, &mut put);
    put(format!("Num adverts before down = {}", global.down_timer_adverts));
    put("Gratuitous ARP for each secondary VMAC = 0s".to_owned());
    let silent = global.lower_priority_no_advert == Some(true);
    put(format!("Send advert after receive lower priority advert = {}", yes(!silent)));
    let speaks = global.higher_priority_send_advert == Some(true);
    put(format!("Send advert after receive higher priority advert = {}", yes(speaks)));
    put(format!("Gratuitous ARP interval = {:.6}", global.garp_interval.as_secs_f64()));
    put(format!("Gratuitous NA interval = {:.6}", global.gna_interval.as_secs_f64()));
    let version = match global.version {
        Version::V2 => 2,
        Version::V3 => 3,
    };
    put(format!("VRRP default protocol version = {version}"));
    let counts = global.nftables.as_ref().is_some_and(|filter| filter.counters);
    put(format!("nftables {} counters", if counts { "with" } else { "without" }));
    put(format!("VRRP check unicast_src = {}", yes(global.check_unicast_source)));
    put(format!("VRRP skip check advert addresses = {}", yes(global.skip_check_advert_addresses)));
    put(format!("VRRP strict mode = {}", yes(global.strict)));
    put(format!("Max auto priority = {}", global.max_auto_priority));
    put(format!("Min auto priority delay = {} usecs", global.min_auto_priority_delay));
    process("VRRP", &global.vrrp_process, &mut put);
    process("Checker", &global.checker_process, &mut put);
    process("BFD", &global.bfd_process, &mut put);
    let snmp = &global.snmp;
    for (part, is_on) in [
        ("vrrp", snmp.vrrp),
        ("checker", snmp.checker),
        ("RFCv2", snmp.rfc_v2),
        ("RFCv3", snmp.rfc_v3),
        ("traps", snmp.traps),
    ] {
        put(format!("SNMP {part} {}", on(is_on)));
    }
    if let Some(socket) = &snmp.socket {
        put(format!("SNMP socket = {socket}"));
    }
    // There is no such service, whatever the file asks for.
    put("DBus disabled".to_owned());
    put(format!("Script security {}", on(global.script_security)));
    put(format!("Default script uid:gid {}:{}", global.script_user.user, global.script_user.group));
    let buffers = &global.receive_buffers;
    for (name, bytes, force) in [
        ("vrrp_netlink_cmd", buffers.vrrp_command, buffers.vrrp_command_force),
        ("vrrp_netlink_monitor", buffers.vrrp_monitor, buffers.vrrp_monitor_force),
        ("process_monitor", buffers.process_monitor, buffers.process_monitor_force),
        ("lvs_netlink_cmd", buffers.lvs_command, buffers.lvs_command_force),
        ("lvs_netlink_monitor", buffers.lvs_monitor, buffers.lvs_monitor_force),
    ] {
        put(format!("{name}_rcv_bufs = {}", bytes.unwrap_or(0)));
        put(format!("{name}_rcv_bufs_force = {}", u8::from(force)));
    }
    put(format!("rs_init_notifies = {}", u8::from(global.real_server_init_notifies)));
    put(format!("no_checker_emails = {}", u8::from(global.smtp.no_checker_emails)));
    put(format!("rx_bufs_multiples = {RECEIVE_BUFFERS}"));
    put(format!("umask = 0{:o}", global.umask.unwrap_or(UMASK)));
    text
}

/// `LVS notify fifo = /run/lvs.fifo, uid:gid 0:0`
fn fifo(name: &str, fifo: Option<&Fifo>, put: &mut impl FnMut(String)) {
    let Some(fifo) = fifo else { return };
    let (user, group) = fifo.owner.map_or((0, 0), |owner| (owner.user, owner.group));
    put(format!("{name} notify fifo = {}, uid:gid {user}:{group}", fifo.path.display()));
    if let Some(script) = &fifo.script {
        let (words, run_as) = (super::command_line(script), script.run_as);
        put(format!("{name} notify fifo script = {words}, uid:gid {}:{}", run_as.user, run_as.group));
    }
}

fn garp(garp: &Garp, put: &mut impl FnMut(String)) {
    put(format!("Gratuitous ARP delay = {}", seconds(garp.master_delay)));
    put(format!("Gratuitous ARP repeat = {}", garp.master_repeat));
    put(format!("Gratuitous ARP refresh timer = {}", seconds(garp.refresh)));
    put(format!("Gratuitous ARP refresh repeat = {}", garp.refresh_repeat));
    put(format!("Gratuitous ARP lower priority delay = {}", seconds(garp.lower_priority_delay)));
    put(format!("Gratuitous ARP lower priority repeat = {}", garp.lower_priority_repeat));
}

fn process(name: &str, tuning: &ProcessTuning, put: &mut impl FnMut(String)) {
    put(format!("{name} process priority = {}", tuning.nice.unwrap_or(0)));
    put(format!("{name} don't swap = {}", yes(tuning.no_swap)));
    put(format!("{name} realtime priority = {}", tuning.realtime_priority.unwrap_or(0)));
    put(format!("{name} realtime limit = {}", tuning.realtime_limit.unwrap_or(REALTIME_LIMIT)));
}
