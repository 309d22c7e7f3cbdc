//! How adverts travel: the readers of own interfaces, sources, peers and what belongs to unicast.

use super::instance::{InstanceDraft, next_span, spanned_address};
use crate::arguments::{Arguments, address};
use crate::context::{Context, Outcome, fail};
use crate::model::{IpvlanMode, OwnInterface, Peer, UnicastChecksum};

type Args<'a, 'n> = &'a mut Arguments<'n>;

fn parse_mac(text: &str) -> Option<Vec<u8>> {
    let parts: Vec<&str> = text.split(':').collect();
    if !(5..=6).contains(&parts.len()) {
        return None;
    }
    parts.iter().map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() <= 2)).collect()
}

pub(super) fn use_vmac(draft: &mut InstanceDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let (mut name, mut mac, mut netlink_notify, mut group) = (None, None, false, None);
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "name" => name = Some(arguments.interface()?),
            "netlink_notify_msg" => netlink_notify = true,
            "group" => group = Some(arguments.integer(0..=i64::from(u32::MAX))? as u32),
            text => match parse_mac(text) {
                Some(bytes) => {
                    draft.short_mac = bytes.len() == 5;
                    let mut full = [0; 6];
                    full[..bytes.len()].copy_from_slice(&bytes);
                    mac = Some(full);
                    if bytes[0] & 1 == 1 {
                        return fail(word.span, "this is a multicast MAC address");
                    }
                }
                None if name.is_none() => {
                    crate::arguments::interface_name(&word)?;
                    name = Some(word.value);
                }
                None => return fail(word.span, format!("`{text}` is not a MAC address")),
            },
        }
    }
    draft.own_interface = OwnInterface::Macvlan { name, mac, netlink_notify, group };
    Ok(())
}

pub(super) fn use_ipvlan(draft: &mut InstanceDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let (mut name, mut source, mut mode, mut group) = (None, None, IpvlanMode::Bridge, None);
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "bridge" => mode = IpvlanMode::Bridge,
            "private" => mode = IpvlanMode::Private,
            "vepa" => mode = IpvlanMode::Vepa,
            "group" => group = Some(arguments.integer(0..=i64::from(u32::MAX))? as u32),
            text => match text.split('/').next().unwrap_or(text).parse() {
                Ok(parsed) => source = Some(parsed),
                Err(_) => {
                    crate::arguments::interface_name(&word)?;
                    name = Some(word.value);
                }
            },
        }
    }
    draft.own_interface = OwnInterface::Ipvlan { name, address: source, mode, group };
    Ok(())
}

pub(super) fn unicast_source(
    draft: &mut InstanceDraft,
    arguments: Args<'_, '_>,
    _: &mut Context<'_>,
) -> Outcome {
    draft.unicast = Some(arguments.node.span());
    spanned_address(&mut draft.unicast_source, arguments)
}

pub(super) fn peers(
    draft: &mut InstanceDraft,
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    draft.unicast = Some(arguments.node.span());
    for node in arguments.block() {
        if let Err(error) = peer_line(draft, &mut Arguments::new(node)) {
            context.push_alert(*error);
        }
    }
    Ok(())
}

/// `ADDRESS [min_ttl N] [max_ttl N] …`; several on a line as keepalived takes them.
fn peer_line(draft: &mut InstanceDraft, arguments: Args<'_, '_>) -> Outcome {
    while let Some(word) = arguments.next() {
        let mut peer = Peer { address: address(&word)?, ttl_min: 0, ttl_max: 255 };
        loop {
            if arguments.take("min_ttl") {
                peer.ttl_min = arguments.integer(0..=255)? as u8;
            } else if arguments.take("max_ttl") {
                peer.ttl_max = arguments.integer(0..=255)? as u8;
            } else {
                break;
            }
            draft.check_unicast_source = Some(true);
        }
        if peer.ttl_min > peer.ttl_max {
            return fail(word.span, format!("min_ttl {} is above max_ttl {}", peer.ttl_min, peer.ttl_max));
        }
        draft.peers.push((peer, word.span));
    }
    Ok(())
}

pub(super) fn unicast_ttl(
    draft: &mut InstanceDraft,
    arguments: Args<'_, '_>,
    _: &mut Context<'_>,
) -> Outcome {
    let span = next_span(arguments);
    draft.unicast_ttl = Some((arguments.integer(0..=255)? as u8, span));
    Ok(())
}

pub(super) fn unicast_checksum(
    draft: &mut InstanceDraft,
    arguments: Args<'_, '_>,
    _: &mut Context<'_>,
) -> Outcome {
    draft.unicast = Some(arguments.node.span());
    draft.unicast_checksum = match arguments.next() {
        None => UnicastChecksum::Old,
        Some(word) if word.value == "never" => UnicastChecksum::Never,
        Some(word) => return fail(word.span, format!("`{}` is not `never`", word.value)),
    };
    Ok(())
}
