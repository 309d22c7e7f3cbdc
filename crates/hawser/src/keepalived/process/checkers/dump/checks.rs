//! The checkers, and what they track.

use super::{seconds, yes};
use director::pool::Pool;
use director::runner::{Checking, State, target};
use failover::log::calendar;
use keepalived_config::Model;
use keepalived_config::model::{
    Check, CheckKind, DnsType, FileWeight, HttpProtocol, HttpUrl, TrackFileId, VirtualServer,
};
use std::fmt::Write;
use std::time::Duration;

/// What keepalived shows of a number that a checker does not have.
const UNSET: &str = "18446744073709551615";
const UNSET_SHORT: &str = "4294967295";

/// The checks of a real server, with where they stand.
pub(super) fn of_server<'a>(
    state: &'a State<'a>,
    (pool, server): (usize, usize),
) -> impl Iterator<Item = (&'a Checking, &'a Check)> {
    let checks = &state.pools[pool].virtual_server().real_servers[server].checks;
    let is_of_it = move |one: &&Checking| (one.place.0, one.place.1) == (pool, server);
    state.checks.iter().filter(is_of_it).map(move |one| (one, &checks[one.place.2]))
}

/// `tf, weight 4 reverse`
pub(super) fn file_line(model: &Model, file: TrackFileId, weight: FileWeight) -> String {
    let name = &model.track_files[file.index()].name;
    format!("{name}, {}", weight_words(weight))
}

fn weight_words(weight: FileWeight) -> String {
    format!("weight {}{}", weight.weight, if weight.reverse { " reverse" } else { "" })
}

/// `[10.9.0.1]:tcp:80 -> [10.5.0.1]:tcp:80`
fn way(pool: &Pool, server: usize) -> String {
    format!("{} -> {}", pool.name(), pool.server_name(server))
}

/// Files are read last, and stand last.
pub(super) fn checkers(text: &mut String, model: &Model, state: &State<'_>) {
    text.push_str("------< Health checkers >------\n");
    for is_file in [false, true] {
        for one in &state.checks {
            let (pool, server, check) = one.place;
            let pool = &state.pools[pool];
            let check_of = &pool.virtual_server().real_servers[server].checks[check];
            if matches!(check_of.kind, CheckKind::File { .. }) == is_file {
                checker(text, model, state, one, check_of);
            }
        }
    }
}

fn microseconds(time: Duration) -> String {
    time.as_micros().to_string()
}

fn checker(text: &mut String, model: &Model, state: &State<'_>, one: &Checking, check: &Check) {
    let (pool, server, place) = one.place;
    let pool = &state.pools[pool];
    let _ = writeln!(text, " {}", way(pool, server));
    let mut put = |line: String| {
        let _ = writeln!(text, "   {line}");
    };
    // What is told of changes needs no turn of its own.
    let is_told = matches!(check.kind, CheckKind::File { .. } | CheckKind::Bfd { .. });
    put(format!("Enabled = {}", yes(is_told || one.is_active)));
    put(format!("Up = {}", yes(pool.is_passing(server, place))));
    put(format!("Has run = {}", yes(is_told || one.standing.has_run)));
    put(format!("Current weight = {}", one.standing.offset));
    if !matches!(check.kind, CheckKind::File { .. }) {
        timing(&mut put, one, check);
    }
    put(format!("Log all failures = {}", yes(check.timing.log_all_failures)));
    if connects(&check.kind) {
        connection(&mut put, pool.virtual_server(), server, one, check);
    }
    kind(&mut put, model, state, one, &check.kind);
}

fn timing(put: &mut impl FnMut(String), one: &Checking, check: &Check) {
    let timing = &check.timing;
    put(format!("Alpha = {}", yes(timing.alpha)));
    let default = match check.kind {
        CheckKind::Http { .. } => 3_000_000,
        CheckKind::Dns { .. } => 0,
        CheckKind::Tcp
        | CheckKind::Smtp { .. }
        | CheckKind::Misc { .. }
        | CheckKind::Udp { .. }
        | CheckKind::Ping
        | CheckKind::File { .. }
        | CheckKind::Bfd { .. } => 1_000_000,
    };
    if matches!(check.kind, CheckKind::Bfd { .. }) {
        put(format!("Delay loop = {UNSET} us"));
        put(format!("Warmup = {UNSET} us"));
        put(format!("Retries = {UNSET_SHORT}"));
        put(format!("Delay before retry = {UNSET} us"));
        put(format!("Retries iterations = {UNSET_SHORT}"));
    } else {
        put(format!("Delay loop = {} us", microseconds(timing.delay_loop)));
        put(format!("Warmup = {} us", microseconds(timing.warmup)));
        put(format!("Retries = {}", timing.retry));
        if timing.retry > 0 {
            put(format!("Delay before retry = {} us", microseconds(timing.delay_before_retry)));
            put(format!("Retries iterations = {}", one.standing.retries));
        }
    }
    put(format!("Default delay before retry = {default} us"));
}

