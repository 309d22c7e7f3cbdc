//! The values keepalived 2.2.7 works with (its dump at start, `-d`), and those of our model.

use keepalived_config::model::{
    Accept, Address, Authentication, Instance, Model, RouteMode, Transport, Version, WantedState,
};
use keepalived_config::{MemoryHost, load_text};
use std::collections::BTreeMap;

macro_rules! case {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../tests/vectors/keepalived/", $name, ".conf")),
            include_str!(concat!("../../../tests/vectors/keepalived/", $name, ".dump")),
        )
    };
}

/// `key = value` lines of each instance, and its lists under the line that starts them.
fn dumped(text: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut instances: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut name = None;
    let mut list = String::new();
    for line in text.lines() {
        if let Some(found) = line.strip_prefix(" VRRP Instance = ") {
            name = Some(found.to_owned());
        } else if line.starts_with("---") || line.starts_with(" VRRP Sync") {
            name = None;
        }
        let Some(name) = &name else {
            continue;
        };
        let values = instances.entry(name.clone()).or_default();
        if let Some(item) = line.strip_prefix("     ") {
            values.push((list.clone(), item.to_owned()));
        } else if let Some((key, value)) = line.trim().split_once(" = ") {
            values.push((key.to_owned(), value.to_owned()));
        } else {
            list = line.trim().split([':', '(']).next().unwrap_or_default().trim().to_owned();
        }
    }
    instances
}

fn enabled(value: bool) -> String {
    if value { "enabled" } else { "disabled" }.to_owned()
}

fn address(address: &Address, instance: &Instance) -> String {
    let full = if address.prefix.address.is_ipv4() { 32 } else { 128 };
    let mut text = address.prefix.address.to_string();
    if address.prefix.length != full {
        text += &format!("/{}", address.prefix.length);
    }
    if let Some(broadcast) = address.broadcast {
        text += &format!(" brd {broadcast}");
    }
    let interface = address.interface.as_ref().or(instance.interface.as_ref()).expect("all have one");
    text += &format!(" dev {interface} scope {}", if address.scope == 253 { "link" } else { "global" });
    if let Some(label) = &address.label {
        text += &format!(" label {label}");
    }
    match (address.prefix.address.is_ipv6(), address.preferred_lifetime) {
        (true, Some(0)) => text += " deprecated",
        (true, None) => text += " preferred_lft forever",
        _ => {}
    }
    text
}

/// The same lines from our model.
fn ours(instance: &Instance) -> Vec<(String, String)> {
    let mut values: Vec<(String, String)> = Vec::new();
    let mut add = |key: &str, value: String| values.push((key.to_owned(), value));
    add("VRRP Version", if instance.version == Version::V2 { "2" } else { "3" }.to_owned());
    let state = if instance.state == WantedState::Master { "MASTER" } else { "BACKUP" };
    add("Wantstate", state.to_owned());
    add("Interface", instance.interface.clone().unwrap_or_default());
    let garp = &instance.garp;
    add("Gratuitous ARP delay", garp.master_delay.as_secs().to_string());
    add("Gratuitous ARP repeat", garp.master_repeat.to_string());
    add("Gratuitous ARP refresh", garp.refresh.as_secs().to_string());
    add("Gratuitous ARP refresh repeat", garp.refresh_repeat.to_string());
    add("Gratuitous ARP lower priority delay", garp.lower_priority_delay.as_secs().to_string());
    add("Gratuitous ARP lower priority repeat", garp.lower_priority_repeat.to_string());
    add("Down timer adverts", instance.down_timer_adverts.to_string());
    add("Send advert after receive lower priority advert", (!instance.lower_priority_no_advert).to_string());
    add("Send advert after receive higher priority advert", instance.higher_priority_send_advert.to_string());
    add("Virtual Router ID", instance.virtual_router_id.to_string());
    add("Priority", instance.priority.to_string());
    let interval = instance.advert_interval;
    add(
        "Advert interval",
        match instance.version {
            Version::V2 => format!("{} sec", interval.as_secs()),
            Version::V3 => format!("{} milli-sec", interval.as_millis()),
        },
    );
    add("Accept", enabled(instance.accept == Accept::Yes));
    add("Preempt", enabled(instance.preempt));
    if !instance.preempt_delay.is_zero() {
        add("Preempt delay", format!("{} secs", instance.preempt_delay.as_secs_f64()));
    }
    add("Promote_secondaries", enabled(instance.promote_secondaries));
    add("Using smtp notification", if instance.notify.smtp_alert { "yes" } else { "no" }.to_owned());
    add("Notify deleted", "Fault".to_owned());
    add("Notify priority changes", instance.notify.priority_changes.to_string());
    for own in &instance.addresses {
        add("Virtual IP", address(own, instance));
    }
    for own in &instance.excluded_addresses {
        add("Virtual IP Excluded", address(own, instance));
    }
    for tracked in &instance.tracking.interfaces {
        add("Tracked interfaces", format!("{} weight {}", tracked.what, tracked.weight));
    }
    if let Transport::Unicast { peers, ttl, .. } = &instance.transport {
        add("Unicast TTL", ttl.to_string());
        for peer in peers {
            let line = format!("{} min_ttl {} max_ttl {}", peer.address, peer.ttl_min, peer.ttl_max);
            add("Unicast Peer", line);
        }
    }
    match &instance.authentication {
        Authentication::None if instance.version == Version::V2 => {
            add("Authentication type", "none".to_owned());
        }
        Authentication::Password(secret) => {
            add("Authentication type", "SIMPLE_PASSWORD".to_owned());
            let length = secret.iter().position(|byte| *byte == 0).unwrap_or(secret.len());
            add("Password", String::from_utf8_lossy(&secret[..length]).into_owned());
        }
        Authentication::Header(_) => add("Authentication type", "IPSEC_AH".to_owned()),
        Authentication::None | Authentication::Hmac { .. } => {}
    }
    values
}

