//! One proxy on the page: its heading, its table, and the form of its servers. Values come from the rows of `show stat`.

use super::form::ACTIONS;
use super::text::{bytes, count, duration, escape, escaped, grouped, put};
use super::tips;
use crate::stats::{Field, ObjectKind, Row, Value};
use haproxy_config::model::{Mode, Proxy};

/// The columns behind name and status, by group.
const GROUPS: &[(&str, &[Column])] = &[
    (
        "Queue",
        &[
            column("Cur", Field::Qcur, Kind::Count),
            column("Max", Field::Qmax, Kind::Count),
            column("Limit", Field::Qlimit, Kind::Limit),
        ],
    ),
    (
        "Session rate",
        &[
            column("Cur", Field::Rate, Kind::Rate),
            column("Max", Field::RateMax, Kind::RateMax),
            column("Limit", Field::RateLim, Kind::Limit),
        ],
    ),
    (
        "Sessions",
        &[
            column("Cur", Field::Scur, Kind::Connections),
            column("Max", Field::Smax, Kind::Count),
            column("Limit", Field::Slim, Kind::Limit),
            column("Total", Field::Stot, Kind::Total),
            column("LbTot", Field::Lbtot, Kind::Count),
            column("Last", Field::Lastsess, Kind::Ago),
        ],
    ),
    ("Bytes", &[column("In", Field::Bin, Kind::Bytes), column("Out", Field::Bout, Kind::BytesOut)]),
    ("Denied", &[column("Req", Field::Dreq, Kind::Warning), column("Resp", Field::Dresp, Kind::Warning)]),
    (
        "Errors",
        &[
            column("Req", Field::Ereq, Kind::Error),
            column("Conn", Field::Econ, Kind::Error),
            column("Resp", Field::Eresp, Kind::ResponseError),
        ],
    ),
    (
        "Warnings",
        &[column("Retr", Field::Wretr, Kind::Warning), column("Redis", Field::Wredis, Kind::Warning)],
    ),
    (
        "Server",
        &[
            column("LastChk", Field::CheckStatus, Kind::LastCheck),
            column("Wght", Field::Weight, Kind::Weight),
            column("Act", Field::Act, Kind::Role),
            column("Bck", Field::Bck, Kind::Role),
            column("Chk", Field::Chkfail, Kind::Error),
            column("Dwn", Field::Chkdown, Kind::Error),
            column("Dwntme", Field::Downtime, Kind::Downtime),
            column("Thrtle", Field::Throttle, Kind::Percent),
        ],
    ),
];

/// What `stats show-modules` adds: one column a module, its numbers in the tip.
const MODULES: (&str, &[Column]) = (
    "Extra modules",
    &[
        column("ssl", Field::SslSess, Kind::Module("ssl_")),
        column("h2", Field::H2TotalConnections, Kind::Module("h2_")),
        column("h1", Field::H1TotalConnections, Kind::Module("h1_")),
    ],
);

struct Column {
    name: &'static str,
    field: Field,
    kind: Kind,
}

/// Width of the column of names, in pixels: at least, and at most; longer names are cut and shown whole by hovering.
const NAME_WIDTHS: (u32, u32) = (146, 380);

/// Room for the box before a name, and for a letter of a name, in pixels.
const BOX_WIDTH: u32 = 44;
const LETTER_WIDTH: u32 = 8;

/// Width of the column of statuses, in pixels.
const STATUS_WIDTH: u32 = 132;

/// Width in pixels. Fixed, so that the columns of all proxies stand under each other.
fn width(column: &Column) -> u32 {
    match (column.kind, column.field) {
        (_, Field::Lbtot) => 50,
        (_, Field::Wredis) => 42,
        (Kind::Role, _) => 30,
        (Kind::Count | Kind::Error | Kind::Warning | Kind::ResponseError, _) => 38,
        (Kind::Limit | Kind::Weight | Kind::Rate | Kind::RateMax | Kind::Connections, _) => 44,
        (Kind::Ago, _) => 46,
        (Kind::Percent | Kind::Module(_), _) => 50,
        (Kind::Total, _) => 54,
        (Kind::Downtime, _) => 58,
        (Kind::Bytes | Kind::BytesOut, _) => 68,
        (Kind::LastCheck, _) => 118,
    }
}

