//! `keepalived.data`: the configuration and the state, line by line as keepalived writes them.

mod beside;
mod global;

pub(super) use global::global_definitions;

use super::View;
use super::json::wanted_state;
use crate::log::calendar;
use crate::office::scripts::{Course, Standing};
use crate::snapshot::InstanceSnapshot;
use keepalived_config::model::{
    Accept, Address, Authentication, Command, Family, Instance, InstanceNotify, OwnInterface, Script,
    Transport, Version,
};
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

fn on(flag: bool) -> &'static str {
    if flag { "enabled" } else { "disabled" }
}

fn seconds(time: Duration) -> String {
    if time.subsec_nanos() == 0 {
        return time.as_secs().to_string();
    }
    time.as_secs_f64().to_string()
}

/// `'/bin/check' 'word'`
pub(crate) fn command_line(command: &Command) -> String {
    let words: Vec<String> = command.words.iter().map(|word| format!("'{word}'")).collect();
    words.join(" ")
}

/// `10.9.0.100 dev eth0 scope global set`
pub(super) fn instance_address(address: &Address, one: &InstanceSnapshot) -> String {
    let own = one.own_interface.clone().or_else(|| one.interface.clone());
    address_line(address, address.interface.clone().or(own), one.addresses_set)
}

fn address_line(address: &Address, interface: Option<String>, is_set: bool) -> String {
    let mut line = address.prefix.address.to_string();
    let full = if address.prefix.address.is_ipv4() { 32 } else { 128 };
    if address.prefix.length != full {
        let _ = write!(line, "/{}", address.prefix.length);
    }
    if let Some(peer) = address.peer {
        let _ = write!(line, " peer {}/{}", peer.address, peer.length);
    }
    if let Some(broadcast) = address.broadcast {
        let _ = write!(line, " brd {broadcast}");
    }
    let _ = write!(line, " dev {}", interface.as_deref().unwrap_or("(none)"));
    let scope = match address.scope {
        0 => "global".to_owned(),
        200 => "site".to_owned(),
        253 => "link".to_owned(),
        254 => "host".to_owned(),
        255 => "nowhere".to_owned(),
        other => other.to_string(),
    };
    let _ = write!(line, " scope {scope}");
    if let Some(label) = &address.label {
        let _ = write!(line, " label {label}");
    }
    if address.preferred_lifetime == Some(0) {
        line.push_str(" deprecated");
    }
    if is_set {
        line.push_str(" set");
    }
    line
}

/// The whole file.
pub fn data(view: &View<'_>) -> String {
    let mut text = global_definitions(view.model, view.host_name, true);
    beside::garp_groups(&mut text, view);
    beside::statics(&mut text, view);
    text.push_str("------< VRRP Topology >------\n");
    for (wanted, one) in view.model.instances.iter().zip(&view.snapshot.instances) {
        instance(&mut text, view, wanted, one);
    }
    if !view.model.sync_groups.is_empty() {
        text.push_str("------< VRRP Sync groups >------\n");
        for (group, (name, state)) in view.model.sync_groups.iter().zip(&view.snapshot.groups) {
            let _ = writeln!(text, " VRRP Sync Group = {name}, {}", state.word());
            let of_group = |one: &&InstanceSnapshot| {
                group.members.iter().any(|member| view.model.instances[member.index()].name == one.name)
            };
            let members = view.snapshot.instances.iter().filter(of_group);
            let faults = members.clone().filter(|one| one.faults > 0).count();
            let waiting = members.filter(|one| one.waits > 0).count();
            let _ = writeln!(text, "   Num member fault {faults}, num member init {waiting}");
            text.push_str("   VRRP member instances :\n");
            for member in &group.members {
                let _ = writeln!(text, "     {}", view.model.instances[member.index()].name);
            }
            let _ = writeln!(text, "   Using smtp notification = {}", yes_no(group.notify.smtp_alert));
            notify_scripts(&group.notify, &mut |line| {
                let _ = writeln!(text, "   {line}");
            });
        }
    }
    if !view.model.scripts.is_empty() {
        text.push_str("------< VRRP Scripts >------\n");
        for (script, course) in view.model.scripts.iter().zip(view.courses) {
            script_lines(&mut text, view, script, course);
        }
    }
    beside::track_files(&mut text, view);
    beside::track_processes(&mut text, view);
    beside::track_bfd(&mut text, view);
    interfaces(&mut text, view);
    text
}

