//! `virtual_server`

use super::CheckersDraft;
use super::common::{self, TimingDraft};
use super::forwarding;
use super::real_server::{RealServerDraft, WEIGHT_MAX, read_real_server, socket};
use crate::arguments::Arguments;
use crate::command::command_and_user;
use crate::context::{Context, Outcome, fail};
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, assign, block, line, read, read_block, unknown};
use crate::language::Word;
use crate::model::{Command, Family, Forwarding, Scheduler, SchedulerFlags, TransportProtocol};
use diag::Span;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

type Args<'a, 'n> = &'a mut Arguments<'n>;

/// What the block is for.
pub(crate) enum AddressDraft {
    Socket(SocketAddr),
    Mark(u32),
    Group(Word),
}

/// The block before defaults are applied.
pub(crate) struct VirtualServerDraft {
    pub span: Span,
    pub address: AddressDraft,
    pub protocol: Option<(TransportProtocol, Span)>,
    pub scheduler: Option<Scheduler>,
    pub flags: SchedulerFlags,
    pub one_packet: Option<Span>,
    pub forwarding: Option<Forwarding>,
    pub persistence_timeout: Option<u32>,
    pub persistence_granularity: Option<u8>,
    pub persistence_engine: Option<String>,
    pub ha_suspend: bool,
    pub omega: bool,
    pub quorum: Option<(u32, Span)>,
    pub hysteresis: Option<(u32, Span)>,
    pub quorum_up: Option<Command>,
    pub quorum_down: Option<Command>,
    pub smtp_alert: Option<bool>,
    pub snmp_name: Option<String>,
    pub virtual_host: Option<String>,
    pub family: Option<(Family, Span)>,
    pub sorry_server: Option<(SocketAddr, Span)>,
    pub sorry_inhibit: bool,
    pub sorry_forwarding: Option<Forwarding>,
    pub inhibit: bool,
    pub weight: Option<u32>,
    pub timing: TimingDraft,
    pub real_servers: Vec<RealServerDraft>,
}

const SCHEDULERS: [Scheduler; 14] = [
    Scheduler::RoundRobin,
    Scheduler::WeightedRoundRobin,
    Scheduler::LeastConnections,
    Scheduler::WeightedLeastConnections,
    Scheduler::LocalityLeastConnections,
    Scheduler::LocalityReplicated,
    Scheduler::SourceHash,
    Scheduler::Maglev,
    Scheduler::DestinationHash,
    Scheduler::Failover,
    Scheduler::Overflow,
    Scheduler::ShortestDelay,
    Scheduler::NeverQueue,
    Scheduler::TwoChoices,
];

/// Longest persistence, 31 days.
const PERSISTENCE_MAX: i64 = 2_678_400;
/// Without a number: six minutes.
const PERSISTENCE_DEFAULT: u32 = 360;