const fn column(name: &'static str, field: Field, kind: Kind) -> Column {
    Column { name, field, kind }
}

/// The widths of the columns of all tables on a page: the first depends on the longest name.
#[derive(Debug, Clone)]
pub struct Widths {
    columns: Vec<u32>,
    modules: bool,
}

impl Widths {
    /// `modules`: those of the extra columns too.
    pub fn of<'a>(rows: impl Iterator<Item = &'a Row>, modules: bool) -> Widths {
        let longest = rows.map(|row| text(row, Field::Svname).chars().count()).max().unwrap_or_default();
        let (least, most) = NAME_WIDTHS;
        let name = (u32::try_from(longest).unwrap_or(most))
            .saturating_mul(LETTER_WIDTH)
            .saturating_add(BOX_WIDTH)
            .clamp(least, most);
        let others = groups(modules).flat_map(|(_, columns)| columns.iter().map(width));
        let columns = [name, STATUS_WIDTH].into_iter().chain(others).collect();
        Widths { columns, modules }
    }

    /// Width of a whole table, in pixels; there may be more room.
    pub fn sum(&self) -> u32 {
        self.columns.iter().sum()
    }
}

/// The groups of columns behind name and status.
fn groups(modules: bool) -> impl Iterator<Item = &'static (&'static str, &'static [Column])> {
    GROUPS.iter().chain(modules.then_some(&MODULES))
}

/// How a cell is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Count,
    /// Nothing or 0 is no limit.
    Limit,
    Rate,
    RateMax,
    Connections,
    Total,
    Ago,
    Bytes,
    BytesOut,
    Error,
    ResponseError,
    Warning,
    LastCheck,
    Weight,
    /// Of a server whether it has the role; of a backend how many have.
    Role,
    Downtime,
    Percent,
    /// All numbers whose names begin so.
    Module(&'static str),
}

/// A number of a row; `None` where the cell is empty or text.
pub fn number(row: &Row, field: Field) -> Option<u64> {
    match row.get(field)? {
        Value::Small(number) => Some(u64::from(*number)),
        Value::Large(number) => Some(*number),
        Value::Signed(number) => u64::try_from(*number).ok(),
        Value::Text(_) => None,
    }
}

/// A text of a row; empty where it has none.
pub fn text(row: &Row, field: Field) -> &str {
    match row.get(field) {
        Some(Value::Text(text)) => text,
        Some(Value::Small(_) | Value::Large(_) | Value::Signed(_)) | None => "",
    }
}

/// What one proxy shows.
pub struct Section<'a> {
    pub proxy: &'a Proxy,
    pub rows: &'a [Row],
    /// Where forms are posted to; `None`: nobody may change anything.
    pub form: Option<&'a str>,
    pub widths: &'a Widths,
}

/// Appends the proxy's section.
pub fn write(section: &Section<'_>, out: &mut String) {
    let proxy = section.proxy;
    let name = escaped(&proxy.name);
    let has_servers = section.rows.iter().any(|row| row.kind == ObjectKind::Server);
    let form = section.form.filter(|_| has_servers);
    put(
        out,
        format_args!(
            "<section id=\"{name}\" data-name=\"{name}\"><h2><a class=\"px\" href=\"#{name}\">{name}</a>"
        ),
    );
    put(out, format_args!("<small>{} · mode {} · id {}", role(proxy), mode(proxy), proxy.uuid));
    if let Some(description) = &proxy.description {
        out.push_str(" · ");
        escape(description, out);
    }
    out.push_str("</small></h2>\n");
    if let Some(action) = form {
        put(out, format_args!("<form method=\"post\" action=\"{}\">", escaped(action)));
    }
    head(form.is_some(), &name, section.widths, out);
    for row in section.rows {
        write_row(proxy, row, form.is_some(), section.widths.modules, out);
    }
    out.push_str("</tbody></table>");
    if form.is_some() {
        actions(&name, out);
    }
    out.push_str("</section>\n");
}

