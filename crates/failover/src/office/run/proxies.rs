//! `track_proxy`: what the supervisor of both strands tells of the proxy's frontends and backends.

use super::Office;
use crate::channel::Order;
use crate::log::Level;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use vrrp::tracking::Status;

/// Bytes of the supervisor's file that are read.
const FILE_LENGTH_MAX: u64 = 1 << 20;

/// What the supervisor knew when we were started; a file that is not there is one that knows nothing yet.
pub(super) fn read(path: &Path) -> BTreeMap<String, bool> {
    let mut text = String::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(FILE_LENGTH_MAX).read_to_string(&mut text));
    if read.is_err() {
        return BTreeMap::new();
    }
    let line = |line: &str| {
        let (name, state) = line.rsplit_once(' ')?;
        match state {
            "up" => Some((name.to_owned(), true)),
            "down" => Some((name.to_owned(), false)),
            _ => None,
        }
    };
    text.lines().filter_map(line).collect()
}

impl Office {
    /// One proxy is up or down; the answer to whoever told it.
    pub(super) fn proxy_is(&mut self, name: &str, is_up: bool) -> &'static str {
        let Some(tracker) = self.plan.proxies.iter().find(|(known, _)| known == name).map(|(_, it)| *it)
        else {
            return "error: nothing tracks that proxy\n";
        };
        if self.proxies.insert(name.to_owned(), is_up) != Some(is_up) {
            let state = if is_up { "up" } else { "down" };
            self.log.line(Level::Info, &format!("Proxy {name} is now {state}"));
            let status = if is_up { Status::Up } else { Status::Down };
            self.orders.send(Order::Track { generation: self.plan.generation, tracker, status });
        }
        "ok\n"
    }

    /// Everything that is known of proxies, for a new plan. Nobody tells without a supervisor: they count as up.
    pub(super) fn tell_proxies(&mut self) {
        let plan = &self.plan;
        self.proxies.retain(|name, _| plan.proxies.iter().any(|(known, _)| known == name));
        for (name, tracker) in &plan.proxies {
            let status = match self.proxies.get(name) {
                Some(true) => Status::Up,
                Some(false) => Status::Down,
                None if self.options.proxies.is_some() => Status::Unknown,
                None => Status::Up,
            };
            self.orders.send(Order::Track { generation: plan.generation, tracker: *tracker, status });
        }
        if !plan.proxies.is_empty() && self.options.proxies.is_none() {
            let line = "track_proxy counts proxies as up: only `hawser run` knows how they are";
            self.log.line(Level::Warning, line);
        }
    }
}
