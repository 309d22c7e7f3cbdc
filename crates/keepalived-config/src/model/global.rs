//! `global_defs` and the other blocks that concern the whole daemon.

use super::{Command, Garp, RunAs, Snmp, Version, Witness};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

/// Mail notices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Smtp {
    pub to: Vec<String>,
    /// `None`: `keepalived@HOST`.
    pub from: Option<String>,
    /// Host name or address.
    pub server: Option<String>,
    /// 25 when not given.
    pub port: Option<u16>,
    pub helo_name: Option<String>,
    /// 30 s when not given.
    pub connect_timeout: Option<Duration>,
    /// Defaults of `smtp_alert`.
    pub alert: Option<bool>,
    pub alert_vrrp: Option<bool>,
    pub alert_checker: Option<bool>,
    pub no_faults: bool,
    pub no_checker_emails: bool,
    /// `smtp_auth`: user and password. Ours.
    pub credentials: Option<(String, String)>,
    pub security: SmtpSecurity,
    /// `smtp_ca_file`: authorities beside the system's. Ours.
    pub ca_file: Option<PathBuf>,
}

/// How the conversation with the mail relay is protected. Ours; keepalived's is plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SmtpSecurity {
    #[default]
    None,
    /// `smtp_starttls`: STARTTLS, or no mail.
    StartTls,
    /// `smtp_tls`: TLS from the first byte (port 465).
    Tls,
}

/// A named pipe for events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fifo {
    pub path: PathBuf,
    /// Owner of the pipe.
    pub owner: Option<RunAs>,
    /// Reads it; the path is appended.
    pub script: Option<Command>,
}

/// `nftables`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nftables {
    pub table: String,
    pub priority: i32,
    pub counters: bool,
    pub by_index: bool,
}

/// Scheduling of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessTuning {
    pub name: Option<String>,
    /// −20..=19
    pub nice: Option<i8>,
    pub no_swap: bool,
    /// SCHED_RR, 1..=99
    pub realtime_priority: Option<u8>,
    /// Microseconds.
    pub realtime_limit: Option<u64>,
    pub cpus: Vec<u32>,
}

/// Buffers of netlink and advert sockets, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceiveBuffers {
    pub vrrp_command: Option<u32>,
    pub vrrp_command_force: bool,
    pub vrrp_monitor: Option<u32>,
    pub vrrp_monitor_force: bool,
    pub lvs_command: Option<u32>,
    pub lvs_command_force: bool,
    pub lvs_monitor: Option<u32>,
    pub lvs_monitor_force: bool,
    pub process_monitor: Option<u32>,
    pub process_monitor_force: bool,
}

/// `lvs_sync_daemon`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncDaemon {
    pub interface: String,
    /// Name of the instance whose state it follows.
    pub instance: Option<String>,
    pub sync_id: Option<u8>,
    pub length_max: Option<u16>,
    pub port: Option<u16>,
    pub ttl: Option<u8>,
    pub group: Option<IpAddr>,
}

/// `lvs_timeouts`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LvsTimeouts {
    pub tcp: Option<Duration>,
    pub tcp_fin: Option<Duration>,
    pub udp: Option<Duration>,
}

/// `lvs_flush_on_stop`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LvsFlush {
    #[default]
    No,
    All,
    /// Own virtual servers only.
    VirtualServers,
}

/// Periodic GARPs on interfaces other than the instance's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtraInterface {
    pub interval: Duration,
    /// Not only on macvlans.
    pub all: bool,
}

/// `garp_group`: how fast GARPs and NAs may follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GarpGroup {
    pub garp_interval: Option<Duration>,
    pub gna_interval: Option<Duration>,
    /// They share the limits.
    pub interfaces: Vec<String>,
}

/// A line of `interface_up_down_delays`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceDelay {
    pub interface: String,
    pub down: Duration,
    pub up: Duration,
}

