//! Log lines: to the console, a file or syslog, in keepalived's words and form. Owns where they go; waits for a busy log
//! daemon once and briefly, and never again for one that does not read.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// As syslog numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}

/// For a log daemon that is busy.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Facility `daemon`, keepalived's default.
pub const FACILITY_DAEMON: u8 = 3;
/// Facility `local0`; the others follow.
pub const FACILITY_LOCAL0: u8 = 16;

/// What the command line says about logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `-l`
    pub console: bool,
    /// `-G`: none to syslog.
    pub no_syslog: bool,
    /// `-D`: lines of detail too.
    pub detail: bool,
    /// `-S N`: 0..=7 are `local0`..=`local7`.
    pub facility: u8,
    /// `-g FILE`
    pub file: Option<std::path::PathBuf>,
    /// The name before each line in syslog.
    pub name: String,
}

/// Where log lines go.
#[derive(Debug)]
pub struct Log {
    wanted: Wanted,
    file: Option<File>,
    syslog: Option<UnixDatagram>,
    /// The daemon has read of late: it is worth waiting for.
    is_read: bool,
}

impl Log {
    pub fn open(wanted: Wanted) -> Self {
        let file =
            wanted.file.as_ref().and_then(|path| File::options().append(true).create(true).open(path).ok());
        let mut log = Self { wanted, file, syslog: None, is_read: true };
        log.connect();
        log
    }

    fn connect(&mut self) {
        if self.wanted.console || self.wanted.no_syslog {
            return;
        }
        let Ok(socket) = UnixDatagram::unbound() else { return };
        let ready = socket.connect(Path::new("/dev/log")).and_then(|()| socket.set_nonblocking(true));
        self.syslog = ready.is_ok().then_some(socket);
    }

    /// Whether lines of detail are wanted.
    pub fn detail(&self) -> bool {
        self.wanted.detail
    }

    /// Writes one line.
    pub fn line(&mut self, level: Level, text: &str) {
        if self.wanted.console || self.file.is_some() {
            // One write to a line: several processes share the console.
            let line = format!("{}: {text}\n", stamp());
            if self.wanted.console {
                // A console that is gone is no reason to stop.
                let _ = std::io::stderr().lock().write_all(line.as_bytes());
            }
            if let Some(file) = &mut self.file {
                let _ = file.write_all(line.as_bytes());
            }
        }
        if self.wanted.console || self.wanted.no_syslog {
            return;
        }
        if self.syslog.is_none() {
            self.connect();
        }
        let priority = self.wanted.facility * 8 + level as u8;
        let now = local_now();
        let line = format!(
            "<{priority}>{} {:2} {:02}:{:02}:{:02} {}[{}]: {text}",
            MONTHS[usize::from(now.month - 1) % 12],
            now.day,
            now.hour,
            now.minute,
            now.second,
            self.wanted.name,
            std::process::id(),
        );
        let Some(socket) = &self.syslog else { return };
        let mut sent = socket.send(line.as_bytes());
        if self.is_read && is_full(&sent) {
            // The kernel keeps a handful of datagrams: a burst of lines is more.
            let _ = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&PATIENCE));
            sent = socket.send(line.as_bytes());
        }
        self.is_read = !is_full(&sent);
        if sent.is_err() && self.is_read {
            // The log daemon was restarted: the next line connects anew.
            self.syslog = None;
        }
    }
}

fn is_full(sent: &std::io::Result<usize>) -> bool {
    sent.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn local_now() -> sys::clock::LocalTime {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    sys::clock::local_time(now.tv_sec)
}

/// `Sun Nov 22 20:49:48 2026`, as `ctime(3)` writes it.
pub fn stamp() -> String {
    calendar(local_now(), "")
}

/// As [`stamp`] for any moment, with a fraction behind the seconds.
pub fn calendar(time: sys::clock::LocalTime, fraction: &str) -> String {
    format!(
        "{} {} {:2} {:02}:{:02}:{:02}{fraction} {}",
        DAYS[usize::from(time.weekday) % 7],
        MONTHS[usize::from(time.month.max(1) - 1) % 12],
        time.day,
        time.hour,
        time.minute,
        time.second,
        time.year
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_a_file_begin_with_the_date() {
        let path = std::env::temp_dir().join(format!("hawser-log-{}", std::process::id()));
        let mut log = Log::open(Wanted {
            console: false,
            no_syslog: true,
            detail: false,
            facility: FACILITY_DAEMON,
            file: Some(path.clone()),
            name: "Keepalived_vrrp".to_owned(),
        });
        log.line(Level::Info, "(VI_1) Entering MASTER STATE");
        let text = std::fs::read_to_string(&path).expect("written");
        std::fs::remove_file(path).expect("removed");
        assert!(text.ends_with(": (VI_1) Entering MASTER STATE\n"), "{text}");
        assert_eq!(text.split(':').next().map(str::len), Some("Sun Nov 22 20".len()), "{text}");
    }
}
