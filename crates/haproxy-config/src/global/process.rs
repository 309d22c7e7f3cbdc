//! Global keywords about the process: identity, limits, logs, sockets, files.

use super::{GlobalDraft, cpu_map};
use crate::bind;
use crate::keywords::Status::{Idle, NoEffect, ParsedOnly, Refused, Works};
use crate::keywords::{Keyword, assign, read, row, unknown};
use crate::log;
use crate::model::{ProcessValue, Profiling, StatsSocket};
use crate::parse::{Arguments, Context, Outcome, Prefix, fail};
use crate::scope;
use crate::users;
use diag::Diagnostic;
use rules::log_format::Dialect;
use rules::{AclSet, Expr, Place, VariableName, VariableScope};
use std::path::PathBuf;

const LUA: crate::keywords::Status = Refused("Lua is not implemented");
const DEVICES: crate::keywords::Status = Refused("device detection is not implemented");

/// Everything but `tune.*`.
pub(super) static KEYWORDS: &[Keyword<GlobalDraft>] = &[
    row("51degrees-cache-size", DEVICES, words, "device detection"),
    row("51degrees-data-file", DEVICES, words, "device detection"),
    row("51degrees-property-name-list", DEVICES, words, "device detection"),
    row("51degrees-property-separator", DEVICES, words, "device detection"),
    row("busy-polling", NoEffect, words, "never sleep in the poller"),
    row("chroot", Works, chroot, "change the root directory after the start"),
    row("close-spread-time", NoEffect, words, "time over which idle connections are closed when stopping"),
    row("cluster-secret", Idle, words, "secret shared by a cluster"),
    row("cpu-map", Works, cpu_map, "CPUs that threads run on"),
    row("daemon", Works, daemon, "run in the background"),
    row("debug", NoEffect, words, "stay in the foreground"),
    row("default-path", Works, default_path, "where relative file names start"),
    row("description", Works, description, "text on the statistics page"),
    row("deviceatlas-json-file", DEVICES, words, "device detection"),
    row("deviceatlas-log-level", DEVICES, words, "device detection"),
    row("deviceatlas-properties-cookie", DEVICES, words, "device detection"),
    row("deviceatlas-separator", DEVICES, words, "device detection"),
    row("expose-deprecated-directives", NoEffect, words, "accept deprecated directives"),
    row("expose-experimental-directives", NoEffect, words, "accept experimental directives"),
    row("external-check", Works, assign!(global.external_check = true), "allow `option external-check`"),
    row("fd-hard-limit", Works, fd_hard_limit, "most descriptors, whatever the system allows"),
    row("gid", Works, gid, "group number to run as"),
    row("grace", Works, read!(global.grace = Some(duration)), "time between a stop signal and the end"),
    row("group", Works, group, "group to run as"),
    row("h1-accept-payload-with-any-method", NoEffect, words, "bodies on any method"),
    row("h1-case-adjust", Works, case_adjust, "spelling of header names"),
    row("h1-case-adjust-file", Works, case_adjust_file, "file of spellings"),
    row("h2-workaround-bogus-websocket-clients", Idle, words, "no WebSocket over HTTP/2"),
    row("hard-stop-after", Works, read!(global.hard_stop_after = Some(duration)), "longest soft stop"),
    row("httpclient.resolvers.disabled", Idle, words, "internal HTTP client"),
    row("httpclient.resolvers.id", Idle, words, "internal HTTP client"),
    row("httpclient.resolvers.prefer", Idle, words, "internal HTTP client"),
    row("httpclient.retries", Idle, words, "internal HTTP client"),
    row("httpclient.ssl.ca-file", Idle, words, "internal HTTP client"),
    row("httpclient.ssl.verify", Idle, words, "internal HTTP client"),
    row("httpclient.timeout.connect", Idle, words, "internal HTTP client"),
    row(
        "insecure-fork-wanted",
        Works,
        assign!(global.insecure_fork_wanted = true),
        "allow forks after the start",
    ),
    row(
        "insecure-setuid-wanted",
        Works,
        assign!(global.insecure_setuid_wanted = true),
        "allow setuid programs",
    ),
    row("localpeer", Works, read!(global.localpeer = Some(string)), "name of this peer"),
    row("log", Works, log_line, "where logs go"),
    row("log-send-hostname", Works, log_send_hostname, "host name in log headers"),
    row("log-tag", Works, read!(global.log_tag = Some(string)), "program name in log headers"),
    row("lua-load", LUA, words, "Lua"),
    row("lua-load-per-thread", LUA, words, "Lua"),
    row("lua-prepend-path", LUA, words, "Lua"),
    row("master-worker", Works, master_worker, "supervise worker processes"),
    row(
        "max-spread-checks",
        Works,
        read!(global.max_spread_checks = Some(duration)),
        "longest spread of checks",
    ),
    row(
        "maxcompcpuusage",
        Works,
        read!(global.max_compression_cpu = Some(percent)),
        "most CPU in use when a response is compressed, percent",
    ),
    row(
        "maxcomprate",
        Works,
        read!(global.max_compression_rate = Some(count)),
        "most that is compressed, kilobytes a second",
    ),
    row("maxconn", Works, maxconn, "most concurrent connections of the process"),
    row("maxconnrate", Works, read!(global.maxconnrate = limit), "most new connections a second"),
    row("maxpipes", Works, read!(global.maxpipes = limit), "most pipes for splicing"),
    row("maxsessrate", Works, read!(global.maxsessrate = limit), "most new sessions a second"),
    row("maxzlibmem", NoEffect, words, "memory limit of zlib"),
    row(
        "mworker-max-reloads",
        Works,
        read!(global.mworker_max_reloads = Some(count)),
        "reloads a worker may survive",
    ),
    row("nbproc", Works, nbproc, "old: processes"),
    row("nbthread", Works, nbthread, "worker threads"),
    row("no-memory-trimming", NoEffect, words, "keep freed memory"),
    row("no-quic", Idle, words, "no QUIC"),
    row("node", Works, read!(global.node = Some(string)), "name of this node"),
    row("noepoll", NoEffect, words, "poller choice"),
    row("noevports", NoEffect, words, "poller choice"),
    row("nogetaddrinfo", NoEffect, words, "resolver choice"),
    row("nokqueue", NoEffect, words, "poller choice"),
    row("nopoll", NoEffect, words, "poller choice"),
    row("noreuseport", Works, assign!(global.noreuseport = true), "one listening socket per address"),
    row("nosplice", Works, assign!(global.nosplice = true), "never splice"),
    row("numa-cpu-mapping", NoEffect, words, "stay on one NUMA node"),
    row("pidfile", Works, pidfile, "file that holds the process number"),
    row("pp2-never-send-local", Works, assign!(global.pp2_never_send_local = true), "PROXY header of checks"),
    row("prealloc-fd", NoEffect, words, "grow the descriptor table at the start"),
    row("presetenv", Works, environment_pair, "set an environment variable that is not set"),
    row("profiling.memory", NoEffect, words, "profiling"),
    row("profiling.tasks", Works, profiling, "time tasks"),
    row("quiet", Works, assign!(global.quiet = true), "no messages at the start"),
    row("resetenv", Works, words, "drop all environment variables but these"),
    row("server-state-base", Works, server_state_base, "directory of server state files"),
    row("server-state-file", Works, server_state_file, "file of server states"),
    row("set-dumpable", NoEffect, words, "leave core files"),
    row("set-var", Works, set_var, "set a variable of the process"),
    row("set-var-fmt", Works, set_var, "set a variable of the process by a format"),
    row("setcap", ParsedOnly("capabilities are kept as needed"), words, "capabilities kept"),
    row("setenv", Works, environment_pair, "set an environment variable"),
    row("spread-checks", Works, spread_checks, "spread of check intervals, percent"),
    row("stats", Works, stats, "runtime API: socket, timeout, maxconn"),
    row("strict-limits", Works, strict_limits, "refuse to start when limits cannot be raised"),
    row("thread-group", NoEffect, words, "threads of a group"),
    row("thread-groups", NoEffect, words, "number of thread groups"),
    row("uid", Works, uid, "user number to run as"),
    row("ulimit-n", Works, ulimit_n, "descriptor limit of the process"),
    row("unix-bind", Works, unix_bind, "defaults of UNIX listeners"),
    row("unsetenv", Works, words, "drop environment variables"),
    row("user", Works, user, "user to run as"),
    row("wurfl-cache-size", DEVICES, words, "device detection"),
    row("wurfl-data-file", DEVICES, words, "device detection"),
    row("wurfl-information-list", DEVICES, words, "device detection"),
    row("wurfl-information-list-separator", DEVICES, words, "device detection"),
    row(
        "zero-warning",
        Works,
        assign!(global.zero_warning = true),
        "refuse to start when there are warnings",
    ),
];

