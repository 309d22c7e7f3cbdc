//! `hawser director`: the virtual servers of a keepalived.conf alone, or none but what ipvsadm makes, in the foreground.
//! Owns its arguments; the choice of the data plane and the work are the director's.

mod client;

use crate::numbers::Numbers;
use ::director::control::{SOCKET, SOCKET_VARIABLE};
use ::director::plane::{self, Choice, Plane, Settings, Tended};
use ::director::runner::{Control, Director, News, Stop, status};
use ::director::xdp::Options;
use keepalived_config::model::CheckKind;
use keepalived_config::{LoadOptions, SystemHost};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

pub const USAGE: &str = "\
Usage: hawser director [-f FILE] [--plane auto|ipvs|xdp] [--status PATH] [options of the XDP plane]
       hawser director show [SERVICE]
       hawser director drain SERVER [--of SERVICE] [--within TIME]
       hawser director ready SERVER [--of SERVICE]
       hawser director weight SERVER NUMBER|default [--of SERVICE]

Runs the virtual_server blocks of a keepalived.conf until SIGTERM or SIGINT, and logs to standard output. Packets are
carried by the kernel's IPVS where it has one, else by XDP programs of our own, which `hawser ipvsadm` and
`hawser keepalived` find at their socket. Without -f it serves what ipvsadm makes.

show, drain, ready and weight ask the virtual servers that run, here or in `hawser keepalived`:
  show               every virtual server and its real servers: state, weight, connections
  drain              weight 0: connections go on, new ones go elsewhere; out of the table when none is left
  ready              serves again
  weight             in place of the file's, until `default` or a restart
  --within TIME      of drain: out of the table then at the latest, whatever is left (90, 90s, 5m, 1h)
  --of SERVICE       of this virtual server alone: 192.0.2.10:80, fwmark:7, a group's name, or as the log names it
  --json             one document in place of lines
  --status PATH      the socket (default /run/hawser/director-status.sock, or HAWSER_DIRECTOR_STATUS)
SERVER is 10.0.0.11:80, or 10.0.0.11 with whatever port.

Of the XDP plane:
  --interface NAME   takes this interface's packets; may be repeated (default: every Ethernet interface that is up)
  --native           in the driver, before the kernel has a packet (default: generic)
  --flows N          connections that are remembered, of each address family (default 65536; translated ones count twice)
  --pin FOLDER       keeps maps and links there, on a bpffs: flows survive us (default /sys/fs/bpf/hawser where that is one)
  --no-pin           keeps nothing
  --keep             leaves services, flows and programs at work when it ends; the next one takes them over
  --socket PATH      where it is asked (default /run/hawser/director.sock, or HAWSER_DIRECTOR)
`hawser keepalived` takes the same options from HAWSER_DIRECTOR_OPTIONS, as one line.";
/// The same words for `hawser keepalived`, whose file the real keepalived must be able to read too.
const OPTIONS_VARIABLE: &str = "HAWSER_DIRECTOR_OPTIONS";
/// Requests that wait for the loop.
const CONTROLS_MAX: usize = 8;
const BPFFS: &str = "/sys/fs/bpf";
const PINS: &str = "/sys/fs/bpf/hawser";

/// What the arguments say.
#[derive(Debug)]
struct Arguments {
    file: Option<PathBuf>,
    settings: Settings,
    /// Where show and its like ask.
    status: PathBuf,
}