pub(crate) static VIRTUAL_SERVER: &[Keyword<VirtualServerDraft>] = &[
    line("lvs_sched", Works, scheduler, "scheduler"),
    line("lb_algo", Works, scheduler, "older `lvs_sched`"),
    line("lvs_method", Works, method, "NAT, DR or TUN"),
    line("lb_kind", Works, method, "older `lvs_method`"),
    line(
        "ops",
        Works,
        |draft, arguments, _| {
            draft.one_packet = Some(arguments.node.span());
            Ok(())
        },
        "each UDP packet for itself",
    ),
    line(
        "hashed",
        Works,
        |draft, arguments, context| {
            for_scheduler(draft, arguments, context, |_| false, |flags| flags.hashed = true)
        },
        "the hashed flag of IPVS",
    ),
    line("flag-1", Works, assign!(flags.flag1 = true), "first flag of the scheduler"),
    line("flag-2", Works, assign!(flags.flag2 = true), "second flag of the scheduler"),
    line("flag-3", Works, assign!(flags.flag3 = true), "third flag of the scheduler"),
    line(
        "sh-fallback",
        Works,
        |draft, arguments, context| {
            for_scheduler(draft, arguments, context, hashes, |flags| flags.flag1 = true)
        },
        "another server when the hashed one is down",
    ),
    line(
        "sh-port",
        Works,
        |draft, arguments, context| {
            for_scheduler(draft, arguments, context, hashes, |flags| flags.flag2 = true)
        },
        "hash the port too",
    ),
    line(
        "mh-fallback",
        Works,
        |draft, arguments, context| {
            for_scheduler(draft, arguments, context, hashes, |flags| flags.flag1 = true)
        },
        "another server when the hashed one is down",
    ),
    line(
        "mh-port",
        Works,
        |draft, arguments, context| {
            for_scheduler(draft, arguments, context, hashes, |flags| flags.flag2 = true)
        },
        "hash the port too",
    ),
    line(
        "persistence_engine",
        Works,
        read!(persistence_engine = Some(string("the name of an engine"))),
        "sip",
    ),
    line("persistence_timeout", Works, persistence, "seconds a client stays (360)"),
    line("persistence_granularity", Works, granularity, "mask of what counts as one client"),
    line("protocol", Works, protocol, "TCP, UDP or SCTP"),
    line("ha_suspend", Works, assign!(ha_suspend = true), "no checks while the address is elsewhere"),
    line("smtp_alert", Works, read!(smtp_alert = Some(switch())), "mail when the quorum changes"),
    line(
        "virtualhost",
        Works,
        read!(virtual_host = Some(string("a host name"))),
        "Host header of HTTP checks",
    ),
    line("snmp_name", Works, read!(snmp_name = Some(string("a name"))), "label in metrics"),
    line("omega", Works, read!(omega = switch()), "down notices at the end"),
    line(
        "quorum",
        Works,
        |draft, arguments, _| {
            let span = arguments.node.span();
            draft.quorum = Some((arguments.integer(1..=i64::from(u32::MAX))? as u32, span));
            Ok(())
        },
        "least weight of live servers (1)",
    ),
    line(
        "hysteresis",
        Works,
        |draft, arguments, _| {
            let span = arguments.node.span();
            draft.hysteresis = Some((arguments.integer(0..=i64::from(u32::MAX))? as u32, span));
            Ok(())
        },
        "weight by which it must be passed (0)",
    ),
    line(
        "quorum_up",
        Works,
        |draft, arguments, context| {
            draft.quorum_up = command_and_user(arguments, context)?;
            Ok(())
        },
        "script when the quorum is reached",
    ),
    line(
        "quorum_down",
        Works,
        |draft, arguments, context| {
            draft.quorum_down = command_and_user(arguments, context)?;
            Ok(())
        },
        "script when the quorum is lost",
    ),
    line("ip_family", Works, family, "inet or inet6 for a mark"),
    line(
        "sorry_server",
        Works,
        |draft, arguments, _| {
            let span = arguments.node.span();
            draft.sorry_server = Some((socket(arguments)?, span));
            Ok(())
        },
        "server without quorum",
    ),
    line(
        "sorry_server_inhibit",
        Works,
        |draft, arguments, _| {
            draft.sorry_inhibit = true;
            sorry_needed(draft, arguments)
        },
        "weight 0 instead of removal for it",
    ),
    line(
        "sorry_server_lvs_method",
        Works,
        |draft, arguments, _| {
            draft.sorry_forwarding = Some(forwarding::read(arguments)?);
            sorry_needed(draft, arguments)
        },
        "its forwarding",
    ),
    line("inhibit_on_failure", Works, read!(inhibit = switch()), "weight 0 instead of removal"),
    line(
        "weight",
        Works,
        read!(weight = Some(integer(1..=WEIGHT_MAX) as u32)),
        "default weight of its servers",
    ),
    block(
        "real_server",
        Works,
        |draft, arguments, context| {
            draft.real_servers.push(read_real_server(arguments, context)?);
            Ok(())
        },
        "one server",
    ),
];

pub(crate) static SERVER_DEFAULTS: &[Keyword<VirtualServerDraft>] = &[
    line(
        "alpha",
        Works,
        |draft, arguments, context| common::alpha(&mut draft.timing, arguments, context),
        "servers are down until checked",
    ),
    line(
        "connect_timeout",
        Works,
        |draft, arguments, context| common::connect_timeout(&mut draft.timing, arguments, context),
        "default of all checks (5 s)",
    ),
    line(
        "retry",
        Works,
        |draft, arguments, context| {
            let word = arguments.peek().cloned();
            common::retry(&mut draft.timing, arguments, context)?;
            match (draft.timing.retry, word) {
                (Some(0), Some(word)) => fail(word.span, "0 is out of range here: 1..=4294967295 is valid"),
                _ => Ok(()),
            }
        },
        "default of all checks",
    ),
    line(
        "delay_before_retry",
        Works,
        |draft, arguments, context| common::delay_before_retry(&mut draft.timing, arguments, context),
        "default of all checks",
    ),
    line(
        "warmup",
        Works,
        |draft, arguments, context| common::warmup(&mut draft.timing, arguments, context),
        "default of all checks",
    ),
    line(
        "delay_loop",
        Works,
        |draft, arguments, context| common::delay_loop(&mut draft.timing, arguments, context),
        "default of all checks (60 s)",
    ),
];

fn scheduler(draft: &mut VirtualServerDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // row: 265
    let word = arguments.word("a scheduler")?;
    match SCHEDULERS.iter().find(|scheduler| scheduler.name() == word.value) {
        Some(scheduler) => {
            draft.scheduler = Some(*scheduler);
            Ok(())
        }
        None => Err(unknown("scheduler", &word, "virtual_server", SCHEDULERS.map(Scheduler::name))),
    }
}

