//! Socket options that socket2 lacks.

use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

fn set_integer(
    socket: impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let descriptor = socket.as_fd();
    // SAFETY: the descriptor is borrowed for the call, and the pointer and length describe one live c_int.
    let status = unsafe {
        libc::setsockopt(
            descriptor.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes data in SYN packets; `queue_length` connections may be pending so.
///
/// # Errors
/// What `setsockopt(2)` says; the same for all functions here.
pub fn set_tcp_fast_open(listener: impl AsFd, queue_length: u16) -> io::Result<()> {
    set_integer(listener, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, queue_length.into())
}

/// Sends data in the SYN packet of the next connect.
pub fn set_tcp_fast_open_connect(socket: impl AsFd) -> io::Result<()> {
    set_integer(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1)
}

/// Wakes the listener only when data came, for at most about `seconds`.
pub fn set_tcp_defer_accept(listener: impl AsFd, seconds: u16) -> io::Result<()> {
    set_integer(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds.into())
}

/// Acknowledges at once (true) or lets the kernel wait for data to send along.
pub fn set_tcp_quick_ack(socket: impl AsFd, on: bool) -> io::Result<()> {
    set_integer(socket, libc::IPPROTO_TCP, libc::TCP_QUICKACK, on.into())
}

/// Takes the connection out of the kernel's hands: its close sends nothing. Needs CAP_NET_ADMIN.
pub fn set_repair(socket: impl AsFd) -> io::Result<()> {
    set_integer(socket, libc::IPPROTO_TCP, libc::TCP_REPAIR, 1)
}

/// The TOS byte (traffic class) of packets sent.
pub fn set_type_of_service(socket: impl AsFd, tos: u8, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set_integer(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, tos.into())
    } else {
        set_integer(socket, libc::IPPROTO_IP, libc::IP_TOS, tos.into())
    }
}

/// Allows binding to, and accepting for, addresses that are not ours (`transparent`, `usesrc`). `EPERM` without
/// CAP_NET_ADMIN or CAP_NET_RAW.
pub fn set_transparent(socket: impl AsFd, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set_integer(socket, libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT, 1)
    } else {
        set_integer(socket, libc::IPPROTO_IP, libc::IP_TRANSPARENT, 1)
    }
}

/// Allows binding to an address that no interface has yet.
pub fn set_free_bind(socket: impl AsFd, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set_integer(socket, libc::IPPROTO_IPV6, libc::IPV6_FREEBIND, 1)
    } else {
        set_integer(socket, libc::IPPROTO_IP, libc::IP_FREEBIND, 1)
    }
}

/// Leaves the choice of the source port to connect, so that one port serves many destinations.
pub fn set_bind_address_no_port(socket: impl AsFd) -> io::Result<()> {
    set_integer(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

/// Marks packets for routing and firewall rules. `EPERM` without CAP_NET_ADMIN.
pub fn set_mark(socket: impl AsFd, mark: u32) -> io::Result<()> {
    // The kernel reads the same 32 bits back as unsigned.
    set_integer(socket, libc::SOL_SOCKET, libc::SO_MARK, mark.cast_signed())
}

/// The congestion control algorithm, `cubic`, `bbr` ….
pub fn set_congestion_control(socket: impl AsFd, name: &str) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_congestion(socket, name)?)
}

/// Who is at the other end of a UNIX stream socket.
pub fn peer_credentials(socket: impl AsFd) -> io::Result<rustix::net::UCred> {
    Ok(rustix::net::sockopt::socket_peercred(socket)?)
}

/// Figures of a TCP connection, as `fc_rtt` and its kin show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInformation {
    pub round_trip_time: Duration,
    pub round_trip_variance: Duration,
    pub unacked: u32,
    pub sacked: u32,
    pub lost: u32,
    pub retransmits: u32,
    pub fackets: u32,
    pub reordering: u32,
}

/// Asks the kernel about a connection. `ENOPROTOOPT`, `EOPNOTSUPP` where it is not TCP.
pub fn tcp_information(socket: impl AsFd) -> io::Result<TcpInformation> {
    let descriptor = socket.as_fd();
    let mut information = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the pointer is to `length` writable bytes; the kernel writes no more and says how many.
    let status = unsafe {
        libc::getsockopt(
            descriptor.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            information.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the struct is integers only, was zeroed, and what the kernel wrote are integers.
    let information = unsafe { information.assume_init() };
    Ok(TcpInformation {
        round_trip_time: Duration::from_micros(information.tcpi_rtt.into()),
        round_trip_variance: Duration::from_micros(information.tcpi_rttvar.into()),
        unacked: information.tcpi_unacked,
        sacked: information.tcpi_sacked,
        lost: information.tcpi_lost,
        retransmits: information.tcpi_retrans,
        fackets: information.tcpi_fackets,
        reordering: information.tcpi_reordering,
    })
}

/// Whether a socket was put into the listening state.
pub fn is_listening(socket: impl AsFd) -> io::Result<bool> {
    match rustix::net::sockopt::socket_acceptconn(socket) {
        Ok(listening) => Ok(listening),
        Err(Errno::NOTSOCK) => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a socket")),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn options_are_accepted_by_a_listener_and_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        assert!(is_listening(&listener).expect("asks"));
        set_tcp_fast_open(&listener, 100).expect("fast open");
        set_tcp_defer_accept(&listener, 5).expect("defer accept");
        set_free_bind(&listener, false).expect("free bind");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        assert!(!is_listening(&client).expect("asks"));
        set_tcp_quick_ack(&client, true).expect("quick ack");
        set_congestion_control(&client, "cubic").expect("cubic");
        assert!(tcp_information(&client).expect("information").round_trip_time < Duration::from_secs(1));
    }

    #[test]
    fn tcp_figures_of_a_unix_socket_are_an_error() {
        let (left, _right) = std::os::unix::net::UnixStream::pair().expect("pair");
        assert!(tcp_information(&left).is_err());
        assert_eq!(peer_credentials(&left).expect("peer").pid, rustix::process::getpid());
    }
}
