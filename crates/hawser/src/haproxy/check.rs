//! `-c`, `-cc`: answers about a configuration, without serving.

use super::arguments::{Arguments, ReportFormat};
use super::configuration::{self, Loaded};
use super::messages;
use std::process::ExitCode;

/// Exit code of a configuration that is valid and would not start, as in HAProxy 2.6.
const NO_LISTENER: u8 = 2;
/// Exit code of a condition that cannot be read.
const UNREADABLE_CONDITION: u8 = 2;

/// The end of `-c` for a configuration without errors.
pub fn conclude(arguments: &Arguments, loaded: &Loaded) -> ExitCode {
    if arguments.list_objects {
        proxy::mapped_code().iter().for_each(|path| println!("{path}"));
    }
    let says = !arguments.quiet && arguments.format == ReportFormat::Text;
    let unresolved = proxy::unresolved(&loaded.model);
    if !unresolved.is_empty() {
        unresolved.iter().for_each(|server| messages::alert(&format!("config : {server}")));
        messages::alert("config : Failed to initialize server(s) addr.");
        return ExitCode::FAILURE;
    }
    if says && loaded.has_warnings {
        println!("Warnings were found.");
    }
    if !loaded.has_listeners {
        if says {
            println!("Configuration file has no error but will not start (no listener) => exit(2).");
        }
        return ExitCode::from(NO_LISTENER);
    }
    if says {
        println!("Configuration file is valid");
    }
    ExitCode::SUCCESS
}

/// `-cc`: 0 true, 1 false, 2 unreadable.
pub fn condition(text: &str) -> ExitCode {
    match configuration::evaluate_condition(text) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            messages::alert(&format!("config : Failed to evaluate condition: {reason}"));
            ExitCode::from(UNREADABLE_CONDITION)
        }
    }
}
