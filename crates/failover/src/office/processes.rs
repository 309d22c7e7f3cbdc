//! `vrrp_track_process`: how many processes of a kind there are, by /proc. Looked at a few times a second: the kernel's
//! process events exist in the initial namespace alone and flood a busy host.

use keepalived_config::model::{ParameterMatch, TrackProcess};
use std::time::{Duration, Instant};

/// Between two looks.
pub const INTERVAL: Duration = Duration::from_millis(200);
/// Bytes of a command line that are compared.
const COMMAND_LENGTH_MAX: usize = 4096;

/// One tracked kind of process.
#[derive(Debug, Clone)]
pub struct Tracked {
    pub wanted: TrackProcess,
    pub count: u32,
    /// As told: within quorum.
    pub is_good: Option<bool>,
    /// A change that waits for its delay.
    pending: Option<(bool, Instant)>,
}

impl Tracked {
    pub fn new(wanted: TrackProcess) -> Self {
        Self { wanted, count: 0, is_good: None, pending: None }
    }

    /// Takes a count in. `Some`: it changed between good and bad, its delay over.
    /// What it will be after a delay that runs.
    pub fn waits_for(&self) -> Option<bool> {
        self.pending.map(|(good, _)| good)
    }

    pub fn counted(&mut self, count: u32, now: Instant) -> Option<bool> {
        self.count = count;
        let good = count >= self.wanted.quorum && self.wanted.quorum_max.is_none_or(|most| count <= most);
        match self.is_good {
            Some(told) if told == good => {
                self.pending = None;
                None
            }
            Some(_) => {
                let delay = if good { self.wanted.fork_delay } else { self.wanted.terminate_delay };
                let due = match self.pending {
                    Some((pending, due)) if pending == good => due,
                    Some(_) | None => now + delay,
                };
                if due <= now {
                    self.pending = None;
                    self.is_good = Some(good);
                    return Some(good);
                }
                self.pending = Some((good, due));
                None
            }
            // The first look decides at once.
            None => {
                self.is_good = Some(good);
                Some(good)
            }
        }
    }
}

/// A process, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// `/proc/PID/comm`: cut to 15 bytes.
    pub name: String,
    /// `/proc/PID/cmdline`, split.
    pub words: Vec<String>,
}

/// All processes there are. With `full`, command lines too.
pub fn list(full: bool) -> Vec<Process> {
    let Ok(directory) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in directory.flatten() {
        if !entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let path = entry.path();
        let Ok(line) = std::fs::read_to_string(path.join("stat")) else { continue };
        let Some(name) = living(&line) else { continue };
        let words = if full { command_line(&path) } else { Vec::new() };
        found.push(Process { name: name.to_owned(), words });
    }
    found
}

/// The name in `PID (NAME) STATE …`, unless the process is dead and only not reaped yet.
fn living(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once('(')?;
    // The name may hold parentheses itself: the last one ends it.
    let (name, rest) = rest.rsplit_once(')')?;
    let state = rest.trim_start().chars().next()?;
    (!matches!(state, 'Z' | 'X')).then_some(name)
}

fn command_line(path: &std::path::Path) -> Vec<String> {
    let mut bytes = std::fs::read(path.join("cmdline")).unwrap_or_default();
    bytes.truncate(COMMAND_LENGTH_MAX);
    let words = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let mut words: Vec<String> = words.collect();
    if words.last().is_some_and(String::is_empty) {
        words.pop();
    }
    words
}

/// Whether a list needs command lines.
pub fn needs_full(tracked: &[Tracked]) -> bool {
    tracked.iter().any(|one| {
        one.wanted.full_command || one.wanted.parameters != ParameterMatch::Ignored || is_path(&one.wanted)
    })
}

fn is_path(wanted: &TrackProcess) -> bool {
    wanted.process.first().is_some_and(|program| program.contains('/'))
}

/// Longest name that the kernel keeps.
const NAME_LENGTH_MAX: usize = 15;

