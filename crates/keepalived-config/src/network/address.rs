//! `ADDRESS[/LENGTH] [dev …] [brd …] …`

use super::{Entry, LineOption, Place, numbers, option};
use crate::arguments::{Arguments, prefix};
use crate::context::{Context, Outcome, fail};
use crate::host::NumberNames;
use crate::keywords::{advise_unfinished, unknown};
use crate::language::Word;
use crate::model::{Address, AddressFlags, Prefix};
use diag::{Diagnostic, Span};
use std::net::{IpAddr, Ipv4Addr};

type Args<'a, 'n> = &'a mut Arguments<'n>;

/// RT_SCOPE_UNIVERSE
const SCOPE_GLOBAL: u8 = 0;

struct Draft {
    address: Address,
    place: Place,
    broadcast: Option<Word>,
    track_group: Option<Word>,
    lifetime_given: bool,
    label: Option<Word>,
    interface_span: Option<Span>,
}

static OPTIONS: &[LineOption<Draft>] = &[
    option("dev", device),
    option("scope", scope),
    option("brd", broadcast),
    option("broadcast", broadcast),
    option("label", label),
    option("peer", peer),
    option("home", |draft, _, _| flag(&mut draft.address.flags.home)),
    option("-nodad", |draft, _, _| flag(&mut draft.address.flags.no_dad)),
    option("mngtmpaddr", |draft, _, _| flag(&mut draft.address.flags.manage_temporary)),
    option("noprefixroute", |draft, _, _| flag(&mut draft.address.flags.no_prefix_route)),
    option("autojoin", |draft, _, _| flag(&mut draft.address.flags.auto_join)),
    option("no_track", |draft, _, _| {
        draft.address.track = false;
        Ok(())
    }),
    option("preferred_lft", lifetime),
    option("track_group", track_group),
    option("use_vmac", use_vmac),
];

/// The words a line may have, for the docs.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|row| row.name)
}

pub(crate) fn read(
    arguments: Args<'_, '_>,
    place: Place,
    context: &mut Context<'_>,
) -> Outcome<Entry<Address>> {
    let span = arguments.node.span();
    let first = arguments.word("an address")?;
    if matches!(first.value.as_str(), "default" | "default6" | "any" | "all") {
        return fail(first.span, format!("`{}` is not an IP address", first.value));
    }
    let written = prefix(&first, None)?;
    let mut draft = Draft {
        address: Address {
            prefix: written,
            interface: None,
            scope: SCOPE_GLOBAL,
            broadcast: None,
            label: None,
            peer: None,
            flags: AddressFlags::default(),
            preferred_lifetime: None,
            track: true,
            track_group: None,
            use_vmac: false,
        },
        place,
        broadcast: None,
        track_group: None,
        lifetime_given: false,
        label: None,
        interface_span: None,
    };
    while let Some(word) = arguments.next() {
        match OPTIONS.iter().find(|row| row.name == word.value) {
            Some(row) => {
                advise_unfinished("address line", &word, context);
                (row.read)(&mut draft, arguments, context)?;
            }
            None => {
                let mut error = unknown("word", &word, "this address line", names());
                if prefix(&word, None).is_ok() {
                    *error = error.with_help("each address needs a line of its own");
                }
                return Err(error);
            }
        }
    }
    finish(&mut draft)?;
    if let Some(name) = &draft.address.interface
        && context.host.interface(name).is_none()
    {
        missing_interface(name, draft.interface_span.unwrap_or(span), context);
    }
    Ok(Entry { value: draft.address, span, track_group: draft.track_group })
}

/// An interface is not there: keepalived warns, and its configuration test fails.
pub(crate) fn missing_interface(name: &str, span: Span, context: &mut Context<'_>) {
    if context.dynamic_interfaces {
        context.advise(Diagnostic::notice(span, format!("interface `{name}` is not there yet")));
    } else {
        context.interface_missing = true;
        context.problem(
            Diagnostic::warning(span, format!("interface `{name}` is not there"))
                .with_help("set `dynamic_interfaces` in global_defs if it comes later"),
        );
    }
}

fn flag(target: &mut bool) -> Outcome {
    *target = true;
    Ok(())
}

fn device(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.interface_span = arguments.peek().map(|word| word.span);
    draft.address.interface = Some(arguments.interface()?);
    Ok(())
}

fn scope(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a scope")?;
    draft.address.scope = numbers::number(&word, NumberNames::Scopes, 255, context)? as u8;
    Ok(())
}

fn broadcast(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.broadcast = Some(arguments.word("a broadcast address, `+` or `-`")?);
    Ok(())
}

/// Longest label: it is a name of an interface to old tools.
const LABEL_MAX: usize = 15;

fn label(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a label")?;
    if word.value.len() > LABEL_MAX {
        return fail(word.span, format!("a label has at most {LABEL_MAX} letters"));
    }
    draft.address.label = Some(word.value.clone());
    draft.label = Some(word);
    Ok(())
}

fn peer(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.word("the peer's address")?;
    let peer = prefix(&word, None)?;
    if peer.address.is_ipv4() != draft.address.prefix.address.is_ipv4() {
        return fail(word.span, "the peer is of the other address family");
    }
    let most = if peer.address.is_ipv4() { 32 } else { 128 };
    if draft.address.prefix.length != most {
        context.adjust(
            word.span,
            "with a peer, the mask belongs to the peer's address: that of the own one is ignored",
        );
        draft.address.prefix.length = most;
    }
    draft.address.peer = Some(peer);
    Ok(())
}

fn lifetime(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.lifetime_given = true;
    draft.address.preferred_lifetime = if arguments.take("forever") {
        None
    } else {
        Some(arguments.integer(0..=i64::from(u32::MAX) - 1)? as u32)
    };
    Ok(())
}

fn track_group(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("the name of a track group")?;
    if draft.place == Place::Virtual {
        return fail(word.span, "only static addresses have a track group");
    }
    draft.track_group = Some(word);
    Ok(())
}

fn use_vmac(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    if draft.place == Place::Static {
        return fail(arguments.node.span(), "only virtual addresses have a macvlan");
    }
    draft.address.use_vmac = true;
    Ok(())
}

fn finish(draft: &mut Draft) -> Outcome {
    let Prefix { address, length } = draft.address.prefix;
    if let Some(word) = &draft.broadcast {
        let IpAddr::V4(address) = address else {
            return fail(word.span, "IPv6 knows no broadcast address");
        };
        let host_bits = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        draft.address.broadcast = Some(match word.value.as_str() {
            "+" => Ipv4Addr::from(u32::from(address) | host_bits),
            "-" => Ipv4Addr::from(u32::from(address) & !host_bits),
            text => match text.parse() {
                Ok(broadcast) => broadcast,
                Err(_) => return fail(word.span, format!("`{text}` is not an IPv4 address, `+` or `-`")),
            },
        });
    }
    if address.is_ipv6() {
        if let Some(label) = &draft.label {
            return fail(label.span, "IPv6 addresses have no label");
        }
        if length == 128 && !draft.lifetime_given && draft.place == Place::Virtual {
            // RFC 6724: a deprecated address is no source of new connections.
            draft.address.preferred_lifetime = Some(0);
        }
    }
    Ok(())
}
