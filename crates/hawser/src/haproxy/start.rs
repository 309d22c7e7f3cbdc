//! Starting to serve in this process: limits, listeners, pid file, chroot, identity; then serving until told to stop.
//! The order matters: everything that needs rights or files comes before the chroot.

use super::arguments::Arguments;
use super::configuration::{self, Loaded};
use super::control::{self, FromMaster};
use super::limits::Demand;
use super::{daemon, inherited, messages, notify, old_processes, pidfile, reload};
use proxy::{BindOptions, Command, Reloading};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use sys::process::Privileges;
use sys::signals::{Signal, SignalReader};
use sys::transfer::Listener;

/// Tries to bind while an old process lets go, and the pause between them.
const BIND_ATTEMPTS: u32 = 100;
const BIND_PAUSE: Duration = Duration::from_millis(10);
/// What an old process may take to hand over its listeners.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(1);

/// The only process of a start, in the foreground or (with `parent`) in the background.
pub fn single(
    arguments: &Arguments,
    loaded: Loaded,
    signals: SignalReader,
    parent: Option<OwnedFd>,
) -> ExitCode {
    let inherited = match &arguments.transfer_from {
        None => Vec::new(),
        Some(path) => match take_listeners(path) {
            Ok(listeners) => listeners,
            Err(()) => return ExitCode::FAILURE,
        },
    };
    serve(arguments, loaded, signals, inherited, Parent::from_daemon(parent))
}

/// A worker of a master.
pub fn worker(
    arguments: &Arguments,
    loaded: Loaded,
    signals: SignalReader,
    channel: OwnedFd,
    background: bool,
) -> ExitCode {
    let inherited = match control::receive_from_master(&channel) {
        Ok(FromMaster::NoTransfer) => Vec::new(),
        Ok(FromMaster::Transfer(stream)) => match request_listeners(&stream) {
            Ok(listeners) => listeners,
            // SO_REUSEPORT still lets us bind beside the old worker; what waits in its queue may be lost.
            Err(error) => {
                messages::warning(&format!("Failed to get the sockets from the old process: {error}"));
                Vec::new()
            }
        },
        Ok(FromMaster::Client(_) | FromMaster::HandOver(_) | FromMaster::Closed) | Err(_) => {
            return ExitCode::FAILURE;
        }
    };
    serve(arguments, loaded, signals, inherited, Parent::Master { channel, background })
}

/// Who started us and wants to know.
enum Parent {
    None,
    Daemon(OwnedFd),
    Master { channel: OwnedFd, background: bool },
}

impl Parent {
    fn from_daemon(channel: Option<OwnedFd>) -> Parent {
        channel.map_or(Parent::None, Parent::Daemon)
    }
}

fn take_listeners(path: &Path) -> Result<Vec<Listener<OwnedFd>>, ()> {
    let stream = UnixStream::connect(path).map_err(|_| {
        messages::warning(&format!("Failed to connect to the old process socket '{}'", path.display()));
    });
    stream
        .and_then(|stream| {
            request_listeners(&stream).map_err(|error| {
                messages::warning(&format!("Failed to receive the old process's sockets: {error}"));
            })
        })
        .inspect_err(|()| messages::alert("Failed to get the sockets from the old process!"))
}

fn request_listeners(stream: &UnixStream) -> io::Result<Vec<Listener<OwnedFd>>> {
    stream.set_read_timeout(Some(TRANSFER_TIMEOUT))?;
    stream.set_write_timeout(Some(TRANSFER_TIMEOUT))?;
    sys::transfer::request_listeners(stream)
}

