//! The statistics page over HTTP: who may see it, in which form, and what its form does. Makes whole responses; sending
//! them is the session's.
//!
//! ```text
//!  request ─► matches ─► credentials ─► GET, HEAD: rows ─► HTML, CSV, typed, JSON
//!                           │ 401       POST: form ─► actions on servers ─► 303 back to the page
//! ```

mod access;
mod document;
mod form;
mod operator;
mod table;
mod target;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod text;
mod tips;

pub use operator::Visitor;
pub use target::matches;

use super::{Field, ObjectKind, Row, RowOptions, csv_header, proxy_rows, write_csv, write_json, write_typed};
use crate::state::{Running, State};
use document::Document;
use form::Servers;
use haproxy_config::model::Stats;
use http::{Head, Method, Version};
use std::collections::HashSet;
use std::time::Instant;
use target::{Format, Outcome, View};

/// The realm asked for unless `stats realm` says another.
const REALM_DEFAULT: &str = "HAProxy Statistics";

/// Longest answer in the forms for programs, in bytes; rows beyond are left out.
const EXPORT_LENGTH_MAX: usize = 64 << 20;

/// What a visitor may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Look,
    /// `stats admin` holds: servers may be changed.
    Admin,
}

/// The version that the page shows.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    pub version: &'a str,
    /// As `2026/11/22`.
    pub date: &'a str,
}

/// A request for the page, and what was decided about it.
pub struct Visit<'a> {
    pub request: &'a Head,
    /// The body of a POST; `None`: it does not fit a buffer.
    pub body: Option<&'a [u8]>,
    pub settings: &'a Stats,
    pub access: Access,
    /// Value of the response's `connection`, where it needs one.
    pub connection: Option<&'a [u8]>,
    pub release: Release<'a>,
}

/// A whole response, head and body. A HEAD request gets no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub status: u16,
    pub bytes: Vec<u8>,
}

/// Answers a request that [`matches`].
pub fn respond<S: Servers>(visit: &Visit<'_>, state: &State, servers: &mut S) -> Page {
    let settings = visit.settings;
    if !access::is_authorized(visit.request, &settings.auth) {
        return unauthorized(visit);
    }
    let view = View::of(visit.request, settings);
    match visit.request.method_kind() {
        Method::Post => {
            let allowed = visit.access == Access::Admin && access::is_own_form(visit.request);
            let outcome = if allowed { form::process(visit.body, servers) } else { Outcome::Denied };
            redirect(visit, &view.after_action(settings, outcome))
        }
        _ => show(visit, state, &view),
    }
}

fn show(visit: &Visit<'_>, state: &State, view: &View) -> Page {
    let settings = visit.settings;
    let body = match view.format {
        Format::Html => {
            let proxies = shown(settings, state, view).collect();
            let release = visit.release;
            document::write(&Document { state, settings, view, access: visit.access, release, proxies })
        }
        Format::Csv => export(csv_header(), shown(settings, state, view), write_csv),
        Format::Typed => export(String::new(), shown(settings, state, view), |row, out| {
            write_typed(row, false, out);
            // Over HTTP no empty line stands between the objects.
            if out.ends_with("\n\n") {
                out.pop();
            }
        }),
        Format::Json => {
            let mut out = export("[".to_owned(), shown(settings, state, view), |row, out| {
                if out.len() > 1 {
                    out.push(',');
                }
                write_json(row, out);
            });
            out.push_str("]\n");
            out
        }
        Format::JsonSchema => super::json_schema(),
    };
    let mut head = start(200);
    head.add(b"cache-control", b"no-cache");
    head.add(b"content-type", view.format.content_type().as_bytes());
    if let Some(period) = settings.refresh.filter(|_| view.refresh) {
        head.add(b"refresh", period.as_secs().to_string().as_bytes());
    }
    head.add(b"content-length", body.len().to_string().as_bytes());
    finish(visit, head, body.as_bytes())
}

/// The rows to show, by proxy.
fn shown<'a>(settings: &'a Stats, state: &'a State, view: &'a View) -> impl Iterator<Item = Vec<Row>> + 'a {
    let options = RowOptions { legends: settings.show_legends, now: Instant::now() };
    let wanted = view.scope.to_ascii_lowercase();
    state
        .model
        .proxies
        .iter()
        .filter(move |proxy| {
            let listed = settings.scope.is_empty() || settings.scope.contains(&proxy.name);
            listed && proxy.name.to_ascii_lowercase().contains(&wanted)
        })
        .map(move |proxy| {
            let rows = proxy_rows(state, proxy.id, options);
            if view.only_up || view.hide_maintenance { listed(state, view, rows) } else { rows }
        })
}

/// Without the servers that `;up` and `;no-maint` leave out; backends tell how many there are instead.
fn listed(state: &State, view: &View, mut rows: Vec<Row>) -> Vec<Row> {
    let Some(first) = rows.first() else { return rows };
    let up: HashSet<u32> = state
        .backend(first.proxy)
        .servers()
        .filter(|server| server.running() != Running::Stopped && !server.admin().is_maintenance())
        .map(|server| server.settings.puid)
        .collect();
    rows.retain(|row| {
        let down = view.only_up && !up.contains(&row.sid);
        row.kind != ObjectKind::Server || !(down || view.hide_maintenance && in_maintenance(row))
    });
    rows.into_iter().map(|row| row.with_server_counts(state)).collect()
}

fn in_maintenance(row: &Row) -> bool {
    table::text(row, Field::Status).starts_with("MAINT")
}

fn export(
    start: String,
    proxies: impl Iterator<Item = Vec<Row>>,
    mut write: impl FnMut(&Row, &mut String),
) -> String {
    let mut out = start;
    for row in proxies.flatten() {
        if out.len() > EXPORT_LENGTH_MAX {
            break;
        }
        write(&row, &mut out);
    }
    out
}

fn unauthorized(visit: &Visit<'_>) -> Page {
    let page = http::page::of(401).expect("401 has a page");
    let mut head = Head::new();
    page.start(&mut head);
    let realm = visit.settings.realm.as_deref().unwrap_or(REALM_DEFAULT);
    // A quote would end the text in the field (RFC 9110 §5.6.4).
    let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
    head.add(b"www-authenticate", format!("Basic realm=\"{realm}\"").as_bytes());
    let mut body = Vec::new();
    page.write_body(&mut body);
    finish(visit, head, &body)
}

fn redirect(visit: &Visit<'_>, location: &str) -> Page {
    let mut head = start(303);
    head.add(b"cache-control", b"no-cache");
    head.add(b"content-type", b"text/plain");
    head.add(b"content-length", b"0");
    head.add(b"location", location.as_bytes());
    finish(visit, head, b"")
}

fn start(status: u16) -> Head {
    let mut head = Head::new();
    head.start_response(status, None, Version::Http11);
    head
}

fn finish(visit: &Visit<'_>, mut head: Head, body: &[u8]) -> Page {
    if let Some(connection) = visit.connection {
        head.add(b"connection", connection);
    }
    let mut bytes = Vec::with_capacity(head.wire_len() + body.len());
    head.write_to(&mut bytes);
    if visit.request.method_kind() != Method::Head {
        bytes.extend_from_slice(body);
    }
    Page { status: head.status(), bytes }
}
