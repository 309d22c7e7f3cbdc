//! One command with its options: read, checked, and turned into what is asked of the kernel.

use super::Failure;
use super::address::{host_and_port, ipv4, number};
use super::arguments::{Arguments, Given};
use super::check::{self, Group};
use super::option::{Kind, Kinds, Meaning};
use netlink::ipvs::{
    ChecksumMode, Daemon, Destination, Flags, Forward, Key, Netmask, Role, SCTP, Service, Statistics, TCP,
    Timeouts, Tunnel, UDP,
};
use std::net::{IpAddr, Ipv4Addr};

const SCHEDULER_DEFAULT: &str = "wlc";
const PERSISTENCE_SECONDS_DEFAULT: u32 = 360;
/// 31 days.
const TIMEOUT_SECONDS_MAX: i64 = 86_400 * 31;
/// Names of schedulers, engines and interfaces have 15 bytes in the kernel; more is cut off.
const NAME_LENGTH_MAX: usize = 15;
/// What IP and UDP leave of 64 KiB.
const SYNC_LENGTH_MAX: i64 = 65_535 - 20 - 8;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    AddService,
    EditService,
    DeleteService,
    Flush,
    AddServer,
    EditServer,
    DeleteServer,
    SetTimeouts(Timeouts),
    StartDaemon(Role),
    StopDaemon(Role),
    List,
    Zero,
    Restore,
    Save,
    Help,
    Version,
}

/// A command with its options.
#[derive(Debug)]
pub struct Command {
    pub operation: Operation,
    options: Kinds,
    protocol: u16,
    address: IpAddr,
    port: u16,
    mark: u32,
    is_ipv6: bool,
    scheduler: String,
    scheduler_flags: String,
    persistence: Option<u32>,
    netmask: Netmask,
    engine: String,
    server: (IpAddr, Option<u16>),
    forward: Forward,
    weight: u32,
    upper_threshold: u32,
    lower_threshold: u32,
    tunnel_port: u16,
    daemon: Daemon,
}

impl Command {
    /// `ipvsadm` alone.
    pub fn list() -> Self {
        Self::new(Operation::List)
    }

    fn new(operation: Operation) -> Self {
        Self {
            operation,
            options: Kinds::default(),
            protocol: 0,
            address: Ipv4Addr::UNSPECIFIED.into(),
            port: 0,
            mark: 0,
            is_ipv6: false,
            scheduler: String::new(),
            scheduler_flags: String::new(),
            persistence: None,
            netmask: Netmask::host(false),
            engine: String::new(),
            server: (Ipv4Addr::UNSPECIFIED.into(), None),
            forward: Forward::Route,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            tunnel_port: 0,
            daemon: Daemon::new(Role::Master),
        }
    }

    pub fn given(&self, kind: Kind) -> bool {
        self.options.has(kind)
    }

    fn scheduler(&self) -> &str {
        if self.scheduler.is_empty() { SCHEDULER_DEFAULT } else { &self.scheduler }
    }

    pub fn has_service(&self) -> bool {
        self.given(Kind::Service)
    }

    /// The service that was named.
    pub fn key(&self) -> Key {
        if self.mark != 0 {
            Key::Mark { mark: self.mark, is_ipv6: self.is_ipv6 }
        } else {
            Key::Address { protocol: self.protocol, address: self.address, port: self.port }
        }
    }

    /// The service to add, or as it shall be.
    ///
    /// # Errors
    /// Flags that are not the scheduler's.
    pub fn service(&self) -> Result<Service, Failure> {
        let scheduler = self.scheduler();
        let mut service = Service::new(self.key(), scheduler);
        service.flags = Flags(scheduler_flags(scheduler, &self.scheduler_flags)?);
        if let Some(seconds) = self.persistence {
            service.flags.0 |= Flags::PERSISTENT;
            service.timeout = seconds;
        }
        if self.given(Kind::OnePacket) {
            service.flags.0 |= Flags::ONE_PACKET;
        }
        service.netmask = self.netmask;
        service.engine.clone_from(&self.engine);
        Ok(service)
    }

    /// The real server to add, or as it shall be.
    ///
    /// # Errors
    /// A port that is out of the question.
    pub fn destination(&self) -> Result<Destination, Failure> {
        let (address, port) = self.server;
        // Without a port it is the service's; of a mark, that of the packet. Only address translation can change it.
        let is_adding = matches!(self.operation, Operation::AddServer | Operation::EditServer);
        let keeps_port = is_adding && self.mark == 0 && self.forward != Forward::Masquerade;
        let port = match port {
            Some(port) if !keeps_port => port,
            _ if self.mark == 0 => self.port,
            _ => 0,
        };
        Ok(Destination {
            upper_threshold: self.upper_threshold,
            lower_threshold: self.lower_threshold,
            active: 0,
            inactive: 0,
            persistent: 0,
            statistics: Statistics::default(),
            ..Destination::new(address, port, self.forward(), self.weight)
        })
    }

