//! Two threads that wait for the kernel: one for signals, one for addresses that come and go.

use super::super::news::{Hearing, News, Session};
use failover::kernel::Kernel;
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use sys::signals::SignalReader;
use tokio::sync::mpsc::Sender;

/// What they see.
#[derive(Debug)]
pub(super) enum Event {
    Signal(i32),
    /// A session of BFD, from the VRRP child.
    Session(Session),
    /// All that this host has now.
    Addresses(BTreeSet<IpAddr>),
    /// A watch is over.
    Failed(String),
}

/// # Errors
/// There is no thread to be had.
pub(super) fn signals(signals: SignalReader, events: Sender<Event>) -> io::Result<()> {
    watch("signals", events, move |events| {
        loop {
            wait(&signals)?;
            while let Some(number) = signals.next_number()? {
                if events.blocking_send(Event::Signal(number)).is_err() {
                    return Ok(());
                }
            }
        }
    })
}

/// What the parent says.
///
/// # Errors
/// There is no thread to be had.
pub(super) fn parent(mut ear: UnixStream, events: Sender<Event>) -> io::Result<()> {
    watch("parent", events, move |events| {
        let mut hearing = Hearing::default();
        let mut bytes = [0; 256];
        loop {
            let length = match ear.read(&mut bytes) {
                // A parent that is gone takes us with it.
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for news in hearing.take(&bytes[..length]) {
                // Words are for the parent.
                if let News::Session(session) = news
                    && events.blocking_send(Event::Session(session)).is_err()
                {
                    return Ok(());
                }
            }
        }
    })
}

/// What is there now; changes follow.
///
/// # Errors
/// What the netlink sockets say; there is no thread to be had.
pub(super) fn addresses(events: Sender<Event>) -> io::Result<BTreeSet<IpAddr>> {
    let mut kernel = Kernel::open()?;
    let mut before = here(&kernel);
    let now = before.clone();
    watch("addresses", events, move |events| {
        loop {
            wait(&kernel)?;
            kernel.notifications(|_| {})?;
            let now = here(&kernel);
            if now != before {
                before.clone_from(&now);
                if events.blocking_send(Event::Addresses(now)).is_err() {
                    return Ok(());
                }
            }
        }
    })?;
    Ok(now)
}

fn here(kernel: &Kernel) -> BTreeSet<IpAddr> {
    kernel.interfaces.iter().flat_map(|one| one.addresses.iter().map(|address| address.local)).collect()
}

/// Ends with the process, or when nobody listens.
fn watch(
    name: &str,
    events: Sender<Event>,
    mut work: impl FnMut(&Sender<Event>) -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(error) = work(&events) {
            let _ = events.blocking_send(Event::Failed(error.to_string()));
        }
    })?;
    Ok(())
}

fn wait(descriptor: impl AsFd) -> io::Result<()> {
    match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
