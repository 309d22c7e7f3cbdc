//! What both children do first: signals, the channel to the parent, the configuration, the namespace, the pid file.

use super::news::Session;
pub(super) use super::news::Word;
use super::{Load, Settings, write_pid_file};
use failover::office::signal;
use keepalived_config::Model;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use sys::signals::SignalReader;

/// Dumps go here.
pub(super) const DUMP_DIRECTORY: &str = "/tmp";

/// A child that is set up.
pub(super) struct Child {
    pub signals: SignalReader,
    pub channel: Channel,
    pub model: Model,
    pub pid_file: PathBuf,
}

pub(super) struct Channel(UnixStream);

impl Channel {
    pub fn say(&mut self, word: Word) {
        // A parent that is gone hears nothing.
        let _ = self.0.write_all(&[word as u8]);
    }

    /// For the checkers' child.
    pub fn tell(&mut self, session: &Session) {
        let _ = self.0.write_all(&session.write());
    }

    /// What the parent says.
    ///
    /// # Errors
    /// There is no descriptor to be had.
    pub fn ear(&self) -> io::Result<UnixStream> {
        self.0.try_clone()
    }
}

/// Sets a child up. Its configuration's remarks are in the log already, by the parent.
pub(super) fn enter(settings: &Settings, load: &mut Load, pid_file: &Path) -> io::Result<Child> {
    let signals = sys::signals::read_numbers_instead_of_handling(&signal::ALL)?;
    // Without a parent nobody would start us again: end as if told to.
    sys::process::die_with_parent(rustix::process::Signal::TERM)?;
    let channel = sys::descriptor::duplicate(0)?;
    let null = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    let (model, _) = load().map_err(io::Error::other)?;
    if let Some(name) = settings.namespace.as_ref().or(model.global.net_namespace.as_ref()) {
        let path = PathBuf::from("/run/netns").join(name);
        let file =
            File::open(&path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
    }
    let pid_file = &settings.place(pid_file, &model);
    write_pid_file(pid_file).map_err(|error| io::Error::other(format!("{}: {error}", pid_file.display())))?;
    Ok(Child { signals, channel: Channel(UnixStream::from(channel)), model, pid_file: pid_file.clone() })
}
