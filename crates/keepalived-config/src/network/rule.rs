//! `from … to … table … preference …`: one policy rule.

use super::{
    Entry, LineOption, Place, address::missing_interface, numbers, option, route::PROTOCOL_KEEPALIVED,
};
use crate::arguments::{Arguments, any_base, prefix};
use crate::context::{Context, Outcome, fail};
use crate::host::NumberNames;
use crate::keywords::{advise_unfinished, unknown};
use crate::language::Word;
use crate::model::{Family, Prefix, Rule, RuleAction};
use diag::Span;

type Args<'a, 'n> = &'a mut Arguments<'n>;

struct Draft {
    rule: Rule,
    family: Option<Family>,
    action: Option<RuleAction>,
    track_group: Option<Word>,
    place: Place,
    interfaces: Vec<(String, Span)>,
}

static OPTIONS: &[LineOption<Draft>] = &[
    option("from", |draft, arguments, _| {
        draft.rule.from = selector(draft, arguments)?;
        Ok(())
    }),
    option("to", |draft, arguments, _| {
        draft.rule.to = selector(draft, arguments)?;
        Ok(())
    }),
    option("not", |draft, _, _| {
        draft.rule.not = true;
        Ok(())
    }),
    option("inet", |draft, arguments, _| set_family(draft, Family::Ipv4, arguments.end())),
    option("inet6", |draft, arguments, _| set_family(draft, Family::Ipv6, arguments.end())),
    option("table", table),
    option("lookup", table),
    option("preference", priority),
    option("order", priority),
    option("priority", priority),
    option("tos", |draft, arguments, context| {
        draft.rule.tos = numbers::tos(&arguments.word("a TOS")?, context)?;
        Ok(())
    }),
    option("dsfield", |draft, arguments, context| {
        draft.rule.tos = numbers::tos(&arguments.word("a TOS")?, context)?;
        Ok(())
    }),
    option("fwmark", mark),
    option("realms", |draft, arguments, context| {
        draft.rule.realms = Some(numbers::realms(&arguments.word("realms")?, context)?);
        Ok(())
    }),
    option("suppress_prefixlength", suppress_length),
    option("sup_pl", suppress_length),
    option("suppress_ifgroup", suppress_group),
    option("sup_group", suppress_group),
    option("iif", |draft, arguments, _| {
        draft.rule.input_interface = Some(interface(draft, arguments)?);
        Ok(())
    }),
    option("dev", |draft, arguments, _| {
        draft.rule.input_interface = Some(interface(draft, arguments)?);
        Ok(())
    }),
    option("oif", |draft, arguments, _| {
        draft.rule.output_interface = Some(interface(draft, arguments)?);
        Ok(())
    }),
    option("tunnel-id", |draft, arguments, _| {
        draft.rule.tunnel_id = Some(any_base(&arguments.word("an id")?, 0..=i64::MAX)? as u64);
        Ok(())
    }),
    option("uidrange", users),
    option("l3mdev", |draft, arguments, _| act(draft, RuleAction::L3mdev, arguments.end())),
    option("protocol", |draft, arguments, context| {
        draft.rule.protocol =
            numbers::number(&arguments.word("a protocol")?, NumberNames::Protocols, 255, context)? as u8;
        Ok(())
    }),
    option("ipproto", ip_protocol),
    option("ip_proto", ip_protocol),
    option("sport", |draft, arguments, _| {
        draft.rule.source_ports = Some(ports(arguments)?);
        Ok(())
    }),
    option("dport", |draft, arguments, _| {
        draft.rule.destination_ports = Some(ports(arguments)?);
        Ok(())
    }),
    option("goto", |draft, arguments, _| {
        let target = any_base(&arguments.word("a preference")?, 0..=i64::from(u32::MAX))? as u32;
        act(draft, RuleAction::Goto(target), arguments.end())
    }),
    option("nop", |draft, arguments, _| act(draft, RuleAction::Nop, arguments.end())),
    option("type", |draft, arguments, _| {
        let word = arguments.word("an action")?;
        action(draft, &word)
    }),
    option("no_track", |draft, _, _| {
        draft.rule.track = false;
        Ok(())
    }),
    option("track_group", track_group),
];

static ACTIONS: &[(&str, RuleAction)] = &[
    ("blackhole", RuleAction::Blackhole),
    ("unreachable", RuleAction::Unreachable),
    ("prohibit", RuleAction::Prohibit),
];

/// The words a line may have, for the docs.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|row| row.name).chain(ACTIONS.iter().map(|row| row.0))
}

