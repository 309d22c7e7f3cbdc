//! Commands about the process: environment, sockets, version.

use super::modes::level_name;
use super::session::{Outcome, Reply, Session, word};
use haproxy_config::VERSION_TEXT;
use haproxy_config::model::Address;
use std::fmt::Write;

pub fn show_version(_: &mut Session, _: &[&str]) -> Outcome {
    Ok(Reply::info(format!("{VERSION_TEXT}\n")))
}

/// What was told while the process started; an empty line when nothing was.
pub fn show_startup_logs(session: &mut Session, _: &[&str]) -> Outcome {
    let log = &session.shared().startup_log;
    Ok(Reply::info(if log.is_empty() { "\n".to_owned() } else { log.clone() }))
}

/// A new process asks for the listeners; a socket without `expose-fd listeners` just ends.
pub fn hand_over(session: &mut Session, _: &[&str]) -> Outcome {
    session.takes_listeners = session.may_take_listeners;
    session.quits = true;
    Ok(Reply::Done)
}

pub fn show_env(_: &mut Session, words: &[&str]) -> Outcome {
    let line = |name: &std::ffi::OsStr, value: &std::ffi::OsStr| {
        format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy())
    };
    match word(words, 2) {
        "" => Ok(Reply::Dump(std::env::vars_os().map(|(name, value)| line(&name, &value)).collect())),
        name => match std::env::var_os(name) {
            Some(value) => Ok(Reply::Dump(line(name.as_ref(), &value))),
            None => Err(Reply::error("Variable not found\n")),
        },
    }
}

pub fn show_sockets(session: &mut Session, _: &[&str]) -> Outcome {
    let mut out = String::from("# socket lvl processes\n");
    for socket in &session.state().model.global.stats_sockets {
        let address = match &socket.bind.address {
            Address::Unix(path) => format!("unix@{}", path.display()),
            Address::Abstract(name) => format!("abns@{}", String::from_utf8_lossy(name)),
            Address::Inet { ip, port } if ip.is_ipv4() => format!("ipv4@{ip}:{port}"),
            Address::Inet { ip, port } => format!("ipv6@[{ip}]:{port}"),
            Address::Host { name, port } => format!("{name}:{port}"),
            Address::Fd(number) => format!("sockpair@{number}"),
        };
        let _ = writeln!(out, "{address} {} all", level_name(socket.bind.level));
    }
    Ok(Reply::Dump(out))
}
