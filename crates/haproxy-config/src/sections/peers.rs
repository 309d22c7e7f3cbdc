//! `peers`: instances that share stick tables.

use crate::address::{self, Wanted};
use crate::keywords::Status::{NoEffect, Works};
use crate::keywords::{Keyword, assign, row};
use crate::language::Section;
use crate::model::{Peer, Peers, Table};
use crate::parse::{Arguments, Context, Outcome, fail};

pub(super) static KEYWORDS: &[Keyword<Peers>] = &[
    row("bind", Works, bind, "where the local peer listens"),
    row("default-bind", NoEffect, rest, "settings of the local peer's listener"),
    row("default-server", NoEffect, rest, "settings of connections to peers"),
    row("disabled", Works, assign!(disabled = true), "do not connect to peers"),
    row("enabled", Works, assign!(disabled = false), "undo `disabled`"),
    row("log", NoEffect, rest, "logs about peers"),
    row("peer", Works, peer, "an instance with its address"),
    row("server", Works, peer, "an instance; the local one may go without an address"),
    row("shards", NoEffect, rest, "distribution of tables over peers"),
    row("table", Works, table, "a stick table of this section"),
];

const ADDRESS: Wanted =
    Wanted { port_required: true, port_range: false, port_offset: false, datagram: false, stream: true };

pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Peers {
    let mut peers = Peers { name: super::name(section, context), ..Peers::default() };
    super::read_lines(KEYWORDS, section, &mut peers, context);
    if !peers.peers.is_empty() && !peers.disabled {
        context.warn(
            section.header.span,
            format!("`peers {}` is read but tables are not exchanged with other instances yet", peers.name),
        );
    }
    peers
}

fn rest(_: &mut Peers, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
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
    // Settings of the connection, as on server lines.
    arguments.rest();
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
    let config = crate::proxy::parse_table(arguments, context)?;
    context.tables.push((id, Table { name: full_name, proxy: None, config, span: arguments.span() }));
    Ok(())
}