/// Daemon-wide settings with their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    pub router_id: Option<String>,
    /// `instance`: several daemons side by side.
    pub instance: Option<String>,
    pub net_namespace: Option<String>,
    pub net_namespace_ipvs: Option<String>,
    pub use_pid_directory: bool,
    pub child_wait_time: Duration,
    pub smtp: Smtp,
    pub process_name: Option<String>,
    pub vrrp_process: ProcessTuning,
    pub checker_process: ProcessTuning,
    pub bfd_process: ProcessTuning,
    /// −1: not raised and not warned about.
    pub max_auto_priority: i32,
    /// Microseconds.
    pub min_auto_priority_delay: u32,
    pub startup_script: Option<Command>,
    pub startup_script_timeout: Duration,
    pub shutdown_script: Option<Command>,
    pub shutdown_script_timeout: Duration,
    pub script_security: bool,
    /// `script_user`, or the user the daemon chooses by itself.
    pub script_user: RunAs,
    /// `script_user` was given.
    pub script_user_given: bool,
    pub dynamic_interfaces: bool,
    /// `dynamic_interfaces allow_if_changes`
    pub interface_changes: bool,
    /// Of static addresses without `dev`, and of the virtual ones of instances without interface.
    pub default_interface: Option<String>,
    pub disable_local_igmp: bool,
    pub multicast_group4: Ipv4Addr,
    pub multicast_group6: Ipv6Addr,
    pub version: Version,
    pub strict: bool,
    pub check_unicast_source: bool,
    pub skip_check_advert_addresses: bool,
    pub down_timer_adverts: u8,
    /// Defaults of the instances.
    pub garp: Garp,
    pub lower_priority_no_advert: Option<bool>,
    pub higher_priority_send_advert: Option<bool>,
    pub owner_ignore_adverts: bool,
    pub v3_checksum_as_v2: bool,
    /// Between GARPs on one interface.
    pub garp_interval: Duration,
    /// Between unsolicited NAs on one interface.
    pub gna_interval: Duration,
    /// `Some`: filtering by nftables was asked for by name.
    pub nftables: Option<Nftables>,
    /// `nftables_ipvs`: table, priority.
    pub nftables_ipvs: Option<Nftables>,
    pub nftables_ipvs_start_mark: u32,
    /// `vrrp_iptables`: chains in and out.
    pub iptables: Option<(String, Option<String>)>,
    pub notify_fifo: Option<Fifo>,
    pub vrrp_notify_fifo: Option<Fifo>,
    pub lvs_notify_fifo: Option<Fifo>,
    pub notify_priority_changes: bool,
    /// States go to the pipes after a reload too.
    pub fifo_states_on_reload: bool,
    pub vrrp_startup_delay: Duration,
    /// Hold VRRP back until this long after boot.
    pub vrrp_delay_after_boot: Duration,
    pub log_unknown_vrids: bool,
    pub vmac_prefix: String,
    pub vmac_address_prefix: String,
    pub umask: Option<u32>,
    pub poll_links: bool,
    pub receive_buffers: ReceiveBuffers,
    pub sync_daemon: Option<SyncDaemon>,
    pub lvs_timeouts: LvsTimeouts,
    pub lvs_flush: bool,
    pub lvs_flush_on_stop: LvsFlush,
    pub real_server_init_notifies: bool,
    pub checker_log_all_failures: bool,
    /// Put the instance name into the names of dump files.
    pub data_use_instance: bool,
    pub state_dump_file: Option<PathBuf>,
    pub stats_dump_file: Option<PathBuf>,
    pub json_dump_file: Option<PathBuf>,
    /// 1 or 2.
    pub json_version: u8,
    /// `reload_check_config`; we always check first, the file gets the messages.
    pub reload_check_log: Option<PathBuf>,
    pub reload_time_file: Option<PathBuf>,
    pub reload_repeat: bool,
    /// `reload_file`: there while configuration is read. Empty path: the default one.
    pub reload_file: Option<PathBuf>,
    /// `vrrp_witness`: of instances without one of their own.
    pub witness: Option<Witness>,
    pub snmp: Snmp,
    pub dbus: bool,
}

impl Default for Global {
    fn default() -> Self {
        Global {
            router_id: None,
            instance: None,
            net_namespace: None,
            net_namespace_ipvs: None,
            use_pid_directory: false,
            child_wait_time: Duration::from_secs(5),
            smtp: Smtp::default(),
            process_name: None,
            vrrp_process: ProcessTuning::default(),
            checker_process: ProcessTuning::default(),
            bfd_process: ProcessTuning::default(),
            max_auto_priority: 0,
            min_auto_priority_delay: 1_000_000,
            startup_script: None,
            startup_script_timeout: Duration::from_secs(10),
            shutdown_script: None,
            shutdown_script_timeout: Duration::from_secs(10),
            script_security: false,
            script_user: RunAs { user: 0, group: 0 },
            script_user_given: false,
            dynamic_interfaces: false,
            interface_changes: false,
            default_interface: None,
            disable_local_igmp: false,
            multicast_group4: Ipv4Addr::new(224, 0, 0, 18),
            multicast_group6: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            version: Version::V2,
            strict: false,
            check_unicast_source: false,
            skip_check_advert_addresses: false,
            down_timer_adverts: 3,
            garp: Garp::default(),
            lower_priority_no_advert: None,
            higher_priority_send_advert: None,
            owner_ignore_adverts: false,
            v3_checksum_as_v2: false,
            garp_interval: Duration::ZERO,
            gna_interval: Duration::ZERO,
            nftables: None,
            nftables_ipvs: None,
            nftables_ipvs_start_mark: 1000,
            iptables: None,
            notify_fifo: None,
            vrrp_notify_fifo: None,
            lvs_notify_fifo: None,
            notify_priority_changes: false,
            fifo_states_on_reload: false,
            vrrp_startup_delay: Duration::ZERO,
            vrrp_delay_after_boot: Duration::ZERO,
            log_unknown_vrids: false,
            vmac_prefix: "vrrp".to_owned(),
            vmac_address_prefix: "vrrp".to_owned(),
            umask: None,
            poll_links: false,
            receive_buffers: ReceiveBuffers::default(),
            sync_daemon: None,
            lvs_timeouts: LvsTimeouts::default(),
            lvs_flush: false,
            lvs_flush_on_stop: LvsFlush::No,
            real_server_init_notifies: false,
            checker_log_all_failures: false,
            data_use_instance: false,
            state_dump_file: None,
            stats_dump_file: None,
            json_dump_file: None,
            json_version: 1,
            reload_check_log: None,
            reload_time_file: None,
            reload_repeat: false,
            reload_file: None,
            witness: None,
            snmp: Snmp::default(),
            dbus: false,
        }
    }
}
