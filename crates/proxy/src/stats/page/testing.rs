//! Requests and settings for the tests of the page.

use crate::state::{Admin, CheckView, Running, ServerState, State};
use haproxy_config::model::Stats;
use http::{Head, Limits, Parsed};
use rules::ProxyId;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// A parsed request.
pub fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Head {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("{method} {uri} HTTP/1.1\r\n{fields}\r\n");
    let limits = Limits { max_head: 1 << 16, max_fields: 100, accept_invalid: true };
    let mut head = Head::new();
    match http::parse_request(text.as_bytes(), &limits, &mut head) {
        Ok(Parsed::Complete { .. }) => head,
        other => panic!("{text:?}: {other:?}"),
    }
}

/// The settings that these `stats` lines make.
pub fn settings(lines: &str) -> Stats {
    let text = format!("listen stats\n mode http\n bind 127.0.0.1:1\n {lines}\n");
    model(&text).proxies[0].stats.clone().expect("a line about the page")
}

/// The model of a configuration text that is right.
pub fn model(text: &str) -> haproxy_config::Model {
    let options = haproxy_config::LoadOptions::new(Vec::new());
    let loaded = haproxy_config::load_text(&options, "test.cfg", text);
    loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.report))
}

/// A configuration with a proxy of every kind.
pub const SAMPLE: &str = "\
global
 description Berlin, rack 12 <primary>
defaults
 mode http
frontend www
 description Shop & API
 bind 127.0.0.1:1 name plain
 option socket-stats
 maxconn 4000
 default_backend shop
backend shop
 balance leastconn
 cookie SRV insert
 server web1 10.0.0.11:8080 check cookie w1 weight 100 maxconn 400
 server web2 10.0.0.12:8080 check cookie w2 weight 100 maxconn 400
 server web3 10.0.0.13:8080 check cookie w3 weight 50 maxconn 200 slowstart 30s
 server web4 10.0.0.14:8080 check weight 100 maxconn 400
 server web5 10.0.0.15:8080 check weight 100
 server web6 10.0.0.16:8080 disabled
 server spare 10.0.0.99:8080 check backup
backend api
 balance uri
 server api-a 10.0.1.1:9000 check
 server api-b 10.0.1.2:9000 check
 server api-c 10.0.1.3:9000
listen postgres
 mode tcp
 bind 127.0.0.1:2
 server db1 10.0.2.1:5432 check
 server db2 10.0.2.2:5432 check backup
listen stats
 bind 127.0.0.1:3
 stats enable
 stats refresh 30s
 stats show-legends
 stats show-node lb-1
 stats show-desc
 stats admin if TRUE
";

/// The sample's state in the middle of a busy day: servers in every status, traffic everywhere.
pub fn busy_state() -> State {
    let state = State::new(Arc::new(model(SAMPLE)), 2, 20_000, 7);
    let now_ms = state.clock.millis(Instant::now());
    for _ in 0..1284 {
        state.process.connections.increment();
    }
    for proxy in &state.model.proxies {
        let busy = 1 + u64::from(proxy.id.0 * 7919 % 13);
        frontend_traffic(&state, proxy.id, busy, now_ms);
        backend_traffic(&state, proxy.id, busy, now_ms);
        for server in state.backend(proxy.id).servers() {
            server_traffic(&state, server, busy, now_ms);
        }
    }
    for (name, status, meaning, health) in [
        ("web3", "L7OK", "Layer7 check passed", 3),
        ("web4", "L4TOUT", "Layer4 timeout", 3),
        ("web5", "L4CON", "Layer4 connection problem", 0),
        ("db1", "L4OK", "Layer4 check passed", 1),
    ] {
        let server = state.servers.iter().map(|(_, server)| server).find(|server| server.name() == name);
        let server = server.expect("a server of the sample");
        {
            let mut view = server.check.lock();
            (view.status, view.status_description, view.health) = (status, meaning, health);
            if status == "L4CON" {
                view.description = "Connection refused <by peer>".to_owned();
            }
        }
        let running = match name {
            "web3" => Running::Starting,
            "web4" => Running::Up,
            _ => Running::Stopped,
        };
        state.backend(server.id.proxy).change(server, |server| (server.admin(), running));
        server.failed_checks.store(17, Relaxed);
        server.down_transitions.store(3, Relaxed);
        server.down_seconds.store(754, Relaxed);
    }
    for (name, admin) in [("api-b", Admin::FORCED_DRAIN), ("web6", Admin::FORCED_MAINT)] {
        let server = state.servers.iter().map(|(_, server)| server).find(|server| server.name() == name);
        let server = server.expect("a server of the sample");
        state.backend(server.id.proxy).change(server, |server| (admin, server.running()));
    }
    state
}