impl Arguments {
    fn read(words: &[OsString]) -> Result<Self, String> {
        let socket = std::env::var_os(SOCKET_VARIABLE).map_or_else(|| PathBuf::from(SOCKET), PathBuf::from);
        let mut settings = Settings {
            choice: Choice::Automatic,
            interfaces: Vec::new(),
            is_native: false,
            options: Options { pins: is_bpffs().then(|| PathBuf::from(PINS)), ..Options::default() },
            socket,
            stays: false,
        };
        let (mut file, mut status) = (None, status_socket());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word.to_string_lossy();
            let mut value = || words.next().ok_or_else(|| format!("{name} needs a value"));
            match &*name {
                "-f" => file = Some(PathBuf::from(value()?)),
                "--plane" => settings.choice = choice(value()?)?,
                "--interface" => settings.interfaces.push(value()?.to_string_lossy().into_owned()),
                "--native" => settings.is_native = true,
                "--flows" => settings.options.flows_max = flows(value()?)?,
                "--pin" => settings.options.pins = Some(PathBuf::from(value()?)),
                "--no-pin" => settings.options.pins = None,
                "--keep" => settings.stays = true,
                "--status" => status = PathBuf::from(value()?),
                "--socket" => settings.socket = PathBuf::from(value()?),
                _ => return Err(format!("unknown option {name}\n{USAGE}")),
            }
        }
        if settings.stays && settings.options.pins.is_none() {
            return Err(format!("--keep needs a folder of a bpffs: {BPFFS} is none, and there is no --pin"));
        }
        Ok(Self { file, settings, status })
    }
}

/// Where the virtual servers are asked unless an option says otherwise.
pub(crate) fn status_socket() -> PathBuf {
    std::env::var_os(status::SOCKET_VARIABLE).map_or_else(|| PathBuf::from(status::SOCKET), PathBuf::from)
}

/// The plane that the environment asks for: the options of `hawser director`, without its file.
///
/// # Errors
/// A word that is none of them.
pub(crate) fn settings_of_environment() -> Result<Settings, String> {
    let text = std::env::var_os(OPTIONS_VARIABLE).unwrap_or_default();
    let text = text.to_str().ok_or_else(|| format!("{OPTIONS_VARIABLE} is not UTF-8"))?;
    let words: Vec<OsString> = text.split_ascii_whitespace().map(OsString::from).collect();
    let arguments = Arguments::read(&words);
    let arguments = arguments.map_err(|text| format!("{OPTIONS_VARIABLE}: {}", first_line(&text)))?;
    match arguments.file {
        Some(_) => Err(format!("{OPTIONS_VARIABLE}: -f is keepalived's own")),
        None => Ok(arguments.settings),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn choice(text: &OsStr) -> Result<Choice, String> {
    match text.to_str() {
        Some("auto") => Ok(Choice::Automatic),
        Some("ipvs") => Ok(Choice::Ipvs),
        Some("xdp") => Ok(Choice::Xdp),
        _ => Err(format!("--plane is auto, ipvs or xdp, not {}", text.to_string_lossy())),
    }
}

fn flows(text: &OsStr) -> Result<u32, String> {
    const FLOWS: std::ops::RangeInclusive<u32> = 64..=1 << 26;
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| FLOWS.contains(number));
    number.ok_or_else(|| format!("--flows is a number from {} to {}", FLOWS.start(), FLOWS.end()))
}

/// Whether the usual place of pins is one.
fn is_bpffs() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| {
        let mut words = line.split(' ').skip(1);
        words.next() == Some(BPFFS) && words.next() == Some("bpf")
    })
}

/// Runs until told to stop.
pub fn run(arguments: &[OsString]) -> ExitCode {
    if arguments.iter().any(|word| word == "-h" || word == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if let Some(code) = client::run(arguments) {
        return code;
    }
    match Arguments::read(arguments).and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("hawser director: {text}");
            ExitCode::FAILURE
        }
    }
}

fn model_of(file: &Path) -> Result<keepalived_config::Model, String> {
    let loaded = keepalived_config::load(&LoadOptions::new(file.to_owned()), &SystemHost);
    eprint!("{}", diag::render(&loaded.report, &loaded.sources, diag::Severity::Warning));
    let model = loaded.model.ok_or("the configuration cannot be run")?;
    let servers = model.virtual_servers.iter().flat_map(|server| &server.real_servers);
    let mut kinds = servers.flat_map(|real| &real.checks).map(|check| &check.kind);
    if kinds.any(|kind| matches!(kind, CheckKind::Bfd { .. })) {
        return Err("BFD_CHECK needs the sessions of `hawser keepalived`".to_owned());
    }
    if model.virtual_servers.is_empty() {
        return Err("the configuration has no virtual_server".to_owned());
    }
    Ok(model)
}

