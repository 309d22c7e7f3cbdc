//! What is asked of the kernel, and what it answers.

use super::{Daemon, Destination, Key, Role, Service};
use crate::wire::{ACKNOWLEDGE, Attributes, DUMP, Malformed, Message, REQUEST, Received, u16_at, u32_at};
use crate::{FAMILY_IPV4, FAMILY_IPV6};

/// The controller of generic netlink, which knows the families.
const CONTROLLER: u16 = 0x10;
const CONTROLLER_GET_FAMILY: u8 = 3;
const CONTROLLER_FAMILY_NUMBER: u16 = 1;
const CONTROLLER_FAMILY_NAME: u16 = 2;
const CONTROLLER_VERSION: u8 = 1;

const NAME: &str = "IPVS";
pub(super) const VERSION: u8 = 1;
/// Of the header that follows netlink's: command, version, two bytes of nothing.
const GENERIC_HEADER_LENGTH: usize = 4;

pub(super) const ADD_SERVICE: u8 = 1;
pub(super) const EDIT_SERVICE: u8 = 2;
pub(super) const DELETE_SERVICE: u8 = 3;
pub(super) const GET_SERVICE: u8 = 4;
pub(super) const ADD_DESTINATION: u8 = 5;
pub(super) const EDIT_DESTINATION: u8 = 6;
pub(super) const DELETE_DESTINATION: u8 = 7;
pub(super) const GET_DESTINATION: u8 = 8;
pub(super) const START_DAEMON: u8 = 9;
pub(super) const STOP_DAEMON: u8 = 10;
pub(super) const GET_DAEMON: u8 = 11;
pub(super) const SET_TIMEOUTS: u8 = 12;
pub(super) const GET_TIMEOUTS: u8 = 13;
pub(super) const SET_INFORMATION: u8 = 14;
pub(super) const GET_INFORMATION: u8 = 15;
pub(super) const ZERO: u8 = 16;
pub(super) const FLUSH: u8 = 17;

/// Of our own planes, which have no file below /proc: their connections.
pub(super) const GET_CONNECTIONS: u8 = 64;
pub(super) const CONNECTION: u16 = 1;

pub(super) const SERVICE: u16 = 1;
pub(super) const DESTINATION: u16 = 2;
pub(super) const DAEMON: u16 = 3;
pub(super) const TIMEOUT_TCP: u16 = 4;
pub(super) const TIMEOUT_TCP_FIN: u16 = 5;
pub(super) const TIMEOUT_UDP: u16 = 6;

pub(super) const INFORMATION_VERSION: u16 = 1;
pub(super) const INFORMATION_TABLE_SIZE: u16 = 2;

/// Asks for the family's number; the kernel loads its module meanwhile, where it has one.
pub fn resolve(sequence: u32) -> Vec<u8> {
    let fixed = [CONTROLLER_GET_FAMILY, CONTROLLER_VERSION, 0, 0];
    let mut message = Message::new(CONTROLLER, REQUEST | ACKNOWLEDGE, sequence, &fixed);
    message.attribute_text(CONTROLLER_FAMILY_NAME, NAME);
    message.finish()
}

/// The family's number in the controller's answer; `None` when the message is none.
///
/// # Errors
/// An answer cut short.
pub fn family_number(message: Received<'_>) -> Result<Option<u16>, Malformed> {
    if message.kind != CONTROLLER {
        return Ok(None);
    }
    for attribute in attributes(message)? {
        let (kind, value) = attribute?;
        if kind == CONTROLLER_FAMILY_NUMBER {
            return u16_at(value, 0).map(Some);
        }
    }
    Ok(None)
}

pub(super) fn attributes(message: Received<'_>) -> Result<Attributes<'_>, Malformed> {
    message.payload.get(GENERIC_HEADER_LENGTH..).map(Attributes::new).ok_or(Malformed)
}

/// Seconds until an idle connection is forgotten. In a request 0 leaves what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub tcp: u32,
    /// After a FIN.
    pub tcp_fin: u32,
    pub udp: u32,
}

/// The kernel's side of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Information {
    /// 0x00010201 is 1.2.1.
    pub version: u32,
    /// Rows of the connection table.
    pub table_size: u32,
}

