//! The outermost level: which blocks there are, in which order they are read, and what becomes of them.

use crate::arguments::{Arguments, TIMER_MAX, interface_name};
use crate::checkers::{self, CheckersDraft};
use crate::context::{Context, Outcome, fail};
use crate::global::{self, GlobalDraft};
use crate::keywords::Status::{ParsedOnly, Works};
use crate::keywords::{Keyword, Listed, block, line, list, read, read_block};
use crate::language::{Node, Word};
use crate::model::{
    Address, GarpGroup, InterfaceDelay, Model, Route, Rule, SslMaterial, TrackGroup, TrackGroupId,
};
use crate::network::{self, Entry, Place, read_lines};
use crate::track::{self, OLD_TRACK_FILE};
use crate::vrrp::{self, GroupDraft, InstanceDraft, read_group, read_instance};
use diag::{Diagnostic, Span};
use std::collections::HashSet;
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

/// Everything of the file before names are known.
#[derive(Default)]
pub(crate) struct Draft {
    pub model: Model,
    pub instances: Vec<InstanceDraft>,
    pub groups: Vec<GroupDraft>,
    pub static_addresses: Vec<Entry<Address>>,
    pub static_routes: Vec<Entry<Route>>,
    pub static_rules: Vec<Entry<Rule>>,
    pub track_groups: Vec<(Word, Vec<Word>)>,
    pub checkers: CheckersDraft,
}

/// Blocks read before all others: they hold defaults.
static FIRST: &[Keyword<GlobalDraft>] = &[
    block(
        "global_defs",
        Works,
        |draft, arguments, context| {
            global::read(arguments.block(), draft, context);
            Ok(())
        },
        "daemon-wide settings",
    ),
    line(
        "net_namespace",
        Works,
        read!(global.net_namespace = Some(string("a name"))),
        "network namespace to run in",
    ),
    line(
        "net_namespace_ipvs",
        Works,
        |draft, arguments, _| {
            draft.global.net_namespace_ipvs = arguments.next().map(|word| word.value);
            Ok(())
        },
        "network namespace of IPVS",
    ),
    line("namespace_with_ipsets", Works, |_, _, _| Ok(()), "sets in namespaces of old kernels"),
    line(
        "instance",
        Works,
        read!(global.instance = Some(string("a name"))),
        "name of this daemon among several",
    ),
    line(
        "use_pid_dir",
        Works,
        |draft, _, _| {
            draft.global.use_pid_directory = true;
            Ok(())
        },
        "pid files in their own directory",
    ),
    line(
        "linkbeat_use_polling",
        ParsedOnly("links are watched by netlink events"),
        |draft, _, _| {
            draft.global.poll_links = true;
            Ok(())
        },
        "poll links",
    ),
    line(
        "child_wait_time",
        Works,
        |draft, arguments, _| {
            draft.global.child_wait_time =
                Duration::from_secs(arguments.integer(0..=i64::from(i32::MAX))? as u64);
            Ok(())
        },
        "longest wait for the end of all parts",
    ),
];

