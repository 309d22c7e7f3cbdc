//! Drafts to virtual servers: inherited values, names to ids, and the rules between keywords.

use super::CheckersDraft;
use super::check::{CheckDraft, KindDraft};
use super::real_server::RealServerDraft;
use super::virtual_server::{AddressDraft, VirtualServerDraft, family_of};
use crate::command::inspected;
use crate::context::Context;
use crate::model::{
    BfdId, Check, CheckKind, Command, Family, FileWeight, Forwarding, HttpUrl, Model, RealServer, Scheduler,
    SorryServer, TrackFileId, TransportProtocol, VirtualAddress, VirtualServer, VirtualServerGroup,
    VirtualServerGroupId,
};
use diag::Diagnostic;
use std::net::SocketAddr;

/// Puts servers and groups into the model; what is wrong with them is told.
pub(crate) fn finish(draft: CheckersDraft, model: &mut Model, context: &mut Context<'_>) {
    for group in draft.groups {
        model.virtual_server_groups.push(VirtualServerGroup {
            name: group.name.value,
            span: group.name.span,
            addresses: group.addresses,
            marks: group.marks,
        });
    }
    for server in draft.servers {
        if let Some(server) = virtual_server(server, model, context) {
            model.virtual_servers.push(server);
        }
    }
}

fn virtual_server(
    mut draft: VirtualServerDraft,
    model: &Model,
    context: &mut Context<'_>,
) -> Option<VirtualServer> {
    let span = draft.span;
    let address = virtual_address(&draft, model, context)?;
    if draft.real_servers.is_empty() {
        if !context.report.has_alerts() {
            context.adjust(span, "this virtual server has no real servers: it is left out");
        }
        return None;
    }
    let protocol = protocol(&draft, context);
    let forwarding = draft.forwarding.unwrap_or_else(|| {
        context.adjust(span, "no lvs_method is given: NAT is taken");
        Forwarding::Nat
    });
    let scheduler = draft.scheduler.unwrap_or_else(|| {
        context.adjust(span, "no lvs_sched is given: wlc is taken");
        Scheduler::WeightedLeastConnections
    });
    let mut flags = draft.flags;
    if let Some(ops) = draft.one_packet {
        if protocol == TransportProtocol::Udp {
            flags.one_packet = true;
        } else {
            context.adjust(ops, "`ops` is for UDP: it is cleared");
        }
    }
    if let (AddressDraft::Socket(socket), None) = (&draft.address, draft.persistence_timeout)
        && socket.port() == 0
    {
        context.problem(
            Diagnostic::warning(
                span,
                "a service on every port must be persistent: persistence_timeout 360 is taken",
            )
            .with_help("add a port, or `persistence_timeout`"),
        );
        draft.persistence_timeout = Some(360);
    }
    let family = family_of(&draft);
    if let (Some(family), Some((wanted, at)), AddressDraft::Socket(_)) =
        (family, draft.family, &draft.address)
        && family != wanted
    {
        context.push_alert(Diagnostic::alert(at, "ip_family contradicts the address"));
    }
    let sorry_server = sorry_server(&draft, family, forwarding, context);
    let real_servers = real_servers(&mut draft, family, forwarding, model, context);
    let ha_suspend = draft.ha_suspend && !is_by_mark(&address, model, span, context);
    let (quorum, hysteresis) = quorum(&draft, &real_servers, context);
    let smtp = &model.global.smtp;
    Some(VirtualServer {
        span,
        address,
        protocol,
        scheduler,
        flags,
        forwarding,
        weight: draft.weight.unwrap_or(1),
        persistence_timeout: draft.persistence_timeout,
        persistence_granularity: draft.persistence_granularity,
        persistence_engine: draft.persistence_engine,
        ha_suspend,
        alpha: draft.timing.alpha.unwrap_or(false),
        omega: draft.omega,
        quorum,
        hysteresis,
        quorum_up: draft.quorum_up,
        quorum_down: draft.quorum_down,
        smtp_alert: draft.smtp_alert.or(smtp.alert_checker).or(smtp.alert).unwrap_or(false),
        snmp_name: draft.snmp_name,
        check_defaults: draft.timing.for_checks(draft.virtual_host, draft.inhibit),
        sorry_server,
        real_servers,
    })
}

/// Marks have no address that could be here or elsewhere.
fn is_by_mark(address: &VirtualAddress, model: &Model, span: diag::Span, context: &mut Context<'_>) -> bool {
    let is_by_mark = match address {
        VirtualAddress::Socket(_) => false,
        VirtualAddress::Mark { .. } => true,
        VirtualAddress::Group(id) => !model.virtual_server_groups[id.index()].marks.is_empty(),
    };
    if is_by_mark {
        context.adjust(span, "cannot use ha_suspend with firewall marks: it is cleared");
    }
    is_by_mark
}