fn stamp(time: Duration) -> String {
    let local = sys::clock::local_time(i64::try_from(time.as_secs()).unwrap_or(0));
    let fraction = format!(".{:06}", time.subsec_micros());
    format!("{}.{:06} ({})", time.as_secs(), time.subsec_micros(), calendar(local, &fraction))
}

fn instance(text: &mut String, view: &View<'_>, wanted: &Instance, one: &InstanceSnapshot) {
    let _ = writeln!(text, " VRRP Instance = {}", wanted.name);
    let mut put = |line: String| {
        let _ = writeln!(text, "   {line}");
    };
    let garp = &wanted.garp;
    let (version, unit) = match wanted.version {
        Version::V2 => (2, "sec"),
        Version::V3 => (3, "milli-sec"),
    };
    put(format!("VRRP Version = {version}"));
    if let Some(group) = wanted.sync_group {
        put(format!("Sync group = {}", view.model.sync_groups[group.index()].name));
    }
    put(format!("State = {}", one.state.word()));
    let is_backup = one.state == vrrp::State::Backup;
    if is_backup {
        // keepalived names an address of its memory before it has heard anybody.
        let master = one.master_address.map_or_else(|| "(none)".to_owned(), |address| address.to_string());
        put(format!("Master router = {master}"));
        put(format!("Master priority = {}", one.master_priority));
        if wanted.version == Version::V3 {
            put(format!("Master advert int = {:.2} sec", one.master_interval.as_secs_f64()));
        }
    }
    match &wanted.transport {
        Transport::Multicast { .. } => put("Flags: none".to_owned()),
        Transport::Unicast { .. } => {
            put("Flags:".to_owned());
            put("  Using unicast".to_owned());
        }
    }
    put(format!("Wantstate = {}", wanted_state(wanted, one).word()));
    put("Number of config faults = 0".to_owned());
    put(format!("Number of interface and track script faults = {}", one.faults));
    put(format!("Number of track scripts init = {}", one.waits));
    if one.last_transition.is_zero() {
        put("Last transition = 0.000000 (Never)".to_owned());
    } else {
        put(format!("Last transition = {}", stamp(one.last_transition)));
    }
    if let Some(left) = one.timer {
        put(format!("Read timeout = {}", stamp(crate::engine::orders::since_epoch() + left)));
    }
    put(format!("Master down timer = {} usecs", one.master_down.as_micros()));
    let base = wanted.interface.as_deref().unwrap_or("(none)");
    match (&wanted.own_interface, &one.own_interface) {
        (OwnInterface::Macvlan { .. }, Some(own)) => {
            let is_up = view.snapshot.interfaces.by_name(own).is_some_and(|there| there.link.is_up());
            let on_base = wanted.transmit_on_base;
            put(format!("Use VMAC, i/f name {own}, is_up = {is_up}, xmit_base = {on_base}"));
            put(format!("Interface = {own}, vmac on {base}"));
        }
        (_, _) => put(format!("Interface = {base}")),
    }
    if let Some(source) = one.source {
        let given = if wanted.source.is_some() { " (from configuration)" } else { "" };
        put(format!("Using src_ip = {source}{given}"));
    }
    if let Transport::Multicast { group } = &wanted.transport {
        put(format!("Multicast address {group}"));
    }
    put(format!("Gratuitous ARP delay = {}", seconds(garp.master_delay)));
    put(format!("Gratuitous ARP repeat = {}", garp.master_repeat));
    put(format!("Gratuitous ARP refresh = {}", seconds(garp.refresh)));
    put(format!("Gratuitous ARP refresh repeat = {}", garp.refresh_repeat));
    put(format!("Gratuitous ARP lower priority delay = {}", seconds(garp.lower_priority_delay)));
    put(format!("Gratuitous ARP lower priority repeat = {}", garp.lower_priority_repeat));
    put(format!("Down timer adverts = {}", wanted.down_timer_adverts));
    put(format!("Send advert after receive lower priority advert = {}", !wanted.lower_priority_no_advert));
    put(format!("Send advert after receive higher priority advert = {}", wanted.higher_priority_send_advert));
    put(format!("Virtual Router ID = {}", wanted.virtual_router_id));
    put(format!("Priority = {}", wanted.priority));
    put(format!("Effective priority = {}", one.priority));
    put(format!("Total priority = {}", one.priority));
    let interval = match wanted.version {
        Version::V2 => wanted.advert_interval.as_secs().to_string(),
        Version::V3 => wanted.advert_interval.as_millis().to_string(),
    };
    put(format!("Advert interval = {interval} {unit}"));
    if is_backup && wanted.version == Version::V3 {
        put(format!("Master advert interval = {} {unit}", one.master_interval.as_millis()));
    }
    put(format!("Accept = {}", on(wanted.accept == Accept::Yes)));
    put(format!("Preempt = {}", on(wanted.preempt)));
    if !wanted.preempt_delay.is_zero() {
        put(format!("Preempt delay = {} secs", seconds(wanted.preempt_delay)));
    }
    put(format!("Promote_secondaries = {}", on(wanted.promote_secondaries)));
    authentication(&mut put, wanted);
    if !wanted.addresses.is_empty() {
        put(format!("Virtual IP ({}):", wanted.addresses.len()));
        for address in &wanted.addresses {
            put(format!("  {}", instance_address(address, one)));
        }
    }
    if !wanted.excluded_addresses.is_empty() {
        put("Virtual IP Excluded :".to_owned());
        for address in &wanted.excluded_addresses {
            put(format!("  {}", instance_address(address, one)));
        }
    }
    if let Transport::Unicast { peers, ttl, check_source } = &wanted.transport {
        put(format!("Unicast TTL = {ttl}"));
        put(format!("Check unicast src : {}", yes_no(*check_source)));
        put("Unicast Peer :".to_owned());
        for peer in peers {
            put(format!("  {} min_ttl {} max_ttl {}", peer.address, peer.ttl_min, peer.ttl_max));
        }
        put(format!("Unicast checksum compatibility = {}", global::checksum(wanted.unicast_checksum)));
    }
    beside::routes(&mut put, "Virtual Routes :", "  ", &wanted.routes);
    beside::rules(&mut put, "Virtual Rules :", "  ", &wanted.rules);
    if !wanted.tracking.interfaces.is_empty() {
        put("Tracked interfaces :".to_owned());
        for tracked in &wanted.tracking.interfaces {
            put(format!("  {} weight {}", tracked.what, tracked.weight));
        }
    }
    if !wanted.tracking.scripts.is_empty() {
        put("Tracked scripts :".to_owned());
        for tracked in &wanted.tracking.scripts {
            let name = &view.model.scripts[tracked.what.index()].name;
            put(format!("  {name} weight {}", tracked.weight));
        }
    }
    if !wanted.tracking.files.is_empty() {
        put("Tracked files :".to_owned());
        for tracked in &wanted.tracking.files {
            put(format!(
                "  {}, weight {}",
                view.model.track_files[tracked.what.index()].name,
                tracked.weight
            ));
        }
    }
    if !wanted.tracking.processes.is_empty() {
        put("Tracked processes :".to_owned());
        for tracked in &wanted.tracking.processes {
            let name = &view.model.track_processes[tracked.what.index()].name;
            put(format!("  {name}, weight {}", tracked.weight));
        }
    }
    if !wanted.tracking.bfd.is_empty() {
        put("Tracked BFDs :".to_owned());
        for tracked in &wanted.tracking.bfd {
            let name = &view.model.bfd_sessions[tracked.what.index()].name;
            put(format!("  {name}: weight {}", tracked.weight));
        }
    }
    put(format!("Using smtp notification = {}", yes_no(wanted.notify.smtp_alert)));
    put(format!("Notify deleted = {}", if wanted.notify.deleted_event { "Deleted" } else { "Fault" }));
    notify_scripts(&wanted.notify, &mut put);
    put(format!("Notify priority changes = {}", wanted.notify.priority_changes));
}