fn role(proxy: &Proxy) -> &'static str {
    match (proxy.is_frontend, proxy.is_backend) {
        (true, true) => "proxy",
        (true, false) => "frontend",
        (false, _) => "backend",
    }
}

fn mode(proxy: &Proxy) -> &'static str {
    match proxy.mode {
        Mode::Tcp => "tcp",
        Mode::Http => "http",
        Mode::Health => "health",
    }
}

fn head(selectable: bool, name: &str, widths: &Widths, out: &mut String) {
    out.push_str("<table class=\"tbl\"><colgroup>");
    for width in &widths.columns {
        put(out, format_args!("<col style=\"width:{width}px\">"));
    }
    out.push_str("</colgroup><thead><tr class=\"titre\"><th class=\"id n\" rowspan=\"2\" scope=\"col\">");
    if selectable {
        put(out, format_args!("<input type=\"checkbox\" aria-label=\"All servers of {name}\">"));
    }
    out.push_str("Name</th><th class=\"id l\" rowspan=\"2\" scope=\"col\">Status</th>");
    for (group, columns) in groups(widths.modules) {
        put(
            out,
            format_args!("<th class=\"g\" colspan=\"{}\" scope=\"colgroup\">{group}</th>", columns.len()),
        );
    }
    out.push_str("</tr><tr class=\"titre\">");
    for (_, columns) in groups(widths.modules) {
        for (index, column) in columns.iter().enumerate() {
            put(
                out,
                format_args!(
                    "<th{} scope=\"col\" title=\"{}\">{}</th>",
                    classes(index == 0, alignment(column.kind)),
                    column.field.description(),
                    column.name
                ),
            );
        }
    }
    out.push_str("</tr></thead><tbody>\n");
}

fn alignment(kind: Kind) -> &'static str {
    match kind {
        Kind::LastCheck => "l",
        Kind::Count
        | Kind::Limit
        | Kind::Rate
        | Kind::RateMax
        | Kind::Connections
        | Kind::Total
        | Kind::Ago
        | Kind::Bytes
        | Kind::Module(_)
        | Kind::BytesOut
        | Kind::Error
        | Kind::ResponseError
        | Kind::Warning
        | Kind::Weight
        | Kind::Role
        | Kind::Downtime
        | Kind::Percent => "",
    }
}

/// The class attribute of a cell: `g` opens a group.
fn classes(opens_group: bool, other: &str) -> String {
    match (opens_group, other) {
        (false, "") => String::new(),
        (false, other) => format!(" class=\"{other}\""),
        (true, other) => format!(" class=\"{}\"", format!("g {other}").trim_end()),
    }
}

fn write_row(proxy: &Proxy, row: &Row, selectable: bool, modules: bool, out: &mut String) {
    let status = text(row, Field::Status);
    let name = escaped(text(row, Field::Svname));
    let (title, anchor) = match row.kind {
        ObjectKind::Frontend => ("Frontend", "Frontend"),
        ObjectKind::Backend => ("Backend", "Backend"),
        ObjectKind::Server | ObjectKind::Listener => (&name[..], &name[..]),
    };
    let place = format!("{}/{anchor}", escaped(&proxy.name));
    let status_text = escaped(status);
    put(
        out,
        format_args!(
            "<tr class=\"{}\" data-name=\"{title} {status_text}\"><td class=\"n has\">",
            row_class(row)
        ),
    );
    if selectable && row.kind == ObjectKind::Server {
        put(
            out,
            format_args!(
                "<input type=\"checkbox\" name=\"s\" value=\"{name}\" aria-label=\"Select {name}\">"
            ),
        );
    }
    put(
        out,
        format_args!(
            "<a id=\"{place}\" class=\"lfsb\" href=\"#{place}\" title=\"{title}\"><u>{title}</u></a>"
        ),
    );
    tips::identity(proxy, row, out);
    put(
        out,
        format_args!(
            "</td><td class=\"l\"><span class=\"pill\" title=\"{status_text}\">{status_text}</span>"
        ),
    );
    if let Some(seconds) = number(row, Field::Lastchg) {
        put(
            out,
            format_args!(
                "<span class=\"since\" title=\"for {} seconds\">{}</span>",
                grouped(seconds),
                duration(seconds)
            ),
        );
    }
    out.push_str("</td>");
    for (_, columns) in groups(modules) {
        for (index, column) in columns.iter().enumerate() {
            cell(row, column, index == 0, out);
        }
    }
    out.push_str("</tr>\n");
}