fn connects(kind: &CheckKind) -> bool {
    match kind {
        CheckKind::Tcp
        | CheckKind::Http { .. }
        | CheckKind::Smtp { .. }
        | CheckKind::Dns { .. }
        | CheckKind::Udp { .. }
        | CheckKind::Ping => true,
        CheckKind::Misc { .. } | CheckKind::File { .. } | CheckKind::Bfd { .. } => false,
    }
}

fn connection(
    put: &mut impl FnMut(String),
    virtual_server: &VirtualServer,
    server: usize,
    one: &Checking,
    check: &Check,
) {
    let at = target(virtual_server.real_servers[server].address, check);
    let options = &check.connect;
    put("Connection".to_owned());
    put(format!("  Dest = [{}]:{}", at.ip(), at.port()));
    if let Some(interface) = &options.bind_interface {
        put(format!("  Bind i/f = {interface}"));
    }
    if let Some(address) = options.bind_address {
        put(format!("  Bind to = [{address}]:{}", options.bind_port.unwrap_or(0)));
    }
    if let Some(mark) = options.mark {
        put(format!("  Mark = {mark}"));
    }
    put(format!("  Timeout = {}", seconds(check.timing.connect_timeout)));
    if let Some(errno) = one.standing.errno {
        put(format!("  Last errno = {errno}"));
    }
}

fn kind(put: &mut impl FnMut(String), model: &Model, state: &State<'_>, one: &Checking, kind: &CheckKind) {
    let mut method = |words: &str| put(format!("Keepalive method = {words}"));
    match kind {
        CheckKind::Tcp => method("TCP_CHECK"),
        CheckKind::Ping => method("PING_CHECK"),
        CheckKind::Http { tls, sni, protocol, fast_recovery, virtual_host, urls, .. } => {
            let version = match protocol {
                HttpProtocol::Http10 => "1.0",
                HttpProtocol::Http10Close => "1.0C",
                HttpProtocol::Http11 => "1.1",
            };
            let name = if *tls { "SSL_GET" } else { "HTTP_GET" };
            method(&format!("{name}, http protocol {version}"));
            if let Some(host) = virtual_host {
                put(format!("Virtualhost = {host}"));
            }
            let set = |flag: bool| if flag { "set" } else { "unset" };
            put(format!("Enable SNI {}", set(*sni)));
            put(format!("Fast recovery {}", set(*fast_recovery)));
            urls.iter().for_each(|url| checked_url(put, state, url));
        }
        CheckKind::Smtp { helo_name } => {
            method("SMTP_CHECK");
            put(format!("helo = {}", helo_name.as_deref().unwrap_or(director::runner::HELO_NAME)));
        }
        CheckKind::Dns { question, name } => {
            method("DNS_CHECK");
            put(format!("Type = {}", question_word(*question)));
            put(format!("Name = {name}"));
        }
        CheckKind::Misc { command, timeout, dynamic } => {
            method("MISC_CHECK");
            let words: Vec<String> = command.words.iter().map(|word| format!("'{word}'")).collect();
            put(format!("script = {}", words.join(" ")));
            put(format!("timeout = {}", timeout.map_or(0, |timeout| timeout.as_secs())));
            put(format!("dynamic = {}", if *dynamic { "YES" } else { "NO" }));
            put(format!("uid:gid = {}:{}", command.run_as.user, command.run_as.group));
            let started = one.standing.started;
            let local = sys::clock::local_time(i64::try_from(started.as_secs()).unwrap_or(0));
            let fraction = format!(".{:06}", started.subsec_micros());
            put(format!("Last ran = {}{fraction} ({}{fraction})", started.as_secs(), calendar(local, "")));
            put(format!("Last status = {}", one.standing.exit_code));
        }
        CheckKind::Udp { payload, require_reply, reply_length } => {
            method("UDP_CHECK");
            put(match payload {
                Some(payload) => format!("Payload len = {}", payload.len()),
                None => "Payload specified = no".to_owned(),
            });
            put(format!("Require reply = {}", yes(require_reply.is_some())));
            if let Some(reply) = require_reply {
                put(format!("  Min reply length = {}", reply_length.0));
                put(format!("  Max reply length = {}", reply_length.1));
                put(format!("  Reply data len = {}", reply.len().div_ceil(2)));
                if reply.iter().any(Option::is_none) {
                    put("  Reply data mask = yes".to_owned());
                }
            }
        }
        CheckKind::File { file, .. } => {
            method("FILE_CHECK");
            put(format!("  Tracked file = {}", model.track_files[file.index()].name));
            put("  Reloaded = No".to_owned());
        }
        CheckKind::Bfd { session } => {
            method("BFD_CHECK");
            put(format!("Name = {}", model.bfd_sessions[session.index()].name));
            let (pool, server, check) = one.place;
            let checks = &state.pools[pool].virtual_server().real_servers[server].checks;
            put(format!("Alpha is {}", super::is_on(checks[check].timing.alpha)));
        }
    }
}

