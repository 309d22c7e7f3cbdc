//! Programs: those that check, with a time limit, and those that are told of changes.

use super::checker::{Failure, Found};
use keepalived_config::model::Command;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a running check is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Programs that are told of changes may take this long.
const NOTIFY_MAX: Duration = Duration::from_secs(3600);
/// Exit statuses of a dynamic check are weights, two more than they say.
const WEIGHT_SHIFT: i64 = 2;

fn spawn(command: &Command) -> io::Result<Child> {
    let mut process = std::process::Command::new(&command.words[0]);
    process.args(&command.words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let user = rustix::process::geteuid().as_raw();
    if user != command.run_as.user {
        process.uid(command.run_as.user).gid(command.run_as.group);
    }
    sys::process::unblock_signals(&mut process);
    // A group of its own, so that its children end with it.
    process.process_group(0).spawn()
}

/// Waits; `None` when it took too long, and was killed.
fn wait(mut child: Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK_INTERVAL),
            Ok(None) | Err(_) => {
                if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                let _ = child.wait();
                return None;
            }
        }
    }
}

/// Runs a program for its own sake.
pub(super) fn start(command: Command) {
    tokio::task::spawn_blocking(move || {
        if let Ok(child) = spawn(&command) {
            wait(child, NOTIFY_MAX);
        }
    });
}

/// Runs a check. 0 is good; of a dynamic one 2 and more too, as the weight plus two.
pub(super) async fn check(command: &Command, limit: Duration, is_dynamic: bool, weight: i64) -> Found {
    let command = command.clone();
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let started = Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0));
    let ended = tokio::task::spawn_blocking(move || spawn(&command).map(|child| wait(child, limit))).await;
    let found = match ended {
        Ok(Ok(Some(status))) => found(status, is_dynamic, weight),
        Ok(Ok(None)) => Found::failed(Failure::ProgramTimedOut),
        Ok(Err(error)) => Found::failed(Failure::Program(error.to_string())),
        Err(_) => Found::default(),
    };
    Found { started: Some(started), ..found }
}

fn found(status: ExitStatus, is_dynamic: bool, weight: i64) -> Found {
    let exit_code = status.code();
    let found = match exit_code {
        Some(0) => Found { passed: true, offset: is_dynamic.then_some(0), ..Found::default() },
        Some(code) if is_dynamic && code >= 2 => {
            let offset = i64::from(code) - WEIGHT_SHIFT - weight;
            Found { passed: true, offset: Some(offset), ..Found::default() }
        }
        Some(code) => Found::failed(Failure::Program(format!("exited with status {code}"))),
        None => Found::failed(Failure::Program(format!("due to signal {}", status.signal().unwrap_or(0)))),
    };
    Found { exit_code, ..found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepalived_config::model::RunAs;

    fn run(words: &[&str], is_dynamic: bool) -> Found {
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let command = Command { words, run_as: RunAs { user, group } };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(check(&command, Duration::from_millis(500), is_dynamic, 1))
    }

    #[test]
    fn exit_statuses_are_results_and_weights() {
        assert!(run(&["true"], false).passed);
        let failed = run(&["sh", "-c", "exit 3"], false);
        assert_eq!(
            (failed.passed, failed.failure),
            (false, Some(Failure::Program("exited with status 3".to_owned())))
        );
        let weighed = run(&["sh", "-c", "exit 52"], true);
        assert_eq!((weighed.passed, weighed.offset), (true, Some(49)), "weight 50 in place of 1");
        assert!(!run(&["sh", "-c", "exit 1"], true).passed);
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let hung = run(&["sh", "-c", "sleep 60 & wait"], false);
        assert_eq!((hung.passed, hung.failure), (false, Some(Failure::ProgramTimedOut)));
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure() {
        assert!(!run(&["/nonexistent/program"], false).passed);
    }
}
