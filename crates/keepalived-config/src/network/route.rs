//! `[to] PREFIX via … dev … table …`: one route.

use super::{Entry, LineOption, Place, address::missing_interface, numbers, option};
use crate::arguments::{Arguments, address, any_base, integer, prefix};
use crate::context::{Context, Outcome, fail};
use crate::host::NumberNames;
use crate::keywords::{advise_unfinished, unknown};
use crate::language::Word;
use crate::model::{Destination, Family, Metric, NextHop, Prefix, Route, RouteKind, RouteMetrics, RouteMode};
use diag::{Diagnostic, Span};

type Args<'a, 'n> = &'a mut Arguments<'n>;

/// RTPROT_KEEPALIVED
pub(crate) const PROTOCOL_KEEPALIVED: u8 = 18;
/// RT_TABLE_MAIN
pub(crate) const TABLE_MAIN: u32 = 254;

struct Draft {
    route: Route,
    family: Option<(Family, Span)>,
    destination: Option<Word>,
    from: Option<Word>,
    track_group: Option<Word>,
    place: Place,
    interfaces: Vec<(String, Span)>,
    mode: Option<RouteMode>,
}

static OPTIONS: &[LineOption<Draft>] = &[
    option("to", destination),
    option("inet", |draft, arguments, _| set_family(draft, Family::Ipv4, arguments.end())),
    option("inet6", |draft, arguments, _| set_family(draft, Family::Ipv6, arguments.end())),
    option("via", via),
    option("gw", via),
    option("or", second_hop),
    option("src", source),
    option("dev", device),
    option("oif", device),
    option("table", table),
    option("metric", metric),
    option("priority", metric),
    option("preference", metric),
    option("scope", scope),
    option("protocol", protocol),
    option("proto", protocol),
    option("tos", tos),
    option("dsfield", tos),
    option("from", from),
    option("as", translated),
    option("onlink", |draft, _, _| {
        draft.route.onlink = true;
        Ok(())
    }),
    option("nexthop", next_hops),
    option("encap", encapsulation),
    option("expires", |draft, arguments, _| {
        draft.route.expires = Some(arguments.integer(0..=0x7fff_ffff)? as u32);
        Ok(())
    }),
    option("mtu", |draft, arguments, _| locked(&mut draft.route.metrics.mtu, arguments)),
    option("hoplimit", |draft, arguments, _| plain(&mut draft.route.metrics.hop_limit, arguments, 255)),
    option("advmss", |draft, arguments, _| locked(&mut draft.route.metrics.advertised_mss, arguments)),
    option("rtt", |draft, arguments, _| time(&mut draft.route.metrics.rtt, arguments, 8)),
    option("rttvar", |draft, arguments, _| time(&mut draft.route.metrics.rtt_variance, arguments, 4)),
    option("reordering", |draft, arguments, _| locked(&mut draft.route.metrics.reordering, arguments)),
    option("window", |draft, arguments, _| plain(&mut draft.route.metrics.window, arguments, u32::MAX)),
    option("cwnd", |draft, arguments, _| locked(&mut draft.route.metrics.congestion_window, arguments)),
    option("ssthresh", |draft, arguments, _| {
        locked(&mut draft.route.metrics.slow_start_threshold, arguments)
    }),
    option("realms", |draft, arguments, context| {
        draft.route.realms = Some(numbers::realms(&arguments.word("realms")?, context)?);
        Ok(())
    }),
    option("rto_min", |draft, arguments, _| time(&mut draft.route.metrics.rto_min, arguments, 1)),
    option("initcwnd", |draft, arguments, _| {
        plain(&mut draft.route.metrics.initial_congestion_window, arguments, u32::MAX)
    }),
    option("initrwnd", |draft, arguments, _| {
        plain(&mut draft.route.metrics.initial_receive_window, arguments, u32::MAX)
    }),
    option("features", features),
    option("quickack", |draft, arguments, _| {
        draft.route.metrics.quick_ack = Some(arguments.integer(0..=1)? == 1);
        Ok(())
    }),
    option("congctl", congestion_control),
    option("pref", preference),
    option("ttl-propagate", |draft, arguments, _| {
        draft.route.ttl_propagate = Some(switch(arguments, "enabled", "disabled")?);
        Ok(())
    }),
    option("fastopen_no_cookie", |draft, arguments, _| {
        draft.route.metrics.fastopen_no_cookie = Some(arguments.integer(0..=1)? == 1);
        Ok(())
    }),
    option("vrf", vrf),
    option("add", |draft, _, _| mode(draft, RouteMode::Add)),
    option("prepend", |draft, _, _| mode(draft, RouteMode::Prepend)),
    option("append", |draft, _, _| mode(draft, RouteMode::Append)),
    option("no_track", |draft, _, _| {
        draft.route.track = false;
        Ok(())
    }),
    option("track_group", track_group),
];