fn question_word(question: DnsType) -> &'static str {
    match question {
        DnsType::A => "A",
        DnsType::Ns => "NS",
        DnsType::Cname => "CNAME",
        DnsType::Soa => "SOA",
        DnsType::Mx => "MX",
        DnsType::Txt => "TXT",
        DnsType::Aaaa => "AAAA",
    }
}

fn checked_url(put: &mut impl FnMut(String), state: &State<'_>, url: &HttpUrl) {
    put(format!("Checked url = {}", url.path));
    if let Some(digest) = url.digest {
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        put(format!("  digest = {digits}"));
    }
    put("  HTTP Status Code(s)".to_owned());
    // Shown where a digest or a pattern stands alone too, and not asked for there.
    let status: &[(u16, u16)] = if url.status.is_empty() { &[(200, 299)] } else { &url.status };
    for (first, last) in status {
        put(if first == last { format!("    {first}") } else { format!("    {first}-{last}") });
    }
    if let (Some(host), false) = (&url.virtual_host, url.is_virtual_host_inherited) {
        put(format!("  Virtual host = {host}"));
    }
    let Some(regex) = &url.regex else { return };
    put(format!("  Regex = \"{regex}\""));
    if url.regex_no_match {
        put("  Regex no match".to_owned());
    }
    if url.regex_min_offset > 0 || url.regex_max_offset.is_some() {
        let (first, last) = (url.regex_min_offset, url.regex_max_offset.unwrap_or(0));
        put(format!("  Regex min offset = {first}, max_offset = {last}"));
    }
    let options: String = url.regex_options.iter().map(|option| format!(" {option}")).collect();
    put(format!("  Regex options:{options}"));
    put(format!("  Regex ref count = {}", sharing(state, url)));
}

/// How many URLs have this pattern with these options.
fn sharing(state: &State<'_>, wanted: &HttpUrl) -> usize {
    let servers = state.pools.iter().flat_map(|pool| &pool.virtual_server().real_servers);
    let urls = servers.flat_map(|real| &real.checks).flat_map(|check| match &check.kind {
        CheckKind::Http { urls, .. } => urls.as_slice(),
        _ => &[],
    });
    urls.filter(|url| url.regex == wanted.regex && url.regex_options == wanted.regex_options).count()
}

/// Files that no checker reads are left out.
pub(super) fn track_files(text: &mut String, model: &Model, state: &State<'_>) {
    let mut has_title = false;
    for (place, file) in model.track_files.iter().enumerate() {
        let watching: Vec<(&Checking, FileWeight)> = state
            .checks
            .iter()
            .filter_map(|one| {
                let (pool, server, check) = one.place;
                match state.pools[pool].virtual_server().real_servers[server].checks[check].kind {
                    CheckKind::File { file, weight } if file.index() == place => Some((one, weight)),
                    _ => None,
                }
            })
            .collect();
        if watching.is_empty() {
            continue;
        }
        if !std::mem::replace(&mut has_title, true) {
            text.push_str("------< Checker track files >------\n");
        }
        let _ = writeln!(text, " Track file = {}\n   File = {}", file.name, file.path.display());
        let _ = writeln!(text, "   Status = {}", state.files.get(place).copied().unwrap_or(0));
        let weight = FileWeight { weight: file.weight, reverse: file.reverse };
        let _ = writeln!(text, "   Weight = {}", &weight_words(weight)["weight ".len()..]);
        text.push_str("   Tracking instances :\n");
        for (one, weight) in watching {
            let (pool, server, _) = one.place;
            let _ = writeln!(text, "     {}, {}", way(&state.pools[pool], server), weight_words(weight));
        }
    }
}

pub(super) fn track_bfd(text: &mut String, model: &Model, state: &State<'_>) {
    let mut has_title = false;
    for (place, session) in model.bfd_sessions.iter().enumerate() {
        let watching: Vec<String> = state
            .checks
            .iter()
            .filter_map(|one| {
                let (pool, server, check) = one.place;
                let pool = &state.pools[pool];
                match pool.virtual_server().real_servers[server].checks[check].kind {
                    CheckKind::Bfd { session } if session.index() == place => Some(pool.server_name(server)),
                    _ => None,
                }
            })
            .collect();
        if watching.is_empty() {
            continue;
        }
        if !std::mem::replace(&mut has_title, true) {
            text.push_str("------< Checker track BFDs >------\n");
        }
        let _ = writeln!(text, " Checker Track BFD = {}\n   Tracking RS :", session.name);
        for name in watching {
            let _ = writeln!(text, "   {name}");
        }
    }
}