fn method(draft: &mut VirtualServerDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.forwarding = Some(forwarding::read(arguments)?);
    Ok(())
}

fn hashes(scheduler: Scheduler) -> bool {
    matches!(scheduler, Scheduler::SourceHash | Scheduler::Maglev)
}

/// A flag that means something under some schedulers only.
fn for_scheduler(
    draft: &mut VirtualServerDraft,
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
    fits: fn(Scheduler) -> bool,
    set: fn(&mut SchedulerFlags),
) -> Outcome {
    match draft.scheduler {
        Some(scheduler) if !fits(scheduler) => {
            let span = arguments.node.span();
            context.adjust(span, format!("this flag means nothing to the scheduler `{}`", scheduler.name()));
        }
        Some(_) | None => set(&mut draft.flags),
    }
    Ok(())
}

fn persistence(draft: &mut VirtualServerDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // row: 267
    let given = arguments.peek().is_some();
    draft.persistence_timeout =
        Some(if given { arguments.integer(1..=PERSISTENCE_MAX)? as u32 } else { PERSISTENCE_DEFAULT });
    Ok(())
}

fn granularity(
    draft: &mut VirtualServerDraft,
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    let word = arguments.word("a mask")?;
    if let Ok(mask) = word.value.parse::<Ipv4Addr>() {
        let bits = u32::from(mask);
        if bits.leading_ones() != bits.count_ones() {
            context.advise(diag::Diagnostic::warning(
                word.span,
                format!("{mask} is no mask: its ones do not stand together"),
            ));
        }
        draft.persistence_granularity = Some(bits.leading_ones() as u8);
    } else {
        draft.persistence_granularity = Some(crate::arguments::integer(&word, 1..=128)? as u8);
    }
    Ok(())
}

fn protocol(draft: &mut VirtualServerDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // row: 268
    let word = arguments.word("TCP, UDP or SCTP")?;
    let protocol = match word.value.to_ascii_uppercase().as_str() {
        "TCP" => TransportProtocol::Tcp,
        "UDP" => TransportProtocol::Udp,
        "SCTP" => TransportProtocol::Sctp,
        _ => return Err(unknown("protocol", &word, "virtual_server", ["TCP", "UDP", "SCTP"])),
    };
    draft.protocol = Some((protocol, word.span));
    Ok(())
}

fn family(draft: &mut VirtualServerDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("inet or inet6")?;
    let family = match word.value.as_str() {
        "inet" => Family::Ipv4,
        "inet6" => Family::Ipv6,
        other => return fail(word.span, format!("`{other}` is neither inet nor inet6")),
    };
    draft.family = Some((family, word.span));
    Ok(())
}

fn sorry_needed(draft: &VirtualServerDraft, arguments: Args<'_, '_>) -> Outcome {
    match draft.sorry_server {
        Some(_) => Ok(()),
        None => fail(arguments.node.span(), "there is no `sorry_server` before this"),
    }
}

pub(crate) fn read_virtual_server(
    draft: &mut CheckersDraft,
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    // row: 263
    let span = arguments.node.span();
    let address = if arguments.take("fwmark") {
        AddressDraft::Mark(arguments.integer(1..=i64::from(u32::MAX))? as u32)
    } else if arguments.take("group") {
        AddressDraft::Group(arguments.word("the name of a virtual_server_group")?)
    } else {
        AddressDraft::Socket(socket(arguments)?)
    };
    let mut server = VirtualServerDraft {
        span,
        address,
        protocol: None,
        scheduler: None,
        flags: SchedulerFlags::default(),
        one_packet: None,
        forwarding: None,
        persistence_timeout: None,
        persistence_granularity: None,
        persistence_engine: None,
        ha_suspend: false,
        omega: false,
        quorum: None,
        hysteresis: None,
        quorum_up: None,
        quorum_down: None,
        smtp_alert: None,
        snmp_name: None,
        virtual_host: None,
        family: None,
        sorry_server: None,
        sorry_inhibit: false,
        sorry_forwarding: None,
        inhibit: false,
        weight: None,
        timing: TimingDraft::default(),
        real_servers: Vec::new(),
    };
    let rows = || VIRTUAL_SERVER.iter().chain(SERVER_DEFAULTS);
    read_block(arguments.block(), rows, "virtual_server", &mut server, context);
    draft.servers.push(server);
    Ok(())
}

/// Any address of a family, for comparisons.
pub(crate) fn family_of(server: &VirtualServerDraft) -> Option<Family> {
    match &server.address {
        AddressDraft::Socket(socket) => Some(Family::of(socket.ip())),
        AddressDraft::Mark(_) => server.family.map(|(family, _)| family).or_else(|| {
            server.real_servers.first().map(|real| match real.address.ip() {
                IpAddr::V4(_) => Family::Ipv4,
                IpAddr::V6(_) => Family::Ipv6,
            })
        }),
        AddressDraft::Group(_) => None,
    }
}
