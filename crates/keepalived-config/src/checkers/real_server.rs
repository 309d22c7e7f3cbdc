//! `real_server`

use super::check::{CHECKERS, CheckDraft};
use super::common::{self, TimingDraft};
use super::forwarding;
use crate::arguments::{Arguments, address, integer};
use crate::command::command_and_user;
use crate::context::{Context, Outcome};
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, line, read, read_block};
use crate::model::{Command, Forwarding};
use diag::{Diagnostic, Span};
use std::net::{IpAddr, SocketAddr};

/// The block before inherited values are applied.
pub(crate) struct RealServerDraft {
    pub span: Span,
    pub address: SocketAddr,
    pub weight: Option<u32>,
    pub forwarding: Option<Forwarding>,
    pub upper: u32,
    pub lower: u32,
    pub inhibit: Option<bool>,
    pub notify_up: Option<Command>,
    pub notify_down: Option<Command>,
    pub smtp_alert: Option<bool>,
    pub snmp_name: Option<String>,
    pub virtual_host: Option<String>,
    pub timing: TimingDraft,
    pub checks: Vec<CheckDraft>,
}

/// IPVS keeps weights as signed numbers.
pub(crate) const WEIGHT_MAX: i64 = 2_147_483_647;

pub(crate) static REAL_SERVER: &[Keyword<RealServerDraft>] = &[
    line(
        "weight",
        Works,
        |draft, arguments, context| {
            let span = arguments.end();
            draft.weight = Some(arguments.integer(0..=WEIGHT_MAX)? as u32);
            if draft.weight > Some(65_535) {
                context.advise(Diagnostic::notice(span, "ipvsadm shows weights up to 65535 only"));
            }
            Ok(())
        },
        "share of connections (1); 0: none",
    ),
    line(
        "lvs_method",
        Works,
        |draft, arguments, _| {
            draft.forwarding = Some(forwarding::read(arguments)?);
            Ok(())
        },
        "forwarding of this server",
    ),
    line(
        "lb_kind",
        Works,
        |draft, arguments, _| {
            draft.forwarding = Some(forwarding::read(arguments)?);
            Ok(())
        },
        "older `lvs_method`",
    ),
    line("uthreshold", Works, read!(upper = integer(0..=4_294_967_295) as u32), "most connections"),
    line(
        "lthreshold",
        Works,
        read!(lower = integer(0..=4_294_967_295) as u32),
        "connections below which it gets new ones again",
    ),
    line(
        "notify_up",
        Works,
        |draft, arguments, context| {
            draft.notify_up = command_and_user(arguments, context)?;
            Ok(())
        },
        "script when up",
    ),
    line(
        "notify_down",
        Works,
        |draft, arguments, context| {
            draft.notify_down = command_and_user(arguments, context)?;
            Ok(())
        },
        "script when down",
    ),
    line("smtp_alert", Works, read!(smtp_alert = Some(switch())), "mail on change"),
    line(
        "virtualhost",
        Works,
        read!(virtual_host = Some(string("a host name"))),
        "Host header of HTTP checks",
    ),
    line("snmp_name", Works, read!(snmp_name = Some(string("a name"))), "label in metrics"),
    line("inhibit_on_failure", Works, read!(inhibit = Some(switch())), "weight 0 instead of removal"),
];

pub(crate) static SERVER_DEFAULTS: &[Keyword<RealServerDraft>] = &[
    line(
        "alpha",
        Works,
        |draft, arguments, context| common::alpha(&mut draft.timing, arguments, context),
        "down until checked",
    ),
    line(
        "connect_timeout",
        Works,
        |draft, arguments, context| common::connect_timeout(&mut draft.timing, arguments, context),
        "default of its checks",
    ),
    line(
        "retry",
        Works,
        |draft, arguments, context| common::retry(&mut draft.timing, arguments, context),
        "default of its checks",
    ),
    line(
        "nb_get_retry",
        Works,
        |draft, arguments, context| {
            // row: 271, 275
            context.problem(
                Diagnostic::warning(arguments.node.span(), "`nb_get_retry` is taken for `retry` here")
                    .with_note(None, "keepalived knows it in HTTP_GET and SSL_GET only, and would retry once")
                    .with_help("write `retry`"),
            );
            common::retry(&mut draft.timing, arguments, context)
        },
        "older `retry`",
    ),
    line(
        "delay_before_retry",
        Works,
        |draft, arguments, context| common::delay_before_retry(&mut draft.timing, arguments, context),
        "default of its checks",
    ),
    line(
        "warmup",
        Works,
        |draft, arguments, context| common::warmup(&mut draft.timing, arguments, context),
        "default of its checks",
    ),
    line(
        "delay_loop",
        Works,
        |draft, arguments, context| common::delay_loop(&mut draft.timing, arguments, context),
        "default of its checks",
    ),
];

/// `ADDRESS [PORT]`; without a port 0.
pub(crate) fn socket(arguments: &mut Arguments<'_>) -> Outcome<SocketAddr> {
    let word = arguments.word("an address")?;
    let ip: IpAddr = address(&word)?;
    let port = match arguments.next() {
        Some(word) => integer(&word, 1..=65_535)? as u16,
        None => 0,
    };
    Ok(SocketAddr::new(ip, port))
}

pub(crate) fn read_real_server(
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome<RealServerDraft> {
    // row: 269
    let span = arguments.node.span();
    let address = socket(arguments)?;
    let mut draft = RealServerDraft {
        span,
        address,
        weight: None,
        forwarding: None,
        upper: 0,
        lower: 0,
        inhibit: None,
        notify_up: None,
        notify_down: None,
        smtp_alert: None,
        snmp_name: None,
        virtual_host: None,
        timing: TimingDraft::default(),
        checks: Vec::new(),
    };
    let rows = || REAL_SERVER.iter().chain(SERVER_DEFAULTS).chain(CHECKERS);
    read_block(arguments.block(), rows, "real_server", &mut draft, context);
    if draft.upper != 0 && draft.lower > draft.upper {
        context.advise(Diagnostic::warning(
            span,
            format!("lthreshold {} is above uthreshold {}: the server never fills", draft.lower, draft.upper),
        ));
    }
    Ok(draft)
}
