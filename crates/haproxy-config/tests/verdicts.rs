//! Which configurations are accepted: ours against the verdicts of HAProxy 2.6.12 in `vectors/config/verdicts.tsv`.
//!
//! Each row: HAProxy's verdict (`accept`, `warn`, `reject`), where the line stands (`G` global, `D` defaults,
//! `F` frontend, `B` backend, `R` a whole file with `\n`), the line, and a remark where our verdict differs.

use haproxy_config::{LoadOptions, load_text};
use std::fmt::Write;

const TABLE: &str = include_str!("vectors/config/verdicts.tsv");
const DEFAULTS: &str = "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n";

struct Row<'t> {
    accepted: bool,
    warned: bool,
    kind: &'t str,
    text: &'t str,
    /// `accept: …` or `reject: …` when we differ on purpose.
    ours: Option<&'t str>,
}

fn rows() -> impl Iterator<Item = Row<'static>> {
    TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut columns = line.split('\t');
        let verdict = columns.next().expect("a verdict");
        let kind = columns.next().expect("a kind");
        Row {
            accepted: verdict != "reject",
            warned: verdict == "warn",
            kind,
            text: columns.next().expect("a text"),
            ours: columns.next(),
        }
    })
}

/// The whole file around a row's line, with an error page that every machine has.
fn configuration(row: &Row<'_>, page: &str) -> String {
    let mut text = row.text.replace("\\\\", "\u{1}");
    if row.kind == "R" {
        text = text.replace("\\n", "\n").replace("\\r", "\r");
    }
    let text = text.replace('\u{1}', "\\");
    let extra = "backend tbl\n stick-table type ip size 10\nresolvers res\n nameserver a 127.0.0.1:53\n\
                 http-errors errs\n errorfile 400 /etc/haproxy/errors/400.http\n";
    let whole = match row.kind {
        "G" => format!("global\n {text}\n{DEFAULTS}listen x\n bind 127.0.0.1:1\n server s 127.0.0.1:1\n"),
        "D" => format!("{DEFAULTS} {text}\nlisten x\n bind 127.0.0.1:1\n server s 127.0.0.1:1\n{extra}"),
        "F" => {
            format!(
                "{DEFAULTS}frontend fe\n bind 127.0.0.1:1\n {text}\nbackend be\n server s 127.0.0.1:1\n{extra}"
            )
        }
        "B" => format!(
            "{DEFAULTS}listen fe\n bind 127.0.0.1:1\nbackend be\n {text}\n server s 127.0.0.1:1 check\n{extra}"
        ),
        _ => format!("{text}\n"),
    };
    whole.replace("/etc/haproxy/errors/400.http", page)
}

#[test]
fn what_haproxy_accepts_and_refuses_so_do_we() {
    // row: 48, 68, 70, 73, 75, 77, 80, 86, 87, 93, 100, 103, 104, 106, 113, 123, 126, 136, 137, 146, 162, 165, 166, 210
    let page = std::env::temp_dir().join(format!("hawser-verdicts-{}.http", std::process::id()));
    std::fs::write(&page, "HTTP/1.0 400 Bad request\r\n\r\nno\n").expect("a page can be written");
    let page = page.to_str().expect("UTF-8");
    let options = LoadOptions::new(Vec::new());
    let mut wrong = String::new();
    let mut count = 0;
    for row in rows() {
        count += 1;
        let loaded = load_text(&options, "row.cfg", &configuration(&row, page));
        let accepted = loaded.model.is_some();
        let expected = row.ours.map_or(row.accepted, |ours| ours.starts_with("accept"));
        if accepted != expected {
            let rendered = loaded.report.render(&loaded.sources, diag::Severity::Alert);
            let haproxy = if row.accepted { "accepts" } else { "refuses" };
            let _ = writeln!(wrong, "{}\t{}  (HAProxy {haproxy})\n{rendered}", row.kind, row.text);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 900, "the table is there: {count}");
}

/// What HAProxy warns about and we do not: state files and names are looked at by the engine, the rest means nothing
/// here.
const SILENT: [&str; 10] = [
    "server-state-file x",
    "load-server-state-from-file global",
    "load-server-state-from-file local",
    "stats show-desc",
    "log-format-sd x",
    "server a nosuch.invalid:80 init-addr last,libc,none",
    "server a 1.1.1.1:80 tfo",
    r"mailers m\n mailer a 1.1.1.1:25\n timeout mail 3s",
    "issuers-chain-path /tmp",
    "tune.ssl.capture-cipherlist-size 100",
];

#[test]
fn what_haproxy_warns_about_we_warn_about() {
    // row: 77, 89, 92, 126, 164
    let options = LoadOptions::new(Vec::new());
    let silent: Vec<&str> = rows()
        .filter(|row| row.warned && row.ours.is_none() && !SILENT.contains(&row.text))
        .filter(|row| load_text(&options, "row.cfg", &configuration(row, "/dev/null")).report.warnings() == 0)
        .map(|row| row.text)
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Records what HAProxy says now and compares it with the table: `cargo test -p haproxy-config -- --ignored`.
#[test]
#[ignore = "runs haproxy 2.6.12 once for each row"]
fn the_table_says_what_haproxy_says() {
    let directory = std::env::temp_dir().join(format!("hawser-verdicts-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory can be made");
    let file = directory.join("row.cfg");
    let page = directory.join("page.http");
    std::fs::write(&page, "HTTP/1.0 400 Bad request\r\n\r\nno\n").expect("a page can be written");
    let mut wrong = String::new();
    for row in rows() {
        let text = configuration(&row, page.to_str().expect("UTF-8"));
        std::fs::write(&file, text).expect("a file can be written");
        let output = std::process::Command::new("haproxy")
            .args(["-c", "-f"])
            .arg(&file)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("haproxy is installed");
        // 2: valid, but nothing to listen on.
        let accepted = matches!(output.status.code(), Some(0 | 2));
        if accepted != row.accepted {
            let _ = writeln!(wrong, "{}\t{}", row.kind, row.text);
        }
    }
    std::fs::remove_dir_all(&directory).expect("the directory is ours");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_keyword_has_a_row() {
    let text: Vec<&str> = rows().map(|row| row.text).collect();
    let used = |name: &str| {
        text.iter().any(|line| {
            line.split([' ', '\n']).any(|word| word == name || word.ends_with(&format!("\\n{name}")))
        })
    };
    let missing: Vec<String> = haproxy_config::listing::all()
        .iter()
        .filter(|row| !used(row.name))
        .map(|row| format!("{} {}", row.class, row.name))
        .collect();
    assert!(missing.is_empty(), "{} keywords without a row: {missing:#?}", missing.len());
}
