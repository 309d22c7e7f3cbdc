//! Telling the supervisor how we are: systemd's datagrams, when `NOTIFY_SOCKET` is set.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends one datagram; without a supervisor, or when it does not listen, nothing happens.
pub fn send(text: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    if let (Ok(socket), Ok(address)) = (UnixDatagram::unbound(), address) {
        // A supervisor that does not read must not stop us.
        let _ = socket.set_nonblocking(true);
        let _ = socket.send_to_addr(text.as_bytes(), &address);
    }
}

/// All that is to be ready is ready: the first word, as test tools look no further.
pub fn ready() {
    send(&format!("READY=1\nMAINPID={}", std::process::id()));
}

pub fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
    send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
}

pub fn stopping() {
    send("STOPPING=1");
}
