//! The page as a whole: its head, the bar, the facts of the process, and a section per proxy.

use super::table::{self, Section, Widths, number, server_class, text};
use super::target::{Format, Link, Outcome, View};
use super::text::{bytes, count, duration, escaped, grouped, put, uptime};
use super::{Access, Release};
use crate::state::State;
use crate::stats::{Field, ObjectKind, Row};
use haproxy_config::model::Stats;
use std::sync::atomic::Ordering::Relaxed;

/// Longest page, in bytes; proxies beyond are left out, and the page says so.
const LENGTH_MAX: usize = 32 << 20;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Runs before anything is drawn, so that no page flashes in the other colours.
const THEME: &str = "try{document.documentElement.dataset.theme=localStorage.getItem('theme')||''}catch(e){}";

/// What the page is made of.
pub struct Document<'a> {
    pub state: &'a State,
    pub settings: &'a Stats,
    pub view: &'a View,
    pub access: Access,
    pub release: Release<'a>,
    /// Rows of each proxy shown, in the order of the configuration.
    pub proxies: Vec<Vec<Row>>,
}

/// The page.
pub fn write(document: &Document<'_>) -> String {
    let mut out = String::with_capacity(64 << 10);
    head(&mut out);
    bar(document, &mut out);
    outcome(document, &mut out);
    facts(document, &mut out);
    let widths = Widths::of(document.proxies.iter().flatten(), document.settings.show_modules);
    put(&mut out, format_args!("<main style=\"--tables:{}px\">\n", widths.sum()));
    let form = document.view.link(document.settings, Link::of(document.view));
    let form = (document.access == Access::Admin).then_some(&form[..]);
    for (index, rows) in document.proxies.iter().enumerate() {
        if out.len() > LENGTH_MAX {
            let left = document.proxies.len() - index;
            put(
                &mut out,
                format_args!("<p class=\"note no_check\">{left} more: narrow the scope to see them.</p>"),
            );
            break;
        }
        if let Some(first) = rows.first() {
            let proxy = &document.state.model.proxies[first.proxy.index()];
            table::write(&Section { proxy, rows, form, widths: &widths }, &mut out);
        }
    }
    put(&mut out, format_args!("</main>\n<script>{SCRIPT}</script>\n</body></html>\n"));
    out
}

fn head(out: &mut String) {
    // Nothing is loaded from anywhere, so nothing may be: what is here is all the page needs.
    put(
        out,
        format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <title>Statistics Report for HAProxy</title>\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
             script-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"referrer\" content=\"same-origin\"><meta name=\"robots\" content=\"noindex\">\
             <link rel=\"icon\" href=\"data:,\"><script>{THEME}</script>\n<style>{STYLE}</style></head>\n<body>"
        ),
    );
}

fn bar(document: &Document<'_>, out: &mut String) {
    let Document { settings, view, release, .. } = document;
    out.push_str("<header class=\"wide\"><h1>HAProxy");
    if !settings.hide_version {
        put(
            out,
            format_args!(
                " version {}<small>, released {}</small>",
                escaped(release.version),
                escaped(release.date)
            ),
        );
    }
    out.push_str("</h1>");
    scope_form(document, out);
    let link = |change: &dyn Fn(&mut Link)| {
        let mut link = Link::of(view);
        change(&mut link);
        escaped(&view.link(settings, link))
    };
    out.push_str("<nav aria-label=\"Display\">");
    let mut switch = |on: bool, href: String, name: &str, title: &str| {
        let class = if on { "on" } else { "less" };
        put(out, format_args!("<a class=\"{class}\" href=\"{href}\" title=\"{title}\">{name}</a>"));
    };
    let hide_down = link(&|link| link.only_up = !link.only_up);
    switch(view.only_up, hide_down, "Hide DOWN", "Hide or show servers that are down");
    let hide_maintenance = link(&|link| link.hide_maintenance = !link.hide_maintenance);
    switch(view.hide_maintenance, hide_maintenance, "Hide MAINT", "Hide or show servers in maintenance");
    if let Some(period) = settings.refresh {
        let name = format!("Refresh {}", duration(period.as_secs()));
        let toggled = link(&|link| link.refresh = !link.refresh);
        switch(view.refresh, toggled, &name, "Load the page again by itself, or stop doing so");
    }
    switch(false, link(&|_| {}), "Refresh now", "Load the page again");
    for (format, name) in [(Format::Csv, "CSV"), (Format::Json, "JSON")] {
        let href = link(&|link| {
            link.format = format;
            link.refresh &= settings.refresh.is_none();
        });
        switch(false, href, name, "The same numbers for programs");
    }
    out.push_str(
        "<button id=\"theme\" type=\"button\" title=\"Light or dark\" aria-label=\"Light or dark\">◐</button></nav></header>\n",
    );
}

