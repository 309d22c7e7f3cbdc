//! Raw IP sockets and packet sockets: what VRRP, gratuitous ARP and neighbour advertisements go through.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }
}

/// `IPPROTO_RAW`: a socket that sends whole packets and receives none.
pub const PROTOCOL_SEND_ONLY: u8 = 255;

/// A packet that came in, beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Bytes in the buffer: IPv4 with its IP header, IPv6 without.
    pub length: usize,
    pub from: IpAddr,
    /// The address that it was sent to, where the kernel says it.
    pub to: Option<IpAddr>,
    /// The index of the interface that it came in on; 0 is unknown.
    pub interface: u32,
    /// TTL or hop limit as it arrived.
    pub hop_limit: Option<u8>,
}

/// A non-blocking raw socket of one IP protocol.
#[derive(Debug)]
pub struct RawSocket {
    descriptor: OwnedFd,
    family: Family,
}

fn option<T>(descriptor: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for the call; pointer and length describe the one live value.
    let status = unsafe {
        libc::setsockopt(
            descriptor.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    checked(status)
}

fn checked(status: libc::c_int) -> io::Result<()> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A new descriptor from a call that made one.
fn owned(number: libc::c_int) -> io::Result<OwnedFd> {
    checked(number)?;
    // SAFETY: the kernel just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

impl RawSocket {
    /// Needs CAP_NET_RAW.
    ///
    /// # Errors
    /// What `socket(2)` says; the setters say what `setsockopt(2)` says.
    pub fn open(family: Family, protocol: u8) -> io::Result<Self> {
        let domain = match family {
            Family::Ipv4 => libc::AF_INET,
            Family::Ipv6 => libc::AF_INET6,
        };
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: takes integers only.
        let descriptor = owned(unsafe { libc::socket(domain, kind, protocol.into()) })?;
        Ok(Self { descriptor, family })
    }

    /// A socket of another type that shares what is done here.
    pub(crate) fn of(descriptor: OwnedFd, family: Family) -> Self {
        Self { descriptor, family }
    }

    pub fn family(&self) -> Family {
        self.family
    }

    /// Sends and receives through this interface alone; follows it through renames, not through its end.
    pub fn bind_to_interface(&self, index: u32) -> io::Result<()> {
        const SO_BINDTOIFINDEX: libc::c_int = 62;
        option(self.as_fd(), libc::SOL_SOCKET, SO_BINDTOIFINDEX, &index)
    }

    /// What is sent begins with an IPv4 header; the kernel fills in checksum and length.
    pub fn send_with_header(&self) -> io::Result<()> {
        option(self.as_fd(), libc::IPPROTO_IP, libc::IP_HDRINCL, &1_i32)
    }

    /// Takes packets to `group` on the interface.
    pub fn join(&self, group: IpAddr, interface: u32) -> io::Result<()> {
        self.membership(group, interface, libc::IP_ADD_MEMBERSHIP, libc::IPV6_ADD_MEMBERSHIP)
    }

    pub fn leave(&self, group: IpAddr, interface: u32) -> io::Result<()> {
        self.membership(group, interface, libc::IP_DROP_MEMBERSHIP, libc::IPV6_DROP_MEMBERSHIP)
    }

    fn membership(&self, group: IpAddr, interface: u32, four: i32, six: i32) -> io::Result<()> {
        match group {
            IpAddr::V4(group) => {
                let request = libc::ip_mreqn {
                    imr_multiaddr: in_address(group),
                    imr_address: in_address(Ipv4Addr::UNSPECIFIED),
                    imr_ifindex: interface.cast_signed(),
                };
                option(self.as_fd(), libc::IPPROTO_IP, four, &request)
            }
            IpAddr::V6(group) => {
                let request = libc::ipv6_mreq {
                    ipv6mr_multiaddr: libc::in6_addr { s6_addr: group.octets() },
                    ipv6mr_interface: interface,
                };
                option(self.as_fd(), libc::IPPROTO_IPV6, six, &request)
            }
        }
    }

    /// The interface that multicast leaves through; and it never comes back to this host.
    pub fn send_multicast_through(&self, interface: u32) -> io::Result<()> {
        match self.family {
            Family::Ipv4 => {
                let request = libc::ip_mreqn {
                    imr_multiaddr: in_address(Ipv4Addr::UNSPECIFIED),
                    imr_address: in_address(Ipv4Addr::UNSPECIFIED),
                    imr_ifindex: interface.cast_signed(),
                };
                option(self.as_fd(), libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)?;
                option(self.as_fd(), libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, &0_i32)
            }
            Family::Ipv6 => {
                option(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &interface)?;
                option(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP, &0_i32)
            }
        }
    }

    /// Multicast only to the groups that this socket joined, not to those that any socket of the host did.
    pub fn only_own_groups(&self) -> io::Result<()> {
        const IPV6_MULTICAST_ALL: libc::c_int = 29;
        match self.family {
            Family::Ipv4 => option(self.as_fd(), libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, &0_i32),
            Family::Ipv6 => option(self.as_fd(), libc::IPPROTO_IPV6, IPV6_MULTICAST_ALL, &0_i32),
        }
    }

    /// Hop limit (TTL) and traffic class (TOS) of what is sent without a header of our own.
    pub fn set_hops_and_class(&self, hops: u8, class: u8) -> io::Result<()> {
        let (hops, class) = (i32::from(hops), i32::from(class));
        match self.family {
            Family::Ipv4 => {
                option(self.as_fd(), libc::IPPROTO_IP, libc::IP_TTL, &hops)?;
                option(self.as_fd(), libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, &hops)?;
                option(self.as_fd(), libc::IPPROTO_IP, libc::IP_TOS, &class)
            }
            Family::Ipv6 => {
                option(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, &hops)?;
                option(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, &hops)?;
                option(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &class)
            }
        }
    }

    /// Asks for destination, interface and hop limit of each packet: [`Packet`]'s fields.
    pub fn report_path(&self) -> io::Result<()> {
        match self.family {
            Family::Ipv4 => {
                option(self.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, &1_i32)?;
                option(self.as_fd(), libc::IPPROTO_IP, libc::IP_RECVTTL, &1_i32)
            }
            Family::Ipv6 => {
                option(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, &1_i32)?;
                option(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, &1_i32)
            }
        }
    }

    /// Room for packets that wait, in bytes; beyond the system's limit with CAP_NET_ADMIN.
    pub fn set_receive_buffer(&self, bytes: i32) -> io::Result<()> {
        option(self.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
            .or_else(|_| option(self.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes))
    }

    /// `SO_PRIORITY`: 7 is TC_PRIO_CONTROL, which queues let by first.
    pub fn set_priority(&self, priority: i32) -> io::Result<()> {
        option(self.as_fd(), libc::SOL_SOCKET, libc::SO_PRIORITY, &priority)
    }

    /// The source address of what is sent. `interface` is the scope of a link-local one.
    ///
    /// # Errors
    /// What `bind(2)` says.
    pub fn bind(&self, address: IpAddr, interface: u32) -> io::Result<()> {
        let (storage, length) = socket_address(address, interface);
        // SAFETY: the storage is a live socket address of that length.
        checked(unsafe { libc::bind(self.descriptor.as_raw_fd(), (&raw const storage).cast(), length) })
    }

    /// Sends one packet.
    ///
    /// # Errors
    /// What `sendto(2)` says.
    pub fn send(&self, bytes: &[u8], to: IpAddr, interface: u32) -> io::Result<()> {
        let (storage, length) = socket_address(to, interface);
        // SAFETY: buffer and address are live for the call and of the lengths given.
        let sent = unsafe {
            libc::sendto(
                self.descriptor.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                0,
                (&raw const storage).cast(),
                length,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes one packet; `None` when none waits. What does not fit into `buffer` is cut off.
    ///
    /// # Errors
    /// What `recvmsg(2)` says.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
        let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
        let mut control = ControlBuffer([0; CONTROL_LENGTH]);
        let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: all zero bytes are a valid msghdr.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = storage.as_mut_ptr().cast();
        header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = CONTROL_LENGTH;
        // SAFETY: every pointer in the header is to live memory of the length given beside it.
        let length = unsafe { libc::recvmsg(self.descriptor.as_raw_fd(), &raw mut header, 0) };
        let Ok(length) = usize::try_from(length) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            };
        };
        // SAFETY: zeroed, and then filled by the kernel: integers throughout.
        let storage = unsafe { storage.assume_init() };
        let from = address_of(&storage).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let mut packet = Packet { length, from, to: None, interface: 0, hop_limit: None };
        read_control(&header, &mut packet);
        Ok(Some(packet))
    }
}

const CONTROL_LENGTH: usize = 256;

/// Control messages are aligned to a word.
#[repr(align(8))]
struct ControlBuffer([u8; CONTROL_LENGTH]);

fn read_control(header: &libc::msghdr, packet: &mut Packet) {
    // SAFETY: the header was filled by recvmsg, and the control buffer that it points to outlives this call.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: the CMSG macros yield headers that lie wholly within the control buffer.
        let (level, kind, data) = unsafe { ((*next).cmsg_level, (*next).cmsg_type, libc::CMSG_DATA(next)) };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                // SAFETY: the kernel puts a c_int into these messages; it may be unaligned.
                let hops = unsafe { data.cast::<libc::c_int>().read_unaligned() };
                packet.hop_limit = u8::try_from(hops).ok();
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: as above, with an in_pktinfo.
                let information = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                packet.interface = information.ipi_ifindex.cast_unsigned();
                packet.to = Some(Ipv4Addr::from(u32::from_be(information.ipi_addr.s_addr)).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: as above, with an in6_pktinfo.
                let information = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                packet.interface = information.ipi6_ifindex;
                packet.to = Some(Ipv6Addr::from(information.ipi6_addr.s6_addr).into());
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn in_address(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from(address).to_be() }
}

/// A socket address without port.
fn socket_address(address: IpAddr, interface: u32) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zero bytes are a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    match address {
        IpAddr::V4(address) => {
            let socket_address = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: 0,
                sin_addr: in_address(address),
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is larger and at least as aligned as every socket address.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(socket_address) };
            (storage, size_of::<libc::sockaddr_in>() as libc::socklen_t)
        }
        IpAddr::V6(address) => {
            let link_local = address.is_unicast_link_local() || address.is_multicast();
            let socket_address = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: 0,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.octets() },
                sin6_scope_id: if link_local { interface } else { 0 },
            };
            // SAFETY: as above.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(socket_address) };
            (storage, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
        }
    }
}

fn address_of(storage: &libc::sockaddr_storage) -> Option<IpAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which socket address lies in the storage.
            let address = unsafe { (&raw const *storage).cast::<libc::sockaddr_in>().read() };
            Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address = unsafe { (&raw const *storage).cast::<libc::sockaddr_in6>().read() };
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

/// A socket that sends whole Ethernet frames and receives nothing.
#[derive(Debug)]
pub struct FrameSocket {
    descriptor: OwnedFd,
}

impl FrameSocket {
    /// Needs CAP_NET_RAW.
    ///
    /// # Errors
    /// What `socket(2)` says.
    pub fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // Protocol 0: the socket is handed no frames.
        // SAFETY: takes integers only.
        Ok(Self { descriptor: owned(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })? })
    }

    /// Sends a frame, its Ethernet header included, through an interface.
    ///
    /// # Errors
    /// What `sendto(2)` says: `ENETDOWN` while the interface is down.
    pub fn send(&self, interface: u32, frame: &[u8]) -> io::Result<()> {
        // SAFETY: all zero bytes are a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_ifindex = interface.cast_signed();
        // The type field of the Ethernet header, as it stands there.
        if let Some([high, low]) = frame.get(12..14) {
            address.sll_protocol = u16::from_ne_bytes([*high, *low]);
        }
        // SAFETY: frame and address are live for the call and of the lengths given.
        let sent = unsafe {
            libc::sendto(
                self.descriptor.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// A netlink socket.
#[derive(Debug)]
pub struct NetlinkSocket {
    descriptor: OwnedFd,
}

/// `NETLINK_*` families.
pub const NETLINK_ROUTE: i32 = 0;
pub const NETLINK_NETFILTER: i32 = 12;
pub const NETLINK_GENERIC: i32 = 16;

impl NetlinkSocket {
    /// Opens a non-blocking socket that hears the multicast groups in `groups` (bits).
    ///
    /// # Errors
    /// What `socket(2)` or `bind(2)` say.
    pub fn open(protocol: i32, groups: u32) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: takes integers only.
        let descriptor = owned(unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) })?;
        // SAFETY: all zero bytes are a valid sockaddr_nl.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = groups;
        // SAFETY: the address is live and of the length given.
        checked(unsafe {
            libc::bind(
                descriptor.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_nl>() as libc::socklen_t,
            )
        })?;
        Ok(Self { descriptor })
    }

    /// Room for notifications that wait, in bytes; beyond the system's limit with CAP_NET_ADMIN.
    ///
    /// # Errors
    /// What `setsockopt(2)` says.
    pub fn set_receive_buffer(&self, bytes: i32) -> io::Result<()> {
        option(self.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
            .or_else(|_| option(self.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes))
    }

    /// Sends messages to the kernel, which acts on them before this returns.
    ///
    /// # Errors
    /// What `send(2)` says. Refusals come as answers to be received.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: the buffer is live and of the length given; an unconnected netlink socket sends to the kernel.
        let sent = unsafe { libc::send(self.descriptor.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes one datagram of the kernel; `None` when none waits. Datagrams of other processes are thrown away.
    ///
    /// # Errors
    /// What `recvfrom(2)` says: `ENOBUFS` when notifications were lost.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            // SAFETY: all zero bytes are a valid sockaddr_nl.
            let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
            let mut address_length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
            // SAFETY: buffer and address are live and of the lengths given.
            let length = unsafe {
                libc::recvfrom(
                    self.descriptor.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    0,
                    (&raw mut address).cast(),
                    &raw mut address_length,
                )
            };
            let Ok(length) = usize::try_from(length) else {
                let error = io::Error::last_os_error();
                return match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                    _ => Err(error),
                };
            };
            if address.nl_pid == 0 {
                return Ok(Some(length));
            }
        }
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_netlink_socket_answers_a_request() {
        let socket = NetlinkSocket::open(NETLINK_ROUTE, 0).expect("opens");
        // RTM_GETLINK, a dump: length 32, kind 18, flags request and dump.
        let mut request = [0_u8; 32];
        request[0] = 32;
        request[4] = 18;
        request[6] = 1;
        request[7] = 3;
        socket.send(&request).expect("sends");
        let mut buffer = [0; 16384];
        assert!(socket.receive(&mut buffer).expect("receives").is_some_and(|length| length > 32));
    }

    #[test]
    fn socket_addresses_are_read_as_they_were_written() {
        for address in ["10.1.2.3", "fe80::1", "fd00::9"] {
            let address: IpAddr = address.parse().expect("address");
            assert_eq!(address_of(&socket_address(address, 3).0), Some(address));
        }
    }
}