static REST: &[Keyword<Draft>] = &[
    block(
        "linkbeat_interfaces",
        ParsedOnly("links are watched by netlink events"),
        linkbeat,
        "interfaces to poll",
    ),
    block("track_group", Works, track_group, "instances that depend on a static address, route or rule"),
    block(
        "static_ipaddress",
        Works,
        |draft, arguments, context| {
            draft.static_addresses.extend(read_lines(
                arguments,
                Place::Static,
                context,
                network::address::read,
            ));
            Ok(())
        },
        "addresses set at start",
    ),
    block(
        "static_routes",
        Works,
        |draft, arguments, context| {
            draft.static_routes.extend(read_lines(arguments, Place::Static, context, network::route::read));
            Ok(())
        },
        "routes set at start",
    ),
    block(
        "static_rules",
        Works,
        |draft, arguments, context| {
            draft.static_rules.extend(read_lines(arguments, Place::Static, context, network::rule::read));
            Ok(())
        },
        "policy rules set at start",
    ),
    block("track_file", Works, track_file, "file with a number to watch"),
    block("vrrp_track_file", OLD_TRACK_FILE, track_file, "older `track_file`"),
    block(
        "vrrp_track_process",
        Works,
        |draft, arguments, context| {
            if let Some(process) = track::read_process(arguments, context)? {
                if let Some(first) =
                    draft.model.track_processes.iter().find(|known| known.name == process.name)
                {
                    return twice("vrrp_track_process", &process.name, process.span, first.span);
                }
                draft.model.track_processes.push(process);
            }
            Ok(())
        },
        "process to watch",
    ),
    block(
        "bfd_instance",
        Works,
        |draft, arguments, context| {
            if let Some(session) = track::read_bfd(arguments, context)? {
                if let Some(first) = draft.model.bfd_sessions.iter().find(|known| known.name == session.name)
                {
                    return twice("bfd_instance", &session.name, session.span, first.span);
                }
                draft.model.bfd_sessions.push(session);
            }
            Ok(())
        },
        "BFD session",
    ),
    block("vrrp_script", Works, script, "script run periodically"),
    block(
        "vrrp_sync_group",
        Works,
        |draft, arguments, context| {
            draft.groups.push(read_group(arguments, context)?);
            Ok(())
        },
        "instances that change state together",
    ),
    block("garp_group", Works, garp_group, "limits on gratuitous ARP"),
    block(
        "vrrp_instance",
        Works,
        |draft, arguments, context| {
            draft.instances.push(read_instance(arguments, context)?);
            Ok(())
        },
        "a virtual router",
    ),
    block("interface_up_down_delays", Works, delays, "how long a link must be up or down to count"),
    block("SSL", Works, ssl, "certificate of SSL_GET checks"),
    block(
        "virtual_server_group",
        Works,
        |draft, arguments, context| checkers::read_server_group(&mut draft.checkers, arguments, context),
        "addresses that share real servers",
    ),
    block(
        "virtual_server",
        Works,
        |draft, arguments, context| checkers::read_virtual_server(&mut draft.checkers, arguments, context),
        "one IPVS service",
    ),
];

/// Keywords of the outermost level.
pub(crate) fn listed() -> impl Iterator<Item = Listed> {
    list("root", FIRST)
        .chain(list("root", REST))
        .chain(list("garp_group", GARP_GROUP))
        .chain(list("SSL", SSL))
}

fn twice(keyword: &str, name: &str, span: Span, first: Span) -> Outcome {
    Err(Box::new(
        Diagnostic::alert(span, format!("{keyword} `{name}` is defined twice"))
            .with_note(first, "first here"),
    ))
}

/// Reads the whole tree.
pub(crate) fn read(nodes: &[Node], context: &mut Context<'_>) -> Model {
    let (first, rest): (Vec<Node>, Vec<Node>) = nodes.iter().cloned().partition(names_first);
    let mut global_draft = GlobalDraft::default();
    // Scripts of this block have a user even where script_user comes last in it.
    prepare_script_user(&first, context);
    read_block(&first, || FIRST.iter(), "the file", &mut global_draft, context);
    let mut draft = Draft::default();
    draft.model.global = global::finish(global_draft, context);
    draft.model.global.script_user = context.script_user;
    context.dynamic_interfaces = draft.model.global.dynamic_interfaces;
    let all = || REST.iter();
    read_block(&rest, all, "the file", &mut draft, context);
    finish(draft, context)
}

/// Does this statement belong to the first pass?
fn names_first(node: &Node) -> bool {
    let words = node.words();
    words.first().is_some_and(|word| FIRST.iter().any(|row| row.name == word.value))
}

/// Finds `script_user` and `enable_script_security` ahead, as scripts depend on them wherever they stand.
fn prepare_script_user(nodes: &[Node], context: &mut Context<'_>) {
    let mut given = false;
    for node in nodes.iter().filter_map(|node| node.block.as_deref()).flatten() {
        let words = node.words();
        match words.first().map(|word| word.value.as_str()) {
            Some("enable_script_security") => context.script_security = true,
            Some("script_user") => {
                let found =
                    words.get(1).and_then(|user| crate::command::find_user(user, words.get(2), context).ok());
                if let Some(run_as) = found {
                    context.script_user = run_as;
                    given = true;
                }
            }
            _ => {}
        }
    }
    if !given {
        let usual = context.host.user("keepalived_script");
        context.script_user_missing = context.script_security && usual.is_none();
        context.script_user = usual.unwrap_or_else(|| context.host.own_user());
    }
}

