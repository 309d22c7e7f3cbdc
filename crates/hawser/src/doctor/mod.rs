//! `hawser doctor`: looks at the machine, says what is not as a load balancer needs it and why. Changes nothing unless told
//! `--apply`, and then only sysctls.

pub mod arguments;
pub(crate) mod files;
mod finding;
mod firewall;
mod kernel;
#[cfg(test)]
mod laboratory;
mod limits;
mod listeners;
pub(crate) mod machine;
mod masquerade;
mod offload;
mod programs;
mod real_server;
mod role;
pub(crate) mod sysctl;

use arguments::{Arguments, Task};
use diag::{Report, Severity, Sources};
use finding::{Finding, Verdict};
use haproxy_config::LoadOptions;
use haproxy_config::model::Address;
use machine::Machine;
use real_server::Forwarding;
use role::Role;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code when something asked for cannot work, as against 0.
const SOMETHING_BAD: u8 = 1;
/// Exit code of a command line that cannot be understood, or a file that cannot be read.
const USAGE: u8 = 2;

/// Runs one command line, without the program's name.
pub fn run(words: &[OsString]) -> ExitCode {
    let arguments = match arguments::parse(words) {
        Ok(arguments) => arguments,
        Err(reason) => {
            eprintln!("hawser doctor: {reason}\n\n{}", arguments::HELP);
            return ExitCode::from(USAGE);
        }
    };
    let machine = Machine::here();
    match &arguments.task {
        Task::Help => {
            println!("{}", arguments::HELP);
            ExitCode::SUCCESS
        }
        Task::EmitSysctl => {
            print!("{}", emitted_sysctls(&machine, arguments.role));
            ExitCode::SUCCESS
        }
        Task::EmitLimits => {
            print!("{}", limits::emitted());
            ExitCode::SUCCESS
        }
        Task::Apply => apply(&machine, arguments.role),
        Task::Lint(names) => lint(&machine, names, arguments.is_json),
        Task::Examine => examine(&machine, &arguments),
    }
}

fn examine(machine: &Machine, arguments: &Arguments) -> ExitCode {
    let binds = match binds(&arguments.configurations) {
        Ok(binds) => binds,
        Err(text) => {
            eprint!("{text}");
            return ExitCode::from(USAGE);
        }
    };
    let mut found = findings(machine, arguments);
    found.extend(listeners::findings(machine, &binds));
    print!(
        "{}",
        if arguments.is_json { finding::json(&found) } else { finding::plain(&found, arguments.is_long) }
    );
    let is_bad = found.iter().any(|finding| finding.verdict == Verdict::Bad);
    if is_bad { ExitCode::from(SOMETHING_BAD) } else { ExitCode::SUCCESS }
}

fn findings(machine: &Machine, arguments: &Arguments) -> Vec<Finding> {
    let role = arguments.role;
    let mut found = sysctl::findings(machine, role);
    found.extend(limits::findings(machine));
    found.extend(firewall::findings(machine, role));
    found.push(kernel::clock(sys::clock::synchronisation().ok()));
    found.push(kernel::selinux(machine));
    found.extend(kernel::ipvs(machine, role));
    found.extend(masquerade::findings(machine, role));
    found.extend(offload::findings(machine, role));
    if role == Role::RealServer {
        let forwarding = match arguments.director {
            Some(director) => Forwarding::Translated { director },
            None => Forwarding::Direct,
        };
        found.extend(real_server::findings(machine, arguments.virtual_address, forwarding));
    }
    found.extend(programs::findings(machine));
    found
}

/// The addresses that the configurations bind.
fn binds(files: &[PathBuf]) -> Result<Vec<SocketAddr>, String> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let loaded = haproxy_config::load(&LoadOptions::new(files.to_vec()));
    let Some(model) = loaded.model else {
        return Err(loaded.report.render(&loaded.sources, Severity::Alert));
    };
    let binds = model.proxies.iter().flat_map(|proxy| &proxy.binds);
    Ok(binds.filter_map(|bind| address(&bind.address)).collect())
}

