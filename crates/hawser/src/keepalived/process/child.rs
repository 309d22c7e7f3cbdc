//! The VRRP child: reads the configuration and runs failover.

use super::parent::{READY, RELOADING, STOPPING};
use super::{Load, Settings, write_pid_file};
use failover::office::{self, Options, Say, signal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where what survives a crash is kept, and the runtime socket.
const RUN_DIRECTORY: &str = "/run/hawser";
const DUMP_DIRECTORY: &str = "/tmp";

pub(super) fn run(settings: &Settings, mut load: Load) -> io::Result<ExitCode> {
    let signals = sys::signals::read_numbers_instead_of_handling(&signal::ALL)?;
    // Without a parent nobody would start us again: end as if told to.
    sys::process::die_with_parent(rustix::process::Signal::TERM)?;
    let channel = sys::descriptor::duplicate(0)?;
    let null = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    let mut channel = UnixStream::from(channel);
    // Its remarks are in the log already, by the parent.
    let (model, _) = load().map_err(io::Error::other)?;
    let namespace = settings.namespace.clone().or_else(|| model.global.net_namespace.clone());
    if let Some(name) = &namespace {
        let path = PathBuf::from("/run/netns").join(name);
        let file =
            File::open(&path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
    }
    write_pid_file(&settings.vrrp_pid_file)
        .map_err(|error| io::Error::other(format!("{}: {error}", settings.vrrp_pid_file.display())))?;
    let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let instance = model.global.instance.clone();
    let mut log = settings.log.clone();
    log.name = "Keepalived_vrrp".to_owned();
    let run_directory = PathBuf::from(RUN_DIRECTORY);
    let socket = instance.map_or_else(|| "vrrp.sock".to_owned(), |name| format!("vrrp.{name}.sock"));
    let control = match std::env::var_os("HAWSER_VRRP_SOCKET") {
        Some(path) => PathBuf::from(path),
        None => run_directory.join(socket),
    };
    let result = office::run(Options {
        model,
        reload: load,
        say: Box::new(move |say| {
            let byte = match say {
                Say::Ready => READY,
                Say::Reloading => RELOADING,
                Say::Stopping => STOPPING,
            };
            // A parent that is gone hears nothing.
            let _ = channel.write_all(&[byte]);
        }),
        log,
        signals,
        memory_directory: Some(run_directory),
        control: Some(control),
        dump_directory: PathBuf::from(DUMP_DIRECTORY),
        keep_addresses: settings.keep_addresses,
        host_name,
        dump_at_start: settings.dump,
        proxies: std::env::var_os(crate::run::PROXIES).map(PathBuf::from),
    });
    let _ = std::fs::remove_file(&settings.vrrp_pid_file);
    result.map(|()| ExitCode::SUCCESS)
}