fn linkbeat(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    for node in arguments.block() {
        let words = node.words();
        let Some(name) = words.first() else {
            continue;
        };
        interface_name(name)?;
        if let Some(method) = words.get(1)
            && !matches!(method.value.as_str(), "MII" | "ETHTOOL" | "IOCTL")
        {
            return fail(method.span, format!("`{}` is none of MII, ETHTOOL and IOCTL", method.value));
        }
        if context.host.interface(&name.value).is_none() {
            network::address::missing_interface(&name.value, name.span, context);
        }
        draft.model.polled_interfaces.push(name.value.clone());
    }
    Ok(())
}

fn track_group(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    static GROUP: &[Keyword<Vec<Word>>] = &[block(
        "group",
        Works,
        |members, arguments, context| {
            members.extend(arguments.block_words(context));
            Ok(())
        },
        "names of instances",
    )];
    let name = arguments.block_name("track_group")?;
    if let Some((first, _)) = draft.track_groups.iter().find(|(known, _)| known.value == name.value) {
        return twice("track_group", &name.value, name.span, first.span);
    }
    let mut members = Vec::new();
    read_block(arguments.block(), || GROUP.iter(), "track_group", &mut members, context);
    draft.track_groups.push((name, members));
    Ok(())
}

fn track_file(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    if let Some(file) = track::read_file(arguments, context)? {
        if let Some(first) = draft.model.track_files.iter().find(|known| known.name == file.name) {
            return twice("track_file", &file.name, file.span, first.span);
        }
        draft.model.track_files.push(file);
    }
    Ok(())
}

fn script(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    if let Some(script) = track::read_script(arguments, context)? {
        if let Some(first) = draft.model.scripts.iter().find(|known| known.name == script.name) {
            context.advise(
                Diagnostic::warning(
                    script.span,
                    format!("vrrp_script `{}` is defined twice: the first one counts", script.name),
                )
                .with_note(first.span, "first here"),
            );
            return Ok(());
        }
        draft.model.scripts.push(script);
    }
    Ok(())
}

static GARP_GROUP: &[Keyword<GarpGroup>] = &[
    line(
        "garp_interval",
        Works,
        |draft, arguments, _| {
            draft.garp_interval = Some(arguments.seconds(Duration::from_micros(1), TIMER_MAX)?);
            Ok(())
        },
        "gap between GARPs",
    ),
    line(
        "gna_interval",
        Works,
        |draft, arguments, _| {
            draft.gna_interval = Some(arguments.seconds(Duration::from_micros(1), TIMER_MAX)?);
            Ok(())
        },
        "gap between NAs",
    ),
    line(
        "interface",
        Works,
        |draft, arguments, _| {
            draft.interfaces.push(arguments.interface()?);
            Ok(())
        },
        "the interface",
    ),
    block(
        "interfaces",
        Works,
        |draft, arguments, context| {
            draft.interfaces.extend(arguments.block_words(context).into_iter().map(|word| word.value));
            Ok(())
        },
        "interfaces that share the limits",
    ),
];

fn garp_group(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let span = arguments.node.span();
    let mut group = GarpGroup { garp_interval: None, gna_interval: None, interfaces: Vec::new() };
    read_block(arguments.block(), || GARP_GROUP.iter(), "garp_group", &mut group, context);
    if group.garp_interval.is_none() && group.gna_interval.is_none() {
        context.adjust(span, "this garp_group limits nothing: garp_interval or gna_interval is missing");
        return Ok(());
    }
    if group.interfaces.is_empty() {
        context.adjust(span, "this garp_group has no interface");
        return Ok(());
    }
    draft.model.garp_groups.push(group);
    Ok(())
}

/// Longest delay of a link.
const LINK_DELAY_MAX: Duration = Duration::from_secs(255);

fn delays(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    for node in arguments.block() {
        let mut words = Arguments::new(node);
        let interface = words.interface()?;
        if words.peek().is_none() {
            context.advise(Diagnostic::warning(node.span(), format!("no delay is given for `{interface}`")));
            continue;
        }
        let down = words.seconds(Duration::ZERO, LINK_DELAY_MAX)?;
        let up = if words.peek().is_some() { words.seconds(Duration::ZERO, LINK_DELAY_MAX)? } else { down };
        draft.model.interface_delays.push(InterfaceDelay { interface, down, up });
    }
    Ok(())
}