fn serve(
    arguments: &Arguments,
    loaded: Loaded,
    signals: SignalReader,
    inherited: Vec<Listener<OwnedFd>>,
    parent: Parent,
) -> ExitCode {
    if !loaded.has_listeners {
        messages::alert(
            "[haproxy.main()] No enabled listener found (check for 'bind' directives) ! Exiting.",
        );
        return ExitCode::FAILURE;
    }
    let Some(maxconn) = apply_limits(arguments, &loaded) else { return ExitCode::FAILURE };
    let Some(bound) = bind(arguments, &loaded, inherited, maxconn) else { return ExitCode::FAILURE };
    let is_worker = matches!(parent, Parent::Master { .. });
    // As HAProxy: in the foreground, where one runs it by hand, the pid file of the service is left alone.
    if matches!(parent, Parent::Daemon(_))
        && let Err(code) = write_pidfile(arguments, &loaded)
    {
        return code;
    }
    let global = &loaded.model.global;
    if let Some(root) = &global.chroot
        && let Err(error) = sys::process::change_root(root)
    {
        messages::alert(&format!("[haproxy.main()] Cannot chroot({}): {error}", root.display()));
        return ExitCode::FAILURE;
    }
    if !is_worker {
        old_processes::replace(arguments.old_processes.as_ref());
    }
    if let Err(error) = sys::process::drop_privileges(&Privileges { uid: global.uid, gid: global.gid }) {
        messages::alert(&format!("[haproxy.main()] Cannot change identity: {error}"));
        return ExitCode::FAILURE;
    }
    if !global.insecure_setuid_wanted && sys::process::forbid_new_privileges().is_err() {
        messages::warning(
            "[haproxy.main()] Failed to disable setuid, please report to developers with detailed information about your operating system.",
        );
    }
    if is_worker && let Err(error) = crate::run::confine::proxy(&loaded.model) {
        messages::warning(&format!("[haproxy.main()] The worker is not confined as it should be: {error}"));
    }
    let (sender, commands) = channel();
    let ended_by = Arc::new(AtomicI32::new(0));
    let channel = match report(parent) {
        Ok(channel) => channel,
        // The master died while we started: nobody would ever stop us.
        Err(_) => return ExitCode::FAILURE,
    };
    if !is_worker {
        notify::ready();
    }
    let loader = reload::loader(arguments, loaded.model.global.chroot.is_some(), !is_worker);
    let reloading = Reloading { commands: sender.clone(), loader };
    if let Err(error) = spawn_watcher(signals, channel, sender, Arc::clone(&ended_by)) {
        messages::alert(&format!("[haproxy.main()] cannot start a thread: {error}"));
        return ExitCode::FAILURE;
    }
    let code = bound.run_with(commands, Some(reloading));
    if !is_worker {
        notify::stopping();
    }
    // As HAProxy: a hard stop ends the process by the signal that asked for it.
    if let Some(signal) = Signal::from_named_raw(ended_by.load(Ordering::Acquire)) {
        sys::signals::end_by(signal);
    }
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Tells the parent that we serve; gives a master's channel back.
fn report(parent: Parent) -> io::Result<Option<OwnedFd>> {
    match parent {
        Parent::None => Ok(None),
        Parent::Daemon(channel) => {
            control::report_ready(&channel)?;
            daemon::detach();
            Ok(None)
        }
        Parent::Master { channel, background } => {
            control::report_ready(&channel)?;
            if background {
                daemon::detach();
            }
            Ok(Some(channel))
        }
    }
}

fn write_pidfile(arguments: &Arguments, loaded: &Loaded) -> Result<(), ExitCode> {
    let Some(path) = arguments.pidfile.as_deref().or(loaded.model.global.pidfile.as_deref()) else {
        return Ok(());
    };
    pidfile::write(path).map_err(|error| {
        let reason = configuration::reason(&error);
        messages::alert(&format!("[haproxy.main()] Cannot create pidfile {} ({reason})", path.display()));
        ExitCode::FAILURE
    })
}

/// Sets the limits of files and memory; gives maxconn. `None`: complained, exit.
pub fn apply_limits(arguments: &Arguments, loaded: &Loaded) -> Option<u32> {
    let global = &loaded.model.global;
    let demand: Demand = loaded.demand();
    let (_, hard) = sys::process::file_limits();
    let available = match (global.ulimit_n, global.fd_hard_limit) {
        (Some(wanted), _) => Some(wanted),
        (None, Some(cap)) => Some(hard.map_or(cap, |hard| hard.min(cap))),
        (None, None) => hard,
    };
    let wanted = arguments.maxconn.or(global.maxconn).map(u64::from);
    let maxconn = wanted.unwrap_or_else(|| match available {
        Some(files) => demand.maxconn_for(files),
        None => configuration::MAXCONN_WITHOUT_LIMIT,
    });
    if wanted.is_none() && arguments.verbose {
        eprintln!("Note: setting global.maxconn to {maxconn}.");
    }
    let needed = global.ulimit_n.unwrap_or_else(|| demand.descriptors_for(maxconn));
    if sys::process::set_file_limit(needed).is_err() {
        let limit = hard.unwrap_or(u64::MAX);
        let text = format!("[haproxy.main()] Cannot raise FD limit to {needed}, limit is {limit}.");
        if global.strict_limits {
            messages::alert(&text);
            return None;
        }
        messages::warning(&text);
        // What there is must do.
        let _ = sys::process::set_file_limit(limit);
    }
    if let Some(megabytes) = arguments.memory_megabytes
        && sys::process::set_memory_limit(megabytes.saturating_mul(1 << 20)).is_err()
    {
        messages::alert(&format!("[haproxy.main()] Cannot fix MEM limit to {megabytes} megs."));
        return None;
    }
    Some(u32::try_from(maxconn).unwrap_or(u32::MAX))
}

/// Opens all listeners, waiting a little for an old process to let go. `None`: complained, exit.
fn bind(
    arguments: &Arguments,
    loaded: &Loaded,
    inherited: Vec<Listener<OwnedFd>>,
    maxconn: u32,
) -> Option<proxy::Bound> {
    let old = arguments.old_processes.as_ref();
    let mut paused = false;
    for attempt in 1..=BIND_ATTEMPTS {
        let options = BindOptions {
            inherited: duplicates(&inherited),
            maxconn: Some(maxconn),
            startup_log: messages::so_far(),
            tls: Some(Arc::clone(&loaded.tls)),
            replaces: old.is_some(),
        };
        match proxy::bind(Arc::clone(&loaded.model), options) {
            Ok(bound) => {
                bound.warnings.iter().for_each(|text| messages::warning(&format!("config : {text}")));
                return Some(bound);
            }
            Err(_) if attempt < BIND_ATTEMPTS && (paused || old_processes::pause(old)) => {
                paused = true;
                std::thread::sleep(BIND_PAUSE);
            }
            Err(reasons) => {
                old_processes::resume(old);
                reasons.iter().for_each(|reason| messages::alert(reason));
                messages::alert("[haproxy.main()] Some protocols failed to start their listeners! Exiting.");
                return None;
            }
        }
    }
    None
}

/// By address as the engine writes it; several sockets may share one.
fn duplicates(listeners: &[Listener<OwnedFd>]) -> Vec<(String, OwnedFd)> {
    let duplicate = |listener: &Listener<OwnedFd>| {
        Some((inherited::address_of(&listener.descriptor)?, listener.descriptor.try_clone().ok()?))
    };
    listeners.iter().filter_map(duplicate).collect()
}

/// The thread that turns signals and the master's messages into commands for the engine.
fn spawn_watcher(
    signals: SignalReader,
    channel: Option<OwnedFd>,
    commands: Sender<Command>,
    ended_by: Arc<AtomicI32>,
) -> io::Result<()> {
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || watch(&signals, channel, &commands, &ended_by))
        .map(|_| ())
}