fn virtual_address(
    draft: &VirtualServerDraft,
    model: &Model,
    context: &mut Context<'_>,
) -> Option<VirtualAddress> {
    match &draft.address {
        AddressDraft::Socket(socket) => Some(VirtualAddress::Socket(*socket)),
        AddressDraft::Mark(mark) => {
            Some(VirtualAddress::Mark { mark: *mark, family: family_of(draft).unwrap_or(Family::Ipv4) })
        }
        AddressDraft::Group(name) => {
            let found = model.virtual_server_groups.iter().position(|group| group.name == name.value);
            if found.is_none() {
                // keepalived leaves such a server out without a word.
                let known = model.virtual_server_groups.iter().map(|group| group.name.as_str());
                let mut diagnostic =
                    *crate::keywords::unknown("virtual_server_group", name, "this file", known);
                diagnostic.severity = diag::Severity::Warning;
                diagnostic.help.get_or_insert_with(|| "the virtual server is left out".to_owned());
                context.advise(diagnostic);
            }
            found.map(|index| VirtualAddress::Group(VirtualServerGroupId(index as u32)))
        }
    }
}

fn protocol(draft: &VirtualServerDraft, context: &mut Context<'_>) -> TransportProtocol {
    match (draft.protocol, &draft.address) {
        (Some((_, at)), AddressDraft::Mark(_)) => {
            context.adjust(at, "a firewall mark stands for any protocol: this is ignored");
            TransportProtocol::Tcp
        }
        (Some((protocol, _)), _) => protocol,
        (None, AddressDraft::Mark(_)) => TransportProtocol::Tcp,
        (None, AddressDraft::Socket(_) | AddressDraft::Group(_)) => {
            context.problem(
                Diagnostic::warning(draft.span, "no protocol is given: UDP is taken")
                    .with_help("write `protocol TCP` if that is meant"),
            );
            TransportProtocol::Udp
        }
    }
}

fn is_tunnel(forwarding: Forwarding) -> bool {
    matches!(forwarding, Forwarding::Tunnel(_))
}

/// Port 0 stands for the virtual server's.
fn with_port(address: SocketAddr, draft: &VirtualServerDraft) -> SocketAddr {
    match &draft.address {
        AddressDraft::Socket(socket) if address.port() == 0 => SocketAddr::new(address.ip(), socket.port()),
        AddressDraft::Socket(_) | AddressDraft::Mark(_) | AddressDraft::Group(_) => address,
    }
}

fn sorry_server(
    draft: &VirtualServerDraft,
    family: Option<Family>,
    forwarding: Forwarding,
    context: &mut Context<'_>,
) -> Option<SorryServer> {
    let (address, span) = draft.sorry_server?;
    let forwarding = draft.sorry_forwarding.unwrap_or(forwarding);
    if family.is_some_and(|family| family != Family::of(address.ip())) && !is_tunnel(forwarding) {
        context.push_alert(Diagnostic::alert(span, "the sorry server is of the other address family"));
    }
    Some(SorryServer { address: with_port(address, draft), forwarding, inhibit: draft.sorry_inhibit })
}

fn real_servers(
    draft: &mut VirtualServerDraft,
    family: Option<Family>,
    forwarding: Forwarding,
    model: &Model,
    context: &mut Context<'_>,
) -> Vec<RealServer> {
    let drafts = std::mem::take(&mut draft.real_servers);
    let mut servers: Vec<RealServer> = Vec::new();
    for real in drafts {
        let method = real.forwarding.unwrap_or(forwarding);
        if family.is_some_and(|family| family != Family::of(real.address.ip())) && !is_tunnel(method) {
            context.push_alert(
                Diagnostic::alert(real.span, "this real server is of the other address family")
                    .with_help("only tunnels (`lvs_method TUN`) join the two"),
            );
            continue;
        }
        let mut address = with_port(real.address, draft);
        if let (AddressDraft::Socket(socket), true) = (&draft.address, method != Forwarding::Nat)
            && address.port() != socket.port()
        {
            // row: 269
            context.problem(
                Diagnostic::warning(
                    real.span,
                    format!(
                        "without NAT ports cannot differ: {} is taken for {}",
                        socket.port(),
                        address.port()
                    ),
                )
                .with_note(draft.span, "the virtual server"),
            );
            address.set_port(socket.port());
        }
        if let Some(first) = servers.iter().find(|server| server.address == address) {
            context.problem(
                Diagnostic::warning(
                    real.span,
                    format!("real server {address} is there already: this one is left out"),
                )
                .with_note(first.span, "here"),
            );
            continue;
        }
        servers.push(real_server(real, address, method, draft, model, context));
    }
    servers
}

