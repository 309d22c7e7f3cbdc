//! What is asked at the socket of the virtual servers, as `hawser director show|drain|ready|weight` does: one line of words.
//! Owns the words and what they name; what follows is the pools'.
//!
//! ```text
//!  [json] show [SERVICE]
//!  [json] drain SERVER [of SERVICE] [within SECONDS]
//!  [json] ready SERVER [of SERVICE]
//!  [json] weight SERVER NUMBER|default [of SERVICE]
//! ```

use super::{Control, Director, status};
use crate::pool::{Pool, WEIGHT_MAX};
use keepalived_config::model::VirtualAddress;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How an answer that is a refusal begins.
pub const REFUSED: &str = "error: ";
/// A month: whoever waits longer does not wait for a drain.
const DRAIN_SECONDS_MAX: u64 = 31 * 86_400;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    Show { service: Option<String> },
    Drain { within: Option<Duration> },
    Ready,
    Weight(Option<u32>),
}

/// A line that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    is_json: bool,
    wish: Wish,
    server: Option<String>,
    service: Option<String>,
}

fn read(line: &str) -> Result<Line, String> {
    let mut words = line.split_ascii_whitespace().peekable();
    let is_json = words.next_if_eq(&"json").is_some();
    let command = words.next().unwrap_or("status");
    let mut server = None;
    let wish = match command {
        // The dashboard's word for the document.
        "status" => {
            return Ok(Line { is_json: true, wish: Wish::Show { service: None }, server, service: None });
        }
        "show" => {
            let service = words.next().map(str::to_owned);
            no_more(words.next())?;
            return Ok(Line { is_json, wish: Wish::Show { service }, server, service: None });
        }
        "drain" => Wish::Drain { within: None },
        "ready" => Wish::Ready,
        "weight" => {
            server = Some(words.next().ok_or("weight of which real server?")?.to_owned());
            Wish::Weight(weight(words.next().ok_or("which weight?")?)?)
        }
        other => return Err(format!("{other} is no command: show, drain, ready or weight")),
    };
    if server.is_none() {
        server = Some(words.next().ok_or_else(|| format!("{command} which real server?"))?.to_owned());
    }
    let mut line = Line { is_json, wish, server, service: None };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match (word, &mut line.wish) {
            ("of", _) => line.service = Some(value.to_owned()),
            ("within", Wish::Drain { within }) => *within = Some(duration(value)?),
            _ => return Err(format!("{word} is not understood here")),
        }
    }
    Ok(line)
}

fn no_more(word: Option<&str>) -> Result<(), String> {
    word.map_or(Ok(()), |word| Err(format!("{word} is not understood here")))
}

fn weight(text: &str) -> Result<Option<u32>, String> {
    if text == "default" {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number| i64::from(*number) <= WEIGHT_MAX);
    number.map(Some).ok_or_else(|| format!("a weight is default or a number up to {WEIGHT_MAX}, not {text}"))
}

/// `90`, `90s`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "m" => 60,
        "h" => 3600,
        _ => 1,
    };
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    let seconds = seconds.filter(|seconds| *seconds <= DRAIN_SECONDS_MAX);
    let seconds = seconds.ok_or_else(|| format!("{text} is no time: 90, 90s, 5m or 1h, a month at most"))?;
    Ok(Duration::from_secs(seconds))
}

/// Whether a virtual server is meant: as logs name it, by address and port, or `fwmark:7`.
fn is_service(pool: &Pool, text: &str) -> bool {
    let by_address = match &pool.virtual_server().address {
        VirtualAddress::Socket(address) => text.parse::<SocketAddr>().is_ok_and(|meant| meant == *address),
        VirtualAddress::Mark { mark, .. } => text.strip_prefix("fwmark:") == Some(&mark.to_string()),
        VirtualAddress::Group(_) => {
            pool.name().strip_prefix('[').and_then(|name| name.split_once(']')).map(|pair| pair.0)
                == Some(text)
        }
    };
    by_address || pool.name().replace(' ', ":") == text || pool.name() == text
}

/// Whether a real server is meant: as logs name it, by address and port, or by its address alone.
fn is_server(pool: &Pool, server: usize, text: &str) -> bool {
    let address = pool.virtual_server().real_servers[server].address;
    text.parse::<SocketAddr>().is_ok_and(|meant| meant == address)
        || text.parse::<IpAddr>().is_ok_and(|meant| meant == address.ip())
        || pool.server_name(server) == text
}

impl Director {
    /// The answer to one line; what it changes is in the plane before.
    pub(super) fn answer(&mut self, line: &str) -> String {
        match read(line).and_then(|line| self.obey(&line)) {
            Ok(answer) => answer,
            Err(text) => format!("{REFUSED}{text}\n"),
        }
    }

