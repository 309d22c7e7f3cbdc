//! `keepalived.data`: the configuration and the state, line by line as keepalived writes them.

use super::View;
use super::json::wanted_state;
use crate::log::calendar;
use crate::office::scripts::{Course, Standing};
use crate::snapshot::InstanceSnapshot;
use keepalived_config::model::{
    Accept, Address, Authentication, Command, Family, Instance, OwnInterface, Script, Transport, Version,
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
pub(super) fn command_line(command: &Command) -> String {
    let words: Vec<String> = command.words.iter().map(|word| format!("'{word}'")).collect();
    words.join(" ")
}

/// `10.9.0.100 dev eth0 scope global set`
pub(super) fn address_line(address: &Address, one: &InstanceSnapshot) -> String {
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
    let own = one.own_interface.as_deref().or(one.interface.as_deref()).unwrap_or("(none)");
    let _ = write!(line, " dev {}", address.interface.as_deref().unwrap_or(own));
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
    if one.addresses_set {
        line.push_str(" set");
    }
    line
}

/// The part that the parent process of keepalived writes alone.
pub(super) fn global_definitions(view: &View<'_>) -> String {
    let global = &view.model.global;
    let yes = |flag: bool| if flag { "true" } else { "false" };
    let option = |flag: Option<bool>| flag.map_or("unset", |flag| if flag { "on" } else { "off" });
    let mut text = String::from("------< Global definitions >------\n");
    let mut put = |line: String| {
        let _ = writeln!(text, " {line}");
    };
    put(format!("Network namespace = {}", global.net_namespace.as_deref().unwrap_or("(default)")));
    put(format!("Router ID = {}", global.router_id.as_deref().unwrap_or(view.host_name)));
    if let Some(server) = &global.smtp.server {
        put(format!("Smtp server = {server}"));
        put(format!("Smtp server port = {}", global.smtp.port.unwrap_or(25)));
    }
    if let Some(from) = &global.smtp.from {
        put(format!("Email notification from = {from}"));
    }
    for to in &global.smtp.to {
        put(format!("Email notification = {to}"));
    }
    put(format!("Default smtp_alert = {}", option(global.smtp.alert)));
    put(format!("Default smtp_alert_vrrp = {}", option(global.smtp.alert_vrrp)));
    put(format!("Dynamic interfaces = {}", yes(global.dynamic_interfaces)));
    put(format!("Default interface = {}", global.default_interface.as_deref().unwrap_or("eth0")));
    put(format!("VRRP notify priority changes = {}", yes(global.notify_priority_changes)));
    put(format!("VRRP IPv4 mcast group = {}", global.multicast_group4));
    put(format!("VRRP IPv6 mcast group = {}", global.multicast_group6));
    put(format!("Num adverts before down = {}", global.down_timer_adverts));
    put(format!("Gratuitous ARP interval = {:.6}", global.garp_interval.as_secs_f64()));
    put(format!("Gratuitous NA interval = {:.6}", global.gna_interval.as_secs_f64()));
    let version = match global.version {
        Version::V2 => 2,
        Version::V3 => 3,
    };
    put(format!("VRRP default protocol version = {version}"));
    put(format!("VRRP check unicast_src = {}", yes(global.check_unicast_source)));
    put(format!("VRRP skip check advert addresses = {}", yes(global.skip_check_advert_addresses)));
    put(format!("VRRP strict mode = {}", yes(global.strict)));
    put(format!("VRRP process priority = {}", global.vrrp_process.nice.unwrap_or(0)));
    put(format!("VRRP don't swap = {}", yes(global.vrrp_process.no_swap)));
    put(format!("VRRP realtime priority = {}", global.vrrp_process.realtime_priority.unwrap_or(0)));
    put(format!("Script security {}", on(global.script_security)));
    put(format!("Default script uid:gid {}:{}", global.script_user.user, global.script_user.group));
    text
}

/// The whole file.
pub fn data(view: &View<'_>) -> String {
    let mut text = global_definitions(view);
    text.push_str("------< VRRP Topology >------\n");
    for (wanted, one) in view.model.instances.iter().zip(&view.snapshot.instances) {
        instance(&mut text, view, wanted, one);
    }
    if !view.model.sync_groups.is_empty() {
        text.push_str("------< VRRP Sync groups >------\n");
        for (group, (name, state)) in view.model.sync_groups.iter().zip(&view.snapshot.groups) {
            let _ = writeln!(text, " VRRP Sync Group = {name}, {}", state.word());
            text.push_str("   VRRP member instances :\n");
            for member in &group.members {
                let _ = writeln!(text, "     {}", view.model.instances[member.index()].name);
            }
        }
    }
    if !view.model.scripts.is_empty() {
        text.push_str("------< VRRP Scripts >------\n");
        for (script, course) in view.model.scripts.iter().zip(view.courses) {
            script_lines(&mut text, view, script, course);
        }
    }
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
    put(format!("State = {}", one.state.word()));
    put("Flags: none".to_owned());
    put(format!("Wantstate = {}", wanted_state(wanted, one).word()));
    if one.last_transition.is_zero() {
        put("Last transition = 0.000000 (Never)".to_owned());
    } else {
        put(format!("Last transition = {}", stamp(one.last_transition)));
    }
    if let Some(left) = one.timer {
        put(format!("Read timeout = {}", stamp(crate::engine::orders::since_epoch() + left)));
    }
    put(format!("Interface = {}", wanted.interface.as_deref().unwrap_or("(none)")));
    if let (OwnInterface::Macvlan { .. }, Some(own)) = (&wanted.own_interface, &one.own_interface) {
        put(format!("VMAC = {own}"));
    }
    if let Some(source) = one.source {
        put(format!("Using src_ip = {source}"));
    }
    match &wanted.transport {
        Transport::Multicast { group } => put(format!("Multicast address {group}")),
        Transport::Unicast { peers, .. } => {
            put(format!("Unicast Peer ({}) :", peers.len()));
            for peer in peers {
                put(format!("  {}", peer.address));
            }
        }
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
    put(format!("Accept = {}", on(wanted.accept == Accept::Yes)));
    put(format!("Preempt = {}", on(wanted.preempt)));
    if !wanted.preempt_delay.is_zero() {
        put(format!("Preempt delay = {:.6} secs", wanted.preempt_delay.as_secs_f64()));
    }
    put(format!("Promote_secondaries = {}", on(wanted.promote_secondaries)));
    authentication(&mut put, wanted);
    if !wanted.addresses.is_empty() {
        put(format!("Virtual IP ({}):", wanted.addresses.len()));
        for address in &wanted.addresses {
            put(format!("  {}", address_line(address, one)));
        }
    }
    if !wanted.excluded_addresses.is_empty() {
        put(format!("Virtual IP Excluded ({}):", wanted.excluded_addresses.len()));
        for address in &wanted.excluded_addresses {
            put(format!("  {}", address_line(address, one)));
        }
    }
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
    put(format!("Using smtp notification = {}", if wanted.notify.smtp_alert { "yes" } else { "no" }));
    put(format!("Notify deleted = {}", if wanted.notify.deleted_event { "Deleted" } else { "Fault" }));
    let scripts = [
        ("Backup", &wanted.notify.backup),
        ("Master", &wanted.notify.master),
        ("Fault", &wanted.notify.fault),
        ("Stop", &wanted.notify.stop),
        ("Generic", &wanted.notify.any),
        ("Master rx lower pri", &wanted.notify.master_hears_lower),
    ];
    for (name, script) in scripts {
        if let Some(script) = script {
            let (user, group) = (script.run_as.user, script.run_as.group);
            put(format!("{name} state transition script = {}, uid:gid {user}:{group}", command_line(script)));
        }
    }
    put(format!("Notify priority changes = {}", wanted.notify.priority_changes));
}

fn authentication(put: &mut impl FnMut(String), wanted: &Instance) {
    let secret = |bytes: &[u8; 8]| {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    match &wanted.authentication {
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
    put(format!("Timeout = {} sec", seconds(script.timeout)));
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
        put(format!("MTU = {}", link.mtu));
        put(format!("HW Type = {}", if link.is_loopback() { "LOOPBACK" } else { "ETHERNET" }));
    }
}