static KINDS: &[(&str, RouteKind)] = &[
    ("unicast", RouteKind::Unicast),
    ("local", RouteKind::Local),
    ("broadcast", RouteKind::Broadcast),
    ("anycast", RouteKind::Anycast),
    ("multicast", RouteKind::Multicast),
    ("blackhole", RouteKind::Blackhole),
    ("unreachable", RouteKind::Unreachable),
    ("prohibit", RouteKind::Prohibit),
    ("throw", RouteKind::Throw),
    ("nat", RouteKind::Nat),
];

/// The words a line may have, for the docs.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    // `weight` stands in `nexthop` only, which reads it itself.
    OPTIONS.iter().map(|row| row.name).chain(KINDS.iter().map(|row| row.0)).chain(["weight"])
}

pub(crate) fn read(
    arguments: Args<'_, '_>,
    place: Place,
    context: &mut Context<'_>,
) -> Outcome<Entry<Route>> {
    let span = arguments.node.span();
    let mut draft = Draft {
        route: Route {
            family: Family::Ipv4,
            destination: Destination::Default,
            kind: RouteKind::Unicast,
            mode: RouteMode::Prepend,
            table: TABLE_MAIN,
            protocol: PROTOCOL_KEEPALIVED,
            scope: None,
            tos: 0,
            metric: None,
            from: None,
            preferred_source: None,
            via: None,
            interface: None,
            onlink: false,
            next_hops: Vec::new(),
            realms: None,
            metrics: RouteMetrics::default(),
            expires: None,
            preference: None,
            ttl_propagate: None,
            track: true,
            track_group: None,
        },
        family: None,
        destination: None,
        from: None,
        track_group: None,
        place,
        interfaces: Vec::new(),
        mode: None,
    };
    while let Some(word) = arguments.next() {
        if let Some(row) = OPTIONS.iter().find(|row| row.name == word.value) {
            advise_unfinished("route line", &word, context);
            (row.read)(&mut draft, arguments, context)?;
        } else if let Some((_, kind)) = KINDS.iter().find(|row| row.0 == word.value) {
            draft.route.kind = *kind;
        } else if draft.destination.is_none() {
            set_destination(&mut draft, word)?;
        } else {
            return Err(unknown("word", &word, "this route", names()));
        }
    }
    finish(&mut draft, span, context)?;
    Ok(Entry { value: draft.route, span, track_group: draft.track_group })
}

fn set_family(draft: &mut Draft, family: Family, span: Span) -> Outcome {
    match draft.family {
        Some((known, _)) if known != family => fail(span, "this route mixes IPv4 and IPv6"),
        Some(_) => Ok(()),
        None => {
            draft.family = Some((family, span));
            Ok(())
        }
    }
}

fn family_of(draft: &mut Draft, prefix: Prefix, span: Span) -> Outcome {
    set_family(draft, Family::of(prefix.address), span)
}

fn destination(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a destination")?;
    set_destination(draft, word)
}

fn set_destination(draft: &mut Draft, word: Word) -> Outcome {
    if !matches!(word.value.as_str(), "default" | "any" | "all") {
        let prefix = prefix(&word, None)?;
        family_of(draft, prefix, word.span)?;
        draft.route.destination =
            if word.value == "default6" { Destination::Default } else { Destination::Prefix(prefix) };
    }
    draft.destination = Some(word);
    Ok(())
}