fn real_server(
    draft: RealServerDraft,
    address: SocketAddr,
    forwarding: Forwarding,
    server: &VirtualServerDraft,
    model: &Model,
    context: &mut Context<'_>,
) -> RealServer {
    let timing = draft.timing.or(&server.timing);
    let smtp = &model.global.smtp;
    let virtual_host = draft.virtual_host.clone().or_else(|| server.virtual_host.clone());
    let checks = draft
        .checks
        .into_iter()
        .filter_map(|check| {
            let timing = check.timing.or(&timing);
            let defaults = timing.finish(&check.defaults);
            let CheckDraft { span, kind, connect, .. } = check;
            let kind = check_kind(kind, virtual_host.as_deref(), model, context)?;
            if let Some(bind) = connect.bind_address {
                let target = connect.address.unwrap_or(address.ip());
                if bind.is_ipv4() != target.is_ipv4() {
                    context.push_alert(Diagnostic::alert(
                        span,
                        "bindto is not of the family of what is checked",
                    ));
                }
            }
            Some(Check { span, kind, connect, timing: defaults })
        })
        .collect();
    RealServer {
        span: draft.span,
        address,
        weight: draft.weight.or(server.weight).unwrap_or(1),
        forwarding,
        upper_threshold: draft.upper,
        lower_threshold: draft.lower,
        inhibit_on_failure: draft.inhibit.unwrap_or(server.inhibit),
        notify_up: draft.notify_up,
        notify_down: draft.notify_down,
        // Real servers mail unless told not to.
        smtp_alert: draft.smtp_alert.or(smtp.alert_checker).or(smtp.alert).unwrap_or(true),
        alpha: timing.alpha.unwrap_or(false),
        snmp_name: draft.snmp_name,
        check_defaults: timing.for_checks(draft.virtual_host, draft.inhibit.unwrap_or(server.inhibit)),
        checks,
    }
}

fn check_kind(
    kind: KindDraft,
    virtual_host: Option<&str>,
    model: &Model,
    context: &mut Context<'_>,
) -> Option<CheckKind> {
    Some(match kind {
        KindDraft::Tcp => CheckKind::Tcp,
        KindDraft::Ping => CheckKind::Ping,
        KindDraft::Http { tls, sni, sni_name, protocol, fast_recovery, virtual_host: own, urls } => {
            let default = own.clone().or_else(|| virtual_host.map(str::to_owned));
            let urls = urls
                .into_iter()
                .map(|url| HttpUrl {
                    is_virtual_host_inherited: url.virtual_host.is_none(),
                    virtual_host: url.virtual_host.clone().or_else(|| default.clone()),
                    ..url
                })
                .collect();
            CheckKind::Http { tls, sni, sni_name, protocol, fast_recovery, virtual_host: own, urls }
        }
        KindDraft::Smtp { helo_name } => CheckKind::Smtp { helo_name },
        KindDraft::Dns { question, name } => CheckKind::Dns { question, name },
        KindDraft::Misc { words, span, run_as, timeout, dynamic } => {
            let command = inspected(Command { words, run_as }, span, context)?;
            CheckKind::Misc { command, timeout, dynamic }
        }
        KindDraft::Udp { payload, require_reply, reply_length } => {
            CheckKind::Udp { payload, require_reply, reply_length }
        }
        KindDraft::File { file, weight } => {
            let Some(index) = model.track_files.iter().position(|known| known.name == file.value) else {
                let known = model.track_files.iter().map(|file| file.name.as_str());
                context.push_alert(*crate::keywords::unknown("track_file", &file, "this file", known));
                return None;
            };
            let default = &model.track_files[index];
            let weight = weight.unwrap_or(FileWeight { weight: default.weight, reverse: default.reverse });
            CheckKind::File { file: TrackFileId(index as u32), weight }
        }
        KindDraft::Bfd { session } => {
            let Some(index) = model.bfd_sessions.iter().position(|known| known.name == session.value) else {
                let known = model.bfd_sessions.iter().map(|session| session.name.as_str());
                context.push_alert(*crate::keywords::unknown("bfd_instance", &session, "this file", known));
                return None;
            };
            CheckKind::Bfd { session: BfdId(index as u32) }
        }
    })
}

/// A quorum that can be reached, and a hysteresis below it. row: 284
fn quorum(draft: &VirtualServerDraft, servers: &[RealServer], context: &mut Context<'_>) -> (u32, u32) {
    let total = servers.iter().fold(0u64, |total, server| total + u64::from(server.weight));
    let total = u32::try_from(total).unwrap_or(u32::MAX);
    let (mut quorum, at) = draft.quorum.unwrap_or((1, draft.span));
    if quorum > total && !servers.is_empty() {
        context
            .adjust(at, format!("the quorum {quorum} is more than all weights together: {total} is taken"));
        quorum = total;
    }
    let (mut hysteresis, at) = draft.hysteresis.unwrap_or((0, draft.span));
    if hysteresis > 0 && hysteresis >= quorum {
        context.adjust(
            at,
            format!("the hysteresis must be less than the quorum: {} is taken", quorum.saturating_sub(1)),
        );
        hysteresis = quorum.saturating_sub(1);
    }
    (quorum, hysteresis)
}
