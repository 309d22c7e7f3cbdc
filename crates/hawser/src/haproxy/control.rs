//! What goes between the processes of one start, over a sequenced-packet socket pair.
//!
//! ```text
//!   master → worker   'T' + stream   take the old worker's listeners through this
//!                     'N'            nobody to take listeners from
//!                     'L' + stream   give the listeners to the one behind this
//!                     'C' + stream   a client of the runtime API, with all rights
//!   worker → master   'R'            ready: listeners are open
//!   daemon → parent   'R'            the same
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

const READY: &[u8] = b"R";
const TRANSFER: &[u8] = b"T";
const NO_TRANSFER: &[u8] = b"N";
const HAND_OVER: &[u8] = b"L";
const CLIENT: &[u8] = b"C";

/// A message of the master.
#[derive(Debug)]
pub enum FromMaster {
    Transfer(UnixStream),
    NoTransfer,
    HandOver(UnixStream),
    Client(OwnedFd),
    /// The master is gone.
    Closed,
}

/// Tells the starter that we serve.
///
/// # Errors
/// When it is gone.
pub fn report_ready(channel: impl AsFd) -> io::Result<()> {
    sys::transfer::send_descriptors(channel, READY, &[])
}

/// Waits for a report. `false`: the process ended, or said something else.
pub fn wait_ready(channel: impl AsFd) -> bool {
    let mut buffer = [0; 8];
    matches!(sys::transfer::receive_descriptors(channel, &mut buffer), Ok((length, _)) if &buffer[..length] == READY)
}

/// Tells a new worker where to take listeners from.
///
/// # Errors
/// When the worker is gone.
pub fn send_transfer(channel: impl AsFd, old: Option<&UnixStream>) -> io::Result<()> {
    match old {
        Some(stream) => sys::transfer::send_descriptors(channel, TRANSFER, &[stream.as_fd()]),
        None => sys::transfer::send_descriptors(channel, NO_TRANSFER, &[]),
    }
}

/// Hands a worker a client of its runtime API; gives our end of the stream.
///
/// # Errors
/// When the worker is gone.
pub fn connect_runtime_api(channel: impl AsFd) -> io::Result<UnixStream> {
    send_stream(channel, CLIENT)
}

/// Asks a worker to give its listeners to whoever is behind the stream that this gives.
///
/// # Errors
/// When the worker is gone.
pub fn ask_listeners(channel: impl AsFd) -> io::Result<UnixStream> {
    send_stream(channel, HAND_OVER)
}

fn send_stream(channel: impl AsFd, message: &[u8]) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    sys::transfer::send_descriptors(channel, message, &[theirs.as_fd()])?;
    Ok(ours)
}

/// Waits for the master's next message.
///
/// # Errors
/// What the socket says, or `InvalidData` for a message that is none.
pub fn receive_from_master(channel: impl AsFd) -> io::Result<FromMaster> {
    let mut buffer = [0; 8];
    let (length, mut descriptors) = sys::transfer::receive_descriptors(channel, &mut buffer)?;
    match (&buffer[..length], descriptors.pop()) {
        (b"", _) => Ok(FromMaster::Closed),
        (NO_TRANSFER, None) => Ok(FromMaster::NoTransfer),
        (TRANSFER, Some(stream)) => Ok(FromMaster::Transfer(UnixStream::from(stream))),
        (HAND_OVER, Some(stream)) => Ok(FromMaster::HandOver(UnixStream::from(stream))),
        (CLIENT, Some(client)) => Ok(FromMaster::Client(client)),
        (_, _) => Err(io::Error::new(io::ErrorKind::InvalidData, "not a message of a master")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::io::{Read, Write};

    #[test]
    fn messages_arrive_as_sent_and_the_end_is_noticed() {
        let flags = SocketFlags::CLOEXEC;
        let (master, worker) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("pair");
        send_transfer(&master, None).expect("sends");
        let mut client = connect_runtime_api(&master).expect("sends");
        assert!(matches!(receive_from_master(&worker).expect("receives"), FromMaster::NoTransfer));
        let FromMaster::Client(stream) = receive_from_master(&worker).expect("receives") else {
            panic!("a client")
        };
        UnixStream::from(stream).write_all(b"hello").expect("writes");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("reads");
        assert_eq!(answer, "hello");
        report_ready(&worker).expect("sends");
        assert!(wait_ready(&master));
        drop(master);
        assert!(matches!(receive_from_master(&worker).expect("receives"), FromMaster::Closed));
    }
}
