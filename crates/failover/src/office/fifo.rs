//! Notify pipes: one line per event, in order. Kept open for as long as the path stays configured, so that readers see no
//! end of file at a reload. A reader that is slow or missing never blocks us; what does not fit waits, up to a bound.

use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Lines that wait for a reader.
const WAITING_MAX: usize = 4096;

#[derive(Debug)]
pub struct Fifo {
    path: PathBuf,
    pipe: OwnedFd,
    /// Made by us, so removed by us.
    made: bool,
    waiting: VecDeque<String>,
    /// Lines thrown away since the reader stopped.
    pub lost: u64,
}

impl Fifo {
    /// Opens the pipe, which is made when it is not there (mode 0600).
    ///
    /// # Errors
    /// What the file system says; that something else is in its place.
    pub fn open(path: &Path, owner: Option<(u32, u32)>) -> io::Result<Self> {
        let made = match mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(errno) => return Err(errno.into()),
        };
        if let (true, Some((user, group))) = (made, owner) {
            std::os::unix::fs::chown(path, Some(user), Some(group))?;
        }
        // Read and write: opening does not wait for a reader, and the pipe outlives readers that come and go.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let pipe = rustix::fs::open(path, flags, Mode::empty())?;
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&pipe)?.st_mode);
        if kind != rustix::fs::FileType::Fifo {
            return Err(io::Error::other(format!("{} is not a pipe", path.display())));
        }
        Ok(Self { path: path.to_owned(), pipe, made, waiting: VecDeque::new(), lost: 0 })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, behind those that wait.
    pub fn line(&mut self, text: &str) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(format!("{text}\n"));
        self.flush();
    }

    /// Writes what waits, as far as the pipe has room. Lines are below PIPE_BUF: whole or not at all.
    pub fn flush(&mut self) {
        while let Some(line) = self.waiting.front() {
            if rustix::io::write(&self.pipe, line.as_bytes()).is_err() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Removes the pipe if we made it.
    pub fn remove(self) {
        if self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn a_reader_that_comes_late_gets_the_lines_in_order() {
        let path = std::env::temp_dir().join(format!("hawser-fifo-{}", std::process::id()));
        let mut fifo = Fifo::open(&path, None).expect("made");
        fifo.line("INSTANCE \"VI_1\" BACKUP 100");
        fifo.line("INSTANCE \"VI_1\" MASTER 100");
        let lines = BufReader::new(std::fs::File::open(&path).expect("opens")).lines();
        let lines: Vec<String> = lines.take(2).map(|line| line.expect("read")).collect();
        assert_eq!(lines, ["INSTANCE \"VI_1\" BACKUP 100", "INSTANCE \"VI_1\" MASTER 100"]);
        fifo.remove();
        assert!(!path.exists());
    }

    #[test]
    fn an_ordinary_file_is_refused() {
        let path = std::env::temp_dir().join(format!("hawser-no-fifo-{}", std::process::id()));
        std::fs::write(&path, "").expect("written");
        assert!(Fifo::open(&path, None).is_err());
        std::fs::remove_file(path).expect("removed");
    }
}
