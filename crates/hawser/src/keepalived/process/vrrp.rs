//! The VRRP child: runs failover, and the kernel's sync daemons beside it.

use super::child::{Child, DUMP_DIRECTORY, Word, enter};
use super::news::Session;
use super::sync::SyncDaemons;
use super::{Load, Settings, parent};
use failover::log::Log;
use failover::office::{self, Options, Say};
use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// Where what survives a crash is kept, and the runtime socket.
const RUN_DIRECTORY: &str = "/run/hawser";

pub(super) fn run(settings: &Settings, mut load: Load) -> io::Result<ExitCode> {
    // What it left is found in the kernel.
    super::was_restarted()?;
    let Child { signals, mut channel, mut model, pid_file } =
        enter(settings, &mut load, &settings.vrrp_pid_file)?;
    // Only at the start: whoever reloads has booted.
    let booted = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let booted = Duration::from_secs(u64::try_from(booted.tv_sec).unwrap_or(0));
    let left = model.global.vrrp_delay_after_boot.saturating_sub(booted);
    model.global.vrrp_startup_delay = model.global.vrrp_startup_delay.max(left);
    let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let instance = model.global.instance.clone();
    let mut log = settings.log.clone();
    log.name = model.global.vrrp_process.name.clone().unwrap_or_else(|| "Keepalived_vrrp".to_owned());
    let run_directory = PathBuf::from(RUN_DIRECTORY);
    let socket = instance.map_or_else(|| "vrrp.sock".to_owned(), |name| format!("vrrp.{name}.sock"));
    let control = match std::env::var_os("HAWSER_VRRP_SOCKET") {
        Some(path) => PathBuf::from(path),
        None => run_directory.join(socket),
    };
    let daemons = Rc::new(RefCell::new(SyncDaemons::new(Log::open(log.clone()))));
    daemons.borrow_mut().configure(&model);
    let configured = Rc::clone(&daemons);
    let confined = crate::run::confine::failover(&model, true);
    if let Err(error) = confined {
        eprintln!("not confined as it should be: {error}");
    }
    let started = model.clone();
    let mut started = crate::run::confine::is_wanted().then_some(started);
    let settings_of_parent = settings.clone();
    let result = office::run(Options {
        model,
        reload: Box::new(move || {
            let (model, remarks) = load()?;
            configured.borrow_mut().prepare(&model);
            // The parent has said them.
            let _ = remarks;
            Ok((model, String::new()))
        }),
        say: Box::new(move |say| match say {
            Say::Ready => {
                daemons.borrow_mut().take_prepared();
                if let Some(model) = started.take() {
                    // The punctual thread runs, and has rights of its own. What was said at the start holds.
                    let _ = crate::run::confine::failover(&model, false);
                }
                channel.say(Word::Ready);
            }
            Say::Refused => channel.say(Word::Refused),
            Say::Reloading => channel.say(Word::Reloading),
            Say::WantsReload => channel.say(Word::WantsReload),
            Say::Stopping => channel.say(Word::Stopping),
            Say::State { instance, is_master } => daemons.borrow_mut().follow(&instance, is_master),
            Say::Session { name, is_up } => channel.tell(&Session::now(name, is_up)),
            Say::Stopped => daemons.borrow_mut().stop(),
        }),
        log,
        signals,
        memory_directory: Some(run_directory),
        control: Some(control),
        dump_directory: PathBuf::from(DUMP_DIRECTORY),
        keep_addresses: settings.keep_addresses,
        host_name,
        dump_at_start: settings.dump,
        is_shown_elsewhere: Box::new(move |model| {
            model.global.snmp.checker && parent::runs_checkers(&settings_of_parent, model)
        }),
        proxies: std::env::var_os(crate::run::PROXIES).map(PathBuf::from),
    });
    let _ = std::fs::remove_file(&pid_file);
    result.map(|()| ExitCode::SUCCESS)
}
