//! What the page shows: the last sample of every strand, a short history of rates and times, and the events that samples
//! tell apart. Pure: samples and the time come in, a document goes out.

use super::statistics::{Row, information, table};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Samples kept of each line of plots: ten minutes at one every two seconds.
pub const HISTORY_LENGTH: usize = 300;
/// Frontends and backends that have plots.
const PLOTTED_MAX: usize = 512;
/// Events kept.
const EVENTS_MAX: usize = 200;

/// What the strands said; `None`: nothing.
#[derive(Debug, Default)]
pub struct Answers {
    pub stat: Option<String>,
    pub info: Option<String>,
    pub vrrp: Option<String>,
    pub director: Option<String>,
}

/// Among the states when the last sample had the proxy's.
const PROXY_SEEN: &str = "(proxy)";

/// A state that an event tells of when it changes.
type States = BTreeMap<String, String>;

#[derive(Default)]
pub struct Board {
    rows: Vec<Row>,
    info: std::collections::HashMap<String, String>,
    proxy_answers: bool,
    vrrp: Option<Vec<Value>>,
    director: Option<Value>,
    /// By `frontend NAME` or `backend NAME`: rate and milliseconds.
    history: BTreeMap<String, VecDeque<(u64, u64)>>,
    events: VecDeque<Value>,
    states: States,
    sampled: bool,
}

impl Board {
    /// Takes a sample. `now`: seconds since 1970.
    pub fn take(&mut self, answers: &Answers, now: u64) {
        self.rows = answers.stat.as_deref().map(table).unwrap_or_default();
        self.proxy_answers = !self.rows.is_empty();
        self.info = answers.info.as_deref().map(information).unwrap_or_default();
        self.vrrp = answers.vrrp.as_deref().and_then(instances);
        self.director = answers.director.as_deref().and_then(|text| serde_json::from_str(text).ok());
        self.remember();
        self.compare(now);
        self.sampled = true;
    }

    fn remember(&mut self) {
        for row in &self.rows {
            let (kind, rate) = match row.name() {
                "FRONTEND" => ("frontend", row.number("req_rate").max(row.number("rate"))),
                "BACKEND" => ("backend", row.number("rate")),
                _ => continue,
            };
            let key = format!("{kind} {}", row.proxy());
            if self.history.len() >= PLOTTED_MAX && !self.history.contains_key(&key) {
                continue;
            }
            let line = self.history.entry(key).or_default();
            if line.len() >= HISTORY_LENGTH {
                line.pop_front();
            }
            line.push_back((rate, row.number("ttime")));
        }
        if self.proxy_answers {
            let known: Vec<String> = (self.rows.iter())
                .flat_map(|row| [format!("frontend {}", row.proxy()), format!("backend {}", row.proxy())])
                .collect();
            self.history.retain(|key, _| known.contains(key));
        }
    }

    /// States of now, and an event for each that was another before.
    fn compare(&mut self, now: u64) {
        let mut states = States::new();
        let mut put = |name: String, state: &str| drop(states.insert(name, state.to_owned()));
        put("proxy".to_owned(), if self.proxy_answers { "answers" } else { "does not answer" });
        for row in &self.rows {
            // "UP 1/3" is still up.
            let status = row.text("status").split(' ').next().unwrap_or_default();
            match row.name() {
                "FRONTEND" => put(format!("frontend {}", row.proxy()), status),
                "BACKEND" => put(format!("backend {}", row.proxy()), status),
                server => put(format!("server {}/{server}", row.proxy()), status),
            }
        }
        for one in self.vrrp.iter().flatten() {
            put(format!("vrrp {}", text(one, "name")), text(one, "state"));
        }
        for pool in self.director.iter().flat_map(|director| list(director, "virtual_servers")) {
            let name = text(pool, "name");
            put(format!("service {name}"), if truth(pool, "quorum") { "has quorum" } else { "lost quorum" });
            for server in list(pool, "real_servers") {
                let state = if truth(server, "alive") { "UP" } else { "DOWN" };
                put(format!("real server {name} {}", text(server, "name")), state);
            }
        }
        if self.sampled {
            for (name, state) in &states {
                match self.states.get(name) {
                    Some(before) if before == state => {}
                    Some(before) => self.events.push_front(event(now, name, Some(before), state)),
                    // What a reload brought; what is seen first because its strand answers at last is no news.
                    None if self.states.contains_key(neighbour(name)) => {
                        self.events.push_front(event(now, name, None, state));
                    }
                    None => {}
                }
            }
            self.events.truncate(EVENTS_MAX);
        }
        if self.proxy_answers {
            states.insert(PROXY_SEEN.to_owned(), String::new());
        }
        self.states = states;
    }

