//! The table of options: names, what they take, and the commands that they go with. Parsing and help read it alone.

/// Every option; the order decides which of several mistakes is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Numeric,
    Connection,
    Service,
    Scheduler,
    Persistent,
    Netmask,
    Server,
    Forward,
    Weight,
    UpperThreshold,
    LowerThreshold,
    Interface,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConnections,
    NoSort,
    SyncId,
    Exact,
    OnePacket,
    Engine,
    SchedulerFlags,
    Group,
    Port,
    Hops,
    LengthMax,
    TunnelInformation,
    TunnelType,
    TunnelPort,
    TunnelNoChecksum,
    TunnelChecksum,
    TunnelRemoteChecksum,
}

impl Kind {
    /// What the messages call it.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(kind, _)| *kind)
    }
}

/// In the order of [`Kind`].
const NAMES: &[(Kind, &str)] = &[
    (Kind::Numeric, "numeric"),
    (Kind::Connection, "connection"),
    (Kind::Service, "service-address"),
    (Kind::Scheduler, "scheduler"),
    (Kind::Persistent, "persistent"),
    (Kind::Netmask, "netmask"),
    (Kind::Server, "real-server"),
    (Kind::Forward, "forwarding-method"),
    (Kind::Weight, "weight"),
    (Kind::UpperThreshold, "u-threshold"),
    (Kind::LowerThreshold, "l-threshold"),
    (Kind::Interface, "mcast-interface"),
    (Kind::Timeout, "timeout"),
    (Kind::Daemon, "daemon"),
    (Kind::Stats, "stats"),
    (Kind::Rate, "rate"),
    (Kind::Thresholds, "thresholds"),
    (Kind::PersistentConnections, "persistent-conn"),
    (Kind::NoSort, "nosort"),
    (Kind::SyncId, "syncid"),
    (Kind::Exact, "exact"),
    (Kind::OnePacket, "ops"),
    (Kind::Engine, "pe"),
    (Kind::SchedulerFlags, "sched-flags"),
    (Kind::Group, "mcast-group"),
    (Kind::Port, "mcast-port"),
    (Kind::Hops, "mcast-ttl"),
    (Kind::LengthMax, "sync-maxlen"),
    (Kind::TunnelInformation, "tun-info"),
    (Kind::TunnelType, "tun-type"),
    (Kind::TunnelPort, "tun-port"),
    (Kind::TunnelNoChecksum, "tun-nocsum"),
    (Kind::TunnelChecksum, "tun-csum"),
    (Kind::TunnelRemoteChecksum, "tun-remcsum"),
];

/// A set of options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u64);

impl Kinds {
    pub const fn of(kinds: &[Kind]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < kinds.len() {
            set |= 1 << kinds[at] as u32;
            at += 1;
        }
        Self(set)
    }

    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    pub fn has_any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    pub fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u32;
    }
}

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    None,
    Required,
    /// Taken when the next word does not begin with `-`.
    Optional,
}

/// What a word on the command line means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    AddService,
    EditService,
    DeleteService,
    Flush,
    AddServer,
    EditServer,
    DeleteServer,
    Set,
    StartDaemon,
    StopDaemon,
    List,
    Zero,
    Restore,
    Save,
    Help,
    Version,
    /// Accepted, and sorting is what happens anyway.
    Sort,
    Ipv6,
    Tcp,
    Udp,
    Sctp,
    Mark,
    Masquerade,
    Tunnel,
    Route,
    Plain(Kind),
}

/// One option.
#[derive(Debug)]
pub struct Row {
    pub long: &'static str,
    pub short: Option<char>,
    pub value: Value,
    pub meaning: Meaning,
    /// What stands for the value in the help, and the help; empty for a second name.
    pub help: (&'static str, &'static str),
}

const fn row(
    long: &'static str,
    short: Option<char>,
    value: Value,
    meaning: Meaning,
    help: (&'static str, &'static str),
) -> Row {
    Row { long, short, value, meaning, help }
}

