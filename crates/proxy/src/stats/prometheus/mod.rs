//! The service `prometheus-exporter`: the statistics in Prometheus' text format, under HAProxy's names. Owns the format;
//! the numbers are those of `show info` and `show stat`.

mod metrics;

use super::fields::Field;
use super::rows::{ObjectKind, Row, RowOptions, Value, proxy_rows};
use crate::control::info_values;
use crate::state::State;
use balance::Algorithm;
use haproxy_config::model::{Mode, Proxy};
use metrics::{Kind, Metric, Reading};
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

/// What a scrape asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    process: bool,
    frontends: bool,
    listeners: bool,
    backends: bool,
    servers: bool,
    tables: bool,
    /// Leave out servers in maintenance.
    no_maintenance: bool,
}

impl Wanted {
    /// Everything there is.
    pub const ALL: Wanted = Wanted {
        process: true,
        frontends: true,
        listeners: true,
        backends: true,
        servers: true,
        tables: true,
        no_maintenance: false,
    };

    const NOTHING: Wanted = Wanted {
        process: false,
        frontends: false,
        listeners: false,
        backends: false,
        servers: false,
        tables: false,
        no_maintenance: false,
    };

    /// Reads the query of the URI: `scope` may come several times, `no-maint` once. `None`: a scope that there is not.
    pub fn of(query: &[u8]) -> Option<Wanted> {
        let mut scoped: Option<Wanted> = None;
        let mut no_maintenance = false;
        for parameter in query.split(|byte| *byte == b'&') {
            let (name, value) = match parameter.iter().position(|byte| *byte == b'=') {
                Some(at) => (&parameter[..at], Some(&parameter[at + 1..])),
                None => (parameter, None),
            };
            match (name, value) {
                (b"scope", Some(scope)) => {
                    let wanted = scoped.get_or_insert(Wanted::NOTHING);
                    match scope {
                        b"" => {}
                        b"*" => *wanted = Wanted::ALL,
                        b"global" => wanted.process = true,
                        b"frontend" => wanted.frontends = true,
                        b"listener" => wanted.listeners = true,
                        b"backend" => wanted.backends = true,
                        b"server" => wanted.servers = true,
                        b"sticktable" => wanted.tables = true,
                        _ => return None,
                    }
                }
                (b"no-maint", _) => no_maintenance = true,
                _ => {}
            }
        }
        Some(Wanted { no_maintenance, ..scoped.unwrap_or(Wanted::ALL) })
    }
}

/// The whole body of an answer.
pub fn write(state: &State, wanted: Wanted) -> String {
    let mut out = String::with_capacity(64 * 1024);
    if wanted.process {
        process(state, &mut out);
    }
    let mut rows: Vec<Row> = state
        .model
        .proxies
        .iter()
        .filter(|proxy| !proxy.disabled)
        .flat_map(|proxy| proxy_rows(state, proxy.id, RowOptions::full()))
        .collect();
    if wanted.no_maintenance {
        rows.retain(|row| !row.is_in_maintenance(state));
    }
    let scopes = [
        (wanted.frontends, ObjectKind::Frontend, "frontend", metrics::FRONTEND),
        (wanted.listeners, ObjectKind::Listener, "listener", metrics::LISTENER),
        (wanted.backends, ObjectKind::Backend, "backend", metrics::BACKEND),
        (wanted.servers, ObjectKind::Server, "server", metrics::SERVER),
    ];
    for (_, kind, scope, table) in scopes.into_iter().filter(|(wanted, ..)| *wanted) {
        for metric in table {
            let mut family = Family::new(scope, metric.name, metric.kind, metric.reading.description());
            let shown = || rows.iter().filter(|row| row.kind == kind && has(state, metric, row));
            match metric.reading {
                Reading::Codes => put_codes(shown, &mut family),
                _ => {
                    for row in shown() {
                        family.labels = labels(row);
                        put(metric.reading, row, &rows, &mut family);
                    }
                }
            }
            family.finish(&mut out);
        }
    }
    if wanted.backends {
        keyless(state, &mut out);
    }
    if wanted.tables {
        tables(state, &mut out);
    }
    out
}

