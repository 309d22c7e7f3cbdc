//! What hovering over (or focusing) a cell of the page tells: the numbers behind the number.

use super::table::{number, text};
use super::text::{bytes, count, duration, escape, grouped, put};
use crate::stats::{Field, ObjectKind, Row};
use haproxy_config::model::Proxy;

/// A list of names and values.
struct List<'a> {
    out: &'a mut String,
}

impl<'a> List<'a> {
    fn open(out: &'a mut String) -> List<'a> {
        out.push_str("<dl>");
        List { out }
    }

    fn heading(&mut self, title: &str) {
        put(self.out, format_args!("<dt class=\"h\">{title}</dt>"));
    }

    fn line(&mut self, name: &str, value: &str) {
        put(self.out, format_args!("<dt>{name}</dt><dd>"));
        escape(value, self.out);
        self.out.push_str("</dd>");
    }

    /// A count, exact; a field that does not apply has no line.
    fn count(&mut self, name: &str, row: &Row, field: Field) {
        if let Some(value) = number(row, field) {
            self.line(name, &grouped(value));
        }
    }

    /// A count with its share of a whole.
    fn share(&mut self, name: &str, row: &Row, field: Field, whole: u64) {
        if let Some(value) = number(row, field) {
            let percent = if whole == 0 { 0.0 } else { value as f64 * 100.0 / whole as f64 };
            self.line(name, &format!("{} ({percent:.0}%)", grouped(value)));
        }
    }

    fn close(self) {
        self.out.push_str("</dl>");
    }
}

/// The numbers of a module: those whose names begin with `prefix`.
pub fn module(row: &Row, prefix: &str, out: &mut String) {
    let mut list = List::open(out);
    for &field in Field::ALL.iter().filter(|field| field.name().starts_with(prefix)) {
        list.count(field.name(), row, field);
    }
    list.close();
}

/// Who the row is: numbers, and with `stats show-legends` address, cookie and algorithm.
pub fn identity(proxy: &Proxy, row: &Row, out: &mut String) {
    out.push_str("<div class=\"tips\">");
    let mut list = List::open(out);
    match row.kind {
        ObjectKind::Server | ObjectKind::Listener => list.line("Id", &row.sid.to_string()),
        ObjectKind::Frontend | ObjectKind::Backend => list.line("Id", &proxy.uuid.to_string()),
    }
    for (name, field) in [
        ("Address", Field::Addr),
        ("Balancing", Field::Algo),
        ("Cookie", Field::Cookie),
        ("Tracks", Field::Tracked),
    ] {
        if !text(row, field).is_empty() {
            list.line(name, text(row, field));
        }
    }
    if row.kind == ObjectKind::Server {
        list.line("Role", if number(row, Field::Bck) == Some(1) { "backup" } else { "active" });
        if !text(row, Field::CheckStatus).is_empty() {
            list.line("Health", &health(row, [Field::CheckHealth, Field::CheckRise, Field::CheckFall]));
        }
        if !text(row, Field::AgentStatus).is_empty() {
            list.line("Agent", &health(row, [Field::AgentHealth, Field::AgentRise, Field::AgentFall]));
        }
    }
    list.close();
    out.push_str("</div>");
}

fn health(row: &Row, fields: [Field; 3]) -> String {
    let [health, rise, fall] = fields.map(|field| number(row, field).unwrap_or_default());
    format!("{health} of {} (rise {rise}, fall {fall})", (rise + fall).saturating_sub(1))
}

/// Connections, sessions and requests per second, now or at most.
pub fn rates(row: &Row, most: bool) -> String {
    let (when, fields) = if most {
        ("most in a second", [Field::ConnRateMax, Field::RateMax, Field::ReqRateMax])
    } else {
        ("in the last second", [Field::ConnRate, Field::Rate, Field::ReqRate])
    };
    let named = fields.into_iter().zip(["connections", "sessions", "requests"]);
    let known: Vec<String> =
        named.filter_map(|(field, name)| Some(format!("{} {name}", grouped(number(row, field)?)))).collect();
    format!("{when}: {}", known.join(", "))
}

/// Connections of a server now.
pub fn connections(row: &Row, out: &mut String) {
    let mut list = List::open(out);
    list.count("In use", row, Field::UsedConnCur);
    list.count("Idle", row, Field::SrvIcur);
    list.count("Idle, safe to reuse", row, Field::SafeConnCur);
    list.count("Idle, reused with care", row, Field::IdleConnCur);
    list.count("Needed, estimate", row, Field::NeedConnEst);
    for (name, field) in [("Limit", Field::Slim), ("Limit of idle", Field::ServerIdleLimit)] {
        let limit = number(row, field).filter(|limit| *limit > 0);
        list.line(name, &limit.map_or_else(|| "none".to_owned(), grouped));
    }
    list.close();
}

/// Sessions so far, the responses to their requests, and the times they took.
pub fn sessions(row: &Row, out: &mut String) {
    let mut list = List::open(out);
    list.count("Connections", row, Field::ConnTot);
    list.count("Sessions", row, Field::Stot);
    list.count("Connections to servers", row, Field::Connect);
    let through =
        number(row, Field::Connect).unwrap_or_default() + number(row, Field::Reuse).unwrap_or_default();
    list.share("Connections reused", row, Field::Reuse, through);
    if let Some(requests) = number(row, Field::ReqTot) {
        list.heading("HTTP");
        list.line("Requests", &grouped(requests));
        for (name, field) in [
            ("1xx responses", Field::Hrsp1xx),
            ("2xx responses", Field::Hrsp2xx),
            ("3xx responses", Field::Hrsp3xx),
            ("4xx responses", Field::Hrsp4xx),
            ("5xx responses", Field::Hrsp5xx),
            ("Other responses", Field::HrspOther),
        ] {
            list.share(name, row, field, requests);
        }
        list.count("Answered here", row, Field::Intercepted);
        list.count("Cache lookups", row, Field::CacheLookups);
        list.share("Cache hits", row, Field::CacheHits, number(row, Field::CacheLookups).unwrap_or_default());
        list.count("Failed header changes", row, Field::Wrew);
        list.count("Internal errors", row, Field::Eint);
    }
    if row.get(Field::Ttime).is_some() {
        list.heading("Average of the last 1024, longest (ms)");
        for (name, average, longest) in [
            ("In the queue", Field::Qtime, Field::QtimeMax),
            ("To connect", Field::Ctime, Field::CtimeMax),
            ("To the response", Field::Rtime, Field::RtimeMax),
            ("In all", Field::Ttime, Field::TtimeMax),
        ] {
            let [average, longest] = [average, longest].map(|field| number(row, field).unwrap_or_default());
            list.line(name, &format!("{}, {}", grouped(average), grouped(longest)));
        }
    }
    list.close();
}

/// Bytes sent, and what compression saved.
pub fn bytes_out(row: &Row, sent: u64) -> String {
    let mut told = format!("{} bytes", grouped(sent));
    let [before, after] = [Field::CompIn, Field::CompOut].map(|field| number(row, field).unwrap_or_default());
    if before > 0 {
        let saved = before.saturating_sub(after);
        put(
            &mut told,
            format_args!("; compression saved {} ({}%)", bytes(saved), saved.saturating_mul(100) / before),
        );
    }
    told
}

/// Bad responses, and who broke transfers off.
pub fn aborts(row: &Row, errors: u64) -> String {
    let [client, server] =
        [Field::CliAbrt, Field::SrvAbrt].map(|field| grouped(number(row, field).unwrap_or_default()));
    format!(
        "{} bad responses; transfers broken off: {client} by clients, {server} by servers",
        grouped(errors)
    )
}

pub fn weight(row: &Row) -> String {
    let [effective, set] =
        [Field::Weight, Field::Uweight].map(|field| number(row, field).unwrap_or_default());
    format!("effective {effective}, set to {set}")
}

/// The last check in short: `L7OK/200 in 3ms`, starred while another runs.
pub fn check_summary(row: &Row) -> String {
    let status = text(row, Field::CheckStatus);
    if status.is_empty() {
        return match text(row, Field::Tracked) {
            "" => String::new(),
            tracked => format!("via {tracked}"),
        };
    }
    let code = number(row, Field::CheckCode).map(|code| format!("/{code}")).unwrap_or_default();
    let time = number(row, Field::CheckDuration).map(|time| format!(" in {time}ms")).unwrap_or_default();
    format!("{status}{code}{time}")
}

/// The last check and agent check in full.
pub fn checks(row: &Row, out: &mut String) {
    let mut list = List::open(out);
    for (title, meaning, report, status, duration_ms) in [
        ("Health check", Field::CheckDesc, Field::LastChk, Field::CheckStatus, Field::CheckDuration),
        ("Agent check", Field::AgentDesc, Field::LastAgt, Field::AgentStatus, Field::AgentDuration),
    ] {
        if text(row, status).is_empty() {
            continue;
        }
        list.heading(title);
        list.line("Status", text(row, status));
        list.line("Meaning", text(row, meaning));
        if !text(row, report).is_empty() {
            list.line("Report", text(row, report));
        }
        if let Some(time) = number(row, duration_ms) {
            list.line("Took", &format!("{} ms", grouped(time)));
        }
    }
    if !text(row, Field::Tracked).is_empty() {
        list.line("Follows", text(row, Field::Tracked));
    }
    list.count("Failed checks", row, Field::Chkfail);
    list.count("Failures in traffic", row, Field::Hanafail);
    if let Some(downs) = number(row, Field::Chkdown) {
        list.line("Times down", &count(downs));
    }
    if let Some(down) = number(row, Field::Downtime) {
        list.line("Time down", &duration(down));
    }
    list.close();
}