    fn obey(&mut self, line: &Line) -> Result<String, String> {
        match &line.wish {
            Wish::Show { service } => self.show(service.as_deref(), line.is_json),
            wish => {
                let places =
                    self.places(line.server.as_deref().unwrap_or_default(), line.service.as_deref())?;
                for (pool, server) in &places {
                    self.handle_control(control(wish, *pool, *server));
                }
                self.settle();
                Ok(self.changed(&places, line.is_json))
            }
        }
    }

    fn show(&mut self, service: Option<&str>, is_json: bool) -> Result<String, String> {
        // A plane that cannot be asked now has no counters.
        let counted = self.plane.read().unwrap_or_default();
        let is_meant = |pool: &&Pool| service.is_none_or(|service| is_service(pool, service));
        let pools: Vec<&Pool> = self.pools.iter().filter(is_meant).collect();
        match (service, pools.is_empty()) {
            (Some(service), true) => Err(format!("there is no virtual server {service}")),
            _ if is_json => Ok(status::document(&pools, &counted)),
            _ => Ok(status::table(&pools, &counted)),
        }
    }

    fn places(&self, server: &str, service: Option<&str>) -> Result<Vec<(usize, usize)>, String> {
        let pools = self.pools.iter().enumerate();
        let meant = pools.filter(|(_, pool)| service.is_none_or(|service| is_service(pool, service)));
        let mut places = Vec::new();
        let mut has_service = false;
        for (at, pool) in meant {
            has_service = true;
            let servers = 0..pool.virtual_server().real_servers.len();
            places.extend(servers.filter(|one| is_server(pool, *one, server)).map(|one| (at, one)));
        }
        match (service, has_service, places.is_empty()) {
            (Some(service), false, _) => Err(format!("there is no virtual server {service}")),
            (Some(service), true, true) => Err(format!("there is no real server {server} of {service}")),
            (None, _, true) => Err(format!("there is no real server {server}")),
            (_, _, false) => Ok(places),
        }
    }

    fn changed(&self, places: &[(usize, usize)], is_json: bool) -> String {
        let one = |(pool, server): &(usize, usize)| {
            let pool = &self.pools[*pool];
            let (name, state) = (pool.server_name(*server), super::state_word(pool, *server));
            (name, pool.name().to_owned(), state, pool.weight(*server))
        };
        let all = places.iter().map(one);
        if is_json {
            let rows = all.map(|(server, service, state, weight)| {
                json!({ "service": service, "server": server, "state": state, "weight": weight })
            });
            return format!("{}\n", json!({ "changed": rows.collect::<Vec<Value>>() }));
        }
        all.map(|(server, service, state, weight)| {
            format!("{server} of {service}: {state}, weight {weight}\n")
        })
        .collect()
    }
}

fn control(wish: &Wish, pool: usize, server: usize) -> Control {
    match wish {
        Wish::Drain { within } => {
            Control::Drain { pool, server, until: within.map(|within| Instant::now() + within) }
        }
        Wish::Weight(weight) => Control::Weight { pool, server, weight: *weight },
        Wish::Ready | Wish::Show { .. } => Control::Ready { pool, server },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_mistakes_named() {
        let line = read("json drain 10.1.0.1:80 of 10.0.0.1:80 within 5m\n").expect("right");
        assert_eq!(line.wish, Wish::Drain { within: Some(Duration::from_secs(300)) });
        assert_eq!((line.is_json, line.server.as_deref()), (true, Some("10.1.0.1:80")));
        assert_eq!(line.service.as_deref(), Some("10.0.0.1:80"));
        assert_eq!(read("weight 10.1.0.1 7").expect("right").wish, Wish::Weight(Some(7)));
        assert_eq!(read("weight 10.1.0.1 default").expect("right").wish, Wish::Weight(None));
        assert_eq!(read("").expect("the document"), read("status").expect("the document"));
        for (line, mistake) in [
            ("stop", "stop is no command: show, drain, ready or weight"),
            ("drain", "drain which real server?"),
            ("weight 10.1.0.1", "which weight?"),
            ("weight 10.1.0.1 65536", "a weight is default or a number up to 65535, not 65536"),
            ("ready 10.1.0.1 within 5", "within is not understood here"),
            ("drain 10.1.0.1 within 1d", "1d is no time: 90, 90s, 5m or 1h, a month at most"),
            ("drain 10.1.0.1 of", "of needs a value"),
            ("show a b", "b is not understood here"),
        ] {
            assert_eq!(read(line).expect_err(line), mistake);
        }
    }
}