fn via(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // A next hop may be of the other family if it is told to be.
    let other = arguments.take("inet6") || arguments.take("inet");
    let word = arguments.word("a next hop")?;
    let next_hop = address(&word)?;
    if !other {
        set_family(draft, Family::of(next_hop), word.span)?;
    }
    draft.route.via = Some(next_hop);
    Ok(())
}

/// `or ADDRESS`: the second next hop of very old files, made a multipath route.
fn second_hop(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    context.problem(
        Diagnostic::warning(arguments.end(), "`or` is an old form")
            .with_help("write `nexthop via … nexthop via …`"),
    );
    let word = arguments.word("a second next hop")?;
    let second = address(&word)?;
    let Some(first) = draft.route.via.take() else {
        return fail(word.span, "`or` needs a `via` before it");
    };
    for via in [first, second] {
        draft.route.next_hops.push(NextHop {
            via: Some(via),
            interface: None,
            weight: 1,
            onlink: false,
            realms: None,
        });
    }
    Ok(())
}

fn source(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a source address")?;
    let source = address(&word)?;
    set_family(draft, Family::of(source), word.span)?;
    draft.route.preferred_source = Some(source);
    Ok(())
}

fn device(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let span = arguments.peek().map_or(arguments.end(), |word| word.span);
    let name = arguments.interface()?;
    draft.interfaces.push((name.clone(), span));
    draft.route.interface = Some(name);
    Ok(())
}

fn table(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.route.table = numbers::number(&arguments.word("a table")?, NumberNames::Tables, u32::MAX, context)?;
    Ok(())
}

fn metric(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.route.metric = Some(any_base(&arguments.word("a metric")?, 0..=i64::from(u32::MAX))? as u32);
    Ok(())
}

fn scope(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.route.scope =
        Some(numbers::number(&arguments.word("a scope")?, NumberNames::Scopes, 255, context)? as u8);
    Ok(())
}

fn protocol(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.route.protocol =
        numbers::number(&arguments.word("a protocol")?, NumberNames::Protocols, 255, context)? as u8;
    Ok(())
}

fn tos(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.route.tos = numbers::tos(&arguments.word("a TOS")?, context)?;
    Ok(())
}

fn from(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a source prefix")?;
    let source = prefix(&word, Some(Family::Ipv6))?;
    set_family(draft, Family::Ipv6, word.span)?;
    draft.route.from = Some(source);
    draft.from = Some(word);
    Ok(())
}

fn translated(_: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    fail(arguments.end(), "`as` is not supported: labels of MPLS are not translated")
}

fn encapsulation(_: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    fail(arguments.end(), "`encap` is not supported: routes into lightweight tunnels are set by `ip route`")
}

fn mode(draft: &mut Draft, mode: RouteMode) -> Outcome {
    draft.mode = Some(mode);
    Ok(())
}

fn locked(target: &mut Option<Metric>, arguments: Args<'_, '_>) -> Outcome {
    let lock = arguments.take("lock");
    let value = any_base(&arguments.word("a number")?, 0..=i64::from(u32::MAX))? as u32;
    *target = Some(Metric { value, lock });
    Ok(())
}

fn plain(target: &mut Option<u32>, arguments: Args<'_, '_>, most: u32) -> Outcome {
    *target = Some(any_base(&arguments.word("a number")?, 0..=i64::from(most))? as u32);
    Ok(())
}

/// Milliseconds, `s` for seconds; kept in the kernel's fractions of a millisecond.
fn time(target: &mut Option<Metric>, arguments: Args<'_, '_>, per_millisecond: u32) -> Outcome {
    let lock = arguments.take("lock");
    let word = arguments.word("a time")?;
    let (digits, unit) = if let Some(digits) = word.value.strip_suffix("ms") {
        (digits, per_millisecond)
    } else if let Some(digits) = word.value.strip_suffix('s') {
        (digits, 1000 * per_millisecond)
    } else {
        // A bare number is in the kernel's units already.
        (word.value.as_str(), 1)
    };
    let number = Word { value: digits.to_owned(), ..word.clone() };
    let value = integer(&number, 0..=i64::from(u32::MAX) / i64::from(unit))? as u32 * unit;
    *target = Some(Metric { value, lock });
    Ok(())
}

fn features(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a feature")?;
    if word.value != "ecn" {
        return fail(word.span, format!("`{}` is not `ecn`, the only feature there is", word.value));
    }
    draft.route.metrics.ecn = true;
    Ok(())
}