static SSL: &[Keyword<SslMaterial>] = &[
    line("password", Works, read!(password = Some(string("a password"))), "password of the key"),
    line("ca", Works, read!(ca = Some(path("a path"))), "file of CAs"),
    line("certificate", Works, read!(certificate = Some(path("a path"))), "client certificate"),
    line("key", Works, read!(key = Some(path("a path"))), "its key"),
];

fn ssl(draft: &mut Draft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let mut material = SslMaterial::default();
    read_block(arguments.block(), || SSL.iter(), "SSL", &mut material, context);
    draft.model.ssl = Some(material);
    Ok(())
}

fn finish(draft: Draft, context: &mut Context<'_>) -> Model {
    let mut model = draft.model;
    let used_scripts: HashSet<String> = draft
        .instances
        .iter()
        .map(|instance| &instance.tracking)
        .chain(draft.groups.iter().map(|group| &group.tracking))
        .flat_map(|tracking| tracking.scripts.iter().map(|tracked| tracked.name.value.clone()))
        .collect();
    vrrp::finish(draft.instances, draft.groups, &mut model, context);
    for (name, members) in draft.track_groups {
        let mut instances = Vec::new();
        for member in members {
            match model.instances.iter().position(|instance| instance.name == member.value) {
                Some(index) => instances.push(crate::model::InstanceId(index as u32)),
                None => context.advise(Diagnostic::warning(
                    member.span,
                    format!("there is no instance `{}`: the group does without it", member.value),
                )),
            }
        }
        model.track_groups.push(TrackGroup { name: name.value, span: name.span, instances });
    }
    statics(draft.static_addresses, draft.static_routes, draft.static_rules, &mut model, context);
    checkers::finish(draft.checkers, &mut model, context);
    for script in model.scripts.iter().filter(|script| used_scripts.contains(&script.name)) {
        track::inspect_script(script, context);
    }
    if !context.report.has_alerts() {
        vrrp::lint(&model, context);
    }
    model
}

fn statics(
    addresses: Vec<Entry<Address>>,
    routes: Vec<Entry<Route>>,
    rules: Vec<Entry<Rule>>,
    model: &mut Model,
    context: &mut Context<'_>,
) {
    let groups: Vec<String> = model.track_groups.iter().map(|group| group.name.clone()).collect();
    let resolve = |word: Option<Word>, context: &mut Context<'_>| {
        let word = word?;
        match groups.iter().position(|name| *name == word.value) {
            Some(index) => Some(TrackGroupId(index as u32)),
            None => {
                let known = groups.iter().map(String::as_str);
                context.push_alert(*crate::keywords::unknown("track group", &word, "this file", known));
                None
            }
        }
    };
    for entry in addresses {
        let mut address = entry.value;
        address.track_group = resolve(entry.track_group, context);
        if address.interface.is_none() {
            let default = model.global.default_interface.clone().unwrap_or_else(|| "eth0".to_owned());
            if context.host.interface(&default).is_none() {
                context.problem(
                    Diagnostic::warning(
                        entry.span,
                        format!("this address needs `dev`: there is no `{default}` to put it on"),
                    )
                    .with_help("or set `default_interface` in global_defs"),
                );
            }
            address.interface = Some(default);
        }
        model.static_addresses.push(address);
    }
    for entry in routes {
        let mut route = entry.value;
        route.track_group = resolve(entry.track_group, context);
        model.static_routes.push(route);
    }
    for entry in rules {
        let mut rule = entry.value;
        rule.track_group = resolve(entry.track_group, context);
        model.static_rules.push(rule);
    }
    number_rules(model, context);
}

/// keepalived numbers rules without a preference downward from here.
const RULE_PRIORITY_FIRST: u32 = 16_384;

fn number_rules(model: &mut Model, context: &mut Context<'_>) {
    let mut next = RULE_PRIORITY_FIRST;
    let virtual_rules = model.instances.iter_mut().flat_map(|instance| instance.rules.iter_mut());
    for rule in model.static_rules.iter_mut().chain(virtual_rules) {
        if rule.priority.is_none() {
            context.problem(
                Diagnostic::warning(
                    None,
                    format!("a rule has no preference and gets {next}: its place may not be what is meant"),
                )
                .with_help("add `preference N` to each rule"),
            );
            rule.priority = Some(next);
            next -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_keyword_is_in_both_tables() {
        for row in FIRST {
            assert!(REST.iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