    fn forward(&self) -> Forward {
        let checksum = if self.given(Kind::TunnelChecksum) {
            ChecksumMode::Checksum
        } else if self.given(Kind::TunnelRemoteChecksum) {
            ChecksumMode::Remote
        } else {
            ChecksumMode::None
        };
        match self.forward {
            Forward::Tunnel(Tunnel::Gue { .. }) => {
                Forward::Tunnel(Tunnel::Gue { port: self.tunnel_port, checksum })
            }
            Forward::Tunnel(Tunnel::Gre { .. }) => Forward::Tunnel(Tunnel::Gre { checksum }),
            forward => forward,
        }
    }

    pub fn daemon(&self, role: Role) -> Daemon {
        Daemon { role, ..self.daemon.clone() }
    }
}

/// Reads a command.
///
/// # Errors
/// The first mistake in it.
pub fn parse(words: &[String]) -> Result<Command, Failure> {
    let mut arguments = Arguments::new(words);
    let Ok(Some(first)) = arguments.next_option() else { return Err(Failure::unusable()) };
    let (operation, group) = operation(first)?;
    let mut command = Command::new(operation);
    let Some(group) = group else { return Ok(command) };
    let mut tunnel = None;
    while let Some(given) = arguments.next_option()? {
        option(&mut command, &mut tunnel, given)?;
    }
    let mut leftover = arguments.leftover.into_iter();
    if group == Group::Set {
        let mut timeout = || {
            let text = leftover.next();
            let text = text.ok_or_else(|| Failure::misuse("--set option requires 3 timeout values"))?;
            seconds(text, 0)
        };
        let set = Timeouts { tcp: timeout()?, tcp_fin: timeout()?, udp: timeout()? };
        command.operation = Operation::SetTimeouts(set);
    }
    if let Some(word) = leftover.next() {
        return Err(Failure::misuse(format!("unexpected argument {word}")));
    }
    scheduler_flags(command.scheduler(), &command.scheduler_flags)?;
    check::options(group, command.options)?;
    if matches!(group, Group::AddService | Group::EditService) {
        check_service(&command)?;
    }
    if matches!(group, Group::AddServer | Group::EditServer) {
        check_server(&mut command, tunnel)?;
    }
    Ok(command)
}

fn operation(first: Given<'_>) -> Result<(Operation, Option<Group>), Failure> {
    let none = Timeouts { tcp: 0, tcp_fin: 0, udp: 0 };
    Ok(match first.meaning {
        Meaning::AddService => (Operation::AddService, Some(Group::AddService)),
        Meaning::EditService => (Operation::EditService, Some(Group::EditService)),
        Meaning::DeleteService => (Operation::DeleteService, Some(Group::DeleteService)),
        Meaning::Flush => (Operation::Flush, Some(Group::Flush)),
        Meaning::AddServer => (Operation::AddServer, Some(Group::AddServer)),
        Meaning::EditServer => (Operation::EditServer, Some(Group::EditServer)),
        Meaning::DeleteServer => (Operation::DeleteServer, Some(Group::DeleteServer)),
        Meaning::Set => (Operation::SetTimeouts(none), Some(Group::Set)),
        Meaning::StartDaemon => {
            let role = role(first.value, "illegal start-daemon parameter specified")?;
            (Operation::StartDaemon(role), Some(Group::StartDaemon))
        }
        Meaning::StopDaemon => {
            let role = role(first.value, "illegal start_daemon specified")?;
            (Operation::StopDaemon(role), Some(Group::StopDaemon))
        }
        Meaning::List => (Operation::List, Some(Group::List)),
        Meaning::Zero => (Operation::Zero, Some(Group::Zero)),
        Meaning::Restore => (Operation::Restore, Some(Group::Restore)),
        Meaning::Save => (Operation::Save, Some(Group::Save)),
        Meaning::Help => (Operation::Help, None),
        Meaning::Version => (Operation::Version, None),
        Meaning::Sort
        | Meaning::Ipv6
        | Meaning::Tcp
        | Meaning::Udp
        | Meaning::Sctp
        | Meaning::Mark
        | Meaning::Masquerade
        | Meaning::Tunnel
        | Meaning::Route
        | Meaning::Plain(_) => return Err(Failure::unusable()),
    })
}

fn role(value: Option<&str>, otherwise: &str) -> Result<Role, Failure> {
    match value {
        Some("master") => Ok(Role::Master),
        Some("backup") => Ok(Role::Backup),
        _ => Err(Failure::misuse(otherwise)),
    }
}

