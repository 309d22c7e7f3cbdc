//! What an interface's driver is asked by ioctl(2).

use rustix::net::{AddressFamily, SocketType, socket};
use std::io;
use std::os::fd::AsRawFd;

/// `struct ethtool_value` of <linux/ethtool.h>.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `ETHTOOL_GGRO`.
const GET_RECEIVE_OFFLOAD: u32 = 0x2b;

/// Whether the kernel puts packets that come in together (generic receive offload).
///
/// # Errors
/// There is no such interface.
pub fn receive_offload(name: &str) -> io::Result<bool> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut value = Value { command: GET_RECEIVE_OFFLOAD, data: 0 };
    // SAFETY: all zero bytes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request is live and names a live value of the command's type, which the kernel fills.
    let status = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(value.data != 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_an_answer_and_another_has_none() {
        assert!(receive_offload("lo").is_ok());
        assert!(receive_offload("no-such-one").is_err());
        assert!(receive_offload(&"x".repeat(99)).is_err());
    }
}
