//! The other end of the conversation: a data plane that is asked like the kernel. Owns reading requests and writing
//! replies; the attributes are those of the kernel's interface.

use super::request::{
    ADD_DESTINATION, ADD_SERVICE, CONNECTION, DAEMON, DELETE_DESTINATION, DELETE_SERVICE, DESTINATION,
    EDIT_DESTINATION, EDIT_SERVICE, FLUSH, GET_CONNECTIONS, GET_DAEMON, GET_DESTINATION, GET_INFORMATION,
    GET_SERVICE, GET_TIMEOUTS, INFORMATION_TABLE_SIZE, INFORMATION_VERSION, SERVICE, SET_INFORMATION,
    SET_TIMEOUTS, START_DAEMON, STOP_DAEMON, TIMEOUT_TCP, TIMEOUT_TCP_FIN, TIMEOUT_UDP, VERSION, ZERO,
    attributes,
};
use super::{Daemon, Destination, Key, Reply, Role, Service, Timeouts};
use crate::wire::{DUMP, KIND_DONE, KIND_ERROR, Malformed, Message, Received, u32_at};
use crate::{FAMILY_IPV4, FAMILY_IPV6};

/// The family's number in such a conversation: nobody else has one here.
pub const FAMILY: u16 = 0x20;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    AddService(Service),
    EditService(Service),
    DeleteService(Key),
    Service(Key),
    Services,
    AddDestination(Key, Destination),
    EditDestination(Key, Destination),
    DeleteDestination(Key, Destination),
    Destinations(Key),
    StartDaemon(Daemon),
    StopDaemon(Role),
    Daemons,
    SetTimeouts(Timeouts),
    Timeouts,
    Information,
    Zero(Option<Key>),
    Flush,
    Connections,
}

impl Asked {
    /// `None`: a command that nobody knows.
    ///
    /// # Errors
    /// A message cut short, or without what it needs.
    pub fn read(message: Received<'_>) -> Result<Option<Self>, Malformed> {
        let command = *message.payload.first().ok_or(Malformed)?;
        let find = |wanted: u16| -> Result<Option<&[u8]>, Malformed> {
            for attribute in attributes(message)? {
                let (kind, value) = attribute?;
                if kind == wanted {
                    return Ok(Some(value));
                }
            }
            Ok(None)
        };
        let service = || Service::read(find(SERVICE)?.ok_or(Malformed)?);
        let both = || {
            let key = service()?.key;
            let family = if key.is_ipv6() { FAMILY_IPV6 } else { FAMILY_IPV4 };
            Ok((key, Destination::read(find(DESTINATION)?.ok_or(Malformed)?, family)?))
        };
        let daemon = || Daemon::read(find(DAEMON)?.ok_or(Malformed)?);
        let number = |wanted: u16| find(wanted)?.map_or(Ok(0), |value| u32_at(value, 0));
        let is_dump = message.flags & DUMP == DUMP;
        Ok(Some(match command {
            ADD_SERVICE => Self::AddService(service()?),
            EDIT_SERVICE => Self::EditService(service()?),
            DELETE_SERVICE => Self::DeleteService(service()?.key),
            GET_SERVICE if is_dump => Self::Services,
            GET_SERVICE => Self::Service(service()?.key),
            ADD_DESTINATION => both().map(|(key, server)| Self::AddDestination(key, server))?,
            EDIT_DESTINATION => both().map(|(key, server)| Self::EditDestination(key, server))?,
            DELETE_DESTINATION => both().map(|(key, server)| Self::DeleteDestination(key, server))?,
            GET_DESTINATION => Self::Destinations(service()?.key),
            START_DAEMON => Self::StartDaemon(daemon()?),
            STOP_DAEMON => Self::StopDaemon(daemon()?.role),
            GET_DAEMON => Self::Daemons,
            SET_TIMEOUTS => Self::SetTimeouts(Timeouts {
                tcp: number(TIMEOUT_TCP)?,
                tcp_fin: number(TIMEOUT_TCP_FIN)?,
                udp: number(TIMEOUT_UDP)?,
            }),
            GET_TIMEOUTS => Self::Timeouts,
            GET_INFORMATION => Self::Information,
            ZERO => Self::Zero(find(SERVICE)?.map(Service::read).transpose()?.map(|service| service.key)),
            FLUSH => Self::Flush,
            GET_CONNECTIONS => Self::Connections,
            _ => return Ok(None),
        }))
    }
}

