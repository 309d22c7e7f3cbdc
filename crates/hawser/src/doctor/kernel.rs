//! What the kernel offers and how it is kept: IPVS, the clock, SELinux.

use super::finding::{Finding, Verdict};
use super::machine::Machine;
use super::role::Role;
use std::time::Duration;
use sys::clock::Synchronisation;

/// Nodes that compare times (entries of stick tables, signed adverts) must agree within this.
const CLOCK_ERROR_MAX: Duration = Duration::from_millis(500);

/// Whether the kernel has IPVS, loaded or to be loaded; else the director uses its own data plane.
pub fn ipvs(machine: &Machine, role: Role) -> Vec<Finding> {
    let is_director = match role {
        Role::DirectorNat | Role::DirectorDr | Role::DirectorTunnel => true,
        Role::Proxy | Role::RealServer => false,
    };
    if !is_director {
        return Vec::new();
    }
    let finding = |verdict| Finding::new("kernel", "IPVS", verdict);
    if is_used(machine) {
        return vec![finding(Verdict::Good).measured("in use")];
    }
    if has_ipvs(machine) {
        let reason = "the module is there and not loaded: ipvsadm and the director load it";
        return vec![finding(Verdict::Good).measured("can be loaded").because(reason).mend("modprobe ip_vs")];
    }
    let reason =
        "this kernel was built without it (\"Protocol not available\"): the XDP data plane is used instead";
    vec![finding(Verdict::Info).measured("not in this kernel").because(reason)]
}

fn is_used(machine: &Machine) -> bool {
    machine.exists("/proc/net/ip_vs")
}

/// Loaded, or to be loaded.
pub fn has_ipvs(machine: &Machine) -> bool {
    let release = machine.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let folder = format!("/lib/modules/{release}");
    let names = |file: &str| machine.text(&format!("{folder}/{file}")).unwrap_or_default();
    is_used(machine)
        || names("modules.builtin").contains("/ip_vs.ko")
        || names("modules.dep").contains("/ip_vs.ko")
}

/// `clock`: `None` when the kernel refuses to say.
pub fn clock(clock: Option<Synchronisation>) -> Finding {
    let finding = |verdict| {
        Finding::new("clock", "offset from the network's time", verdict)
            .wanted(format!("synchronised, within {} ms", CLOCK_ERROR_MAX.as_millis()))
            .because("stick tables age and signed adverts are checked by the clocks of both nodes; logs are compared by them")
            .mend("apt install chrony (or enable systemd-timesyncd) on every node")
    };
    match clock {
        Some(clock) if clock.is_synchronised && clock.error_max <= CLOCK_ERROR_MAX => {
            finding(Verdict::Good).measured(format!("within {} ms", clock.error_max.as_millis()))
        }
        Some(clock) if clock.is_synchronised => {
            finding(Verdict::Warning).measured(format!("up to {} ms", clock.error_max.as_millis()))
        }
        Some(_) => finding(Verdict::Warning).measured("not synchronised"),
        None => finding(Verdict::Info).measured("unknown"),
    }
}

pub fn selinux(machine: &Machine) -> Finding {
    let finding = |verdict| Finding::new("kernel", "SELinux", verdict);
    let mode = machine.text("/sys/fs/selinux/enforce").or_else(|| machine.text("/selinux/enforce"));
    match mode.as_deref() {
        None => finding(Verdict::Good).measured("not in use"),
        Some("0") => finding(Verdict::Info)
            .measured("permissive")
            .because("violations are logged only; turning it off is not needed for hawser"),
        Some(_) => finding(Verdict::Info)
            .measured("enforcing")
            .because("leave it on; servers on unusual ports need `setsebool -P haproxy_connect_any 1`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::laboratory::Laboratory;

    // row: 318
    #[test]
    fn a_kernel_without_ipvs_is_no_error_for_a_director() {
        let laboratory = Laboratory::new();
        let found = |laboratory: &Laboratory| ipvs(&laboratory.machine(&[]), Role::DirectorNat).remove(0);
        assert_eq!(
            (found(&laboratory).verdict, found(&laboratory).measured.as_str()),
            (Verdict::Info, "not in this kernel")
        );
        laboratory.write("/proc/sys/kernel/osrelease", "6.1.0\n");
        laboratory.write("/lib/modules/6.1.0/modules.dep", "kernel/net/netfilter/ipvs/ip_vs.ko: x.ko\n");
        assert_eq!(found(&laboratory).measured, "can be loaded");
        laboratory.write("/proc/net/ip_vs", "");
        assert_eq!(found(&laboratory).measured, "in use");
        assert!(ipvs(&laboratory.machine(&[]), Role::Proxy).is_empty());
    }

    // row: 42
    #[test]
    fn a_clock_that_nobody_keeps_is_a_warning() {
        let read = |is_synchronised, milliseconds| {
            let error_max = Duration::from_millis(milliseconds);
            clock(Some(Synchronisation { is_synchronised, error_max })).verdict
        };
        assert_eq!(read(true, 12), Verdict::Good);
        assert_eq!(read(true, 900), Verdict::Warning);
        assert_eq!(read(false, 16_000), Verdict::Warning);
        assert_eq!(clock(None).verdict, Verdict::Info);
    }

    // row: 43
    #[test]
    fn selinux_may_stay_on() {
        let laboratory = Laboratory::new();
        assert_eq!(selinux(&laboratory.machine(&[])).measured, "not in use");
        laboratory.write("/sys/fs/selinux/enforce", "1");
        let found = selinux(&laboratory.machine(&[]));
        assert_eq!((found.verdict, found.measured.as_str()), (Verdict::Info, "enforcing"));
    }
}