fn frontend_traffic(state: &State, id: ProxyId, busy: u64, now_ms: u64) {
    let front = &state.proxy(id).frontend;
    let counters = &state.workers[0].frontends[id.index()];
    for (counter, count) in [
        (&counters.connections, 812_345 * busy),
        (&counters.sessions, 812_340 * busy),
        (&counters.requests, 4_512_345 * busy),
        (&counters.bytes_in, 1_912_345_678 * busy),
        (&counters.bytes_out, 48_912_345_678 * busy),
        (&counters.denied_requests, 12 * (busy - 1)),
        (&counters.failed_requests, 431 * (busy % 3)),
        (&counters.responses[1], 4_400_000 * busy),
        (&counters.responses[3], 110_000 * busy),
        (&counters.responses[4], 2_345 * busy),
    ] {
        counter.add(count);
    }
    for _ in 0..busy * 61 {
        front.current.increment();
        front.sessions_rate.add(now_ms);
        front.connections_rate.add(now_ms);
        front.requests_rate.add(now_ms);
        state.process.connections_rate.add(now_ms);
        state.process.sessions_rate.add(now_ms);
    }
    state.workers[0].connections.add(812_345 * busy);
    state.workers[0].requests.add(4_512_345 * busy);
}

fn backend_traffic(state: &State, id: ProxyId, busy: u64, now_ms: u64) {
    let back = state.backend(id);
    let counters = &state.workers[1].backends[id.index()];
    for (counter, count) in [
        (&counters.sessions, 1_704_003 * busy),
        (&counters.balanced, 1_604_003 * busy),
        (&counters.requests, 1_704_003 * busy),
        (&counters.bytes_in, 1_900_000_000 * busy),
        (&counters.bytes_out, 48_800_000_000 * busy),
        (&counters.failed_connections, 7 * (busy % 4)),
        (&counters.retries, 21 * (busy % 4)),
        (&counters.connects, 90_000 * busy),
        (&counters.reused, 1_600_000 * busy),
        (&counters.responses[1], 1_700_000 * busy),
    ] {
        counter.add(count);
    }
    for _ in 0..busy * 47 {
        back.current.increment();
        back.sessions_rate.add(now_ms);
    }
    back.last_session_ms.store(now_ms, Relaxed);
    back.last_change_ms.store(now_ms - 970_000, Relaxed);
}

fn server_traffic(state: &State, server: &ServerState, busy: u64, now_ms: u64) {
    let share = busy * (1 + u64::from(server.id.index) % 3);
    let counters = &state.workers[1].servers[server.slot as usize];
    for (counter, count) in [
        (&counters.sessions, 312_456 * share),
        (&counters.balanced, 299_000 * share),
        (&counters.requests, 312_456 * share),
        (&counters.bytes_in, 312_456_789 * share),
        (&counters.bytes_out, 7_812_456_789 * share),
        (&counters.failed_connections, share % 5),
        (&counters.failed_responses, share % 2 * 40),
        (&counters.retries, share % 7),
        (&counters.client_aborts, 51),
        (&counters.connects, 12_000 * share),
        (&counters.reused, 300_000 * share),
        (&counters.responses[1], 310_000 * share),
        (&counters.responses[4], 2_456 * share),
    ] {
        counter.add(count);
    }
    for _ in 0..share * 9 {
        server.served.increment();
        server.sessions_rate.add(now_ms);
        server.response_time.add(37);
        server.total_time.add(61);
    }
    server.last_session_ms.store(now_ms, Relaxed);
    server.last_change_ms.store(now_ms - 17_300 * (2 + share), Relaxed);
    if server.settings.check.is_some() {
        *server.check.lock() = CheckView {
            enabled: true,
            running: server.id.index == 1,
            status: "L4OK",
            status_description: "Layer4 check passed",
            code: None,
            duration_ms: Some(1),
            description: String::new(),
            health: 4,
            rise: 2,
            fall: 3,
            ..CheckView::default()
        };
    }
}