fn watch(
    signals: &SignalReader,
    mut channel: Option<OwnedFd>,
    commands: &Sender<Command>,
    ended_by: &AtomicI32,
) {
    use rustix::event::{PollFd, PollFlags, poll};
    let is_worker = channel.is_some();
    // Ends with the process, or when the engine no longer listens.
    loop {
        let mut waiting = vec![PollFd::new(signals, PollFlags::IN)];
        waiting.extend(channel.as_ref().map(|channel| PollFd::new(channel, PollFlags::IN)));
        if poll(&mut waiting, None).is_err_and(|errno| errno != rustix::io::Errno::INTR) {
            return;
        }
        let from_master = waiting.get(1).is_some_and(|entry| !entry.revents().is_empty());
        drop(waiting);
        let mut wanted = Vec::new();
        while let Ok(Some(signal)) = signals.next() {
            if matches!(signal, Signal::INT | Signal::TERM) {
                ended_by.store(signal.as_raw(), Ordering::Release);
            }
            wanted.extend(commands_of(signal, is_worker));
        }
        if from_master && let Some(open) = &channel {
            match control::receive_from_master(open) {
                Ok(FromMaster::Client(client)) => {
                    wanted.push(Command::RuntimeClient(UnixStream::from(client)))
                }
                Ok(FromMaster::HandOver(successor)) => wanted.push(Command::HandOver(successor)),
                Ok(FromMaster::Transfer(_) | FromMaster::NoTransfer) => {}
                Ok(FromMaster::Closed) | Err(_) => {
                    channel = None;
                    wanted.push(Command::HardStop);
                }
            }
        }
        for command in wanted {
            if commands.send(command).is_err() {
                return;
            }
        }
    }
}

fn commands_of(signal: Signal, is_worker: bool) -> Vec<Command> {
    match signal {
        Signal::INT | Signal::TERM => vec![Command::HardStop],
        Signal::USR1 => vec![Command::SoftStop],
        Signal::TTOU => vec![Command::Pause],
        Signal::TTIN => vec![Command::Resume],
        // A terminal's hang-up reaches workers too; the master's reload is not theirs.
        Signal::HUP if !is_worker => vec![Command::DumpStatus, Command::Reload(None)],
        Signal::USR2 if !is_worker => vec![Command::Reload(None)],
        _ => Vec::new(),
    }
}
