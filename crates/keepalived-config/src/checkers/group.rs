//! `virtual_server_group`: addresses, ranges and marks that share real servers.

use super::{CheckersDraft, GroupDraft};
use crate::arguments::{Arguments, prefix};
use crate::context::{Context, Outcome, fail};
use crate::language::Word;
use crate::model::{Family, PortRange};
use diag::Diagnostic;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of one range: each becomes a service.
const RANGE_MAX: u128 = 65_536;

pub(crate) fn read_server_group(
    draft: &mut CheckersDraft,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome {
    let name = arguments.block_name("virtual_server_group")?;
    if let Some(first) = draft.groups.iter().find(|group| group.name.value == name.value) {
        context.advise(
            Diagnostic::warning(
                name.span,
                format!("virtual_server_group `{}` is defined twice: the first one counts", name.value),
            )
            .with_note(first.name.span, "first here"),
        );
        return Ok(());
    }
    let mut group = GroupDraft { name, addresses: Vec::new(), marks: Vec::new() };
    for node in arguments.block() {
        if let Err(error) = entry(&mut group, &mut Arguments::new(node)) {
            context.push_alert(*error);
        }
    }
    if group.addresses.is_empty() && group.marks.is_empty() {
        context.adjust(group.name.span, format!("virtual_server_group `{}` is empty", group.name.value));
    }
    draft.groups.push(group);
    Ok(())
}

fn entry(group: &mut GroupDraft, arguments: &mut Arguments<'_>) -> Outcome {
    let word = arguments.word("an address")?;
    if word.value == "fwmark" {
        let mark = arguments.integer(1..=i64::from(u32::MAX))? as u32;
        let family = match arguments.next() {
            None => None,
            Some(word) if word.value == "inet" => Some(Family::Ipv4),
            Some(word) if word.value == "inet6" => Some(Family::Ipv6),
            Some(word) => return fail(word.span, format!("`{}` is neither inet nor inet6", word.value)),
        };
        group.marks.push((mark, family));
        return Ok(());
    }
    let (first, last) = range(&word)?;
    let port = if arguments.peek().is_some() { arguments.port()? } else { 0 };
    group.addresses.push(PortRange { first, last, port });
    Ok(())
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn of_number(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(number as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

/// `A`, `A/LENGTH`, `A-LAST` where LAST is an address or replaces the end of A.
fn range(word: &Word) -> Outcome<(IpAddr, IpAddr)> {
    let (first, last) = if let Some((first, last)) = word.value.split_once('-') {
        let Ok(first) = first.parse::<IpAddr>() else {
            return fail(word.span, format!("`{first}` is not an IP address"));
        };
        let last_address = match (last.parse::<IpAddr>(), first) {
            (Ok(address), _) => Some(address),
            (Err(_), IpAddr::V4(first)) => last
                .parse::<u8>()
                .ok()
                .map(|byte| IpAddr::V4(Ipv4Addr::from(u32::from(first) & !0xff | u32::from(byte)))),
            (Err(_), IpAddr::V6(first)) => u16::from_str_radix(last, 16)
                .ok()
                .map(|part| IpAddr::V6(Ipv6Addr::from(u128::from(first) & !0xffff | u128::from(part)))),
        };
        match last_address {
            Some(last) if last.is_ipv4() == first.is_ipv4() => (first, last),
            Some(_) | None => return fail(word.span, format!("`{last}` does not end a range from {first}")),
        }
    } else {
        let prefix = prefix(word, None)?;
        let bits: u32 = if prefix.address.is_ipv4() { 32 } else { 128 };
        let host_bits = bits - u32::from(prefix.length);
        let host = 1u128.checked_shl(host_bits).map_or(u128::MAX, |size| size - 1);
        let first = number(prefix.address) & !host;
        (of_number(first, prefix.address), of_number(first | host, prefix.address))
    };
    if number(last) < number(first) {
        return fail(word.span, format!("this range ends ({last}) before it starts ({first})"));
    }
    if number(last) - number(first) >= RANGE_MAX {
        return fail(word.span, format!("this range has more than {RANGE_MAX} addresses"));
    }
    Ok((first, last))
}
