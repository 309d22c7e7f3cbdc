//! Keywords of `global_defs` that concern the daemon, scripts, pipes, processes and IPVS.

use super::{FifoDraft, GlobalDraft};
use crate::arguments::Arguments;
use crate::command::{command_and_user, find_user};
use crate::context::{Context, Outcome, fail};
use crate::keywords::Status::{NoEffect, Old, ParsedOnly, Works};
use crate::keywords::{Keyword, Status, assign, line, read};
use crate::model::{Fifo, LvsFlush, ProcessTuning, SyncDaemon};
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

const TIMEOUT_MAX: i64 = 1000;
const PORT_DEFAULT_LENGTH: i64 = 65_507;
/// Each address of a group is a service of its own in the kernel, which balances as one by a mark does.
const NO_MARKS: Status = NoEffect;
const ONE_PROCESS: Status = ParsedOnly("all strands run in one process");

pub(super) static DAEMON: &[Keyword<GlobalDraft>] = &[
    line(
        "router_id",
        Works,
        read!(global.router_id = Some(string("a name"))),
        "name of this machine in mails and logs",
    ),
    line(
        "checker_log_all_failures",
        Works,
        read!(global.checker_log_all_failures = switch()),
        "log every failed check",
    ),
    line("startup_script", Works, startup_script, "command run before everything else"),
    line("startup_script_timeout", Works, startup_timeout, "its longest run (10 s)"),
    line("shutdown_script", Works, shutdown_script, "command run after everything else"),
    line("shutdown_script_timeout", Works, shutdown_timeout, "its longest run (10 s)"),
    line("script_user", Works, script_user, "default user and group of scripts"),
    line(
        "enable_script_security",
        Works,
        assign!(global.script_security = true),
        "no root scripts that others may change",
    ),
    line("use_symlink_paths", NoEffect, ignore_switch, "paths of scripts are never resolved"),
    line(
        "set_supplementary_groups",
        ParsedOnly("scripts get the groups of their user only"),
        ignore_switch,
        "scripts get all groups of their user",
    ),
    line(
        "notify_fifo",
        Works,
        |draft, arguments, context| fifo(&mut draft.fifo, arguments, context),
        "pipe for all events",
    ),
    line(
        "notify_fifo_script",
        Works,
        |draft, arguments, context| fifo_script(&mut draft.fifo, arguments, context),
        "reader of it",
    ),
    line(
        "vrrp_notify_fifo",
        Works,
        |draft, arguments, context| fifo(&mut draft.vrrp_fifo, arguments, context),
        "pipe for events of VRRP",
    ),
    line(
        "vrrp_notify_fifo_script",
        Works,
        |draft, arguments, context| fifo_script(&mut draft.vrrp_fifo, arguments, context),
        "reader of it",
    ),
    line(
        "lvs_notify_fifo",
        Works,
        |draft, arguments, context| fifo(&mut draft.lvs_fifo, arguments, context),
        "pipe for events of virtual and real servers",
    ),
    line(
        "lvs_notify_fifo_script",
        Works,
        |draft, arguments, context| fifo_script(&mut draft.lvs_fifo, arguments, context),
        "reader of it",
    ),
    line(
        "fifo_write_vrrp_states_on_reload",
        Works,
        assign!(global.fifo_states_on_reload = true),
        "states go to the pipes after a reload",
    ),
    line(
        "max_auto_priority",
        Works,
        max_auto_priority,
        "raise to real time when timers run late, up to this",
    ),
    line(
        "min_auto_priority_delay",
        Works,
        read!(global.min_auto_priority_delay = integer(1..=10_000_000) as u32),
        "lateness in µs that raises it",
    ),
    line("dynamic_interfaces", Works, dynamic_interfaces, "interfaces may come and go"),
    line(
        "default_interface",
        Works,
        read!(global.default_interface = Some(interface())),
        "device of addresses without `dev` (eth0)",
    ),
    line("process_names", NoEffect, assign!(global.process_name = None), "default names of the processes"),
    line(
        "process_name",
        ONE_PROCESS,
        read!(global.process_name = Some(string("a name"))),
        "name of the parent process",
    ),
    line(
        "vrrp_process_name",
        ONE_PROCESS,
        read!(global.vrrp_process.name = Some(string("a name"))),
        "name of the VRRP process",
    ),
    line(
        "checker_process_name",
        ONE_PROCESS,
        read!(global.checker_process.name = Some(string("a name"))),
        "name of the checker process",
    ),
    line(
        "lvs_process_name",
        ONE_PROCESS,
        read!(global.checker_process.name = Some(string("a name"))),
        "older `checker_process_name`",
    ),
    line(
        "bfd_process_name",
        ONE_PROCESS,
        read!(global.bfd_process.name = Some(string("a name"))),
        "name of the BFD process",
    ),
    line(
        "vrrp_priority",
        Works,
        |draft, arguments, _| nice(&mut draft.global.vrrp_process, arguments),
        "nice value of VRRP",
    ),
    line(
        "checker_priority",
        ONE_PROCESS,
        |draft, arguments, _| nice(&mut draft.global.checker_process, arguments),
        "nice value of the checkers",
    ),
    line(
        "bfd_priority",
        Works,
        |draft, arguments, _| nice(&mut draft.global.bfd_process, arguments),
        "nice value of BFD",
    ),
    line("vrrp_no_swap", Works, assign!(global.vrrp_process.no_swap = true), "lock VRRP in memory"),
    line(
        "checker_no_swap",
        ONE_PROCESS,
        assign!(global.checker_process.no_swap = true),
        "lock checkers in memory",
    ),
    line("bfd_no_swap", Works, assign!(global.bfd_process.no_swap = true), "lock BFD in memory"),
    line(
        "vrrp_cpu_affinity",
        Works,
        |draft, arguments, _| affinity(&mut draft.global.vrrp_process, arguments),
        "CPUs of VRRP",
    ),
    line(
        "checker_cpu_affinity",
        ONE_PROCESS,
        |draft, arguments, _| affinity(&mut draft.global.checker_process, arguments),
        "CPUs of the checkers",
    ),
    line(
        "bfd_cpu_affinity",
        Works,
        |draft, arguments, _| affinity(&mut draft.global.bfd_process, arguments),
        "CPUs of BFD",
    ),
    line(
        "vrrp_rt_priority",
        Works,
        |draft, arguments, _| realtime(&mut draft.global.vrrp_process, arguments),
        "SCHED_RR priority of VRRP",
    ),
    line(
        "checker_rt_priority",
        ONE_PROCESS,
        |draft, arguments, _| realtime(&mut draft.global.checker_process, arguments),
        "SCHED_RR priority of the checkers",
    ),
    line(
        "bfd_rt_priority",
        Works,
        |draft, arguments, _| realtime(&mut draft.global.bfd_process, arguments),
        "SCHED_RR priority of BFD",
    ),
    line(
        "vrrp_rlimit_rttime",
        Works,
        |draft, arguments, _| limit(&mut draft.global.vrrp_process, arguments),
        "RLIMIT_RTTIME of VRRP",
    ),
    line(
        "vrrp_rlimit_rtime",
        Old("vrrp_rlimit_rttime"),
        |draft, arguments, _| limit(&mut draft.global.vrrp_process, arguments),
        "the same, misspelt",
    ),
    line(
        "checker_rlimit_rttime",
        ONE_PROCESS,
        |draft, arguments, _| limit(&mut draft.global.checker_process, arguments),
        "RLIMIT_RTTIME of the checkers",
    ),
    line(
        "checker_rlimit_rtime",
        ONE_PROCESS,
        |draft, arguments, _| limit(&mut draft.global.checker_process, arguments),
        "the same, misspelt",
    ),
    line(
        "bfd_rlimit_rttime",
        ONE_PROCESS,
        |draft, arguments, _| limit(&mut draft.global.bfd_process, arguments),
        "RLIMIT_RTTIME of BFD",
    ),
    line(
        "bfd_rlimit_rtime",
        ONE_PROCESS,
        |draft, arguments, _| limit(&mut draft.global.bfd_process, arguments),
        "the same, misspelt",
    ),
    line("lvs_sync_daemon", Works, sync_daemon, "the connection sync daemon of IPVS"),
    line("lvs_timeouts", Works, lvs_timeouts, "timeouts of IPVS connections"),
    line("lvs_flush", Works, assign!(global.lvs_flush = true), "empty the IPVS table at start"),
    line("lvs_flush_on_stop", Works, flush_on_stop, "empty the IPVS table at stop"),
    line("lvs_flush_onstop", Works, flush_on_stop, "older `lvs_flush_on_stop`"),
    line(
        "rs_init_notifies",
        Works,
        assign!(global.real_server_init_notifies = true),
        "run notify_up at start",
    ),
    line("nftables_ipvs", NO_MARKS, nftables_ipvs, "marks for virtual server groups"),
    line(
        "nftables_ipvs_priority",
        NO_MARKS,
        read!(nftables_ipvs_priority = Some(integer(-2_147_483_648..=2_147_483_647) as i32)),
        "priority of that chain",
    ),
    line(
        "nftables_ipvs_start_fwmark",
        NO_MARKS,
        read!(global.nftables_ipvs_start_mark = integer(1..=4_294_967_295) as u32),
        "first mark (1000)",
    ),
    line("umask", Works, umask, "rights that new files do not get"),
    line(
        "random_seed",
        Works,
        |_, arguments, _| arguments.integer(0..=4_294_967_295).map(|_| ()),
        "seed of `${_RANDOM}`",
    ),
    line("include_check", Works, include_check, "which problems of an include are errors"),
    line("reload_check_config", Works, reload_check, "file for the messages of the check before a reload"),
    line("reload_time_file", Works, absolute_reload_time, "file with the time of a reload"),
    line("reload_repeat", Works, assign!(global.reload_repeat = true), "reload daily at that time"),
    line("reload_file", Works, reload_file, "file that is there while configuration is read"),
    line(
        "data_use_instance",
        Works,
        read!(global.data_use_instance = switch()),
        "the instance's name in dump files",
    ),
    line(
        "state_dump_file",
        Works,
        read!(global.state_dump_file = Some(path("a path"))),
        "path of the SIGUSR1 dump",
    ),
    line(
        "state_file_location",
        Works,
        read!(global.state_dump_file = Some(path("a path"))),
        "the same, in the manual page",
    ),
    line(
        "stats_dump_file",
        Works,
        read!(global.stats_dump_file = Some(path("a path"))),
        "path of the SIGUSR2 dump",
    ),
    line(
        "stats_file_location",
        Works,
        read!(global.stats_dump_file = Some(path("a path"))),
        "the same, in the manual page",
    ),
    line(
        "json_dump_file",
        Works,
        read!(global.json_dump_file = Some(path("a path"))),
        "path of the JSON dump",
    ),
    line(
        "json_file_location",
        Works,
        read!(global.json_dump_file = Some(path("a path"))),
        "the same, in the manual page",
    ),
    line("json_version", Works, read!(global.json_version = integer(1..=2) as u8), "layout of the JSON dump"),
    line(
        "iproute_usr_dir",
        ParsedOnly("names are looked up in the usual directories"),
        ignore_words,
        "directory of iproute2's tables",
    ),
    line(
        "iproute_etc_dir",
        ParsedOnly("names are looked up in the usual directories"),
        ignore_words,
        "directory of iproute2's tables",
    ),
    line("tmp_config_directory", NoEffect, ignore_words, "configuration is never copied to a file"),
    line(
        "config_save_dir",
        ParsedOnly("configurations are not saved around a reload"),
        ignore_words,
        "copies of configurations",
    ),
    line(
        "process_monitor_rcv_bufs",
        Works,
        read!(global.receive_buffers.process_monitor = Some(integer(1..=2_147_483_647) as u32)),
        "buffer for process events",
    ),
    line(
        "process_monitor_rcv_bufs_force",
        Works,
        read!(global.receive_buffers.process_monitor_force = switch()),
        "beyond rmem_max",
    ),
    line(
        "lvs_netlink_cmd_rcv_bufs",
        Works,
        read!(global.receive_buffers.lvs_command = Some(integer(1..=2_147_483_647) as u32)),
        "buffer for answers about IPVS",
    ),
    line(
        "lvs_netlink_cmd_rcv_bufs_force",
        Works,
        read!(global.receive_buffers.lvs_command_force = switch()),
        "beyond rmem_max",
    ),
    line(
        "lvs_netlink_monitor_rcv_bufs",
        Works,
        read!(global.receive_buffers.lvs_monitor = Some(integer(1..=2_147_483_647) as u32)),
        "buffer for events of the checkers",
    ),
    line(
        "lvs_netlink_monitor_rcv_bufs_force",
        Works,
        read!(global.receive_buffers.lvs_monitor_force = switch()),
        "beyond rmem_max",
    ),
];

