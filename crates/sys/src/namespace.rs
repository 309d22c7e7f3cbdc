//! Network namespaces by name, as `ip netns` makes them.

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Where `ip netns add` leaves them.
const DIRECTORY: &str = "/var/run/netns";

/// A network namespace that is kept open.
#[derive(Debug)]
pub struct Namespace {
    other: OwnedFd,
    own: File,
}

impl Namespace {
    /// # Errors
    /// There is none of that name, or it may not be opened.
    pub fn open(name: &str) -> io::Result<Namespace> {
        let other = rustix::fs::open(
            Path::new(DIRECTORY).join(name),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Namespace { other, own: File::open("/proc/self/ns/net")? })
    }

    /// Runs `make` on this thread, inside. Needs CAP_SYS_ADMIN.
    ///
    /// # Errors
    /// The namespace may not be entered, or what `make` says.
    pub fn within<T>(&self, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let enter = |descriptor| move_into_link_name_space(descriptor, Some(LinkNameSpaceType::Network));
        enter(self.other.as_fd())?;
        let made = make();
        // A thread that stays outside would open everything else in the wrong network.
        enter(self.own.as_fd()).expect("a thread that left its namespace may return to it");
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_made_is_an_error() {
        assert_eq!(Namespace::open("no-such-namespace").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
