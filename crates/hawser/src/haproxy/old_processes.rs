//! `-sf`, `-st`: processes that this one replaces.

use super::arguments::OldProcesses;
use super::messages;
use rustix::process::{Pid, Signal, kill_process};

/// Sends `signal` to each of them. Those that are gone already are no error. Gives how many were reached.
fn signal_all(pids: &[i32], signal: Signal) -> usize {
    let reached = |raw: &&i32| Pid::from_raw(**raw).is_some_and(|pid| kill_process(pid, signal).is_ok());
    pids.iter().filter(reached).count()
}

/// Asks old processes to let their listeners go, so that ours can bind; gives whether one was there to ask.
pub fn pause(old: Option<&(OldProcesses, Vec<i32>)>) -> bool {
    old.is_some_and(|(_, pids)| signal_all(pids, Signal::TTOU) > 0)
}

/// Binding failed for good: the old processes go on.
pub fn resume(old: Option<&(OldProcesses, Vec<i32>)>) {
    if let Some((_, pids)) = old {
        signal_all(pids, Signal::TTIN);
    }
}

/// We serve: the old processes finish or end.
pub fn replace(old: Option<&(OldProcesses, Vec<i32>)>) {
    let Some((action, pids)) = old else { return };
    let signal = match action {
        OldProcesses::Finish => Signal::USR1,
        OldProcesses::Terminate => Signal::TERM,
    };
    if signal_all(pids, signal) < pids.len() {
        messages::notice("some of the processes to replace were gone already");
    }
}