fn address(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Inet { ip, port } => Some(SocketAddr::new(*ip, *port)),
        Address::Host { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => None,
    }
}

fn emitted_sysctls(machine: &Machine, role: Role) -> String {
    let mut text = format!(
        "# /etc/sysctl.d/90-hawser.conf: settings for the role {}; `sysctl --system` loads it\n",
        role.name()
    );
    for (name, value) in sysctl::wanted(machine, role) {
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}

/// Sets what is not as emitted; says each change.
fn apply(machine: &Machine, role: Role) -> ExitCode {
    let mut has_failed = false;
    for (name, value) in sysctl::wanted(machine, role) {
        let before = machine.sysctl(name).unwrap_or_default();
        if before == value {
            continue;
        }
        match machine.set_sysctl(name, value) {
            Ok(()) => println!("{name}: {before} -> {value}"),
            Err(error) => {
                has_failed = true;
                eprintln!("hawser doctor: {name}: {error}");
            }
        }
    }
    println!("until the next boot; `hawser doctor --emit-sysctl > /etc/sysctl.d/90-hawser.conf` keeps it");
    if has_failed { ExitCode::from(SOMETHING_BAD) } else { ExitCode::SUCCESS }
}

/// Reads files for the machine, not the machine.
fn lint(machine: &Machine, names: &[PathBuf], is_json: bool) -> ExitCode {
    let (mut sources, mut report) = (Sources::default(), Report::default());
    for path in names {
        let name = path.to_string_lossy();
        let Some(kind) = files::kind(&name) else {
            eprintln!("hawser doctor: {name}: its name says neither sysctl nor limits");
            return ExitCode::from(USAGE);
        };
        let Some(text) = machine::read(path) else {
            eprintln!("hawser doctor: {name}: cannot be read");
            return ExitCode::from(USAGE);
        };
        let file = sources.add(name, text);
        files::lint(kind, file, &sources, machine, &mut report);
    }
    if is_json {
        println!("{}", diag::to_json(&report, &sources));
    } else {
        print!("{}", report.render(&sources, Severity::Notice));
    }
    if report.has_alerts() { ExitCode::from(SOMETHING_BAD) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use laboratory::Laboratory;

    // row: 41
    #[test]
    fn the_emitted_file_sets_only_what_the_kernel_has() {
        let laboratory = Laboratory::new();
        laboratory.sysctl("net.ipv4.ip_forward", "0");
        laboratory.sysctl("net.ipv4.tcp_syncookies", "0");
        let text = emitted_sysctls(&laboratory.machine(&[]), Role::DirectorNat);
        assert!(text.ends_with("net.ipv4.ip_forward = 1\n") && !text.contains("syncookies"), "{text}");
        assert_eq!(
            laboratory.machine(&[]).sysctl("net.ipv4.ip_forward").as_deref(),
            Some("0"),
            "printing writes nothing"
        );
    }

    // row: 41, 308
    #[test]
    fn applying_sets_it() {
        let laboratory = Laboratory::new();
        laboratory.sysctl("net.ipv4.ip_forward", "0");
        apply(&laboratory.machine(&[]), Role::DirectorNat);
        assert_eq!(laboratory.machine(&[]).sysctl("net.ipv4.ip_forward").as_deref(), Some("1"));
    }

    // row: 315, 316
    #[test]
    fn a_real_server_must_keep_silent_about_the_virtual_address() {
        let laboratory = Laboratory::new();
        laboratory.sysctl("net.ipv4.conf.all.arp_ignore", "0");
        laboratory.sysctl("net.ipv4.conf.all.arp_announce", "2");
        let found = sysctl::findings(&laboratory.machine(&[]), Role::RealServer);
        let verdict =
            |name: &str| found.iter().find(|finding| finding.subject == name).expect("listed").verdict;
        assert_eq!(verdict("net.ipv4.conf.all.arp_ignore"), Verdict::Bad);
        assert_eq!(verdict("net.ipv4.conf.all.arp_announce"), Verdict::Good);
    }
}