/// One thing to ask of the kernel.
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    AddService(&'a Service),
    EditService(&'a Service),
    DeleteService(&'a Key),
    /// One service; answered by one [`Reply::Service`].
    Service(&'a Key),
    /// Every service.
    Services,
    AddDestination(&'a Key, &'a Destination),
    EditDestination(&'a Key, &'a Destination),
    DeleteDestination(&'a Key, &'a Destination),
    /// Every real server of a service.
    Destinations(&'a Key),
    StartDaemon(&'a Daemon),
    StopDaemon(Role),
    /// Both daemons, where they run.
    Daemons,
    SetTimeouts(Timeouts),
    Timeouts,
    Information,
    /// Counters of one service, or of all.
    Zero(Option<&'a Key>),
    /// Removes every service.
    Flush,
    /// Every connection, of a plane of our own: the kernel tells them in `/proc/net/ip_vs_conn`.
    Connections,
}

impl Request<'_> {
    fn command(&self) -> u8 {
        match self {
            Self::AddService(_) => ADD_SERVICE,
            Self::EditService(_) => EDIT_SERVICE,
            Self::DeleteService(_) => DELETE_SERVICE,
            Self::Service(_) | Self::Services => GET_SERVICE,
            Self::AddDestination(..) => ADD_DESTINATION,
            Self::EditDestination(..) => EDIT_DESTINATION,
            Self::DeleteDestination(..) => DELETE_DESTINATION,
            Self::Destinations(_) => GET_DESTINATION,
            Self::StartDaemon(_) => START_DAEMON,
            Self::StopDaemon(_) => STOP_DAEMON,
            Self::Daemons => GET_DAEMON,
            Self::SetTimeouts(_) => SET_TIMEOUTS,
            Self::Timeouts => GET_TIMEOUTS,
            Self::Information => GET_INFORMATION,
            Self::Zero(_) => ZERO,
            Self::Flush => FLUSH,
            Self::Connections => GET_CONNECTIONS,
        }
    }

    /// Whether the answers end with a message of their own instead of an acknowledgement.
    pub fn is_dump(&self) -> bool {
        matches!(self, Self::Services | Self::Destinations(_) | Self::Daemons | Self::Connections)
    }

    /// The bytes to send. `family` is what [`family_number`] found.
    pub fn write(&self, family: u16, sequence: u32) -> Vec<u8> {
        let flags = REQUEST | ACKNOWLEDGE | if self.is_dump() { DUMP } else { 0 };
        let mut message = Message::new(family, flags, sequence, &[self.command(), VERSION, 0, 0]);
        match self {
            Self::AddService(service) | Self::EditService(service) => service.write_nested(&mut message),
            Self::DeleteService(key)
            | Self::Service(key)
            | Self::Destinations(key)
            | Self::Zero(Some(key)) => key.write_nested(&mut message),
            Self::AddDestination(key, destination)
            | Self::EditDestination(key, destination)
            | Self::DeleteDestination(key, destination) => {
                key.write_nested(&mut message);
                destination.write_nested(&mut message);
            }
            Self::StartDaemon(daemon) => daemon.write_nested(&mut message),
            Self::StopDaemon(role) => Daemon::new(*role).write_nested(&mut message),
            Self::SetTimeouts(timeouts) => {
                message
                    .attribute_u32(TIMEOUT_TCP, timeouts.tcp)
                    .attribute_u32(TIMEOUT_TCP_FIN, timeouts.tcp_fin)
                    .attribute_u32(TIMEOUT_UDP, timeouts.udp);
            }
            Self::Services
            | Self::Daemons
            | Self::Timeouts
            | Self::Information
            | Self::Zero(None)
            | Self::Flush
            | Self::Connections => {}
        }
        message.finish()
    }
}

/// One message of the kernel's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Service(Service),
    Destination(Destination),
    Daemon(Daemon),
    Timeouts(Timeouts),
    Information(Information),
    /// A line as `/proc/net/ip_vs_conn` has it.
    Connection(String),
}

impl Reply {
    /// `service_is_ipv6` is of the service whose real servers were asked for. `None`: a command that is none of ours.
    ///
    /// # Errors
    /// A message cut short.
    pub fn read(message: Received<'_>, service_is_ipv6: bool) -> Result<Option<Self>, Malformed> {
        let command = *message.payload.first().ok_or(Malformed)?;
        let nested = |wanted: u16| {
            for attribute in attributes(message)? {
                let (kind, value) = attribute?;
                if kind == wanted {
                    return Ok(value);
                }
            }
            Err(Malformed)
        };
        Ok(Some(match command {
            ADD_SERVICE => Self::Service(Service::read(nested(SERVICE)?)?),
            ADD_DESTINATION => {
                let family = if service_is_ipv6 { FAMILY_IPV6 } else { FAMILY_IPV4 };
                Self::Destination(Destination::read(nested(DESTINATION)?, family)?)
            }
            START_DAEMON => Self::Daemon(Daemon::read(nested(DAEMON)?)?),
            SET_TIMEOUTS => Self::Timeouts(Timeouts {
                tcp: u32_at(nested(TIMEOUT_TCP)?, 0)?,
                tcp_fin: u32_at(nested(TIMEOUT_TCP_FIN)?, 0)?,
                udp: u32_at(nested(TIMEOUT_UDP)?, 0)?,
            }),
            SET_INFORMATION => Self::Information(Information {
                version: u32_at(nested(INFORMATION_VERSION)?, 0)?,
                table_size: u32_at(nested(INFORMATION_TABLE_SIZE)?, 0)?,
            }),
            GET_CONNECTIONS => Self::Connection(String::from_utf8_lossy(nested(CONNECTION)?).into_owned()),
            _ => return Ok(None),
        }))
    }
}