/// Lines of the dump that tell nothing about configuration, or that are compared elsewhere.
fn compared(key: &str) -> bool {
    !matches!(
        key,
        "Sync group" | "Virtual Routes" | "Virtual Rules" | "Flags" | "Unicast checksum compatibility"
    )
}

fn load(name: &str, config: &str) -> Model {
    let loaded = load_text(&MemoryHost { host_name: "vm".to_owned(), ..MemoryHost::default() }, name, config);
    let told = diag::render(&loaded.report, &loaded.sources, diag::Severity::Warning);
    loaded.model.unwrap_or_else(|| panic!("{told}"))
}

#[test]
fn values_are_those_of_keepalived() {
    // row: 217, 218, 219, 222, 228, 229, 230, 232, 233, 240, 242, 243, 244
    for (name, config, dump) in [case!("strict"), case!("defaults"), case!("wire")] {
        let model = load(name, config);
        let dumped = dumped(dump);
        assert_eq!(dumped.len(), model.instances.len(), "{name}");
        for instance in &model.instances {
            let mut theirs: Vec<_> = dumped[&instance.name]
                .iter()
                .filter(|(key, _)| compared(key) && key != "VRRP Instance")
                .cloned()
                .collect();
            let mut ours = ours(instance);
            theirs.sort();
            ours.sort();
            assert_eq!(ours, theirs, "{name}: {}", instance.name);
        }
    }
}

#[test]
fn routes_are_put_among_others_as_keepalived_does() {
    let (name, config, _) = case!("wire");
    let model = load(name, config);
    let modes: Vec<RouteMode> = model.instances[2].routes.iter().map(|route| route.mode).collect();
    assert_eq!(modes, [RouteMode::Prepend, RouteMode::Add, RouteMode::Prepend]);
    let priorities: Vec<Option<u32>> = model.instances[2].rules.iter().map(|rule| rule.priority).collect();
    assert_eq!(priorities, [Some(100), Some(50)]);
}

/// As keepalived 2.2.7 acts, whatever its manual says (weight 1) and iproute2 reads (hexadecimal).
#[test]
fn a_process_without_a_weight_is_a_fault_and_a_tos_is_decimal() {
    let model = load(
        "tracked",
        "vrrp_track_process p {\n process x\n}\n\
         static_rules {\n from 10.0.0.0/8 table 100 tos 16\n to 10.0.0.0/8 table 100 tos 0x10\n}\n\
         vrrp_instance V {\n interface eth0\n virtual_router_id 3\n priority 100\n track_process {\n p\n }\n \
         virtual_ipaddress {\n 10.88.0.1\n }\n}\n",
    );
    assert_eq!(model.track_processes[0].weight, 0);
    assert_eq!(model.instances[0].tracking.processes[0].weight, 0);
    assert_eq!([model.static_rules[0].tos, model.static_rules[1].tos], [16, 16]);
}
