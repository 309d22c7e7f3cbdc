//! Where facts come from: files below one root (`/`, or a folder that a test made) and the answers of a few programs.
//! Judges nothing, and writes only what `--apply` was asked to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The most that is read of one file, in bytes.
const FILE_LENGTH_MAX: u64 = 1 << 20;
/// The longest that a program may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a program that has not answered is looked at.
const ANSWER_STEP: Duration = Duration::from_millis(10);

/// The machine that is looked at.
pub struct Machine {
    root: PathBuf,
    /// Answers given beforehand, by command line: what tests put in place of programs.
    answers: BTreeMap<String, String>,
    asks_programs: bool,
}

impl Machine {
    /// This machine.
    pub fn here() -> Self {
        Machine { root: PathBuf::from("/"), answers: BTreeMap::new(), asks_programs: true }
    }

    /// For tests: a machine whose files lie below `root`, and whose programs say `answers`.
    #[cfg(test)]
    pub fn described(root: impl Into<PathBuf>, answers: &[(&str, &str)]) -> Self {
        let answers = answers.iter().map(|(line, text)| ((*line).to_owned(), (*text).to_owned())).collect();
        Machine { root: root.into(), answers, asks_programs: false }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The beginning of a file as text, without the newline at its end; `None` where it cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = read(&self.at(path))?;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    pub fn exists(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// Where a symbolic link leads.
    pub fn link(&self, path: &str) -> Option<PathBuf> {
        fs::read_link(self.at(path)).ok()
    }

    /// A sysctl by its dotted name, numbers separated by blanks.
    pub fn sysctl(&self, name: &str) -> Option<String> {
        let text = self.text(&path_of(name))?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Sets a sysctl.
    ///
    /// # Errors
    /// What writing says: not root, or not on this kernel.
    pub fn set_sysctl(&self, name: &str, value: &str) -> io::Result<()> {
        fs::write(self.at(&path_of(name)), value)
    }

    /// What a program prints, `None` when it is missing, fails, or does not answer in time.
    pub fn ask(&self, program: &str, words: &[&str]) -> Option<String> {
        let line = [&[program], words].concat().join(" ");
        if let Some(answer) = self.answers.get(&line) {
            return Some(answer.clone());
        }
        if self.asks_programs { answer(program, words) } else { None }
    }
}

/// The beginning of a file; `None` where it cannot be read.
pub fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_LENGTH_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// `net.ipv4.ip_forward` is the file /proc/sys/net/ipv4/ip_forward. An interface with a dot in its name is written with
/// a slash, as sysctl(8) takes it.
fn path_of(name: &str) -> String {
    let swapped = name.chars().map(|letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    });
    format!("/proc/sys/{}", swapped.collect::<String>())
}

fn answer(program: &str, words: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut output = child.stdout.take()?;
    // Read beside the waiting, or a long answer fills the pipe and never ends.
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.by_ref().take(FILE_LENGTH_MAX).read_to_end(&mut bytes);
        read.ok().map(|_| bytes)
    });
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                let bytes = reader.join().ok()??;
                return status.success().then(|| String::from_utf8_lossy(&bytes).into_owned());
            }
            Ok(None) if Instant::now() < deadline => std::thread::sleep(ANSWER_STEP),
            Ok(None) | Err(_) => {
                // Both fail only when it has ended in between.
                let _killed = child.kill();
                let _reaped = child.wait();
                return None;
            }
        }
    }
}
