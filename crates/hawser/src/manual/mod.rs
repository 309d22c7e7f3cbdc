//! `hawser manual`: manual pages in roff, made from the usage texts and keyword tables that the program itself reads. Owns
//! their form; every word of substance comes from the tables.

pub mod completions;
mod keywords;

use crate::personality;
use std::ffi::OsString;
use std::process::ExitCode;

const HELP: &str = "Usage: hawser manual PAGE.SECTION | --list

Prints a manual page: hawser manual hawser.1 | man -l -";

/// A page: its name, its section, one line, its body.
struct Page {
    name: &'static str,
    section: u8,
    line: &'static str,
    body: fn() -> String,
}

const PAGES: &[Page] = &[
    Page { name: "hawser", section: 1, line: "high-availability load balancer", body: overview },
    Page {
        name: "hawser-haproxy",
        section: 1,
        line: "the proxy, with HAProxy's command line",
        body: haproxy,
    },
    Page {
        name: "hawser-keepalived",
        section: 8,
        line: "virtual addresses, with keepalived's command line",
        body: keepalived,
    },
    Page { name: "hawser-ipvsadm", section: 8, line: "the kernel's packet director", body: ipvsadm },
    Page {
        name: "hawser-run",
        section: 8,
        line: "proxy and virtual addresses under one supervisor",
        body: || usage(crate::run::arguments::HELP),
    },
    Page {
        name: "hawser-cert",
        section: 1,
        line: "whether a certificate, its key and its names will do",
        body: || usage(crate::cert::HELP),
    },
    Page {
        name: "hawser-check",
        section: 1,
        line: "every mistake of configurations and scripts, and between them",
        body: || usage(crate::check::HELP),
    },
    Page {
        name: "hawser-explain",
        section: 1,
        line: "what each line does; which rule, backend and server a request gets",
        body: || usage(crate::explain::HELP),
    },
    Page {
        name: "hawser-dashboard",
        section: 8,
        line: "one page and one /metrics about everything that runs",
        body: || usage(crate::dashboard::arguments::HELP),
    },
    Page {
        name: "hawser-diff",
        section: 1,
        line: "what a reload would change for clients",
        body: || usage(crate::diff::HELP),
    },
    Page {
        name: "hawser-doctor",
        section: 8,
        line: "what this machine needs to carry the load",
        body: || usage(crate::doctor::arguments::HELP),
    },
    Page {
        name: "hawser-director",
        section: 8,
        line: "the virtual servers of a keepalived.conf",
        body: || usage(crate::director::USAGE),
    },
    Page {
        name: "hawser-vrrp",
        section: 8,
        line: "state of the virtual addresses",
        body: || usage(crate::vrrp_client::HELP),
    },
    Page {
        name: "hawser-lab",
        section: 8,
        line: "two directors, two real servers and a client on this machine",
        body: || usage(crate::lab::HELP),
    },
    Page { name: "hawser-haproxy.cfg", section: 5, line: "keywords of haproxy.cfg", body: keywords::haproxy },
    Page {
        name: "hawser-keepalived.conf",
        section: 5,
        line: "keywords of keepalived.conf",
        body: keywords::keepalived,
    },
];

/// Runs one command line, without the program's name.
pub fn run(words: &[OsString]) -> ExitCode {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match words.first().map(String::as_str) {
        Some("--list") => {
            PAGES.iter().for_each(|page| println!("{}.{}", page.name, page.section));
            ExitCode::SUCCESS
        }
        Some("-h" | "--help") => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Some(wanted) => match PAGES.iter().find(|page| format!("{}.{}", page.name, page.section) == wanted) {
            Some(page) => {
                print!("{}", write(page));
                ExitCode::SUCCESS
            }
            None => {
                eprintln!("hawser manual: there is no page {wanted}\n\n{HELP}");
                ExitCode::from(2)
            }
        },
        None => {
            eprintln!("{HELP}");
            ExitCode::from(2)
        }
    }
}

fn write(page: &Page) -> String {
    let mut out = format!(
        ".TH {} {} \"\" \"Hawser {}\"\n.SH NAME\n{} \\- {}\n",
        page.name.to_uppercase(),
        page.section,
        crate::version::HAWSER,
        page.name,
        escaped(page.line)
    );
    out.push_str(&(page.body)());
    let others = PAGES.iter().filter(|other| other.name != page.name);
    let others: Vec<String> =
        others.map(|other| format!("\\fB{}\\fR({})", other.name, other.section)).collect();
    out.push_str(&format!(".SH SEE ALSO\n{}\n", others.join(",\n")));
    out
}

/// Text that is shown as it is: backslashes, and lines that roff would take for requests.
pub fn escaped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A usage text as it is: its columns are what makes it readable.
fn usage(text: &str) -> String {
    format!(".SH SYNOPSIS AND OPTIONS\n.nf\n{}\n.fi\n", escaped(text.trim_end()))
}

fn overview() -> String {
    let mut out = usage(&personality::help());
    out.push_str(".SH DESCRIPTION\n");
    out.push_str(&escaped(
        "Takes the place of HAProxy, keepalived and ipvsadm: it reads their configuration files, answers on their sockets\n\
         and prints what they print. Started under the name haproxy, keepalived or ipvsadm (a symbolic link will do), the\n\
         word after hawser is not needed.",
    ));
    out.push_str("\n.SH FILES\n.nf\n");
    out.push_str(&escaped(
        "/etc/hawser/haproxy.cfg        what hawser.service runs, by /etc/default/hawser\n\
         /etc/haproxy/haproxy.cfg       what hawser-proxy.service runs\n\
         /etc/keepalived/keepalived.conf  what hawser-failover.service runs\n\
         /run/hawser/vrrp.sock          the socket of hawser vrrp",
    ));
    out.push_str("\n.fi\n");
    out
}

fn haproxy() -> String {
    usage(&crate::haproxy::arguments::usage("hawser haproxy"))
}

fn keepalived() -> String {
    usage(&crate::keepalived::arguments::usage("hawser keepalived"))
}

fn ipvsadm() -> String {
    usage(&crate::ipvsadm::help::text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_every_page_its_parts() {
        for (name, _) in
            personality::commands().filter(|(name, _)| !matches!(*name, "demo" | "manual" | "completions"))
        {
            let wanted = format!("hawser-{name}");
            assert!(PAGES.iter().any(|page| page.name == wanted), "{name}");
        }
        for page in PAGES {
            let text = write(page);
            for part in [".TH ", ".SH NAME", ".SH SEE ALSO"] {
                assert!(text.contains(part), "{}: {part}", page.name);
            }
        }
    }

    #[test]
    fn lines_that_roff_would_obey_are_shown() {
        assert_eq!(escaped(".if x\n-a \\n"), "\\&.if x\n\\-a \\en");
    }
}
