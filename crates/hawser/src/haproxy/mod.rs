//! Being HAProxy: its command line, its life as one process, as a daemon, or as master and workers.
//!
//! ```text
//!   foreground          this process loads, binds, drops its rights, runs
//!   -D                  starts itself again as `daemon`, waits until that is ready, exits
//!   -W, -Ws             master: watches signals and its socket; starts itself again as `worker`, once per reload
//! ```
//! Processes are always started by exec, never by a bare fork: see docs/decisions/0001-processes-by-exec.md.

pub mod arguments;
mod check;
mod configuration;
mod control;
mod daemon;
mod inherited;
mod keywords;
mod limits;
mod master;
mod messages;
pub mod notify;
mod old_processes;
mod pidfile;
mod reload;
mod role;
mod start;

use arguments::{ArgumentError, VersionDetail};
use role::Role;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use sys::signals::Signal;

/// Everything that signals can ask of a process of ours; read from a descriptor, see [`sys::signals`].
const SIGNALS: &[Signal] = &[
    Signal::INT,
    Signal::TERM,
    Signal::HUP,
    // HAProxy dumps its memory pools; there are none here, and the default would end the process.
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::TTIN,
    Signal::TTOU,
    Signal::CHILD,
];

/// Runs as HAProxy. `words` are the arguments after the program's name.
pub fn run(program: &OsStr, words: &[OsString]) -> ExitCode {
    sys::allocator::prefer_speed();
    let arguments = match arguments::parse(words) {
        Ok(arguments) => arguments,
        Err(ArgumentError::Usage) => return print_usage(program),
        Err(ArgumentError::Alert(text)) => {
            messages::alert(&text);
            return ExitCode::FAILURE;
        }
    };
    if let Some(detail) = arguments.version {
        print!("{}", crate::version::haproxy_text());
        if detail == VersionDetail::Build {
            print!("{}", crate::version::haproxy_build_text());
        }
        return ExitCode::SUCCESS;
    }
    if arguments.quiet {
        messages::be_quiet();
    }
    if let Some(condition) = &arguments.condition {
        return check::condition(condition);
    }
    if arguments.files.is_empty() && !arguments.master_worker {
        return print_usage(program);
    }
    let role = match role::take() {
        Ok(role) => role,
        Err(error) => {
            messages::alert(&format!("[haproxy.main()] {error}"));
            return ExitCode::FAILURE;
        }
    };
    // Before any thread exists: threads inherit the mask.
    let signals = match sys::signals::read_instead_of_handling(SIGNALS) {
        Ok(signals) => signals,
        Err(error) => {
            messages::alert(&format!("[haproxy.main()] cannot watch signals: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let started = match role::Start::new(program, words) {
        Ok(started) => started,
        Err(error) => {
            messages::alert(&format!("[haproxy.main()] cannot find the program's own file: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if let Some(directory) = &arguments.working_directory
        && let Err(error) = std::env::set_current_dir(directory)
    {
        let reason = configuration::reason(&error);
        messages::alert(&format!("Could not change to directory {} : {reason}", directory.display()));
        return ExitCode::FAILURE;
    }
    let Some(loaded) = configuration::load(&arguments) else { return ExitCode::FAILURE };
    if matches!(role, Role::First) {
        print!("{}", keywords::list(&arguments.dump_keywords));
    }
    if arguments.check {
        return check::conclude(&arguments, &loaded);
    }
    match role {
        Role::Worker { channel, background } => {
            start::worker(&arguments, loaded, signals, channel, background)
        }
        Role::Daemon(parent) if loaded.master_worker => {
            master::run(&arguments, loaded, signals, &started, Some(parent))
        }
        Role::Daemon(parent) => start::single(&arguments, loaded, signals, Some(parent)),
        Role::First if loaded.daemon => daemon::start(&started),
        Role::First if loaded.master_worker => master::run(&arguments, loaded, signals, &started, None),
        Role::First => start::single(&arguments, loaded, signals, None),
    }
}

fn print_usage(program: &OsStr) -> ExitCode {
    print!("{}", crate::version::haproxy_text());
    eprint!("{}", arguments::usage(&program.to_string_lossy()));
    ExitCode::FAILURE
}