fn congestion_control(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let lock = arguments.take("lock");
    draft.route.metrics.congestion_control = Some((arguments.string("the name of an algorithm")?, lock));
    Ok(())
}

fn preference(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("low, medium or high")?;
    draft.route.preference = Some(match word.value.as_str() {
        "medium" => 0,
        "high" => 1,
        "low" => 3,
        other => return fail(word.span, format!("`{other}` is none of low, medium and high")),
    });
    set_family(draft, Family::Ipv6, word.span)
}

fn switch(arguments: Args<'_, '_>, on: &str, off: &str) -> Outcome<bool> {
    let word = arguments.word(&format!("{on} or {off}"))?;
    match word.value.as_str() {
        value if value == on => Ok(true),
        value if value == off => Ok(false),
        other => fail(word.span, format!("`{other}` is neither {on} nor {off}")),
    }
}

fn vrf(_: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    fail(arguments.end(), "`vrf` is not supported in routes: name the VRF's table by `table`")
}

fn track_group(draft: &mut Draft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("the name of a track group")?;
    if draft.place == Place::Virtual {
        return fail(word.span, "only static routes have a track group");
    }
    draft.track_group = Some(word);
    Ok(())
}

/// Legs of one route.
const NEXT_HOPS_MAX: usize = 256;

fn next_hops(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let mut hop = NextHop { via: None, interface: None, weight: 1, onlink: false, realms: None };
    while let Some(word) = arguments.peek() {
        match word.value.as_str() {
            "via" => {
                arguments.next();
                let _other_family = arguments.take("inet6") || arguments.take("inet");
                hop.via = Some(arguments.address()?);
            }
            "dev" | "oif" => {
                arguments.next();
                let span = arguments.peek().map_or(arguments.end(), |word| word.span);
                let name = arguments.interface()?;
                draft.interfaces.push((name.clone(), span));
                hop.interface = Some(name);
            }
            "weight" => {
                arguments.next();
                hop.weight = arguments.integer(1..=256)? as u16;
            }
            "onlink" => {
                arguments.next();
                hop.onlink = true;
            }
            "realms" => {
                arguments.next();
                hop.realms = Some(numbers::realms(&arguments.word("realms")?, context)?);
            }
            "encap" => return encapsulation(draft, arguments, context),
            _ => break,
        }
    }
    if hop.via.is_none() && hop.interface.is_none() {
        return fail(arguments.end(), "a next hop needs `via` or `dev`");
    }
    if let Some(via) = hop.via {
        set_family(draft, Family::of(via), arguments.end())?;
    }
    if draft.route.next_hops.len() >= NEXT_HOPS_MAX {
        return fail(arguments.end(), format!("more than {NEXT_HOPS_MAX} next hops"));
    }
    draft.route.next_hops.push(hop);
    Ok(())
}

fn finish(draft: &mut Draft, span: Span, context: &mut Context<'_>) -> Outcome {
    if draft.destination.is_none() {
        return fail(span, "this route has no destination");
    }
    draft.route.family = draft.family.map_or(Family::Ipv4, |(family, _)| family);
    if !draft.route.next_hops.is_empty() && draft.route.via.is_some() {
        return fail(span, "a route has either `via` or next hops");
    }
    let multipath = !draft.route.next_hops.is_empty();
    // There is only one way to refuse packets: such routes have no order among each other.
    let refuses = matches!(
        draft.route.kind,
        RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw
    );
    draft.route.mode = draft.mode.unwrap_or(if refuses { RouteMode::Add } else { RouteMode::Prepend });
    for (name, span) in &draft.interfaces {
        if context.host.interface(name).is_none() {
            missing_interface(name, *span, context);
        }
    }
    if draft.route.interface.is_none() && draft.route.track {
        // Its loss cannot be told from that of another route; keepalived gives up tracking here too.
        draft.route.track = false;
        let help =
            if multipath { "add `no_track`" } else { "name its interface by `dev`, or add `no_track`" };
        context.problem(
            Diagnostic::warning(span, "a route without an interface is not watched").with_help(help),
        );
    }
    Ok(())
}
