//! `resolvers`: name servers and how long answers are kept (configuration manual §5.3.2).

use crate::address::{self, Wanted};
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, assign, read, row};
use crate::language::Section;
use crate::model::{Hold, Nameserver, Resolvers};
use crate::parse::{Arguments, Context, Outcome, fail};
use std::time::Duration;

pub(super) static KEYWORDS: &[Keyword<Resolvers>] = &[
    row("accepted_payload_size", Works, payload, "largest answer over UDP, bytes"),
    row("hold", Works, hold, "how long answers of a kind are kept"),
    row("nameserver", Works, nameserver, "a name server"),
    row("parse-resolv-conf", Works, assign!(system_nameservers = true), "the system's name servers too"),
    row("resolve_retries", Works, read!(resolve_retries = positive), "queries until a name has no answer"),
    row("timeout", Works, timeout, "waits: resolve, retry"),
];

const ADDRESS: Wanted =
    Wanted { port_required: true, port_range: false, port_offset: false, datagram: true, stream: true };

pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Resolvers {
    let mut resolvers = Resolvers {
        name: super::name(section, context),
        nameservers: Vec::new(),
        system_nameservers: false,
        resolve_retries: 3,
        timeout_resolve: Duration::from_secs(1),
        timeout_retry: Duration::from_secs(1),
        accepted_payload_size: 512,
        hold: Hold::default(),
    };
    super::read_lines(KEYWORDS, section, &mut resolvers, context);
    if resolvers.nameservers.is_empty() && !resolvers.system_nameservers {
        let message = format!("resolvers `{}` has no name server: nothing is resolved", resolvers.name);
        context.warn(section.header.span, message);
    }
    resolvers
}

fn payload(draft: &mut Resolvers, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.accepted_payload_size = arguments.integer(12..=65_535)? as u32;
    Ok(())
}

fn hold(draft: &mut Resolvers, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let field: fn(&mut Hold) -> &mut Duration = arguments.choice::<fn(&mut Hold) -> &mut Duration>(&[
        ("valid", |hold| &mut hold.valid),
        ("nx", |hold| &mut hold.nx),
        ("refused", |hold| &mut hold.refused),
        ("timeout", |hold| &mut hold.timeout),
        ("other", |hold| &mut hold.other),
        ("obsolete", |hold| &mut hold.obsolete),
    ])?;
    *field(&mut draft.hold) = arguments.duration()?;
    Ok(())
}

fn nameserver(draft: &mut Resolvers, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let name = arguments.expect("a name")?;
    let word = arguments.expect("an address and port")?;
    if draft.nameservers.iter().any(|known| known.name == name.value) {
        return fail(name.span, format!("name server `{}` is there already", name.value));
    }
    let endpoint = address::endpoint(word, context.environment, ADDRESS)?;
    // What follows are settings of DNS over TCP connections.
    arguments.rest();
    draft.nameservers.push(Nameserver {
        name: name.value.clone(),
        address: endpoint.address,
        over_tcp: endpoint.is_stream,
    });
    Ok(())
}

fn timeout(draft: &mut Resolvers, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let is_resolve = arguments.choice(&[("resolve", true), ("retry", false)])?;
    let time = arguments.duration()?;
    if is_resolve {
        draft.timeout_resolve = time;
    } else {
        draft.timeout_retry = time;
    }
    Ok(())
}