fn serve(arguments: Arguments) -> Result<(), String> {
    let model = arguments.file.as_deref().map(model_of).transpose()?;
    let opened = plane::open(&arguments.settings).map_err(|refusal| format!("the data plane: {refusal}"))?;
    let Plane { dataplane, xdp } = opened;
    println!("packets are carried by {}", if xdp.is_some() { "XDP programs" } else { "the kernel's IPVS" });
    if model.is_none() && xdp.is_none() {
        return Err("without -f there is nothing to do: the kernel's IPVS needs no help".to_owned());
    }
    let stop = if arguments.settings.stays { Stop::Leave } else { Stop::Release };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let local = tokio::task::LocalSet::new();
    let result = local.block_on(&runtime, async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let (sender, receiver) = mpsc::channel(CONTROLS_MAX);
        let told_of_numbers = sender.clone();
        let told = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // A director that has ended needs no telling.
            let _ = sender.send(Control::Stop(stop)).await;
            std::future::pending::<()>().await
        };
        let listener = Rc::new(|news: News<'_>| match news {
            News::Line(line) => println!("{line}"),
            // Pipes, mails and managers are the daemon's.
            News::Told(_) | News::State(_) | News::Changed(..) | News::Counted(..) => {}
        });
        let work = async {
            match model {
                Some(model) => {
                    let file = |error: std::io::Error| format!("track_file: {error}");
                    let mut numbers = Numbers::watch(&model).map_err(file)?;
                    let mut director = Director::new(Rc::new(model), numbers.all(), dataplane, listener);
                    director.set_socket(arguments.status.clone());
                    let follow = async {
                        loop {
                            let changed = numbers.changed().await;
                            if told_of_numbers.send(Control::Numbers(changed)).await.is_err() {
                                return Ok(());
                            }
                        }
                    };
                    tokio::select! {
                        result = director.run(receiver) => result.map_err(|refusal| refusal.to_string()),
                        result = follow => result,
                    }
                }
                None => {
                    let mut receiver = receiver;
                    // Whatever it is: only one thing is ever sent.
                    let _ = receiver.recv().await;
                    Ok(())
                }
            }
        };
        tokio::select! {
            result = work => result,
            result = tend(xdp.as_ref()) => result,
            () = told => Ok(()),
        }
    });
    if let Some(xdp) = xdp {
        xdp.end().map_err(|refusal| refusal.to_string())?;
    }
    result
}

/// Ends only with an error.
async fn tend(xdp: Option<&Tended>) -> Result<(), String> {
    let Some(xdp) = xdp else { return std::future::pending().await };
    let log = Rc::new(|line: &str| println!("{line}"));
    xdp.tend(log).await.map_err(|error| format!("the socket: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Arguments, String> {
        Arguments::read(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read_and_mistakes_named() {
        let arguments = read(&[
            "-f",
            "k.conf",
            "--plane",
            "xdp",
            "--interface",
            "a",
            "--interface",
            "b",
            "--flows",
            "4096",
        ]);
        let arguments = arguments.expect("right");
        assert_eq!(arguments.file, Some(PathBuf::from("k.conf")));
        assert_eq!(arguments.settings.choice, Choice::Xdp);
        assert_eq!(arguments.settings.interfaces, ["a", "b"]);
        assert_eq!(arguments.settings.options.flows_max, 4096);
        assert_eq!(read(&["--flows"]).expect_err("wrong"), "--flows needs a value");
        assert_eq!(read(&["--plane", "dpdk"]).expect_err("wrong"), "--plane is auto, ipvs or xdp, not dpdk");
        assert!(read(&["--no-pin", "--keep"]).expect_err("wrong").starts_with("--keep needs a folder"));
    }
}
