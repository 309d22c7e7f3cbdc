//! `hawser vrrp …`: asks the running virtual routers, or tells them, over their runtime socket.

use crate::runtime_socket;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Where the socket is when `-S` does not say.
pub const SOCKET: &str = "/run/hawser/vrrp.sock";
/// An answer that does not come.
const PATIENCE: Duration = Duration::from_secs(10);

pub const HELP: &str = "Usage: hawser vrrp [-S SOCKET] COMMAND\n\n  \
    status [json]                    every virtual router, its state and its master\n  \
    metrics                          the same for Prometheus\n  \
    handover INSTANCE                a master leaves to the next one, and does not come back by itself\n  \
    maintenance INSTANCE on|off      out of service, and back\n  \
    priority INSTANCE 1..254|default another priority than the file's\n  \
    reload                           reads the configuration anew\n";

/// Sends one command; the answer goes to standard output.
pub fn run(words: &[OsString]) -> ExitCode {
    let mut words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut socket = PathBuf::from(SOCKET);
    if words.len() >= 2 && words[0] == "-S" {
        socket = PathBuf::from(words.remove(1));
        words.remove(0);
    }
    if words.is_empty() || words[0] == "--help" || words[0] == "-h" {
        print!("{HELP}");
        return if words.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    match runtime_socket::ask(&socket, &words.join(" "), PATIENCE) {
        Ok(answer) if answer.starts_with("error:") => {
            eprint!("{answer}");
            ExitCode::FAILURE
        }
        Ok(answer) => {
            print!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", socket.display());
            ExitCode::FAILURE
        }
    }
}
