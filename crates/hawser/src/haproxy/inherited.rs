//! Whose address a transferred listener has: what the engine matches `bind` lines with.

use std::os::fd::AsFd;

/// The address as the engine writes addresses; sockets for datagrams have a word before it. `None` for what is no listener
/// of ours.
pub fn address_of(listener: impl AsFd) -> Option<String> {
    use rustix::net::{SocketType, sockopt};
    let address = plain_address_of(&listener)?;
    match sockopt::socket_type(&listener).ok()? {
        SocketType::DGRAM => Some(format!("{}{address}", proxy::DATAGRAM_PREFIX)),
        _ => Some(address),
    }
}

fn plain_address_of(listener: impl AsFd) -> Option<String> {
    use rustix::net::{AddressFamily, SocketAddrUnix, getsockname};
    let address = getsockname(listener).ok()?;
    match address.address_family() {
        AddressFamily::INET | AddressFamily::INET6 => {
            Some(std::net::SocketAddr::try_from(address).ok()?.to_string())
        }
        AddressFamily::UNIX => {
            let address = SocketAddrUnix::try_from(address).ok()?;
            if let Some(name) = address.abstract_name() {
                // HAProxy 2.6 pads abstract names to their full length with NUL.
                let end = name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                return Some(format!("abns@{}", String::from_utf8_lossy(&name[..end])));
            }
            let path = address.path()?.to_string_lossy().into_owned();
            Some(final_path(&path).to_owned())
        }
        _ => None,
    }
}

/// UNIX sockets are bound beside their place as `PATH.PID.tmp` and renamed: the kernel remembers the first name.
fn final_path(path: &str) -> &str {
    let Some(without) = path.strip_suffix(".tmp") else { return path };
    match without.rsplit_once('.') {
        Some((place, pid)) if !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()) => place,
        Some(_) | None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn addresses_are_written_as_the_engine_writes_them() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("bound").to_string();
        assert_eq!(address_of(&listener), Some(address));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
        let address = socket.local_addr().expect("bound").to_string();
        assert_eq!(address_of(&socket), Some(format!("dgram+{address}")));
        let name = format!("hawser-inherited-{}", std::process::id());
        let abstract_address = {
            use std::os::linux::net::SocketAddrExt;
            std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("valid")
        };
        let listener = UnixListener::bind_addr(&abstract_address).expect("binds");
        assert_eq!(address_of(&listener), Some(format!("abns@{name}")));
    }

    #[test]
    fn the_temporary_name_of_a_unix_socket_is_undone() {
        assert_eq!(final_path("/run/s.sock.17089.tmp"), "/run/s.sock");
        assert_eq!(final_path("/run/s.sock"), "/run/s.sock");
        assert_eq!(final_path("/run/s.x.tmp"), "/run/s.x.tmp");
    }
}
