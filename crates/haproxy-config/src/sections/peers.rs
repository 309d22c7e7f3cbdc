//! `peers`: instances that share stick tables.

use crate::address::{self, Wanted};
use crate::keywords::Status::{ParsedOnly, Works};
use crate::keywords::{Keyword, assign, row};
use crate::language::Section;
use crate::model::{Peer, Peers, Table};
use crate::parse::{Arguments, Context, Outcome, fail};

pub(super) static KEYWORDS: &[Keyword<Peers>] = &[
    row("bind", Works, bind, "where the local peer listens"),
    row(
        "default-bind",
        ParsedOnly("the listener is plain TCP"),
        rest,
        "settings of the local peer's listener",
    ),
    row(
        "default-server",
        ParsedOnly("connections to peers are plain TCP"),
        rest,
        "settings of connections to peers",
    ),
    row("disabled", Works, assign!(disabled = true), "do not connect to peers"),
    row("enabled", Works, assign!(disabled = false), "undo `disabled`"),
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
    let mut peers =
        Peers { name, span: section.header.span, disabled: false, peers: Vec::new(), binds: Vec::new() };
    super::read_lines(KEYWORDS, section, &mut peers, context);
    let local = context.environment.get("HAPROXY_LOCALPEER").unwrap_or_default().to_owned();
    if !peers.disabled && !peers.peers.iter().any(|peer| peer.name == local) {
        let message =
            format!("Removing incomplete section 'peers {}' (no peer named '{local}').", peers.name);
        context.warn(section.header.span, message);
    }
    peers
}

fn rest(_: &mut Peers, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

/// Settings of the connection, as on server lines: what would change its bytes is refused, the rest has no effect.
fn connection_settings(arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    while let Some(word) = arguments.peek() {
        let (value, span) = (word.value.clone(), word.span);
        arguments.expect("a setting")?;
        match value.as_str() {
            "ssl" | "send-proxy" | "send-proxy-v2" | "socks4" | "proto" => {
                return fail(span, format!("`{value}` is not implemented for peers"));
            }
            "id" => drop(arguments.expect("a number")?),
            _ => context.warn(span, format!("`{value}` has no effect on a peer")),
        }
    }
    Ok(())
}

fn bind(draft: &mut Peers, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    draft.binds.extend(crate::bind::parse(arguments, context)?);
    Ok(())
}

fn peer(draft: &mut Peers, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let name = arguments.expect("a name")?;
    if draft.peers.iter().any(|peer| peer.name == name.value) {
        context.warn(name.span, format!("peer `{}` is there already", name.value));
    }
    let address = match arguments.peek() {
        None => None,
        _ => Some(
            address::endpoint(arguments.expect("an address and port")?, context.environment, ADDRESS)?
                .address,
        ),
    };
    connection_settings(arguments, context)?;
    draft.peers.push(Peer { name: name.value.clone(), address });
    Ok(())
}

fn table(draft: &mut Peers, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let name = arguments.expect("a name")?;
    let full_name = format!("{}/{}", draft.name, name.value);
    let Some(id) = context.names.table(&full_name) else {
        return fail(name.span, "this table has no name");
    };
    if context.tables.iter().any(|(known, _)| *known == id) {
        return fail(name.span, format!("table `{full_name}` is there already"));
    }
    let mut config = crate::proxy::parse_table(arguments, context)?;
    config.peers = Some(draft.name.clone());
    context.tables.push((id, Table { name: full_name, proxy: None, config, span: arguments.span() }));
    Ok(())
}
