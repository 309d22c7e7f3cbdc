//! The numbers in the files that a configuration's checkers track, for whoever runs them: a thread waits for inotify.

use failover::office::files::Files;
use keepalived_config::Model;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::AsFd;
use tokio::sync::mpsc;

/// Changes that wait; what comes later says it all again.
const CHANGES_MAX: usize = 4;
/// How soon the thread sees that nobody listens any more.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// By their place in the configuration.
///
/// # Errors
/// A file cannot be made, as `init_file` wants.
pub(crate) fn read(model: &Model) -> io::Result<Vec<i64>> {
    Files::watch(&model.track_files).map(|files| files.values())
}

/// Watched until it is dropped.
pub(crate) struct Numbers {
    at_start: Vec<i64>,
    changes: mpsc::Receiver<Vec<i64>>,
}

impl Numbers {
    /// # Errors
    /// What inotify says; there is no thread to be had.
    pub fn watch(model: &Model) -> io::Result<Self> {
        let mut files = Files::watch(&model.track_files)?;
        let at_start = files.values();
        let (sender, changes) = mpsc::channel(CHANGES_MAX);
        if !model.track_files.is_empty() {
            std::thread::Builder::new().name("files".to_owned()).spawn(move || {
                while !sender.is_closed() {
                    // Interrupted or not: the files are looked at.
                    let _ = poll(&mut [PollFd::from_borrowed_fd(files.as_fd(), PollFlags::IN)], Some(&LOOK));
                    if !files.changes().is_empty() && sender.blocking_send(files.values()).is_err() {
                        return;
                    }
                }
            })?;
        }
        Ok(Self { at_start, changes })
    }

    /// As they were when the watch began.
    pub fn all(&self) -> Vec<i64> {
        self.at_start.clone()
    }

    /// Waits until one is another; then all of them.
    pub async fn changed(&mut self) -> Vec<i64> {
        match self.changes.recv().await {
            Some(numbers) => numbers,
            // There is nothing to watch.
            None => std::future::pending().await,
        }
    }
}
