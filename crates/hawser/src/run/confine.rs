//! What each strand of `hawser run` may still do once it works: see docs/decisions/0020-strands-give-up-rights.md.
//!
//! ```text
//!  proxy's worker   no right (but what `source … usesrc` and `set-mark` need), no program, no file that it could change
//!  dashboard        the same
//!  failover         CAP_NET_ADMIN, CAP_NET_RAW, and what changing to the users of its scripts takes
//! ```
//! Started alone, as HAProxy or keepalived, the strands keep what those keep.

use haproxy_config::model::Source;
use rules::{HttpAction, StreamAction, TcpAction};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set, set_capabilities,
};
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use sys::confine::Beside;

/// Set for what a supervisor starts, and for what that starts of ourselves.
const VARIABLE: &str = "HAWSER_CONFINED";

static IS_WANTED: AtomicBool = AtomicBool::new(false);

/// Ports below this one take a right to bind.
const PORT_FREE: u16 = 1024;

/// What no strand ever does, whoever it runs as.
const NEVER: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_personality,
    libc::SYS_unshare,
];

/// Reads whether a supervisor wants this; call before any thread exists.
pub fn take() {
    if std::env::var_os(VARIABLE).is_some() && sys::environment::remove(VARIABLE).is_ok() {
        IS_WANTED.store(true, Ordering::Relaxed);
    }
}

/// Whether this process is to confine itself.
pub fn is_wanted() -> bool {
    IS_WANTED.load(Ordering::Relaxed)
}

/// What `command` starts is to confine itself.
pub fn ask(command: &mut Command) {
    command.env(VARIABLE, "1");
}

/// What `command` starts of ourselves is to confine itself if we are.
pub fn pass_on(command: &mut Command) {
    if is_wanted() {
        ask(command);
    }
}

/// The proxy's worker, when everything is open and it has changed its user. Nothing happens without a supervisor.
///
/// # Errors
/// What the kernel says; the rights are given up as far as it went.
pub fn proxy(model: &haproxy_config::Model) -> io::Result<()> {
    if !is_wanted() {
        return Ok(());
    }
    keep(needs_of_proxy(model))?;
    let global = &model.global;
    if global.insecure_setuid_wanted {
        // A filter takes away what was asked for by name.
        return Ok(());
    }
    let runs_programs =
        global.insecure_fork_wanted || model.proxies.iter().any(|p| p.external_check.is_some());
    let uses_namespaces = uses_namespaces(model);
    filter(runs_programs, uses_namespaces)
}

/// The dashboard, when it listens.
///
/// # Errors
/// As [`proxy`].
pub fn dashboard() -> io::Result<()> {
    if !is_wanted() {
        return Ok(());
    }
    keep(CapabilitySet::empty())?;
    filter(false, false)
}

fn filter(runs_programs: bool, uses_namespaces: bool) -> io::Result<()> {
    let mut calls = NEVER.to_vec();
    if !uses_namespaces {
        calls.push(libc::SYS_setns);
    }
    // A program writes where it likes; without programs nothing does.
    sys::confine::refuse(&calls, if runs_programs { Beside::Nothing } else { Beside::ProgramsAndFiles })
}

fn uses_namespaces(model: &haproxy_config::Model) -> bool {
    let servers = model.proxies.iter().flat_map(|proxy| &proxy.servers);
    servers.into_iter().any(|server| server.namespace.is_some())
}

/// Rights of a worker for what its configuration does while it serves.
fn needs_of_proxy(model: &haproxy_config::Model) -> CapabilitySet {
    let mut needs = CapabilitySet::empty();
    let proxies = model.proxies.iter();
    let servers = || model.proxies.iter().flat_map(|proxy| &proxy.servers);
    let sources = proxies.filter_map(|proxy| proxy.source.as_ref());
    for source in sources.chain(servers().filter_map(|server| server.source.as_ref())) {
        needs |= needs_of_source(source);
    }
    if uses_namespaces(model) {
        needs |= CapabilitySet::SYS_ADMIN;
    }
    if marks_packets(model) {
        // Linux takes it for SO_MARK since 5.17, and it changes nothing of the network's configuration.
        needs |= CapabilitySet::NET_RAW;
    }
    needs
}