/// The class names are HAProxy's, for scripts that look for them.
fn row_class(row: &Row) -> String {
    let status = text(row, Field::Status);
    match row.kind {
        ObjectKind::Frontend | ObjectKind::Listener => {
            let kind = if row.kind == ObjectKind::Frontend { "frontend" } else { "socket" };
            let state = match status {
                "OPEN" => "open",
                "STOP" => "stopped",
                _ => "paused",
            };
            format!("{kind} {state}")
        }
        ObjectKind::Backend => {
            format!("backend {}", if status.starts_with("UP") { "open" } else { "stopped" })
        }
        ObjectKind::Server => server_class(status, number(row, Field::Bck) == Some(1)),
    }
}

/// Class of a server's row by its status and role.
pub fn server_class(status: &str, backup: bool) -> String {
    if status.starts_with("MAINT") {
        return "maintain".to_owned();
    }
    let role = if backup { "backup" } else { "active" };
    let moving = status.contains('/');
    let state = match status.split(' ').next().unwrap_or_default() {
        "UP" if moving => "going_down",
        "UP" => "up",
        "DOWN" if moving => "going_up",
        "DOWN" => "down",
        "NOLB" | "DRAIN" => "draining",
        _ => "no_check",
    };
    format!("{role}_{state}")
}

fn cell(row: &Row, column: &Column, opens_group: bool, out: &mut String) {
    let value = number(row, column.field);
    let is_server = row.kind == ObjectKind::Server;
    // What a cell shows, its class, and what hovering says.
    let (shown, class, title) = match (column.kind, value) {
        (Kind::LastCheck, _) => return last_check(row, opens_group, out),
        (Kind::Module(prefix), Some(_)) => {
            let tip = |row: &Row, out: &mut String| tips::module(row, prefix, out);
            return with_tip(row, column, opens_group, tip, out);
        }
        (Kind::Rate | Kind::RateMax, Some(rate)) => {
            (count(rate), zero(rate), tips::rates(row, column.kind == Kind::RateMax))
        }
        (Kind::Connections, Some(_)) if is_server => {
            return with_tip(row, column, opens_group, tips::connections, out);
        }
        (Kind::Total, Some(_)) => return with_tip(row, column, opens_group, tips::sessions, out),
        (Kind::Count | Kind::Connections, Some(number)) => (count(number), zero(number), exact(number)),
        (Kind::Limit, Some(0) | None) => match row.kind {
            ObjectKind::Server if row.get(Field::Qcur).is_some() && column.field != Field::RateLim => {
                ("–".to_owned(), "z", "no limit".to_owned())
            }
            ObjectKind::Frontend if column.field == Field::RateLim => {
                ("–".to_owned(), "z", "no limit".to_owned())
            }
            ObjectKind::Server | ObjectKind::Frontend | ObjectKind::Backend | ObjectKind::Listener => empty(),
        },
        (Kind::Limit, Some(limit)) => (count(limit), "", exact(limit)),
        (Kind::Ago, None) if row.get(Field::Lastsess).is_some() => {
            ("?".to_owned(), "z", "none yet".to_owned())
        }
        (Kind::Ago, Some(seconds)) => (duration(seconds), "", format!("{} seconds ago", grouped(seconds))),
        (Kind::Bytes, Some(number)) => (bytes(number), zero(number), format!("{} bytes", grouped(number))),
        (Kind::BytesOut, Some(number)) => (bytes(number), zero(number), tips::bytes_out(row, number)),
        (Kind::Error, Some(number)) => (count(number), alarming(number, "bad"), exact(number)),
        (Kind::ResponseError, Some(number)) => {
            (count(number), alarming(number, "bad"), tips::aborts(row, number))
        }
        (Kind::Warning, Some(number)) => (count(number), alarming(number, "warn"), exact(number)),
        (Kind::Weight, Some(number)) => (weight(row, number), "", tips::weight(row)),
        (Kind::Role, Some(1)) if is_server => ("Y".to_owned(), "", String::new()),
        (Kind::Role, Some(_)) if is_server => ("–".to_owned(), "z", String::new()),
        (Kind::Role, Some(number)) => (count(number), zero(number), exact(number)),
        (Kind::Downtime, Some(seconds)) => {
            (duration(seconds), zero(seconds), format!("{} seconds", grouped(seconds)))
        }
        (Kind::Percent, Some(percent)) => (format!("{percent}%"), "warn", "slow start".to_owned()),
        (_, None) => empty(),
    };
    out.push_str("<td");
    out.push_str(&classes(opens_group, class));
    // Hovering says no more than the cell itself: left out, most cells are short.
    if !title.is_empty() && title != shown {
        put(out, format_args!(" title=\"{}\"", escaped(&title)));
    }
    put(out, format_args!(">{}</td>", escaped(&shown)));
}