/// Whether a process is of the wanted kind.
pub fn matches(wanted: &TrackProcess, process: &Process) -> bool {
    let Some((program, parameters)) = wanted.process.split_first() else { return false };
    let by_words = wanted.full_command || is_path(wanted);
    let is_program = if by_words {
        process.words.first().is_some_and(|word| word == program)
    } else {
        let end = program.len().min(NAME_LENGTH_MAX);
        process.name.as_bytes() == &program.as_bytes()[..end]
    };
    if !is_program {
        return false;
    }
    let given = process.words.get(1..).unwrap_or_default();
    match wanted.parameters {
        ParameterMatch::Ignored => true,
        ParameterMatch::Exact => given == parameters,
        ParameterMatch::Partial => given.starts_with(parameters),
        ParameterMatch::Initial => match parameters.split_last() {
            None => true,
            Some((last, first)) => {
                given.starts_with(first)
                    && given.get(first.len()).is_some_and(|word| word.starts_with(last.as_str()))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracked(words: &[&str], parameters: ParameterMatch, delay: Duration) -> Tracked {
        let file = diag::Sources::default().add("keepalived.conf", Vec::new());
        Tracked::new(TrackProcess {
            name: "p".to_owned(),
            span: diag::Span { file, start: 0, end: 0 },
            process: words.iter().map(|word| (*word).to_owned()).collect(),
            parameters,
            weight: 0,
            reverse: false,
            quorum: 1,
            quorum_max: None,
            fork_delay: delay,
            terminate_delay: delay,
            full_command: false,
        })
    }

    fn process(words: &[&str]) -> Process {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let name = words[0].rsplit('/').next().unwrap_or_default();
        Process { name: name[..name.len().min(NAME_LENGTH_MAX)].to_owned(), words }
    }

    #[test]
    fn names_and_parameters_are_compared_as_wanted() {
        let none = Duration::ZERO;
        let running = process(&["/usr/sbin/haproxy", "-W", "-f", "/etc/haproxy.cfg"]);
        let is = |words: &[&str], how| matches(&tracked(words, how, none).wanted, &running);
        assert!(is(&["haproxy"], ParameterMatch::Ignored));
        assert!(is(&["/usr/sbin/haproxy"], ParameterMatch::Ignored));
        assert!(!is(&["/usr/bin/haproxy"], ParameterMatch::Ignored));
        assert!(is(&["haproxy", "-W", "-f", "/etc/haproxy.cfg"], ParameterMatch::Exact));
        assert!(!is(&["haproxy", "-W"], ParameterMatch::Exact));
        assert!(is(&["haproxy", "-W"], ParameterMatch::Partial));
        assert!(is(&["haproxy", "-W", "-f", "/etc/"], ParameterMatch::Initial));
        let long = process(&["/bin/a-name-beyond-fifteen"]);
        assert!(matches(&tracked(&["a-name-beyond-fifteen"], ParameterMatch::Ignored, none).wanted, &long));
    }

    #[test]
    fn a_change_waits_for_its_delay_and_is_forgotten_when_it_ends() {
        let start = Instant::now();
        let mut tracked = tracked(&["a"], ParameterMatch::Ignored, Duration::from_secs(1));
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(tracked.counted(1, start), Some(true));
        assert_eq!(tracked.counted(0, at(100)), None);
        assert_eq!(tracked.counted(1, at(200)), None);
        assert_eq!(tracked.counted(0, at(300)), None);
        assert_eq!(tracked.counted(0, at(1200)), None);
        assert_eq!(tracked.counted(0, at(1300)), Some(false));
    }

    #[test]
    fn the_dead_are_not_counted() {
        assert_eq!(living("7 (a (b) c) S 1 2"), Some("a (b) c"));
        assert_eq!(living("7 (a) Z 1 2"), None);
        assert_eq!(living("nonsense"), None);
    }

    #[test]
    fn our_own_process_is_in_the_list() {
        let name = std::fs::read_to_string("/proc/self/comm").expect("proc");
        assert!(
            list(true).iter().any(|process| process.name == name.trim_end() && !process.words.is_empty())
        );
    }
}