fn needs_of_source(source: &Source) -> CapabilitySet {
    let mut needs = CapabilitySet::empty();
    if source.use_client_ip {
        needs |= CapabilitySet::NET_RAW;
    }
    let is_low = source.ports.is_some_and(|(first, _)| first < PORT_FREE);
    if is_low || source.use_client_port {
        needs |= CapabilitySet::NET_BIND_SERVICE;
    }
    needs
}

fn marks_packets(model: &haproxy_config::Model) -> bool {
    let is_mark = |action: &StreamAction| matches!(action, StreamAction::SetMark(_));
    model.proxies.iter().any(|proxy| {
        let tcp = proxy.tcp_request_connection.iter().chain(&proxy.tcp_request_session);
        let tcp = tcp.chain(&proxy.tcp_request_content).chain(&proxy.tcp_response_content);
        let http = proxy.http_request.iter().chain(&proxy.http_response).chain(&proxy.http_after_response);
        tcp.into_iter().any(|rule| matches!(&rule.action, TcpAction::Stream(action) if is_mark(action)))
            || http
                .into_iter()
                .any(|rule| matches!(&rule.action, HttpAction::Stream(action) if is_mark(action)))
    })
}

/// A process of failover. `starting`: threads that are punctual have yet to be started. Programs that run as root get by exec
/// what the bounding set holds; where there are none, nothing can be gained at all. Nothing happens without a supervisor.
///
/// # Errors
/// As [`proxy`].
pub fn failover(model: &keepalived_config::Model, starting: bool) -> io::Result<()> {
    if !is_wanted() {
        return Ok(());
    }
    let runs_programs = model.commands().next().is_some();
    let mut needs = needs_of_failover(model);
    if starting {
        needs |= CapabilitySet::SYS_NICE;
    }
    if runs_programs {
        return keep_permitted(needs);
    }
    sys::process::forbid_new_privileges()?;
    keep(needs)
}

/// Whether rights were given up that this configuration needs: it came with a reload.
pub fn failover_lacks(model: &keepalived_config::Model) -> bool {
    if !is_wanted() {
        return false;
    }
    let held = capabilities(None).map_or(CapabilitySet::empty(), |held| held.permitted);
    let is_locked = rustix::thread::no_new_privs().unwrap_or(false);
    !held.contains(needs_of_failover(model)) || (is_locked && model.commands().next().is_some())
}

fn needs_of_failover(model: &keepalived_config::Model) -> CapabilitySet {
    let mut needs = CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW;
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if model.commands().any(|command| command.run_as.user != user || command.run_as.group != group) {
        needs |= CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL;
    }
    let global = &model.global;
    if [&global.notify_fifo, &global.vrrp_notify_fifo, &global.lvs_notify_fifo]
        .into_iter()
        .any(Option::is_some)
    {
        needs |= CapabilitySet::CHOWN | CapabilitySet::FOWNER | CapabilitySet::DAC_OVERRIDE;
    }
    if global.net_namespace.is_some() || global.net_namespace_ipvs.is_some() {
        needs |= CapabilitySet::SYS_ADMIN;
    }
    needs
}

/// Gives up every other right for good, also for programs that are started later.
fn keep(kept: CapabilitySet) -> io::Result<()> {
    for right in CapabilitySet::all().difference(kept).iter() {
        // Without CAP_SETPCAP, as under our units, the bounding set stays; `no_new_privs` is what counts then.
        let _ = remove_capability_from_bounding_set(right);
    }
    keep_permitted(kept)
}

fn keep_permitted(kept: CapabilitySet) -> io::Result<()> {
    let held = capabilities(None)?.permitted.intersection(kept);
    Ok(set_capabilities(
        None,
        CapabilitySets { effective: held, permitted: held, inheritable: CapabilitySet::empty() },
    )?)
}
