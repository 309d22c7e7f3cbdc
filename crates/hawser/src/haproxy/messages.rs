//! Lines on standard error in HAProxy's form, which scripts look for: `[ALERT]    (PID) : text`.

use crate::version;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Alert,
    Warning,
    Notice,
}

/// Bytes of messages that are kept, about.
const TOLD_MAX: usize = 65_536;

static QUIET: AtomicBool = AtomicBool::new(false);
static TOLD: Mutex<String> = Mutex::new(String::new());
static INTRODUCED: AtomicBool = AtomicBool::new(false);

/// `-q`: nothing is printed any more.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

pub fn alert(text: &str) {
    print(Kind::Alert, text);
}

pub fn warning(text: &str) {
    print(Kind::Warning, text);
}

pub fn notice(text: &str) {
    print(Kind::Notice, text);
}

/// Forgets what was told: a reload tells its own.
pub fn begin() {
    if let Ok(mut told) = TOLD.lock() {
        told.clear();
    }
}

/// What was told so far: the runtime API's `show startup-logs`.
pub fn so_far() -> String {
    TOLD.lock().map(|told| told.clone()).unwrap_or_default()
}

fn print(kind: Kind, text: &str) {
    if let Ok(mut told) = TOLD.lock()
        && told.len() < TOLD_MAX
    {
        told.push_str(&line(kind, text));
    }
    if QUIET.load(Ordering::Relaxed) {
        return;
    }
    let mut lines = String::new();
    // Which program is speaking, before its first complaint.
    if kind != Kind::Notice && !INTRODUCED.swap(true, Ordering::Relaxed) {
        lines.push_str(&line(Kind::Notice, &format!("haproxy version is {}", version::COMPATIBLE)));
        if let Ok(path) = std::env::current_exe() {
            lines.push_str(&line(Kind::Notice, &format!("path to executable is {}", path.display())));
        }
    }
    lines.push_str(&line(kind, text));
    // One write, so that processes which share the terminal do not mix within a line. Nobody is left to tell of a failure.
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

fn line(kind: Kind, text: &str) -> String {
    let label = match kind {
        Kind::Alert => "[ALERT]",
        Kind::Warning => "[WARNING]",
        Kind::Notice => "[NOTICE]",
    };
    format!("{label:10} ({}) : {}\n", std::process::id(), text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_padded_as_haproxys() {
        let pid = std::process::id();
        assert_eq!(line(Kind::Alert, "x\n"), format!("[ALERT]    ({pid}) : x\n"));
        assert_eq!(line(Kind::Warning, "x"), format!("[WARNING]  ({pid}) : x\n"));
        assert_eq!(line(Kind::Notice, "x"), format!("[NOTICE]   ({pid}) : x\n"));
    }
}