fn empty() -> (String, &'static str, String) {
    (String::new(), "", String::new())
}

fn zero(number: u64) -> &'static str {
    if number == 0 { "z" } else { "" }
}

fn alarming(number: u64, class: &'static str) -> &'static str {
    if number == 0 { "z" } else { class }
}

fn exact(number: u64) -> String {
    grouped(number)
}

/// Effective weight, with the weight set beside it while they differ.
fn weight(row: &Row, effective: u64) -> String {
    match number(row, Field::Uweight) {
        Some(set) if set != effective => format!("{effective}/{set}"),
        Some(_) | None => effective.to_string(),
    }
}

fn with_tip(
    row: &Row,
    column: &Column,
    opens_group: bool,
    tip: impl Fn(&Row, &mut String),
    out: &mut String,
) {
    let value = number(row, column.field).unwrap_or_default();
    let class = format!("has {}", zero(value));
    put(
        out,
        format_args!(
            "<td{} tabindex=\"0\"><u title=\"{}\">{}</u><div class=\"tips\">",
            classes(opens_group, class.trim_end()),
            exact(value),
            count(value)
        ),
    );
    tip(row, out);
    out.push_str("</div></td>");
}

fn last_check(row: &Row, opens_group: bool, out: &mut String) {
    let shown = tips::check_summary(row);
    if shown.is_empty() {
        put(out, format_args!("<td{}></td>", classes(opens_group, "l")));
        return;
    }
    put(
        out,
        format_args!(
            "<td{} tabindex=\"0\"><u>{}</u><div class=\"tips\">",
            classes(opens_group, "l has"),
            escaped(&shown)
        ),
    );
    tips::checks(row, out);
    out.push_str("</div></td>");
}

/// The list of actions under a table, and the end of its form.
fn actions(name: &str, out: &mut String) {
    put(
        out,
        format_args!(
            "<div class=\"do\"><label>With the checked servers: <select name=\"action\" aria-label=\"Action on servers \
             of {name}\"><option value=\"\"></option>"
        ),
    );
    for (_, word, title) in ACTIONS {
        if let Some(title) = title {
            put(out, format_args!("<option value=\"{word}\">{title}</option>"));
        }
    }
    put(
        out,
        format_args!(
            "</select></label><input type=\"hidden\" name=\"b\" value=\"{name}\"><button type=\"submit\">Apply</button>\
             </div></form>"
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_coloured_by_status_under_haproxys_class_names() {
        let known = [
            ("UP", false, "active_up"),
            ("UP", true, "backup_up"),
            ("UP 2/3", false, "active_going_down"),
            ("DOWN", true, "backup_down"),
            ("DOWN (agent)", false, "active_down"),
            ("DOWN 1/2", false, "active_going_up"),
            ("NOLB", false, "active_draining"),
            ("DRAIN (agent)", true, "backup_draining"),
            ("MAINT", false, "maintain"),
            ("MAINT (via b/s)", true, "maintain"),
            ("no check", false, "active_no_check"),
        ];
        for (status, backup, class) in known {
            assert_eq!(server_class(status, backup), class, "{status}");
        }
    }
}