/// The filter: typed into with scripts, sent as `scope=` without.
fn scope_form(document: &Document<'_>, out: &mut String) {
    let Document { settings, view, .. } = document;
    let target = view.link(settings, Link { scoped: false, ..Link::of(view) });
    // A browser drops the query of a form's target: its parameters go along as hidden fields.
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    put(out, format_args!("<form method=\"get\" action=\"{}\" role=\"search\">", escaped(path)));
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        put(
            out,
            format_args!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value)),
        );
    }
    put(
        out,
        format_args!(
            "<input id=\"filter\" type=\"search\" name=\"scope\" value=\"{}\" maxlength=\"40\" autocomplete=\"off\" \
             placeholder=\"Filter: name, server, status\" aria-label=\"Filter\"></form>",
            escaped(&view.scope)
        ),
    );
}

/// How the last action ended: class, and what is said.
fn explain(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Done => ("active_up", "Done: the action was applied to all checked servers."),
        Outcome::Partial => {
            ("going_down", "Partly done: some of the servers are unknown, or their names are ambiguous.")
        }
        Outcome::Nothing => (
            "going_down",
            "Nothing has changed: no server was checked, or the action does not apply to them.",
        ),
        Outcome::BadParameters => {
            ("active_down", "Not done: the action, the backend or the servers are unknown or ambiguous.")
        }
        Outcome::TooLong => {
            ("active_down", "Not done: the form is longer than a buffer. Check fewer servers at a time.")
        }
        Outcome::Denied => ("active_down", "Denied: you may not change anything from here."),
        Outcome::Invalid => ("active_down", "Not done: the request was not understood."),
        Outcome::Unknown => ("no_check", "Unexpected result."),
    }
}

fn outcome(document: &Document<'_>, out: &mut String) {
    let Document { settings, view, .. } = document;
    let Some(outcome) = view.outcome else { return };
    let (class, said) = explain(outcome);
    let without = escaped(&view.link(settings, Link::of(view)));
    put(
        out,
        format_args!(
            "<div class=\"note {class}\" role=\"status\"><a href=\"{without}\" title=\"Remove this message\">✕</a>{said}</div>\n"
        ),
    );
}

/// Servers by what they do, over everything shown.
#[derive(Default)]
struct Census {
    up: u64,
    moving: u64,
    down: u64,
    draining: u64,
    maintenance: u64,
    unchecked: u64,
}

impl Census {
    fn of(proxies: &[Vec<Row>]) -> Census {
        let mut census = Census::default();
        for row in proxies.iter().flatten().filter(|row| row.kind == ObjectKind::Server) {
            let class = server_class(text(row, Field::Status), false);
            *match &class[..] {
                "active_up" => &mut census.up,
                "active_going_down" | "active_going_up" => &mut census.moving,
                "active_down" => &mut census.down,
                "active_draining" => &mut census.draining,
                "maintain" => &mut census.maintenance,
                _ => &mut census.unchecked,
            } += 1;
        }
        census
    }

    fn total(&self) -> u64 {
        self.up + self.moving + self.down + self.draining + self.maintenance + self.unchecked
    }
}