/// Every option. Rows without a long name are second short names.
pub const OPTIONS: &[Row] = &[
    row("add-service", Some('A'), Value::None, Meaning::AddService, ("", "adds a virtual service")),
    row("edit-service", Some('E'), Value::None, Meaning::EditService, ("", "changes a virtual service")),
    row("delete-service", Some('D'), Value::None, Meaning::DeleteService, ("", "removes a virtual service")),
    row("clear", Some('C'), Value::None, Meaning::Flush, ("", "removes every virtual service")),
    row("restore", Some('R'), Value::None, Meaning::Restore, ("", "reads commands from standard input")),
    row("save", Some('S'), Value::None, Meaning::Save, ("", "prints the commands that make what is there")),
    row("add-server", Some('a'), Value::None, Meaning::AddServer, ("", "adds a real server to a service")),
    row("edit-server", Some('e'), Value::None, Meaning::EditServer, ("", "changes a real server")),
    row("delete-server", Some('d'), Value::None, Meaning::DeleteServer, ("", "removes a real server")),
    row("list", Some('L'), Value::None, Meaning::List, ("", "lists services and real servers (also -l)")),
    row("", Some('l'), Value::None, Meaning::List, ("", "")),
    row("zero", Some('Z'), Value::None, Meaning::Zero, ("", "zeroes the counters of one service or all")),
    row(
        "set",
        None,
        Value::None,
        Meaning::Set,
        (" TCP FIN UDP", "sets the timeouts of idle connections, seconds"),
    ),
    row(
        "start-daemon",
        None,
        Value::Required,
        Meaning::StartDaemon,
        ("master|backup", "starts a sync daemon"),
    ),
    row("stop-daemon", None, Value::Required, Meaning::StopDaemon, ("master|backup", "stops a sync daemon")),
    row("help", Some('h'), Value::None, Meaning::Help, ("", "prints this")),
    row("version", Some('v'), Value::None, Meaning::Version, ("", "prints the version")),
    row(
        "tcp-service",
        Some('t'),
        Value::Required,
        Meaning::Tcp,
        ("HOST[:PORT]", "a service by address, TCP"),
    ),
    row(
        "udp-service",
        Some('u'),
        Value::Required,
        Meaning::Udp,
        ("HOST[:PORT]", "a service by address, UDP"),
    ),
    row("sctp-service", None, Value::Required, Meaning::Sctp, ("HOST[:PORT]", "a service by address, SCTP")),
    row("fwmark-service", Some('f'), Value::Required, Meaning::Mark, ("MARK", "a service by firewall mark")),
    row("ipv6", Some('6'), Value::None, Meaning::Ipv6, ("", "the mark's packets are IPv6 (after -f)")),
    row("scheduler", Some('s'), Value::Required, Meaning::Plain(Kind::Scheduler), ("NAME", SCHEDULERS)),
    row(
        "sched-flags",
        Some('b'),
        Value::Required,
        Meaning::Plain(Kind::SchedulerFlags),
        ("A,B", SCHEDULER_FLAGS),
    ),
    row(
        "persistent",
        Some('p'),
        Value::Optional,
        Meaning::Plain(Kind::Persistent),
        ("[SECONDS]", PERSISTENT),
    ),
    row(
        "netmask",
        Some('M'),
        Value::Required,
        Meaning::Plain(Kind::Netmask),
        ("MASK", "clients that count as one"),
    ),
    row("pe", None, Value::Required, Meaning::Plain(Kind::Engine), ("NAME", "persistence engine: sip")),
    row(
        "ops",
        Some('o'),
        Value::None,
        Meaning::Plain(Kind::OnePacket),
        ("", "schedules each UDP packet anew"),
    ),
    row(
        "real-server",
        Some('r'),
        Value::Required,
        Meaning::Plain(Kind::Server),
        ("HOST[:PORT]", "the real server"),
    ),
    row("gatewaying", Some('g'), Value::None, Meaning::Route, ("", "direct routing (the default)")),
    row("ipip", Some('i'), Value::None, Meaning::Tunnel, ("", "through a tunnel")),
    row("masquerading", Some('m'), Value::None, Meaning::Masquerade, ("", "address translation")),
    row(
        "tun-type",
        None,
        Value::Required,
        Meaning::Plain(Kind::TunnelType),
        ("KIND", "ipip (the default), gue, gre"),
    ),
    row(
        "tun-port",
        None,
        Value::Required,
        Meaning::Plain(Kind::TunnelPort),
        ("PORT", "where gue packets go"),
    ),
    row("tun-nocsum", None, Value::None, Meaning::Plain(Kind::TunnelNoChecksum), ("", "without a checksum")),
    row("tun-csum", None, Value::None, Meaning::Plain(Kind::TunnelChecksum), ("", "with a checksum")),
    row(
        "tun-remcsum",
        None,
        Value::None,
        Meaning::Plain(Kind::TunnelRemoteChecksum),
        ("", "with remote checksum"),
    ),
    row(
        "weight",
        Some('w'),
        Value::Required,
        Meaning::Plain(Kind::Weight),
        ("N", "share of the load; 0 drains"),
    ),
    row(
        "u-threshold",
        Some('x'),
        Value::Required,
        Meaning::Plain(Kind::UpperThreshold),
        ("N", "connections to stop at"),
    ),
    row(
        "l-threshold",
        Some('y'),
        Value::Required,
        Meaning::Plain(Kind::LowerThreshold),
        ("N", "and to go on below"),
    ),
    row("numeric", Some('n'), Value::None, Meaning::Plain(Kind::Numeric), ("", "numbers instead of names")),
    row("connection", Some('c'), Value::None, Meaning::Plain(Kind::Connection), ("", "lists connections")),
    row("timeout", None, Value::None, Meaning::Plain(Kind::Timeout), ("", "shows the timeouts")),
    row("daemon", None, Value::None, Meaning::Plain(Kind::Daemon), ("", "shows the sync daemons")),
    row("stats", None, Value::None, Meaning::Plain(Kind::Stats), ("", "shows totals")),
    row("rate", None, Value::None, Meaning::Plain(Kind::Rate), ("", "shows rates per second")),
    row("exact", None, Value::None, Meaning::Plain(Kind::Exact), ("", "shows numbers in full")),
    row("thresholds", None, Value::None, Meaning::Plain(Kind::Thresholds), ("", "shows thresholds")),
    row(
        "persistent-conn",
        None,
        Value::None,
        Meaning::Plain(Kind::PersistentConnections),
        ("", "shows persistence"),
    ),
    row("tun-info", None, Value::None, Meaning::Plain(Kind::TunnelInformation), ("", "shows tunnels")),
    row("sort", None, Value::None, Meaning::Sort, ("", "sorts, as is done anyway")),
    row("nosort", None, Value::None, Meaning::Plain(Kind::NoSort), ("", "keeps the kernel's order")),
    row(
        "syncid",
        None,
        Value::Required,
        Meaning::Plain(Kind::SyncId),
        ("N", "which directors belong together"),
    ),
    row(
        "sync-maxlen",
        None,
        Value::Required,
        Meaning::Plain(Kind::LengthMax),
        ("BYTES", "of a sync message"),
    ),
    row(
        "mcast-interface",
        None,
        Value::Required,
        Meaning::Plain(Kind::Interface),
        ("NAME", "for sync messages"),
    ),
    row("mcast-group", None, Value::Required, Meaning::Plain(Kind::Group), ("ADDRESS", "of sync messages")),
    row("mcast-port", None, Value::Required, Meaning::Plain(Kind::Port), ("PORT", "of sync messages")),
    row("mcast-ttl", None, Value::Required, Meaning::Plain(Kind::Hops), ("N", "of sync messages")),
];

const SCHEDULERS: &str = "rr wrr lc wlc (the default) lblc lblcr dh sh sed nq fo ovf mh …";
const SCHEDULER_FLAGS: &str = "flag-1..3, sh-fallback, sh-port, mh-fallback, mh-port";
const PERSISTENT: &str = "keeps clients at their server, 360 s without a number";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_stand_in_the_order_of_the_kinds() {
        for (at, kind) in Kind::all().enumerate() {
            assert_eq!(kind as usize, at, "{}", kind.name());
        }
    }
}