/// Takes one option into the command.
fn option(command: &mut Command, tunnel: &mut Option<Tunnel>, given: Given<'_>) -> Result<(), Failure> {
    let value = given.value.unwrap_or_default();
    match given.meaning {
        Meaning::Tcp => service_address(command, value, TCP),
        Meaning::Udp => service_address(command, value, UDP),
        Meaning::Sctp => service_address(command, value, SCTP),
        Meaning::Mark => {
            once(command, Kind::Service)?;
            let mark = number(value, 1, u32::MAX.into());
            command.mark = mark
                .and_then(|mark| u32::try_from(mark).ok())
                .ok_or_else(|| Failure::misuse(format!("invalid fwmark value `{value}' specified")))?;
            Ok(())
        }
        Meaning::Ipv6 => {
            if command.mark == 0 {
                return Err(Failure::misuse("-6 used before -f\n"));
            }
            command.is_ipv6 = true;
            command.netmask = Netmask::host(true);
            Ok(())
        }
        Meaning::Masquerade => forward(command, Forward::Masquerade),
        Meaning::Tunnel => forward(command, Forward::Tunnel(Tunnel::IpInIp)),
        Meaning::Route => forward(command, Forward::Route),
        Meaning::Sort => Ok(()),
        Meaning::Plain(kind) => plain(command, tunnel, kind, given.value),
        Meaning::AddService
        | Meaning::EditService
        | Meaning::DeleteService
        | Meaning::Flush
        | Meaning::AddServer
        | Meaning::EditServer
        | Meaning::DeleteServer
        | Meaning::Set
        | Meaning::StartDaemon
        | Meaning::StopDaemon
        | Meaning::List
        | Meaning::Zero
        | Meaning::Restore
        | Meaning::Save
        | Meaning::Help
        | Meaning::Version => Err(Failure::misuse(format!("invalid option `{}'", given.word))),
    }
}

/// Notes an option that may be given once.
fn once(command: &mut Command, kind: Kind) -> Result<(), Failure> {
    if command.options.has(kind) {
        return Err(Failure::misuse(format!("multiple '{}' options specified", kind.name())));
    }
    command.options.insert(kind);
    Ok(())
}

fn service_address(command: &mut Command, value: &str, protocol: u16) -> Result<(), Failure> {
    once(command, Kind::Service)?;
    command.protocol = protocol;
    let (address, port) = host_and_port(value, protocol)
        .ok_or_else(|| Failure::misuse("illegal virtual server address[:port] specified"))?;
    command.address = address;
    command.port = port.unwrap_or(0);
    if address.is_ipv6() {
        command.is_ipv6 = true;
        command.netmask = Netmask::host(true);
    }
    Ok(())
}

fn forward(command: &mut Command, forward: Forward) -> Result<(), Failure> {
    once(command, Kind::Forward)?;
    command.forward = forward;
    Ok(())
}

fn plain(
    command: &mut Command,
    tunnel: &mut Option<Tunnel>,
    kind: Kind,
    value: Option<&str>,
) -> Result<(), Failure> {
    once(command, kind)?;
    let text = value.unwrap_or_default();
    match kind {
        Kind::Scheduler => command.scheduler = name(text),
        Kind::SchedulerFlags => command.scheduler_flags = text.to_owned(),
        Kind::Engine => command.engine = name(text),
        Kind::Persistent => {
            let given = value.map(|text| seconds(text, 1)).transpose()?;
            command.persistence = Some(given.unwrap_or(PERSISTENCE_SECONDS_DEFAULT));
        }
        Kind::Netmask => command.netmask = mask(text, command.is_ipv6)?,
        Kind::Server => {
            command.server = host_and_port(text, command.protocol)
                .ok_or_else(|| Failure::misuse("illegal real server address[:port] specified"))?;
        }
        Kind::Weight => command.weight = bounded(text, 0, i32::MAX.into(), "weight")?,
        Kind::UpperThreshold => command.upper_threshold = bounded(text, 0, i32::MAX.into(), "u_threshold")?,
        Kind::LowerThreshold => command.lower_threshold = bounded(text, 0, i32::MAX.into(), "l_threshold")?,
        Kind::Interface => command.daemon.interface = name(text),
        Kind::SyncId => command.daemon.sync_id = bounded(text, 0, 255, "syncid")?,
        Kind::LengthMax => command.daemon.length_max = bounded(text, 1, SYNC_LENGTH_MAX, "sync-maxlen")?,
        Kind::Group => command.daemon.group = Some(group(text)?),
        Kind::Port => command.daemon.port = bounded(text, 1, 65_535, "mcast-port")?,
        Kind::Hops => command.daemon.hops = bounded(text, 1, 255, "mcast-ttl")?,
        Kind::TunnelType => {
            let checksum = ChecksumMode::None;
            *tunnel = Some(match text {
                "ipip" => Tunnel::IpInIp,
                "gue" => Tunnel::Gue { port: 0, checksum },
                "gre" => Tunnel::Gre { checksum },
                _ => return Err(Failure::misuse("illegal tunnel type specified")),
            });
        }
        Kind::TunnelPort => command.tunnel_port = bounded(text, 1, 65_535, "tunnel port")?,
        // Set by being there; service and forwarding come with names of their own.
        Kind::Numeric
        | Kind::Connection
        | Kind::Service
        | Kind::Forward
        | Kind::Timeout
        | Kind::Daemon
        | Kind::Stats
        | Kind::Rate
        | Kind::Thresholds
        | Kind::PersistentConnections
        | Kind::NoSort
        | Kind::Exact
        | Kind::OnePacket
        | Kind::TunnelInformation
        | Kind::TunnelNoChecksum
        | Kind::TunnelChecksum
        | Kind::TunnelRemoteChecksum => {}
    }
    Ok(())
}