pub(crate) fn read(arguments: Args<'_, '_>, place: Place, context: &mut Context<'_>) -> Outcome<Entry<Rule>> {
    let span = arguments.node.span();
    let mut draft = Draft {
        rule: Rule {
            family: Family::Ipv4,
            not: false,
            from: None,
            to: None,
            priority: None,
            action: RuleAction::Nop,
            tos: 0,
            mark: None,
            realms: None,
            suppress_prefix_length: None,
            suppress_interface_group: None,
            input_interface: None,
            output_interface: None,
            tunnel_id: None,
            user_range: None,
            protocol: PROTOCOL_KEEPALIVED,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            track: true,
            track_group: None,
        },
        family: None,
        action: None,
        track_group: None,
        place,
        interfaces: Vec::new(),
    };
    while let Some(word) = arguments.next() {
        match OPTIONS.iter().find(|row| row.name == word.value) {
            Some(row) => {
                advise_unfinished("rule line", &word, context);
                (row.read)(&mut draft, arguments, context)?;
            }
            None => action(&mut draft, &word)?,
        }
    }
    let Some(action) = draft.action else {
        return fail(span, "this rule does nothing: it needs `table`, `goto` or an action");
    };
    draft.rule.action = action;
    draft.rule.family = draft.family.unwrap_or(Family::Ipv4);
    for (name, span) in &draft.interfaces {
        if context.host.interface(name).is_none() {
            missing_interface(name, *span, context);
        }
    }
    Ok(Entry { value: draft.rule, span, track_group: draft.track_group })
}

fn set_family(draft: &mut Draft, family: Family, span: Span) -> Outcome {
    match draft.family {
        Some(known) if known != family => fail(span, "this rule mixes IPv4 and IPv6"),
        Some(_) | None => {
            draft.family = Some(family);
            Ok(())
        }
    }
}

fn act(draft: &mut Draft, action: RuleAction, span: Span) -> Outcome {
    match draft.action {
        Some(known) if known != action => fail(span, "this rule has two actions"),
        Some(_) | None => {
            draft.action = Some(action);
            Ok(())
        }
    }
}

fn action(draft: &mut Draft, word: &Word) -> Outcome {
    match ACTIONS.iter().find(|row| row.0 == word.value) {
        Some((_, action)) => act(draft, *action, word.span),
        None => Err(unknown("word", word, "this rule", names())),
    }
}

/// `None`: everything.
fn selector(draft: &mut Draft, arguments: Args<'_, '_>) -> Outcome<Option<Prefix>> {
    let word = arguments.word("a prefix")?;
    if matches!(word.value.as_str(), "all" | "any" | "default") {
        return Ok(None);
    }
    let selected = prefix(&word, draft.family)?;
    set_family(draft, Family::of(selected.address), word.span)?;
    Ok(Some(selected))
}

fn table(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a table")?;
    let table = numbers::number(&word, NumberNames::Tables, u32::MAX, context)?;
    if table == 0 {
        return fail(word.span, "table 0 is none");
    }
    act(draft, RuleAction::Lookup(table), word.span)
}

fn priority(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a preference")?;
    draft.rule.priority = Some(any_base(&word, 0..=i64::from(u32::MAX))? as u32);
    Ok(())
}

fn mark(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a mark")?;
    let (mark, mask) = word.value.split_once('/').unwrap_or((&word.value, "0xffffffff"));
    let number = |text: &str| {
        any_base(&Word { value: text.to_owned(), ..word.clone() }, 0..=i64::from(u32::MAX)).map(|n| n as u32)
    };
    draft.rule.mark = Some((number(mark)?, number(mask)?));
    Ok(())
}

fn suppress_length(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.rule.suppress_prefix_length = Some(arguments.integer(-1..=128)? as i32);
    Ok(())
}

fn suppress_group(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.word("an interface group")?;
    draft.rule.suppress_interface_group =
        Some(numbers::number(&word, NumberNames::Groups, u32::MAX, context)?);
    Ok(())
}

fn interface(draft: &mut Draft, arguments: Args<'_, '_>) -> Outcome<String> {
    let span = arguments.peek().map_or(arguments.end(), |word| word.span);
    let name = arguments.interface()?;
    draft.interfaces.push((name.clone(), span));
    Ok(name)
}

fn range(arguments: Args<'_, '_>, what: &str, most: u32) -> Outcome<(u32, u32)> {
    let word = arguments.word(what)?;
    let (first, last) = word.value.split_once('-').unwrap_or((&word.value, &word.value));
    let number = |text: &str| {
        any_base(&Word { value: text.to_owned(), ..word.clone() }, 0..=i64::from(most)).map(|n| n as u32)
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return fail(word.span, format!("this range ends ({last}) before it starts ({first})"));
    }
    Ok((first, last))
}

fn users(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.rule.user_range = Some(range(arguments, "a range of user ids", u32::MAX)?);
    Ok(())
}

fn ports(arguments: Args<'_, '_>) -> Outcome<(u16, u16)> {
    let (first, last) = range(arguments, "a port or a range of ports", 65_535)?;
    Ok((first as u16, last as u16))
}

fn ip_protocol(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a protocol")?;
    draft.rule.ip_protocol = Some(match word.value.to_ascii_lowercase().as_str() {
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "ipv6-icmp" | "icmpv6" => 58,
        "vrrp" => 112,
        "sctp" => 132,
        _ => any_base(&word, 0..=255)? as u8,
    });
    Ok(())
}

fn track_group(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("the name of a track group")?;
    if draft.place == Place::Virtual {
        return fail(word.span, "only static rules have a track group");
    }
    draft.track_group = Some(word);
    Ok(())
}