    /// Whether there is such a server.
    pub fn has_server(&self, backend: &str, server: &str) -> bool {
        let is_it = |row: &Row| row.proxy() == backend && row.name() == server;
        !matches!(server, "FRONTEND" | "BACKEND") && self.rows.iter().any(is_it)
    }

    /// Everything, as the page reads it. `csrf`: for who may change something.
    pub fn document(&self, node: &str, now: u64, csrf: Option<&str>) -> Value {
        let proxies =
            |name: &str| -> Vec<&Row> { self.rows.iter().filter(|row| row.name() == name).collect() };
        let frontends: Vec<Value> = proxies("FRONTEND").into_iter().map(|row| self.frontend(row)).collect();
        let backends: Vec<Value> = proxies("BACKEND").into_iter().map(|row| self.backend(row)).collect();
        let info = |name: &str| self.info.get(name).map_or("", String::as_str);
        let count = |name: &str| info(name).parse::<u64>().unwrap_or(0);
        json!({
            "node": node,
            "now": now,
            "csrf": csrf,
            "proxy": self.proxy_answers.then(|| json!({
                "version": info("Version"),
                "uptime": count("Uptime_sec"),
                "connections": count("CurrConns"),
                "maxconn": count("Maxconn"),
                "connection_rate": count("ConnRate"),
                "session_rate": count("SessRate"),
                "requests": count("CumReq"),
                "idle_percent": count("Idle_pct"),
                "threads": count("Nbthread"),
                "frontends": frontends,
                "backends": backends,
            })),
            "vrrp": self.vrrp,
            "director": self.director,
            "events": self.events,
        })
    }

    fn plot(&self, kind: &str, row: &Row) -> Value {
        let line = self.history.get(&format!("{kind} {}", row.proxy()));
        let part = |of: fn(&(u64, u64)) -> u64| line.into_iter().flatten().map(of).collect::<Vec<u64>>();
        json!({ "rate": part(|point| point.0), "time": part(|point| point.1) })
    }

    fn frontend(&self, row: &Row) -> Value {
        json!({
            "name": row.proxy(),
            "mode": row.text("mode"),
            "status": row.text("status"),
            "current": row.number("scur"),
            "limit": row.number("slim"),
            "total": row.number("stot"),
            "rate": row.number("req_rate").max(row.number("rate")),
            "bytes_in": row.number("bin"),
            "bytes_out": row.number("bout"),
            "denied": row.number("dreq"),
            "errors": row.number("ereq"),
            "responses_4xx": row.number("hrsp_4xx"),
            "responses_5xx": row.number("hrsp_5xx"),
            "plot": self.plot("frontend", row),
        })
    }

    fn backend(&self, row: &Row) -> Value {
        let own = |server: &&Row| {
            server.proxy() == row.proxy() && !matches!(server.name(), "FRONTEND" | "BACKEND")
                // Listeners of `option socket-stats` are rows of type 3.
                && server.text("type") == "2"
        };
        json!({
            "name": row.proxy(),
            "mode": row.text("mode"),
            "status": row.text("status"),
            "algorithm": row.text("algo"),
            "current": row.number("scur"),
            "queued": row.number("qcur"),
            "total": row.number("stot"),
            "rate": row.number("rate"),
            "bytes_in": row.number("bin"),
            "bytes_out": row.number("bout"),
            "retries": row.number("wretr"),
            "errors": row.number("econ") + row.number("eresp"),
            "responses_5xx": row.number("hrsp_5xx"),
            "times": times(row),
            "plot": self.plot("backend", row),
            "servers": self.rows.iter().filter(own).map(server).collect::<Vec<Value>>(),
        })
    }
}

fn times(row: &Row) -> Value {
    json!({
        "queue": row.number("qtime"),
        "connect": row.number("ctime"),
        "response": row.number("rtime"),
        "total": row.number("ttime"),
    })
}

fn server(row: &Row) -> Value {
    json!({
        "name": row.name(),
        "address": row.text("addr"),
        "status": row.text("status"),
        "backup": row.number("bck") > 0,
        "weight": row.number("weight"),
        "current": row.number("scur"),
        "limit": row.number("slim"),
        "queued": row.number("qcur"),
        "total": row.number("stot"),
        "rate": row.number("rate"),
        "errors": row.number("econ") + row.number("eresp"),
        "check": row.text("check_status"),
        "check_detail": row.text("last_chk"),
        "check_time": row.number("check_duration"),
        "since": row.number("lastchg"),
        "downtime": row.number("downtime"),
        "times": times(row),
    })
}

/// The state that was known already if this one is new: that of the proxy.
fn neighbour(name: &str) -> &str {
    match name.split_once(' ') {
        Some(("frontend" | "backend" | "server", _)) => PROXY_SEEN,
        _ => "",
    }
}