fn facts(document: &Document<'_>, out: &mut String) {
    let state = document.state;
    let now = std::time::Instant::now();
    let now_ms = state.clock.millis(now);
    let age = now.saturating_duration_since(state.clock.started()).as_secs();
    let process = &state.process;
    let (connections, peak) = (process.connections.get(), process.connections.max());
    let maxconn = process.maxconn.load(Relaxed);
    let sum = |field: &dyn Fn(&crate::state::counters::WorkerCounters) -> u64| -> u64 {
        state.workers.iter().map(|worker| field(worker)).sum()
    };
    let accepted = sum(&|worker| worker.connections.get());
    let requests = sum(&|worker| worker.requests.get());
    let sent = shown_sum(document, Field::Bout);
    let received = shown_sum(document, Field::Bin);
    out.push_str("<div class=\"wide facts\">");
    let mut fact = |value: String, name: &str, title: String| {
        put(
            out,
            format_args!(
                "<div class=\"fact\" title=\"{}\"><b>{value}</b><span>{name}</span></div>",
                escaped(&title)
            ),
        );
    };
    fact(duration(age), "uptime", uptime(age));
    let limit =
        if maxconn == 0 { "no limit".to_owned() } else { format!("of {}", count(u64::from(maxconn))) };
    fact(
        format!(
            "{} <small>{limit}</small><meter min=\"0\" max=\"{max}\" low=\"{low}\" high=\"{high}\" optimum=\"0\" \
             value=\"{connections}\"></meter>",
            count(u64::from(connections)),
            max = maxconn.max(1),
            low = u64::from(maxconn) * 7 / 10,
            high = u64::from(maxconn) * 9 / 10,
        ),
        "connections",
        format!("{connections} now, {peak} at most, maxconn {maxconn}"),
    );
    let rate = |rate: &crate::state::counters::Rate| (rate.get(now_ms), rate.max());
    for (name, (current, most)) in
        [("connection rate", rate(&process.connections_rate)), ("session rate", rate(&process.sessions_rate))]
    {
        fact(
            format!("{} <small>/s</small>", count(u64::from(current))),
            name,
            format!("{current} per second, {most} at most"),
        );
    }
    fact(count(accepted), "connections so far", grouped(accepted));
    fact(count(requests), "requests so far", grouped(requests));
    fact(
        bytes(received),
        "bytes in",
        format!("{} bytes from clients of the proxies shown", grouped(received)),
    );
    fact(bytes(sent), "bytes out", format!("{} bytes to clients of the proxies shown", grouped(sent)));
    let census = Census::of(&document.proxies);
    let usable = census.total() - census.down - census.maintenance;
    fact(
        format!("{} <small>of {}</small>", count(usable), count(census.total())),
        "servers in service",
        "servers shown that are not down and not in maintenance".to_owned(),
    );
    out.push_str("</div>\n<div class=\"wide about\">");
    about(document, out);
    key(&census, out);
    out.push_str("</div>\n");
}

/// The sum of a column over the frontends shown.
fn shown_sum(document: &Document<'_>, field: Field) -> u64 {
    let rows = document.proxies.iter().flatten();
    rows.filter(|row| row.kind == ObjectKind::Frontend).filter_map(|row| number(row, field)).sum()
}

fn about(document: &Document<'_>, out: &mut String) {
    let Document { state, settings, .. } = document;
    put(out, format_args!("<span>Statistics Report for pid <b>{}</b>", std::process::id()));
    if let Some(node) = &settings.show_node {
        let host;
        let node = match (&node[..], &state.model.global.node) {
            ("", Some(node)) => node,
            ("", None) => {
                host = rustix::system::uname().nodename().to_string_lossy().into_owned();
                &host
            }
            (node, _) => node,
        };
        put(out, format_args!(" on <b>{}</b>", escaped(node)));
    }
    if let Some(description) = &settings.show_description {
        let global = state.model.global.description.as_deref().unwrap_or_default();
        let description = if description.is_empty() { global } else { description };
        if !description.is_empty() {
            put(out, format_args!(": {}", escaped(description)));
        }
    }
    put(out, format_args!("</span><span>threads <b>{}</b></span>", state.workers.len()));
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(files) = files {
        put(out, format_args!("<span>ulimit-n <b>{}</b></span>", grouped(files)));
    }
    put(
        out,
        format_args!("<span>maxconn <b>{}</b></span>", grouped(state.process.maxconn.load(Relaxed).into())),
    );
    if !document.view.scope.is_empty() {
        let all = document.view.link(settings, Link { scoped: false, ..Link::of(document.view) });
        put(
            out,
            format_args!(
                "<span>only proxies with <b>{}</b> in their name (<a href=\"{}\">show all</a>)</span>",
                escaped(&document.view.scope),
                escaped(&all)
            ),
        );
    }
    if state.is_stopping() {
        out.push_str("<span class=\"bad\">stopping</span>");
    }
}

/// What the colours mean, and how many servers have each.
fn key(census: &Census, out: &mut String) {
    out.push_str("<span class=\"key\" aria-label=\"Servers by status\">");
    for (class, name, number) in [
        ("active_up", "UP", census.up),
        ("active_going_down", "changing", census.moving),
        ("active_down", "DOWN", census.down),
        ("active_draining", "DRAIN / NOLB", census.draining),
        ("maintain", "MAINT", census.maintenance),
        ("active_no_check", "no check", census.unchecked),
    ] {
        put(out, format_args!("<span class=\"pill {class}\">{number} {name}</span>"));
    }
    out.push_str("</span>");
}