fn ignore_words(_: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

fn ignore_switch(_: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.switch().map(|_| ())
}

fn startup_script(draft: &mut GlobalDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.scripts.push(arguments.end());
    draft.global.startup_script = command_and_user(arguments, context)?;
    Ok(())
}

fn shutdown_script(draft: &mut GlobalDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.scripts.push(arguments.end());
    draft.global.shutdown_script = command_and_user(arguments, context)?;
    Ok(())
}

fn startup_timeout(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.startup_script_timeout = Duration::from_secs(arguments.integer(1..=TIMEOUT_MAX)? as u64);
    Ok(())
}

fn shutdown_timeout(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.shutdown_script_timeout = Duration::from_secs(arguments.integer(1..=TIMEOUT_MAX)? as u64);
    Ok(())
}

fn script_user(draft: &mut GlobalDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let user = arguments.word("a user")?;
    let group = arguments.next();
    draft.global.script_user = find_user(&user, group.as_ref(), context)?;
    draft.global.script_user_given = true;
    draft.script_user_span = Some(user.span);
    // Scripts named later, in this block too, run as this user.
    context.script_user = draft.global.script_user;
    Ok(())
}

fn fifo(draft: &mut FifoDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let path = arguments.word("the path of a pipe")?;
    let owner = match arguments.next() {
        Some(user) => {
            let group = arguments.next();
            Some(find_user(&user, group.as_ref(), context)?)
        }
        None => None,
    };
    draft.fifo = Some((Fifo { path: path.value.into(), owner, script: None }, path.span));
    Ok(())
}

fn fifo_script(draft: &mut FifoDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let insecure = context.insecure_scripts;
    draft.script = command_and_user(arguments, context)?;
    // keepalived's test does not count readers of pipes that no event reaches.
    context.insecure_scripts = insecure;
    Ok(())
}

fn max_auto_priority(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let given = arguments.peek().is_some();
    draft.global.max_auto_priority = if given { arguments.integer(-1..=99)? as i32 } else { 99 };
    Ok(())
}

fn dynamic_interfaces(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.dynamic_interfaces = true;
    match arguments.next() {
        None => {}
        Some(word) if word.value == "allow_if_changes" => draft.global.interface_changes = true,
        Some(word) => return fail(word.span, format!("`{}` is not `allow_if_changes`", word.value)),
    }
    Ok(())
}

fn nice(process: &mut ProcessTuning, arguments: Args<'_, '_>) -> Outcome {
    process.nice = Some(arguments.integer(-20..=19)? as i8);
    Ok(())
}

fn realtime(process: &mut ProcessTuning, arguments: Args<'_, '_>) -> Outcome {
    process.realtime_priority = Some(arguments.integer(1..=99)? as u8);
    Ok(())
}

fn limit(process: &mut ProcessTuning, arguments: Args<'_, '_>) -> Outcome {
    process.realtime_limit = Some(arguments.integer(1..=i64::from(u32::MAX))? as u64);
    Ok(())
}

/// Largest CPU number, CPU_SETSIZE − 1.
const CPU_MAX: i64 = 1023;

fn affinity(process: &mut ProcessTuning, arguments: Args<'_, '_>) -> Outcome {
    let first = arguments.integer(0..=CPU_MAX)?;
    process.cpus = vec![first as u32];
    while arguments.peek().is_some() {
        process.cpus.push(arguments.integer(0..=CPU_MAX)? as u32);
    }
    Ok(())
}

fn sync_daemon(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let interface = arguments.interface()?;
    let mut daemon = SyncDaemon {
        interface,
        instance: None,
        sync_id: None,
        length_max: None,
        port: None,
        ttl: None,
        group: None,
    };
    let mut first = true;
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "id" => daemon.sync_id = Some(arguments.integer(0..=255)? as u8),
            "maxlen" => daemon.length_max = Some(arguments.integer(1..=PORT_DEFAULT_LENGTH)? as u16),
            "port" => daemon.port = Some(arguments.port()?),
            "ttl" => daemon.ttl = Some(arguments.integer(1..=255)? as u8),
            "group" => {
                let at = arguments.peek().map_or(word.span, |word| word.span);
                let group = arguments.address()?;
                if !group.is_multicast() {
                    return fail(at, format!("{group} is not a multicast address"));
                }
                daemon.group = Some(group);
            }
            "inst" => daemon.instance = Some(arguments.string("the name of an instance")?),
            // Without `inst`, as older files have it.
            _ if first => daemon.instance = Some(word.value),
            other => return fail(word.span, format!("unknown option `{other}` of lvs_sync_daemon")),
        }
        first = false;
    }
    draft.global.sync_daemon = Some(daemon);
    Ok(())
}