/// The members that are shown of what virtual routers say; keys and scripts stay where they are.
fn instances(text: &str) -> Option<Vec<Value>> {
    let document: Value = serde_json::from_str(text).ok()?;
    let all = document.as_array().or_else(|| document.get("vrrp")?.as_array())?;
    let one = |instance: &Value| {
        let data = instance.get("data").unwrap_or(&Value::Null);
        let stats = instance.get("stats").unwrap_or(&Value::Null);
        let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_u64).unwrap_or(0);
        let state = match number(data, "state") {
            1 => "BACKUP",
            2 => "MASTER",
            3 => "FAULT",
            _ => "INIT",
        };
        // "10.0.0.1 dev eth0 scope global set": the address is its first word.
        let address = |line: &Value| {
            line.as_str().and_then(|line| line.split_whitespace().next()).unwrap_or_default().to_owned()
        };
        let addresses = |name: &str| -> Vec<String> {
            data.get(name).and_then(Value::as_array).into_iter().flatten().map(address).collect()
        };
        let own = [addresses("vips"), addresses("evips")].concat();
        json!({
            "name": data.get("iname"),
            "vrid": number(data, "vrid"),
            "interface": data.get("ifp_ifname"),
            "state": state,
            "priority": number(data, "effective_priority"),
            "base_priority": number(data, "base_priority"),
            "since": data.get("last_transition"),
            "addresses": own,
            "became_master": number(stats, "become_master"),
            "released_master": number(stats, "release_master"),
            "adverts_sent": number(stats, "advert_sent"),
            "adverts_received": number(stats, "advert_rcvd"),
        })
    };
    Some(all.iter().map(one).collect())
}

fn event(now: u64, name: &str, before: Option<&str>, state: &str) -> Value {
    let level = match state {
        "UP" | "MASTER" | "OPEN" | "answers" | "has quorum" => "good",
        "DOWN" | "FAULT" | "STOP" | "does not answer" | "lost quorum" => "bad",
        _ => "note",
    };
    json!({ "at": now, "what": name, "before": before, "state": state, "level": level })
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn truth(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(status: &str, rate: u32) -> String {
        format!(
            "# pxname,svname,scur,status,type,rate,req_rate,ttime,addr\nweb,FRONTEND,1,OPEN,0,{rate},{rate},,\n\
             app,s1,0,{status},2,1,,7,10.0.0.1:80\napp,BACKEND,0,UP,1,{rate},,7,\n"
        )
    }

    fn vrrp(state: u32) -> String {
        format!(
            "[{{\"data\":{{\"iname\":\"VI_1\",\"vrid\":51,\"state\":{state},\"auth_data\":\"secret\",\"vips\":[\"10.0.0.9 dev eth0\"]}},\"stats\":{{\"become_master\":3}}}}]"
        )
    }

    fn answers(status: &str, rate: u32, state: u32) -> Answers {
        Answers { stat: Some(stat(status, rate)), vrrp: Some(vrrp(state)), ..Answers::default() }
    }

    #[test]
    fn changes_between_samples_are_events_and_the_first_sample_is_none() {
        let mut board = Board::default();
        board.take(&answers("UP", 5, 1), 100);
        assert!(board.events.is_empty());
        board.take(&answers("UP 1/3", 6, 1), 102);
        assert!(board.events.is_empty(), "still up");
        board.take(&answers("DOWN", 7, 2), 104);
        let told: Vec<(&str, &str)> =
            board.events.iter().map(|one| (text(one, "what"), text(one, "state"))).collect();
        assert_eq!(told, [("vrrp VI_1", "MASTER"), ("server app/s1", "DOWN")]);
        board.take(&Answers::default(), 106);
        assert_eq!(text(&board.events[0], "state"), "does not answer");
        assert_eq!(board.document("n", 106, None)["proxy"], Value::Null);
    }

    #[test]
    fn the_document_has_what_is_shown_and_no_secrets() {
        let mut board = Board::default();
        for rate in 0..HISTORY_LENGTH as u32 + 5 {
            board.take(&answers("UP", rate, 2), 100);
        }
        let document = board.document("node-a", 100, Some("csrf"));
        let backend = &document["proxy"]["backends"][0];
        assert_eq!(backend["servers"][0]["address"], "10.0.0.1:80");
        let plot = backend["plot"]["rate"].as_array().expect("points");
        assert_eq!((plot.len(), plot.last()), (HISTORY_LENGTH, Some(&json!(HISTORY_LENGTH + 4))));
        assert_eq!(document["vrrp"][0]["addresses"], json!(["10.0.0.9"]));
        assert_eq!(document["vrrp"][0]["state"], "MASTER");
        assert!(!document.to_string().contains("secret"));
        assert!(
            board.has_server("app", "s1")
                && !board.has_server("app", "BACKEND")
                && !board.has_server("web", "s1")
        );
    }
}
