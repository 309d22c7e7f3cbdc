//! Names of addresses, from the system's resolver.

use std::ffi::CStr;
use std::net::{IpAddr, SocketAddr};

/// `NI_MAXHOST`.
const NAME_MAX: usize = 1025;

/// The name of an address; `None` where it has none. Waits for the resolver.
pub fn host_of(address: IpAddr) -> Option<String> {
    let mut name = [0_u8; NAME_MAX];
    let status = match SocketAddr::new(address, 0) {
        SocketAddr::V4(socket) => {
            // SAFETY: all zero bytes are a valid sockaddr_in.
            let mut raw: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            raw.sin_family = libc::AF_INET as libc::sa_family_t;
            raw.sin_addr.s_addr = u32::from_ne_bytes(socket.ip().octets());
            look_up(&raw, &mut name)
        }
        SocketAddr::V6(socket) => {
            // SAFETY: all zero bytes are a valid sockaddr_in6.
            let mut raw: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_addr.s6_addr = socket.ip().octets();
            look_up(&raw, &mut name)
        }
    };
    if status != 0 {
        return None;
    }
    let name = CStr::from_bytes_until_nul(&name).ok()?;
    Some(name.to_string_lossy().into_owned())
}

fn look_up<T>(address: &T, name: &mut [u8; NAME_MAX]) -> libc::c_int {
    // SAFETY: address and name are live and of the lengths given; no service name is asked for.
    unsafe {
        libc::getnameinfo(
            std::ptr::from_ref(address).cast(),
            size_of::<T>() as libc::socklen_t,
            name.as_mut_ptr().cast(),
            NAME_MAX as libc::socklen_t,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_address_has_a_name() {
        assert!(host_of([127, 0, 0, 1].into()).is_some());
        assert_eq!(host_of([255, 255, 255, 255].into()), None);
    }
}