/// Longest timeout of a connection in IPVS: 31 days.
const CONNECTION_TIMEOUT_MAX: i64 = 31 * 86_400;

fn lvs_timeouts(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    if arguments.peek().is_none() {
        return fail(arguments.end(), "`lvs_timeouts` needs at least one of tcp, tcpfin and udp");
    }
    while let Some(word) = arguments.next() {
        let timeouts = &mut draft.global.lvs_timeouts;
        let target = match word.value.as_str() {
            "tcp" => &mut timeouts.tcp,
            "tcpfin" => &mut timeouts.tcp_fin,
            "udp" => &mut timeouts.udp,
            other => return fail(word.span, format!("`{other}` is none of tcp, tcpfin and udp")),
        };
        *target = Some(Duration::from_secs(arguments.integer(0..=CONNECTION_TIMEOUT_MAX)? as u64));
    }
    Ok(())
}

fn flush_on_stop(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.lvs_flush_on_stop = match arguments.next() {
        None => LvsFlush::All,
        Some(word) if word.value == "VS" => LvsFlush::VirtualServers,
        Some(word) => return fail(word.span, format!("`{}` is not `VS`", word.value)),
    };
    Ok(())
}

fn nftables_ipvs(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let table = arguments.next().map_or_else(|| "keepalived_ipvs".to_owned(), |word| word.value);
    draft.global.nftables_ipvs =
        Some(crate::model::Nftables { table, priority: -1, counters: false, by_index: false });
    Ok(())
}

