//! `-D`: the process that the user started waits until its background process serves, then exits.

use super::{control, messages, role};
use std::process::ExitCode;

/// Starts the background process. Exit code 0 means that it serves.
pub fn start(started: &role::Start) -> ExitCode {
    let (mut child, channel) = match started.daemon() {
        Ok(started) => started,
        Err(error) => {
            messages::alert(&format!("[haproxy.main()] Cannot fork: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if control::wait_ready(&channel) {
        return ExitCode::SUCCESS;
    }
    // It said why on our standard error.
    let _ = child.wait();
    ExitCode::FAILURE
}

/// Leaves the user's session and terminal: for the background process, once it serves.
pub fn detach() {
    // Fails only for a process group leader, which a child of ours is not.
    let _ = rustix::process::setsid();
    let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else { return };
    let _ = rustix::stdio::dup2_stdin(&null);
    let _ = rustix::stdio::dup2_stdout(&null);
    let _ = rustix::stdio::dup2_stderr(&null);
}
