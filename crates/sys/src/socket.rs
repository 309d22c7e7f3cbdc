//! Socket options that neither socket2 nor rustix offers.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

fn set_int(socket: impl AsFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is borrowed for the call, and the kernel reads `length` bytes of `value`, which outlives it.
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `IPV6_TRANSPARENT`: bind to, and accept for, addresses that are not this machine's. Needs `CAP_NET_ADMIN`.
///
/// # Errors
/// As setsockopt(2).
pub fn set_ipv6_transparent(socket: impl AsFd) -> io::Result<()> {
    set_int(socket, libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT, 1)
}

/// `TCP_DEFER_ACCEPT`: a connection is accepted only once data has come, or after about `seconds`.
///
/// # Errors
/// As setsockopt(2).
pub fn set_defer_accept(socket: impl AsFd, seconds: i32) -> io::Result<()> {
    set_int(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds)
}

/// `TCP_FASTOPEN` on a listener: `queue` is how many may wait with data in their SYN.
///
/// # Errors
/// As setsockopt(2).
pub fn set_fast_open(socket: impl AsFd, queue: u32) -> io::Result<()> {
    set_int(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, i32::try_from(queue).unwrap_or(i32::MAX))
}