type Words<'a, 'l> = &'a mut Arguments<'l>;

fn profiling(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("`on`, `off` or `auto`")?;
    draft.global.profiling_tasks = match word.value.as_str() {
        "on" => Profiling::On,
        "off" => Profiling::Off,
        "auto" => Profiling::Auto,
        _ => return Err(unknown("state", word, "of profiling", ["on", "off", "auto"])),
    };
    Ok(())
}

/// Takes whatever follows: the keyword changes nothing here.
fn words(_: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

/// A setting given twice: the first stays, as in HAProxy.
fn once<T>(slot: &mut Option<T>, value: T, arguments: &Arguments<'_>, context: &mut Context<'_>) {
    match slot {
        Some(_) => context.warn(
            arguments.span(),
            format!("`{}` was set before: this line is ignored", arguments.line().text(0)),
        ),
        None => *slot = Some(value),
    }
}

/// Bytes of a file of spellings.
const SPELLINGS_LENGTH_MAX: usize = 1 << 20;

fn case_adjust(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let from = arguments.expect("a header name in lower case")?.clone();
    let to = arguments.expect("the same name as it is to be spelled")?;
    spelling(draft, &from.value, &to.value).or_else(|message| fail(to.span, message))
}

/// Two names a line; what follows `#` is a comment.
fn case_adjust_file(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a file")?;
    let path = context.path(&word.value);
    let bytes = match crate::files::read_at_most(&path, SPELLINGS_LENGTH_MAX) {
        Ok(bytes) => bytes,
        Err(error) => return fail(word.span, format!("cannot read `{}`: {error}", path.display())),
    };
    for (number, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let outcome = match line.split_whitespace().collect::<Vec<_>>()[..] {
            [] => Ok(()),
            [from, to] => spelling(draft, from, to),
            _ => Err("expected two names".to_owned()),
        };
        if let Err(message) = outcome {
            return fail(word.span, format!("{}:{}: {message}", path.display(), number + 1));
        }
    }
    Ok(())
}

fn spelling(draft: &mut GlobalDraft, from: &str, to: &str) -> Result<(), String> {
    if from.is_empty() || !from.eq_ignore_ascii_case(to) {
        return Err(format!("`{from}` and `{to}` are not the same name"));
    }
    match draft.global.h1_case_adjust.insert(from.to_ascii_lowercase(), to.to_owned()) {
        None => Ok(()),
        Some(_) => Err(format!("`{from}` was given a spelling before")),
    }
}

fn chroot(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let path = PathBuf::from(arguments.string()?);
    once(&mut draft.global.chroot, path, arguments, context);
    Ok(())
}

fn pidfile(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let path = PathBuf::from(arguments.string()?);
    once(&mut draft.global.pidfile, path, arguments, context);
    Ok(())
}

fn cpu_map(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.cpu_maps.push(cpu_map::parse(arguments)?);
    Ok(())
}

fn daemon(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.daemon = arguments.prefix == Prefix::None;
    Ok(())
}

fn strict_limits(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.strict_limits = arguments.prefix == Prefix::None;
    Ok(())
}

fn default_path(_: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("current, config, parent or origin")?;
    match word.value.as_str() {
        "current" => {}
        "origin" => context.base_directory = PathBuf::from(arguments.string()?),
        "config" => context.base_directory = context.directory_of(word.span),
        "parent" => context.base_directory = context.directory_of(word.span).join(".."),
        other => return fail(word.span, format!("`{other}` is none of current, config, parent or origin")),
    }
    Ok(())
}

fn description(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.clone().expect("a text")?;
    draft.global.description = Some(join(arguments));
    Ok(())
}

/// The rest of the line as one text.
pub(crate) fn join(arguments: &mut Arguments<'_>) -> String {
    let words: Vec<&str> = arguments.rest().iter().map(|word| word.value.as_str()).collect();
    words.join(" ")
}

fn fd_hard_limit(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.fd_hard_limit = Some(u64::from(arguments.count()?));
    Ok(())
}

fn ulimit_n(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.ulimit_n = Some(u64::from(arguments.positive()?));
    Ok(())
}

fn uid(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    if let Some(number) = number_of_account(arguments, "user", context)? {
        once(&mut draft.global.uid, number, arguments, context);
    }
    Ok(())
}

fn gid(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    if let Some(number) = number_of_account(arguments, "group", context)? {
        once(&mut draft.global.gid, number, arguments, context);
    }
    Ok(())
}

/// `None` after a warning: what is no number is ignored, as in HAProxy.
fn number_of_account(
    arguments: Words<'_, '_>,
    other: &str,
    context: &mut Context<'_>,
) -> Outcome<Option<u32>> {
    let word = arguments.expect("a number")?;
    let number = word.value.parse().ok();
    if number.is_none() {
        let message = format!("expected a number, found `{}`: the line is ignored", word.value);
        context
            .report
            .push(Diagnostic::warning(word.span, message).with_help(format!("names go with `{other}`")));
    }
    Ok(number)
}

fn user(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let number = users::expect_user(arguments)?;
    once(&mut draft.global.uid, number, arguments, context);
    Ok(())
}

fn group(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let number = users::expect_group(arguments)?;
    once(&mut draft.global.gid, number, arguments, context);
    Ok(())
}

fn maxconn(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    // What is no number counts as none given, as in HAProxy.
    if let Some(word) = arguments.peek().filter(|word| word.is_no_number()) {
        let message = format!("`{}` is no number: the limits of the system choose maxconn", word.value);
        context.warn(word.span, message);
        arguments.next();
        return Ok(());
    }
    if let Some(number) = arguments.limit()? {
        once(&mut draft.global.maxconn, number, arguments, context);
    }
    Ok(())
}

fn log_line(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    if arguments.prefix == Prefix::No {
        draft.global.log_targets.clear();
        return Ok(());
    }
    if let Some(word) = arguments.peek().filter(|word| word.value == "global") {
        return fail(word.span, "`log global` belongs into proxies: here the targets themselves are named");
    }
    draft.global.log_targets.push(log::parse(arguments, context)?);
    Ok(())
}

/// Without a name it is the system's, which only the shell knows: the empty text stands for it.
fn log_send_hostname(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.log_send_hostname =
        Some(arguments.next().map(|word| word.value.clone()).unwrap_or_default());
    Ok(())
}

fn master_worker(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.master_worker = true;
    if arguments.peek().is_some() {
        arguments.choice(&[("no-exit-on-failure", ())])?;
        draft.global.master_worker_no_exit_on_failure = true;
    }
    Ok(())
}

fn nbproc(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.nbproc = Some((arguments.integer(1..=64)? as u32, arguments.span()));
    Ok(())
}

fn nbthread(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let threads = arguments.integer(1..=64)? as u32;
    draft.nbthread = Some((threads, arguments.span()));
    draft.global.nbthread = Some(threads);
    Ok(())
}

/// The reader has applied it already, so that it works for the very next line; here its form is checked.
fn environment_pair(_: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.expect("a variable name and a value")?;
    arguments.expect("a value")?;
    Ok(())
}

fn server_state_base(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.server_state_base = Some(PathBuf::from(arguments.string()?));
    Ok(())
}

fn server_state_file(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.server_state_file = Some(PathBuf::from(arguments.string()?));
    Ok(())
}

fn spread_checks(draft: &mut GlobalDraft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let position = arguments.position();
    match arguments.integer(0..=50) {
        Ok(percent) => draft.global.spread_checks = percent as u32,
        Err(error) => {
            arguments.seek(position);
            return Err(Box::new(error.with_help("it is percent: 2 to 5 is usual, 50 the most")));
        }
    }
    Ok(())
}

fn stats(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("socket, timeout or maxconn")?;
    match word.value.as_str() {
        "socket" => {
            for mut bind in bind::parse(arguments, context)? {
                bind.id = draft.global.stats_sockets.len() as u32 + 1;
                draft.global.stats_sockets.push(StatsSocket { bind });
            }
        }
        "timeout" => {
            let timeout = arguments.interval()?;
            draft.global.stats_timeout = Some(timeout);
        }
        "maxconn" => draft.global.stats_maxconn = Some(arguments.positive()?),
        "bind-process" => {
            context.warn_old(
                word.span,
                "`stats bind-process` is an old form: there is one process",
                "drop the line",
            );
            arguments.rest();
        }
        _ => {
            let known = ["socket", "timeout", "maxconn", "bind-process"];
            return Err(crate::keywords::unknown(
                "word",
                word,
                "after `stats` in the `global` section",
                known,
            ));
        }
    }
    Ok(())
}

fn unix_bind(_: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "prefix" => context.unix_bind.prefix = arguments.string()?,
            "mode" => context.unix_bind.mode = Some(bind::octal_mode(arguments)?),
            "uid" => context.unix_bind.uid = Some(arguments.count()?),
            "gid" => context.unix_bind.gid = Some(arguments.count()?),
            "user" => context.unix_bind.uid = Some(users::expect_user(arguments)?),
            "group" => context.unix_bind.gid = Some(users::expect_group(arguments)?),
            _ => {
                let known = ["prefix", "mode", "uid", "gid", "user", "group"];
                return Err(crate::keywords::unknown("word", word, "after `unix-bind`", known));
            }
        }
    }
    Ok(())
}

/// `set-var proc.x EXPR`, `set-var-fmt proc.x FORMAT`.
fn set_var(draft: &mut GlobalDraft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let is_format = arguments.last().value == "set-var-fmt";
    let word = arguments.expect("a variable, such as proc.x")?;
    let name = VariableName::parse(word.bytes()).or_else(|message| fail(word.span, message))?;
    if name.scope != VariableScope::Process {
        return fail(word.span, "variables set here belong to the process: proc.NAME");
    }
    let places = Place::ConfigurationParser.only();
    let value = if is_format {
        let format = arguments.expect("a format")?;
        ProcessValue::Format(scope::log_format(context, scope::NO_SECTION, places, format, Dialect::PLAIN)?)
    } else {
        arguments.clone().expect("an expression")?;
        let words = scope::words(&arguments.line().words);
        let mut at = arguments.position();
        let expr = scope::with_rules(context, scope::NO_SECTION, &AclSet::new(), places, |rules| {
            Expr::parse(&words, &mut at, rules)
        })?;
        arguments.seek(at);
        ProcessValue::Expr(expr)
    };
    draft.global.process_variables.push((name, value));
    Ok(())
}