impl Reply {
    /// The bytes of an answer to the request of that number.
    pub fn write(&self, sequence: u32) -> Vec<u8> {
        let command = match self {
            Self::Service(_) => ADD_SERVICE,
            Self::Destination(_) => ADD_DESTINATION,
            Self::Daemon(_) => START_DAEMON,
            Self::Timeouts(_) => SET_TIMEOUTS,
            Self::Information(_) => SET_INFORMATION,
            Self::Connection(_) => GET_CONNECTIONS,
        };
        let mut message = Message::new(FAMILY, 0, sequence, &[command, VERSION, 0, 0]);
        match self {
            Self::Service(service) => service.write_answer(&mut message),
            Self::Destination(destination) => destination.write_answer(&mut message),
            Self::Daemon(daemon) => daemon.write_nested(&mut message),
            Self::Timeouts(timeouts) => {
                message
                    .attribute_u32(TIMEOUT_TCP, timeouts.tcp)
                    .attribute_u32(TIMEOUT_TCP_FIN, timeouts.tcp_fin)
                    .attribute_u32(TIMEOUT_UDP, timeouts.udp);
            }
            Self::Information(information) => {
                message
                    .attribute_u32(INFORMATION_VERSION, information.version)
                    .attribute_u32(INFORMATION_TABLE_SIZE, information.table_size);
            }
            Self::Connection(line) => {
                message.attribute(CONNECTION, line.as_bytes());
            }
        }
        message.finish()
    }
}

/// The end of an answer: `errno`, or 0.
pub fn acknowledge(sequence: u32, errno: i32) -> Vec<u8> {
    Message::new(KIND_ERROR, 0, sequence, &errno.wrapping_neg().to_ne_bytes()).finish()
}

/// The end of a dump.
pub fn done(sequence: u32) -> Vec<u8> {
    Message::new(KIND_DONE, 0, sequence, &0_u32.to_ne_bytes()).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::{Flags, Forward, Netmask, Request, TCP};
    use crate::wire::{Control, Messages};

    fn message(bytes: &[u8]) -> Received<'_> {
        match Messages::new(bytes).next() {
            Some(Ok(Control::Data(received))) => received,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_one_end_writes_the_other_reads() {
        let key = Key::Address { protocol: TCP, address: "fd00::1".parse().expect("an address"), port: 80 };
        let mut service = Service::new(key, "wlc");
        service.flags = Flags(Flags::PERSISTENT);
        (service.timeout, service.netmask) = (300, Netmask::Ipv6(64));
        let mut server = Destination::new("fd00::2".parse().expect("an address"), 80, Forward::Route, 3);
        server.upper_threshold = 7;
        let asked = |request: Request<'_>| Asked::read(message(&request.write(FAMILY, 1))).expect("whole");
        assert_eq!(asked(Request::AddService(&service)), Some(Asked::AddService(service.clone())));
        assert_eq!(asked(Request::Services), Some(Asked::Services));
        assert_eq!(asked(Request::Service(&key)), Some(Asked::Service(key)));
        let added = Asked::AddDestination(key, server.clone());
        assert_eq!(asked(Request::AddDestination(&key, &server)), Some(added));
        assert_eq!(asked(Request::Zero(None)), Some(Asked::Zero(None)));
        assert_eq!(asked(Request::Zero(Some(&key))), Some(Asked::Zero(Some(key))));
        let timeouts = Timeouts { tcp: 1, tcp_fin: 2, udp: 3 };
        assert_eq!(asked(Request::SetTimeouts(timeouts)), Some(Asked::SetTimeouts(timeouts)));

        (service.statistics.connections, service.statistics.bytes_out) = (5, 1 << 40);
        (server.active, server.inactive, server.persistent) = (1, 2, 3);
        server.statistics.byte_rate_in = 9;
        let line = Reply::Connection("TCP 0A000002 9DB0 0A000064 0050 0A00010B 0050 CLOSE 9".to_owned());
        assert_eq!(asked(Request::Connections), Some(Asked::Connections));
        for reply in [Reply::Service(service), Reply::Destination(server), Reply::Timeouts(timeouts), line] {
            let bytes = reply.write(1);
            assert_eq!(Reply::read(message(&bytes), true), Ok(Some(reply)));
        }
    }
}
