//! `show info`, `show activity`: the process in numbers.

use super::session::{Outcome, Reply, Session};
use crate::state::{FrontendStatus, State};
use crate::stats::{Tags, Value, write_json_value};
use haproxy_config::{RELEASE_DATE, VERSION_TEXT};
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// One line of `show info`. Positions are HAProxy's: two of them are left out when they are empty.
struct Line {
    position: usize,
    name: &'static str,
    tags: Tags,
    description: &'static str,
    value: Value,
}

pub fn show_info(session: &mut Session, words: &[&str]) -> Outcome {
    let has = |word: &str| words[2..].contains(&word);
    let lines = lines(session.state(), has("float"));
    let mut out = String::new();
    if has("json") {
        out.push('[');
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            let _ = write!(out, "{{\"field\":{{\"pos\":{},\"name\":\"{}\"}},", line.position, line.name);
            write_json_value(line.tags.words(), &line.value, &mut out);
        }
        out.push_str("]\n");
        return Ok(Reply::Dump(out));
    }
    for line in &lines {
        let Line { position, name, tags, value, .. } = line;
        let _ = if has("typed") {
            write!(out, "{position}.{name}.1:{}:{}:{value}", tags.letters(), value.type_name())
        } else {
            write!(out, "{name}: {value}")
        };
        if has("desc") {
            let _ = write!(out, ":\"{}\"", line.description);
        }
        out.push('\n');
    }
    Ok(Reply::Dump(out))
}

