//! `show stat` in all its forms, `show schema json`, `clear counters`.

use super::session::{Outcome, Reply, Session, word};
use crate::state::State;
use crate::stats::{ObjectKind, Row, RowOptions, csv_header, proxy_rows, write_csv, write_json, write_typed};
use crate::stats::{json_schema, prometheus};
use haproxy_config::model::Level;
use std::time::Instant;

/// What a `show stat` asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// Number of the proxy; `None` is all.
    iid: Option<u32>,
    /// Bits of [`ObjectKind::bit`].
    kinds: u32,
    sid: Option<u32>,
    format: Format,
    descriptions: bool,
    hide_maintenance: bool,
    hide_down: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Typed,
    Json,
}

pub fn show(session: &mut Session, words: &[&str]) -> Outcome {
    let wanted = parse(session, &words[2..])?;
    let state = session.state();
    let options = RowOptions { legends: session.level >= Level::Operator, now: Instant::now() };
    let proxies = state.model.proxies.iter();
    let rows =
        proxies
            .filter(|proxy| wanted.iid.is_none_or(|iid| proxy.uuid == iid))
            .flat_map(|proxy| proxy_rows(state, proxy.id, options))
            .filter(|row| wanted.takes(state, row))
            .map(|row| {
                if wanted.hide_maintenance || wanted.hide_down { row.with_server_counts(state) } else { row }
            });
    let mut out = String::new();
    match wanted.format {
        Format::Csv => {
            out.push_str(&csv_header());
            rows.for_each(|row| write_csv(&row, &mut out));
        }
        Format::Typed => rows.for_each(|row| write_typed(&row, wanted.descriptions, &mut out)),
        Format::Json => {
            out.push('[');
            for (index, row) in rows.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(&row, &mut out);
            }
            out.push_str("]\n");
        }
    }
    Ok(Reply::Dump(out))
}

fn parse(session: &Session, words: &[&str]) -> Result<Wanted, Reply> {
    let mut wanted = Wanted {
        iid: None,
        kinds: u32::MAX,
        sid: None,
        format: Format::Csv,
        descriptions: false,
        hide_maintenance: false,
        hide_down: false,
    };
    let mut words = words;
    if word(words, 0) == "domain" {
        if word(words, 1) != "proxy" {
            return Err(Reply::error("Invalid statistics domain.\n"));
        }
        words = &words[2..];
    }
    if let [proxy, kind, sid, rest @ ..] = words {
        let named = proxy.parse::<i64>();
        wanted.iid = match named {
            Ok(number) => u32::try_from(number).ok(),
            Err(_) => {
                let found = session.find_proxy(proxy, |_| true);
                let id = found.ok_or_else(|| Reply::error("No such proxy.\n"))?;
                Some(session.state().model.proxies[id.index()].uuid)
            }
        };
        wanted.kinds = kind.parse::<i32>().unwrap_or(0) as u32;
        wanted.sid = sid.parse::<i64>().ok().and_then(|number| u32::try_from(number).ok());
        words = rest;
    }
    for word in words {
        match *word {
            "typed" => wanted.format = Format::Typed,
            "json" => wanted.format = Format::Json,
            "desc" => wanted.descriptions = true,
            "no-maint" => wanted.hide_maintenance = true,
            "up" => wanted.hide_down = true,
            _ => {}
        }
    }
    Ok(wanted)
}

impl Wanted {
    fn takes(&self, state: &State, row: &Row) -> bool {
        if self.kinds & row.kind.bit() == 0 {
            return false;
        }
        match row.kind {
            ObjectKind::Server | ObjectKind::Listener => {
                self.sid.is_none_or(|sid| sid == row.sid)
                    && (!self.hide_maintenance || !row.is_in_maintenance(state))
                    && (!self.hide_down || row.is_up(state))
            }
            ObjectKind::Frontend | ObjectKind::Backend => true,
        }
    }
}

/// `show metrics`: what the `prometheus-exporter` gives, for those who unite it with others.
pub fn show_metrics(session: &mut Session, _: &[&str]) -> Outcome {
    Ok(Reply::Dump(prometheus::write(session.state(), prometheus::Wanted::ALL)))
}

pub fn show_schema(_: &mut Session, _: &[&str]) -> Outcome {
    Ok(Reply::Dump(json_schema()))
}

/// Peaks start again; with `all` everything counted is zero.
pub fn clear_counters(session: &mut Session, words: &[&str]) -> Outcome {
    let all = word(words, 2) == "all";
    if all && session.level < Level::Admin {
        return Err(Reply::error("Permission denied\n"));
    }
    session.state().clear_counters(all);
    Ok(Reply::Done)
}