fn umask(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a mask")?;
    if word.value.starts_with(|c: char| c.is_ascii_digit()) {
        draft.global.umask = Some(crate::arguments::any_base(&word, 0..=0o777)? as u32);
        return Ok(());
    }
    let mut mask = 0;
    for bit in word.value.split('|') {
        let shift = match bit.trim().get(2..) {
            Some("USR") => 6,
            Some("GRP") => 3,
            Some("OTH") => 0,
            _ => return fail(word.span, format!("`{bit}` is none of IRUSR, IWUSR, IXUSR, IRGRP, …, IXOTH")),
        };
        mask |= match bit.trim().get(..2) {
            Some("IR") => 4 << shift,
            Some("IW") => 2 << shift,
            Some("IX") => 1 << shift,
            _ => return fail(word.span, format!("`{bit}` is none of IRUSR, IWUSR, IXUSR, IRGRP, …, IXOTH")),
        };
    }
    draft.global.umask = Some(mask);
    Ok(())
}

fn include_check(_: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // The reader has acted on it already.
    const CHECKS: [&str; 4] = ["readable", "match", "wildcard_match", "brace_match"];
    for word in arguments.rest() {
        let name = word.value.strip_prefix(['+', '-']).unwrap_or(&word.value);
        if !CHECKS.contains(&name) {
            return Err(crate::keywords::unknown("check", &word, "include_check", CHECKS));
        }
    }
    Ok(())
}

fn reload_check(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // A file is always checked before a reload.
    draft.global.reload_check_log = arguments.next().map(|word| word.value.into());
    Ok(())
}

fn absolute_reload_time(
    draft: &mut GlobalDraft,
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    let word = arguments.word("an absolute path")?;
    if !word.value.starts_with('/') {
        context.advise(diag::Diagnostic::warning(word.span, "this path should start with `/`"));
    }
    draft.global.reload_time_file = Some(word.value.into());
    Ok(())
}

fn reload_file(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.reload_file = Some(arguments.next().map(|word| word.value.into()).unwrap_or_default());
    Ok(())
}