fn notify_scripts(notify: &InstanceNotify, put: &mut impl FnMut(String)) {
    let scripts = [
        ("Backup", &notify.backup),
        ("Master", &notify.master),
        ("Fault", &notify.fault),
        ("Stop", &notify.stop),
        ("Generic", &notify.any),
        ("Master rx lower pri", &notify.master_hears_lower),
    ];
    for (name, script) in scripts {
        if let Some(script) = script {
            let (user, group) = (script.run_as.user, script.run_as.group);
            put(format!("{name} state transition script = {}, uid:gid {user}:{group}", command_line(script)));
        }
    }
}

fn yes_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

fn authentication(put: &mut impl FnMut(String), wanted: &Instance) {
    let secret = |bytes: &[u8; 8]| {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    match &wanted.authentication {
        Authentication::None if wanted.version == Version::V3 => {}
        Authentication::None => put("Authentication type = none".to_owned()),
        Authentication::Password(password) => {
            put("Authentication type = SIMPLE_PASSWORD".to_owned());
            put(format!("Password = {}", secret(password)));
        }
        Authentication::Header(key) => {
            put("Authentication type = IPSEC_AH".to_owned());
            put(format!("Password = {}", secret(key)));
        }
        Authentication::Hmac { keys, active, .. } => {
            put("Authentication type = HMAC-SHA256".to_owned());
            put(format!("Keys = {}, active {active}", keys.len()));
        }
    }
}

fn script_lines(text: &mut String, view: &View<'_>, script: &Script, course: &Course) {
    let _ = writeln!(text, " VRRP Script = {}", script.name);
    let mut put = |line: String| {
        let _ = writeln!(text, "   {line}");
    };
    put(format!("Command = {}", command_line(&script.command)));
    put(format!("Interval = {} sec", seconds(script.interval)));
    // The interval is what none means.
    let timeout = if script.timeout == script.interval { Duration::ZERO } else { script.timeout };
    put(format!("Timeout = {} sec", seconds(timeout)));
    put(format!("Weight = {}{}", script.weight, if script.reverse { " reverse" } else { "" }));
    put(format!("Rise = {}", script.rise));
    put(format!("Fall = {}", script.fall));
    put(format!("Result = {}", course.result()));
    put("Insecure = no".to_owned());
    put(format!("Init state = {}", if script.init_fail { "failed" } else { "unknown" }));
    let standing = match course.standing {
        Standing::Unknown => "INIT",
        Standing::Good => "GOOD",
        Standing::Bad => "BAD",
    };
    put(format!("Status = {standing}"));
    put(format!("Script uid:gid = {}:{}", script.command.run_as.user, script.command.run_as.group));
    put("VRRP instances :".to_owned());
    put("Tracking instances :".to_owned());
    for instance in &view.model.instances {
        for tracked in &instance.tracking.scripts {
            if view.model.scripts[tracked.what.index()].name == script.name {
                put(format!("  {}, weight {}", instance.name, tracked.weight));
            }
        }
    }
    put(format!("State = {}", if course.is_running { "running" } else { "idle" }));
}

fn interfaces(text: &mut String, view: &View<'_>) {
    text.push_str("------< Interfaces >------\n");
    for interface in view.snapshot.interfaces.iter() {
        let link = &interface.link;
        let _ = writeln!(text, " Name = {}", link.name);
        let mut put = |line: String| {
            let _ = writeln!(text, "   {line}");
        };
        let first = |family: Family| {
            let found = interface.addresses.iter().find(|address| match (family, address.local) {
                (Family::Ipv4, IpAddr::V4(_)) => true,
                (Family::Ipv6, IpAddr::V6(local)) => local.is_unicast_link_local(),
                (Family::Ipv4, IpAddr::V6(_)) | (Family::Ipv6, IpAddr::V4(_)) => false,
            });
            found.map_or_else(|| "(none)".to_owned(), |address| address.local.to_string())
        };
        put(format!("index = {}", link.index));
        put(format!("IPv4 address = {}", first(Family::Ipv4)));
        put(format!("IPv6 address = {}", first(Family::Ipv6)));
        if let Some(mac) = link.ethernet_address() {
            let bytes: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            put(format!("MAC = {}", bytes.join(":")));
            put("MAC broadcast = ff:ff:ff:ff:ff:ff".to_owned());
        }
        let mut state = vec![if link.is_up() { "UP" } else { "DOWN" }];
        if link.is_running() {
            state.push("RUNNING");
        }
        if link.is_loopback() {
            state.extend(["no broadcast", "loopback"]);
        }
        if !link.has_multicast() {
            state.push("no multicast");
        }
        put(format!("State = {}", state.join(", ")));
        put(format!("Seen up = {}", u8::from(link.is_up())));
        put("Delayed state change running = false".to_owned());
        put("Up debounce timer = 0us".to_owned());
        put("Down debounce timer = 0us".to_owned());
        put(format!("MTU = {}", link.mtu));
        put(format!("HW Type = {}", if link.is_loopback() { "LOOPBACK" } else { "ETHERNET" }));
        put("NIC netlink status update".to_owned());
        beside::of_interface(&mut put, view, &link.name);
    }
}