/// The samples of one name, with the two lines before the first of them.
struct Family {
    name: String,
    text: String,
    labels: String,
    kind: Kind,
    help: &'static str,
}

impl Family {
    fn new(scope: &str, name: &str, kind: Kind, help: &'static str) -> Family {
        Family::named(format!("haproxy_{scope}_{name}"), kind, help)
    }

    fn named(name: String, kind: Kind, help: &'static str) -> Family {
        Family { name, text: String::new(), labels: String::new(), kind, help }
    }

    /// One sample with the labels of the row, and one more perhaps.
    fn sample(&mut self, extra: Option<(&str, &str)>, value: impl std::fmt::Display) {
        self.text.push_str(&self.name);
        let extra = extra.map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
        match (self.labels.is_empty(), extra) {
            (true, None) => {}
            (true, Some(extra)) => _ = write!(self.text, "{{{extra}}}"),
            (false, None) => _ = write!(self.text, "{{{}}}", self.labels),
            (false, Some(extra)) => _ = write!(self.text, "{{{},{extra}}}", self.labels),
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn finish(self, out: &mut String) {
        if self.text.is_empty() {
            return;
        }
        let Family { name, text, kind, help, .. } = self;
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", kind.word());
        out.push_str(&text);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn labels(row: &Row) -> String {
    let text = |field| match row.get(field) {
        Some(Value::Text(text)) => escaped(text),
        _ => String::new(),
    };
    let proxy = text(Field::Pxname);
    match row.kind {
        ObjectKind::Frontend | ObjectKind::Backend => format!("proxy=\"{proxy}\""),
        ObjectKind::Server => format!("proxy=\"{proxy}\",server=\"{}\"", text(Field::Svname)),
        ObjectKind::Listener => format!("proxy=\"{proxy}\",listener=\"{}\"", text(Field::Svname)),
    }
}

fn process(state: &State, out: &mut String) {
    let values = info_values(state);
    for (name, kind, info) in metrics::PROCESS {
        let row = values.iter().find(|(known, ..)| known == info);
        let mut family = Family::new("process", name, *kind, row.map_or("", |(_, meaning, _)| meaning));
        match row.and_then(|(_, _, value)| value.as_ref()) {
            // The only text: what is not a number stands in a label.
            Some(Value::Text(version)) => family.sample(Some(("version", version)), 1),
            Some(value) => family.sample(None, value),
            None => family.sample(None, "NaN"),
        }
        family.finish(out);
    }
}

/// What a status column says, without what stands behind or before its first word.
fn first_word(row: &Row, field: Field) -> &str {
    match row.get(field) {
        Some(Value::Text(text)) => text.trim_start_matches("* ").split(' ').next().unwrap_or_default(),
        _ => "",
    }
}

const SERVER_STATES: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];

/// The state among these that a server is in; one without checks is up.
fn server_state(row: &Row) -> &'static str {
    let word = first_word(row, Field::Status);
    SERVER_STATES.into_iter().find(|state| *state == word).unwrap_or("UP")
}

fn is_state(row: &Row, state: &str) -> bool {
    let word = first_word(row, Field::Status);
    match row.kind {
        ObjectKind::Server => server_state(row) == state,
        ObjectKind::Frontend => (word == "OPEN") == (state == "UP"),
        ObjectKind::Backend => (word == "UP") == (state == "UP"),
        ObjectKind::Listener => word == state,
    }
}

/// Whether the metric means something for the object.
fn has(state: &State, metric: &Metric, row: &Row) -> bool {
    let mode = state.model.proxies[row.proxy.index()].mode;
    let needs_http = metric.name.starts_with("http_") || metric.name.starts_with("intercepted_");
    let needs_check = row.kind == ObjectKind::Server
        && matches!(metric.name, "check_status" | "check_code" | "check_duration_seconds");
    (!needs_http || mode == Mode::Http) && (!needs_check || row.get(Field::CheckStatus).is_some())
}

/// All objects by code, unlike other labels.
fn put_codes<'a, R: Iterator<Item = &'a Row>>(rows: impl Fn() -> R, family: &mut Family) {
    for (code, field) in metrics::CODES {
        for row in rows() {
            if let Some(value) = row.get(field) {
                family.labels = labels(row);
                family.sample(Some(("code", code)), value);
            }
        }
    }
}

fn put(reading: Reading, row: &Row, rows: &[Row], family: &mut Family) {
    match reading {
        Reading::Number(Field::CheckCode) if row.get(Field::CheckCode).is_none() => family.sample(None, 0),
        Reading::Number(field) => match row.get(field) {
            Some(Value::Text(_)) | None => family.sample(None, "NaN"),
            Some(value) => family.sample(None, value),
        },
        Reading::Milliseconds(field) => {
            let milliseconds = match row.get(field) {
                Some(Value::Small(number)) => f64::from(*number),
                Some(Value::Large(number)) => *number as f64,
                Some(Value::Signed(number)) => f64::from(*number),
                Some(Value::Text(_)) | None => 0.0,
            };
            family.sample(None, format_args!("{:.6}", milliseconds / 1000.0));
        }
        // See `put_codes`.
        Reading::Codes => {}
        Reading::States => {
            let states: &[&str] = match row.kind {
                ObjectKind::Frontend | ObjectKind::Backend => &["DOWN", "UP"],
                ObjectKind::Listener => &["WAITING", "OPEN", "FULL"],
                ObjectKind::Server => &SERVER_STATES,
            };
            for name in states {
                family.sample(Some(("state", name)), u8::from(is_state(row, name)));
            }
        }
        Reading::CheckState => {
            let word = first_word(row, Field::CheckStatus);
            for name in metrics::CHECK_STATES {
                family.sample(Some(("state", name)), u8::from(name == word));
            }
        }
        Reading::ServerStates => {
            let servers = || servers_of(rows, row);
            for name in SERVER_STATES {
                let count = servers().filter(|server| server_state(server) == name).count();
                family.sample(Some(("state", name)), count);
            }
        }
        Reading::CheckStates => {
            let servers = || servers_of(rows, row);
            for name in metrics::CHECK_STATES {
                let is_so = |server: &&Row| first_word(server, Field::CheckStatus) == name;
                family.sample(Some(("state", name)), servers().filter(is_so).count());
            }
        }
    }
}

fn servers_of<'a>(rows: &'a [Row], backend: &'a Row) -> impl Iterator<Item = &'a Row> {
    rows.iter().filter(|row| row.kind == ObjectKind::Server && row.proxy == backend.proxy)
}

/// HAProxy does not tell it: how often a hash found no key. Backends that hash nothing have no sample.
fn keyless(state: &State, out: &mut String) {
    let help = "Requests that had no key to hash: the servers took turns";
    let mut family = Family::named("hawser_backend_keyless_requests_total".to_owned(), Kind::Counter, help);
    let hashes = |proxy: &&Proxy| {
        proxy.is_backend && !proxy.disabled && matches!(proxy.balance.algorithm, Algorithm::Hash(_))
    };
    for proxy in state.model.proxies.iter().filter(hashes) {
        family.labels = format!("proxy=\"{}\"", escaped(&proxy.name));
        family.sample(None, state.backend(proxy.id).keyless.load(Relaxed));
    }
    family.finish(out);
}

fn tables(state: &State, out: &mut String) {
    let mut size = Family::new("sticktable", "size", Kind::Gauge, "Entries that the table may hold");
    let mut used = Family::new("sticktable", "used", Kind::Gauge, "Entries that the table holds");
    for (table, live) in state.model.tables.iter().zip(&state.tables) {
        let labels = format!("name=\"{}\",type=\"{}\"", escaped(&table.name), table.config.key.name());
        size.labels.clone_from(&labels);
        used.labels = labels;
        size.sample(None, table.config.size);
        used.sample(None, live.used());
    }
    size.finish(out);
    used.finish(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_add_up_and_unknown_ones_are_refused() {
        assert_eq!(Wanted::of(b""), Some(Wanted::ALL));
        assert_eq!(Wanted::of(b"scope="), Some(Wanted::NOTHING));
        assert_eq!(Wanted::of(b"scope=bad"), None);
        let both = Wanted::of(b"scope=global&scope=server&no-maint").expect("known scopes");
        assert!(both.process && both.servers && both.no_maintenance && !both.frontends);
        assert_eq!(Wanted::of(b"scope=server&scope=*"), Some(Wanted::ALL));
    }
}