/// The columns of one line: name, tags, meaning, value. `None` leaves the line out, but keeps its position.
type Row = (&'static str, &'static str, &'static str, Option<Value>);

/// Name, meaning and value of every line.
pub fn values(state: &State) -> Vec<(&'static str, &'static str, Option<Value>)> {
    let all = facts(state, false).into_iter().chain(load(state)).chain(totals(state));
    all.map(|(name, _, description, value)| (name, description, value)).collect()
}

fn lines(state: &State, float: bool) -> Vec<Line> {
    let all = facts(state, float).into_iter().chain(load(state)).chain(totals(state));
    all.enumerate()
        .filter_map(|(position, (name, tags, description, value))| {
            Some(Line { position, name, tags: Tags::new(tags), description, value: value? })
        })
        .collect()
}

fn number(value: u32) -> Option<Value> {
    Some(Value::Small(value))
}

fn text(value: impl Into<String>) -> Option<Value> {
    Some(Value::Text(value.into()))
}

// Who and how big.
fn facts(state: &State, float: bool) -> Vec<Row> {
    let process = &state.process;
    let up = state.clock.started().elapsed();
    let seconds = up.as_secs() as u32;
    let uptime = if float { text(format!("{:.6}", up.as_secs_f64())) } else { number(seconds) };
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let descriptors = descriptors.map_or(u32::MAX, |limit| u32::try_from(limit).unwrap_or(u32::MAX));
    let total = |of: fn(&crate::state::counters::WorkerCounters) -> u64| {
        number(state.workers.iter().map(|worker| of(worker)).sum::<u64>() as u32)
    };
    vec![
        ("Name", "POS", "Name of the product", text("HAProxy")),
        ("Version", "POS", "Version whose interface this is", text(VERSION_TEXT)),
        ("Release_date", "POS", "Date of that version", text(RELEASE_DATE)),
        ("Nbthread", "CGS", "Worker threads", number(state.workers.len() as u32)),
        ("Nbproc", "CGS", "Worker processes, always 1", number(1)),
        ("Process_num", "KGP", "Number of this process, always 1", number(1)),
        ("Pid", "SGP", "Process id", number(std::process::id())),
        ("Uptime", "MDP", "Time since the start", text(days(up))),
        ("Uptime_sec", "MDP", "Seconds since the start", uptime),
        ("Memmax_MB", "CLP", "Memory limit, MB; 0 is none", number(0)),
        ("PoolAlloc_MB", "MGP", "Memory held, MB", number((resident() >> 20) as u32)),
        ("PoolUsed_MB", "MGP", "Memory in use, MB", number((resident() >> 20) as u32)),
        ("PoolFailed", "MCP", "Failed allocations", number(0)),
        ("Ulimit-n", "CLP", "Limit on file descriptors", number(descriptors)),
        ("Maxsock", "CLP", "Sockets the process can have", number(descriptors)),
        ("Maxconn", "CLP", "Limit on connections", number(process.maxconn.load(Relaxed))),
        ("Hard_maxconn", "CLP", "That limit at the start", number(process.hard_maxconn.load(Relaxed))),
        ("CurrConns", "MGP", "Connections now", number(process.connections.get())),
        ("CumConns", "MCP", "Connections so far", total(|worker| worker.connections.get())),
        ("CumReq", "MCP", "Requests so far", total(|worker| worker.requests.get())),
    ]
}

// What goes on now, and its limits.
fn load(state: &State) -> Vec<Row> {
    let process = &state.process;
    let now_ms = state.clock.millis(Instant::now());
    let connections = process.connections_rate.get(now_ms);
    let sessions = process.sessions_rate.get(now_ms);
    let handshakes_so_far: u64 = state.workers.iter().map(|worker| worker.tls_connections.get()).sum();
    let mut rows = vec![
        (
            "MaxSslConns",
            "MMP",
            "Most TLS connections at once",
            number(process.max_tls_connections.load(Relaxed)),
        ),
        ("CurrSslConns", "MGP", "TLS connections now", number(process.tls_connections.get())),
        ("CumSslConns", "MCP", "TLS connections so far", number(handshakes_so_far as u32)),
        ("Maxpipes", "CLP", "Limit on pipes for splicing", number(state.model.global.maxpipes.unwrap_or(0))),
        ("PipesUsed", "MGP", "Pipes in use", number(0)),
        ("PipesFree", "MGP", "Pipes kept for use", number(0)),
        ("ConnRate", "MRP", "Connections in the last second", number(connections)),
        (
            "ConnRateLimit",
            "CLP",
            "Limit on connections per second",
            number(process.max_connection_rate.load(Relaxed)),
        ),
        ("MaxConnRate", "MMP", "Most connections in a second", number(process.connections_rate.max())),
        ("SessRate", "MRP", "Sessions in the last second", number(sessions)),
        (
            "SessRateLimit",
            "CLP",
            "Limit on sessions per second",
            number(process.max_session_rate.load(Relaxed)),
        ),
        ("MaxSessRate", "MRP", "Most sessions in a second", number(process.sessions_rate.max())),
    ];
    let (handshakes, keys) = (process.tls_rate.get(now_ms), process.tls_keys_rate.get(now_ms));
    let resumed = (handshakes.saturating_sub(keys) * 100).checked_div(handshakes).unwrap_or(0);
    rows.extend([
        ("SslRate", "MRP", "TLS connections in the last second", number(handshakes)),
        (
            "SslRateLimit",
            "CLP",
            "Limit on TLS connections per second",
            number(state.model.global.tls.maxsslrate.unwrap_or(0)),
        ),
        ("MaxSslRate", "MMP", "Most TLS connections in a second", number(process.tls_rate.max())),
        ("SslFrontendKeyRate", "MGP", "TLS keys computed for clients in the last second", number(keys)),
        ("SslFrontendMaxKeyRate", "MMP", "Most of these in a second", number(process.tls_keys_rate.max())),
        (
            "SslFrontendSessionReuse_pct",
            "MGP",
            "Percentage of TLS sessions resumed by clients",
            number(resumed),
        ),
        (
            "SslBackendKeyRate",
            "MRP",
            "TLS keys computed for servers in the last second",
            number(process.tls_server_keys_rate.get(now_ms)),
        ),
        (
            "SslBackendMaxKeyRate",
            "MMP",
            "Most of these in a second",
            number(process.tls_server_keys_rate.max()),
        ),
    ]);
    let sessions = tls::cache_use();
    rows.push(("SslCacheLookups", "MCP", "TLS sessions looked up", number(sessions.lookups as u32)));
    rows.push(("SslCacheMisses", "MCP", "TLS sessions not found", number(sessions.misses as u32)));
    rows.push((
        "CompressBpsIn",
        "MRP",
        "Bytes into the compressor in the last second",
        number(process.compressed_in_rate.get(now_ms)),
    ));
    rows.push((
        "CompressBpsOut",
        "MRP",
        "Bytes out of the compressor in the last second",
        number(process.compressed_out_rate.get(now_ms)),
    ));
    rows.push((
        "CompressBpsRateLim",
        "CLP",
        "Limit on the compressor's input, bytes per second",
        number(process.max_compression_rate.load(Relaxed).saturating_mul(1024)),
    ));
    rows.push(("ZlibMemUsage", "MGP", "Memory of the compressor", None));
    rows.push(("MaxZlibMemUsage", "CLP", "Limit on that memory", None));
    rows
}

// Sums, and the rest.
fn totals(state: &State) -> Vec<Row> {
    let process = &state.process;
    let bytes_out = state.workers.iter().map(|worker| worker.bytes_out.get()).sum::<u64>();
    let listeners: usize = state
        .model
        .proxies
        .iter()
        .filter(|proxy| !proxy.disabled)
        .filter(|proxy| state.proxy(proxy.id).frontend.status() == FrontendStatus::Open)
        .map(|proxy| proxy.binds.len())
        .sum::<usize>()
        + state.model.global.stats_sockets.len();
    let connections = process.connections.get();
    let node = state
        .model
        .global
        .node
        .clone()
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let started = state.clock.started_wall().0.as_secs() as u32;
    vec![
        ("Tasks", "MGP", "Tasks in all threads", number(connections)),
        ("Run_queue", "MGP", "Tasks ready to run", number(0)),
        ("Idle_pct", "MaP", "Percentage of the time spent waiting", number(100)),
        ("node", "COS", "Name of this node", text(node)),
        (
            "description",
            "COS",
            "Description of this node",
            state.model.global.description.clone().and_then(text),
        ),
        ("Stopping", "MGP", "1 while the process finishes", number(u32::from(state.is_stopping()))),
        (
            "Jobs",
            "MGP",
            "Listeners and connections, this one included",
            number(listeners as u32 + connections + 1),
        ),
        ("Unstoppable Jobs", "MGP", "Of these, what a soft stop leaves", number(0)),
        ("Listeners", "MGP", "Listeners that are open", number(listeners as u32)),
        ("ActivePeers", "MGP", "Peers in use", number(0)),
        ("ConnectedPeers", "MGP", "Peers connected", number(0)),
        (
            "DroppedLogs",
            "MGP",
            "Log lines lost because a target was full",
            number(process.dropped_logs.load(Relaxed) as u32),
        ),
        ("BusyPolling", "MGP", "1 with busy polling", number(0)),
        ("FailedResolutions", "MGP", "Names that did not resolve", number(0)),
        ("TotalBytesOut", "MGP", "Bytes sent to clients", Some(Value::Large(bytes_out))),
        ("TotalSplicdedBytesOut", "MGP", "Of these, spliced in the kernel", Some(Value::Large(0))),
        ("BytesOutRate", "MRP", "Bytes sent in the last second", Some(Value::Large(0))),
        ("DebugCommandsIssued", "MGP", "Debugging commands run", number(0)),
        ("CumRecvLogs", "MCP", "Log lines received", number(process.received_logs.load(Relaxed) as u32)),
        ("Build info", "POS", "Version and build", text(VERSION_TEXT)),
        ("Memmax_bytes", "CLP", "Memory limit, bytes; 0 is none", number(0)),
        ("PoolAlloc_bytes", "MGP", "Memory held, bytes", Some(Value::Large(resident()))),
        ("PoolUsed_bytes", "MGP", "Memory in use, bytes", Some(Value::Large(resident()))),
        ("Start_time_sec", "MDP", "Start of the process, seconds since 1970", number(started)),
        ("Tainted", "SGP", "Debugging features that were used", text("0")),
    ]
}

fn days(up: Duration) -> String {
    let seconds = up.as_secs();
    format!("{}d {}h{:02}m{:02}s", seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// Resident memory of the process, bytes; 0 when the kernel does not tell.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// What each thread did. Only what is counted here: the rest of the original's lines are about its own scheduler.
pub fn show_activity(session: &mut Session, _: &[&str]) -> Outcome {
    let state = session.state();
    let wall = state.clock.wall(Instant::now()).0;
    let mut out = format!(
        "thread_id: 1 (1..{})\ndate_now: {}.{:06}\n",
        state.workers.len(),
        wall.as_secs(),
        wall.subsec_micros()
    );
    type Counted = fn(&crate::state::counters::WorkerCounters) -> u64;
    let rows: [(&str, Counted); 3] = [
        ("stream_calls", |worker| worker.requests.get()),
        ("accepted", |worker| worker.connections.get()),
        ("bytes_out", |worker| worker.bytes_out.get()),
    ];
    for (name, counted) in rows {
        let each: Vec<u64> = state.workers.iter().map(|worker| counted(worker)).collect();
        let total: u64 = each.iter().sum();
        let list: Vec<String> = each.iter().map(u64::to_string).collect();
        let _ = writeln!(out, "{name}: {total} [ {} ]", list.join(" "));
    }
    Ok(Reply::Dump(out))
}