fn name(text: &str) -> String {
    let mut end = text.len().min(NAME_LENGTH_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn bounded<T: TryFrom<i64>>(text: &str, min: i64, max: i64, what: &str) -> Result<T, Failure> {
    let number = number(text, min, max).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Failure::misuse(format!("illegal {what} specified")))
}

fn seconds(text: &str, min: i64) -> Result<u32, Failure> {
    let number = number(text, min, TIMEOUT_SECONDS_MAX).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| Failure::misuse(format!("invalid timeout value `{text}' specified")))
}

fn mask(text: &str, is_ipv6: bool) -> Result<Netmask, Failure> {
    if is_ipv6 {
        let length = number(text, 1, 128).and_then(|length| u32::try_from(length).ok());
        return length.map(Netmask::Ipv6).ok_or_else(|| Failure::misuse("illegal ipv6 netmask specified"));
    }
    let mask = ipv4(text).map(Netmask::Ipv4);
    mask.ok_or_else(|| Failure::misuse("illegal virtual server persistent mask specified"))
}

fn group(text: &str) -> Result<IpAddr, Failure> {
    if text.contains(':') {
        let group = text.parse().ok().filter(std::net::Ipv6Addr::is_multicast);
        return group
            .map(IpAddr::V6)
            .ok_or_else(|| Failure::misuse(format!("invalid IPv6 mcast-group `{text}'")));
    }
    let group = text.parse().ok().filter(Ipv4Addr::is_multicast);
    group.map(IpAddr::V4).ok_or_else(|| Failure::misuse(format!("invalid IPv4 mcast-group `{text}'")))
}

fn check_service(command: &Command) -> Result<(), Failure> {
    if command.mark == 0 && command.port == 0 && command.persistence.is_none() {
        return Err(Failure::misuse("Zero port specified for non-persistent service"));
    }
    if command.given(Kind::OnePacket) && command.mark == 0 && command.protocol != UDP {
        return Err(Failure::misuse("One-Packet Scheduling is only for UDP virtual services"));
    }
    Ok(())
}

fn check_server(command: &mut Command, tunnel: Option<Tunnel>) -> Result<(), Failure> {
    const TUNNEL_OPTIONS: Kinds = Kinds::of(&[
        Kind::TunnelType,
        Kind::TunnelPort,
        Kind::TunnelNoChecksum,
        Kind::TunnelChecksum,
        Kind::TunnelRemoteChecksum,
    ]);
    if matches!(command.forward, Forward::Tunnel(_)) {
        let tunnel = tunnel.unwrap_or_default();
        check::tunnel(tunnel, command.options)?;
        command.forward = Forward::Tunnel(tunnel);
    } else if command.server.0.is_ipv6() != command.is_ipv6 {
        return Err(Failure::misuse("Different address family is allowed only for tunneling servers"));
    } else if command.options.has_any(TUNNEL_OPTIONS) {
        return Err(Failure::misuse("Tunnel options conflict with forward method"));
    }
    Ok(())
}

/// The flags by name. Those of `sh` and `mh` are for these alone; the nameless ones are for all.
fn scheduler_flags(scheduler: &str, names: &str) -> Result<u32, Failure> {
    let mut flags = 0;
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let (of, at) = match name {
            "flag-1" => ("", 0),
            "flag-2" => ("", 1),
            "flag-3" => ("", 2),
            "sh-fallback" => ("sh", 0),
            "sh-port" => ("sh", 1),
            "mh-fallback" => ("mh", 0),
            "mh-port" => ("mh", 1),
            _ => return Err(Failure::misuse(format!("invalid scheduler flag `{name}'"))),
        };
        if !of.is_empty() && of != scheduler {
            return Err(Failure::misuse(format!("incompatible scheduler flag `{name}'")));
        }
        flags |= Flags::SCHEDULER[at];
    }
    Ok(flags)
}
