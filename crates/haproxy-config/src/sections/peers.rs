//! `peers`: instances that share stick tables.

use crate::address::{self, Wanted};
use crate::keywords::Status::{ParsedOnly, Works};
use crate::keywords::{Keyword, assign, row};
use crate::language::Section;
use crate::model::{Address, Bind, Peer, Peers, Table};
use crate::parse::{Arguments, Context, Outcome, fail};
use crate::server::{self, ServerDraft};
use rules::ProxyId;

pub(crate) struct Draft {
    peers: Peers,
    default_server: ServerDraft,
    default_bind: Bind,
}

pub(super) static KEYWORDS: &[Keyword<Draft>] = &[
    row("bind", Works, bind, "where the local peer listens"),
    row("default-bind", Works, default_bind, "settings of the local peer's listener"),
    row("default-server", Works, default_server, "settings of connections to peers"),
    row("disabled", Works, assign!(peers.disabled = true), "do not connect to peers"),
    row("enabled", Works, assign!(peers.disabled = false), "undo `disabled`"),
    row("log", ParsedOnly("nothing is logged about peers"), rest, "logs about peers"),
    row("peer", Works, peer, "an instance with its address"),
    row("server", Works, peer, "an instance; the local one may go without an address"),
    row("shards", ParsedOnly("every peer is told everything"), rest, "distribution of tables over peers"),
    row("table", Works, table, "a stick table of this section"),
];

const ADDRESS: Wanted =
    Wanted { port_required: true, port_range: false, port_offset: false, datagram: false, stream: true };

pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Peers {
    let name = super::name(section, context);
    let span = section.header.span;
    let peers =
        Peers { name, span, disabled: false, peers: Vec::new(), binds: Vec::new(), default_tls: None };
    let nowhere = Address::Inet { ip: std::net::Ipv4Addr::UNSPECIFIED.into(), port: 0 };
    let mut draft = Draft {
        peers,
        default_server: ServerDraft::new(span, ProxyId(0)),
        default_bind: Bind::new(nowhere, span),
    };
    super::read_lines(KEYWORDS, section, &mut draft, context);
    let mut peers = draft.peers;
    peers.default_tls = draft.default_bind.tls.filter(|tls| tls.enabled);
    let local = context.environment.get("HAPROXY_LOCALPEER").unwrap_or_default().to_owned();
    if !peers.disabled && !peers.peers.iter().any(|peer| peer.name == local) {
        let message =
            format!("Removing incomplete section 'peers {}' (no peer named '{local}').", peers.name);
        context.warn(section.header.span, message);
    }
    peers
}

fn rest(_: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

fn bind(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    draft.peers.binds.extend(crate::bind::parse(arguments, context)?);
    Ok(())
}

fn default_bind(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    crate::bind::parse_default(&mut draft.default_bind, arguments, context)
}

fn default_server(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    server::parse_default(&mut draft.default_server, arguments, context)
}

fn peer(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let name = arguments.expect("a name")?;
    if draft.peers.peers.iter().any(|peer| peer.name == name.value) {
        context.warn(name.span, format!("peer `{}` is there already", name.value));
    }
    let address = match arguments.peek() {
        None => None,
        _ => Some(
            address::endpoint(arguments.expect("an address and port")?, context.environment, ADDRESS)?
                .address,
        ),
    };
    let settings = server::parse_settings(&draft.default_server, arguments, context)?;
    let span = arguments.span();
    for (is_set, word) in
        [(settings.send_proxy.is_some(), "send-proxy"), (settings.socks4.is_some(), "socks4")]
    {
        if is_set {
            return fail(span, format!("`{word}` is not implemented for peers"));
        }
    }
    draft.peers.peers.push(Peer { name: name.value.clone(), address, tls: settings.tls });
    Ok(())
}

fn table(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let name = arguments.expect("a name")?;
    let full_name = format!("{}/{}", draft.peers.name, name.value);
    let Some(id) = context.names.table(&full_name) else {
        return fail(name.span, "this table has no name");
    };
    if context.tables.iter().any(|(known, _)| *known == id) {
        return fail(name.span, format!("table `{full_name}` is there already"));
    }
    let mut config = crate::proxy::parse_table(arguments, context)?;
    config.peers = Some(draft.peers.name.clone());
    context.tables.push((id, Table { name: full_name, proxy: None, config, span: arguments.span() }));
    Ok(())
}
