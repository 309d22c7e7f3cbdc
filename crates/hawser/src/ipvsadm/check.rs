//! Which options go with which command and with each other.

use super::Failure;
use super::option::{Kind, Kinds};
use netlink::ipvs::Tunnel;

/// What a command takes.
#[derive(Debug)]
struct Rule {
    name: &'static str,
    needed: Kinds,
    allowed: Kinds,
    /// At most one of these.
    exclusive: Kinds,
}

/// The commands as the rules see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    AddService,
    EditService,
    DeleteService,
    Flush,
    List,
    AddServer,
    EditServer,
    DeleteServer,
    Set,
    StartDaemon,
    StopDaemon,
    Restore,
    Save,
    Zero,
}

const SERVICE: Kinds = Kinds::of(&[Kind::Service]);
const SERVER: Kinds = Kinds::of(&[Kind::Service, Kind::Server]);
const NONE: Kinds = Kinds::of(&[]);
const OF_SERVICE: Kinds = Kinds::of(&[
    Kind::Service,
    Kind::Scheduler,
    Kind::Persistent,
    Kind::Netmask,
    Kind::OnePacket,
    Kind::Engine,
    Kind::SchedulerFlags,
]);
const OF_SERVER: Kinds = Kinds::of(&[
    Kind::Service,
    Kind::Server,
    Kind::Forward,
    Kind::Weight,
    Kind::UpperThreshold,
    Kind::LowerThreshold,
    Kind::TunnelType,
    Kind::TunnelPort,
    Kind::TunnelNoChecksum,
    Kind::TunnelChecksum,
    Kind::TunnelRemoteChecksum,
]);
const OF_LIST: Kinds = Kinds::of(&[
    Kind::Numeric,
    Kind::Connection,
    Kind::Service,
    Kind::Timeout,
    Kind::Daemon,
    Kind::Stats,
    Kind::Rate,
    Kind::Thresholds,
    Kind::PersistentConnections,
    Kind::NoSort,
    Kind::SyncId,
    Kind::Exact,
    Kind::TunnelInformation,
]);
const LISTS: Kinds = Kinds::of(&[Kind::Connection, Kind::Service, Kind::Timeout, Kind::Daemon]);
const OF_START: Kinds =
    Kinds::of(&[Kind::Interface, Kind::SyncId, Kind::Group, Kind::Port, Kind::Hops, Kind::LengthMax]);
const OF_STOP: Kinds = Kinds::of(&[Kind::SyncId]);
const NUMERIC: Kinds = Kinds::of(&[Kind::Numeric]);

fn rule(group: Group) -> Rule {
    let (name, needed, allowed, exclusive) = match group {
        Group::AddService => ("add-service", SERVICE, OF_SERVICE, NONE),
        Group::EditService => ("edit-service", SERVICE, OF_SERVICE, NONE),
        Group::DeleteService => ("delete-service", SERVICE, SERVICE, NONE),
        Group::Flush => ("flush", NONE, NONE, NONE),
        Group::List => ("list", NONE, OF_LIST, LISTS),
        Group::AddServer => ("add-server", SERVER, OF_SERVER, NONE),
        Group::EditServer => ("edit-server", SERVER, OF_SERVER, NONE),
        Group::DeleteServer => ("delete-server", SERVER, SERVER, NONE),
        Group::Set => ("set", NONE, NONE, NONE),
        Group::StartDaemon => ("start-daemon", NONE, OF_START, NONE),
        Group::StopDaemon => ("stop-daemon", NONE, OF_STOP, NONE),
        Group::Restore => ("restore", NONE, NONE, NONE),
        Group::Save => ("save", NONE, NUMERIC, NONE),
        Group::Zero => ("zero", NONE, SERVICE, NONE),
    };
    Rule { name, needed, allowed, exclusive }
}

/// Whether the options go with the command.
///
/// # Errors
/// The first option, in the order of [`Kind`], that is missing, too much, or at odds with another.
pub fn options(group: Group, given: Kinds) -> Result<(), Failure> {
    let rule = rule(group);
    let mut exclusive: Option<Kind> = None;
    for kind in Kind::all() {
        let name = kind.name();
        if !given.has(kind) {
            if rule.needed.has(kind) {
                let text = format!("You need to supply the '{name}' option for the '{}' command", rule.name);
                return Err(Failure::misuse(text));
            }
        } else if !rule.allowed.has(kind) {
            return Err(Failure::misuse(format!("Illegal '{name}' option with the '{}' command", rule.name)));
        } else if rule.exclusive.has(kind) {
            if let Some(other) = exclusive {
                let text = format!(
                    "The option '{name}' conflicts with the '{}' option in the '{}' command",
                    other.name(),
                    rule.name
                );
                return Err(Failure::misuse(text));
            }
            exclusive = Some(kind);
        }
    }
    if group == Group::List { list(given) } else { Ok(()) }
}

/// Columns of services make no sense in other lists.
fn list(given: Kinds) -> Result<(), Failure> {
    const COLUMNS: Kinds = Kinds::of(&[Kind::Stats, Kind::Rate, Kind::Thresholds]);
    const OTHER_LISTS: Kinds = Kinds::of(&[Kind::Timeout, Kind::Daemon]);
    let is_other = given.has_any(OTHER_LISTS);
    let conflicts = (is_other || given.has(Kind::Connection)) && given.has_any(COLUMNS)
        || is_other && given.has(Kind::PersistentConnections);
    if conflicts { Err(Failure::misuse("options conflicts in the list command")) } else { Ok(()) }
}

/// Whether the options of the tunnel go with its kind.
///
/// # Errors
/// The first that does not, or that is missing.
pub fn tunnel(kind: Tunnel, given: Kinds) -> Result<(), Failure> {
    const PORT: Kinds = Kinds::of(&[Kind::TunnelPort]);
    const CHECKSUMS: Kinds = Kinds::of(&[Kind::TunnelNoChecksum, Kind::TunnelChecksum]);
    const GUE: Kinds = Kinds::of(&[
        Kind::TunnelPort,
        Kind::TunnelNoChecksum,
        Kind::TunnelChecksum,
        Kind::TunnelRemoteChecksum,
    ]);
    let (name, needed, allowed) = match kind {
        Tunnel::IpInIp => ("ipip", NONE, NONE),
        Tunnel::Gue { .. } => ("gue", PORT, GUE),
        Tunnel::Gre { .. } => ("gre", NONE, CHECKSUMS),
    };
    let mut checksum: Option<Kind> = None;
    let kinds = [Kind::TunnelPort, Kind::TunnelNoChecksum, Kind::TunnelChecksum, Kind::TunnelRemoteChecksum];
    for kind in kinds {
        let option = kind.name();
        if !given.has(kind) {
            if needed.has(kind) {
                let text = format!("You need to supply the '{option}' option for the '{name}' tunnel type");
                return Err(Failure::misuse(text));
            }
        } else if !allowed.has(kind) {
            return Err(Failure::misuse(format!("Illegal '{option}' option with the '{name}' tunnel type")));
        } else if kind != Kind::TunnelPort {
            if let Some(other) = checksum {
                let text = format!(
                    "The option '{option}' conflicts with the '{}' option in the '{name}' tunnel type",
                    other.name()
                );
                return Err(Failure::misuse(text));
            }
            checksum = Some(kind);
        }
    }
    Ok(())
}
