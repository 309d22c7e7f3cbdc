//! Which programs and files stand where scripts expect them.

use super::finding::{Finding, Verdict};
use super::machine::Machine;

const PROGRAMS: &[&str] = &["/usr/sbin/haproxy", "/usr/sbin/keepalived", "/usr/sbin/ipvsadm"];
const CONFIGURATIONS: &[&str] = &["/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf"];
const UNITS: &[&str] = &["haproxy.service", "keepalived.service"];
const UNIT_FOLDERS: &[&str] = &["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// A chain of links longer than this is a loop.
const LINKS_MAX: usize = 8;

pub fn findings(machine: &Machine) -> Vec<Finding> {
    let programs = PROGRAMS.iter().map(|path| program(machine, path));
    let configurations = CONFIGURATIONS.iter().map(|path| {
        let measured = if machine.exists(path) { "there" } else { "not there" };
        Finding::new("programs", *path, Verdict::Info).measured(measured)
    });
    let units = UNITS.iter().map(|unit| {
        let folder = UNIT_FOLDERS.iter().find(|folder| machine.exists(&format!("{folder}/{unit}")));
        let measured = folder.map_or_else(|| "no unit".to_owned(), |folder| format!("{folder}/{unit}"));
        Finding::new("programs", *unit, Verdict::Info).measured(measured)
    });
    programs.chain(configurations).chain(units).collect()
}

fn program(machine: &Machine, path: &str) -> Finding {
    let finding = Finding::new("programs", path, Verdict::Info);
    let mut target = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Some(next) = machine.link(&target) else { break };
        target = next.to_string_lossy().into_owned();
    }
    if target.rsplit('/').next() == Some("hawser") {
        finding.measured(format!("hawser ({target})"))
    } else if machine.exists(path) {
        let base = path.rsplit('/').next().unwrap_or(path);
        finding
            .measured("the program of that name")
            .because(format!("hawser {base} takes the same command line"))
    } else {
        finding.measured("not there").because("a link of that name to hawser is that program")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::laboratory::Laboratory;

    // row: 46
    #[test]
    fn links_to_hawser_are_told_from_the_programs_they_replace() {
        let laboratory = Laboratory::new();
        laboratory.link("/usr/sbin/haproxy", "/etc/alternatives/haproxy");
        laboratory.link("/etc/alternatives/haproxy", "/usr/bin/hawser");
        laboratory.write("/usr/sbin/keepalived", "");
        laboratory.write("/lib/systemd/system/haproxy.service", "");
        laboratory.write("/etc/haproxy/haproxy.cfg", "");
        let found = findings(&laboratory.machine(&[]));
        let measured = |subject: &str| {
            found.iter().find(|finding| finding.subject == subject).expect("looked at").measured.clone()
        };
        assert_eq!(measured("/usr/sbin/haproxy"), "hawser (/usr/bin/hawser)");
        assert_eq!(measured("/usr/sbin/keepalived"), "the program of that name");
        assert_eq!(measured("/usr/sbin/ipvsadm"), "not there");
        assert_eq!(measured("/etc/haproxy/haproxy.cfg"), "there");
        assert_eq!(measured("haproxy.service"), "/lib/systemd/system/haproxy.service");
    }
}
