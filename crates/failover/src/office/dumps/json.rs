//! `keepalived.json`: version 1, an array of instances; version 2, an object that holds them.

use super::data::{command_line, instance_address};
use crate::snapshot::{InstanceSnapshot, Snapshot};
use keepalived_config::model::{Authentication, Command, Instance, Model, Version};
use serde_json::{Value, json};
use std::time::Duration;
use vrrp::{Counter, State};

/// keepalived's counters, in its order.
const COUNTERS: usize = 14;

/// The whole document.
pub fn json(model: &Model, snapshot: &Snapshot) -> String {
    let instances = model.instances.iter().zip(&snapshot.instances);
    let array: Vec<String> = instances.map(|(wanted, one)| instance(model, wanted, one)).collect();
    let array = format!("[{}]", array.join(","));
    if model.global.json_version == 2 { format!("{{\"vrrp\":{array}}}\n") } else { format!("{array}\n") }
}

/// Members in keepalived's order, with its escapes: people compare these files as text.
fn object(members: &[(&str, Value)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{}", value.to_string().replace('/', "\\/")))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn seconds(interval: Duration) -> Value {
    if interval.subsec_nanos() == 0 { json!(interval.as_secs()) } else { json!(interval.as_secs_f64()) }
}

fn instance(model: &Model, wanted: &Instance, one: &InstanceSnapshot) -> String {
    let garp = &wanted.garp;
    let number = u8::from;
    let mut data: Vec<(&str, Value)> = Vec::new();
    let mut put = |name: &'static str, value: Value| data.push((name, value));
    let interface = wanted.interface.clone().unwrap_or_default();
    let vmac = one.own_interface.clone().filter(|own| Some(own) != one.interface.as_ref());
    put("iname", json!(wanted.name));
    put("dont_track_primary", json!(number(!wanted.track_primary)));
    put("skip_check_adv_addr", json!(number(wanted.skip_check_advert_addresses)));
    put("strict_mode", json!(number(wanted.strict)));
    put("vmac_ifname", json!(vmac.unwrap_or_default()));
    put("ifp_ifname", json!(interface));
    put("master_priority", json!(one.master_priority));
    put("last_transition", json!(micros(one.last_transition)));
    put("garp_delay", seconds(garp.master_delay));
    put("garp_refresh", seconds(garp.refresh));
    put("garp_rep", json!(garp.master_repeat));
    put("garp_refresh_rep", json!(garp.refresh_repeat));
    put("garp_lower_prio_delay", seconds(garp.lower_priority_delay));
    put("garp_lower_prio_rep", json!(garp.lower_priority_repeat));
    put("lower_prio_no_advert", json!(number(wanted.lower_priority_no_advert)));
    put("higher_prio_send_advert", json!(number(wanted.higher_priority_send_advert)));
    put("vrid", json!(wanted.virtual_router_id));
    put("base_priority", json!(wanted.priority));
    put("effective_priority", json!(one.priority));
    put("vipset", json!(one.addresses_set));
    put("promote_secondaries", json!(wanted.promote_secondaries));
    put("adver_int", seconds(wanted.advert_interval));
    put("master_adver_int", seconds(one.master_interval));
    put("accept", json!(number(wanted.accept == keepalived_config::model::Accept::Yes)));
    put("nopreempt", json!(!wanted.preempt));
    put("preempt_delay", seconds(wanted.preempt_delay));
    put("state", json!(one.state.number()));
    put("wantstate", json!(wanted_state(wanted, one).number()));
    put(
        "version",
        json!(match wanted.version {
            Version::V2 => 2,
            Version::V3 => 3,
        }),
    );
    put("smtp_alert", json!(wanted.notify.smtp_alert));
    put("notify_deleted", json!(wanted.notify.deleted_event));
    let scripts = [
        ("script_backup", &wanted.notify.backup),
        ("script_master", &wanted.notify.master),
        ("script_fault", &wanted.notify.fault),
        ("script_stop", &wanted.notify.stop),
        ("script_deleted", &wanted.notify.deleted),
        ("script", &wanted.notify.any),
        ("script_master_rx_lower_pri", &wanted.notify.master_hears_lower),
    ];
    for (name, script) in scripts {
        if let Some(script) = script {
            put(name, json!(command_line(script)));
        }
    }
    let lines = |addresses: &[keepalived_config::model::Address]| -> Vec<String> {
        addresses.iter().map(|address| instance_address(address, one)).collect()
    };
    put("vips", json!(lines(&wanted.addresses)));
    if !wanted.excluded_addresses.is_empty() {
        put("evips", json!(lines(&wanted.excluded_addresses)));
    }
    if !wanted.tracking.interfaces.is_empty() {
        let names: Vec<&String> = wanted.tracking.interfaces.iter().map(|tracked| &tracked.what).collect();
        put("track_ifp", json!(names));
    }
    if !wanted.tracking.scripts.is_empty() {
        let command =
            |tracked: &keepalived_config::model::Tracked<keepalived_config::model::ScriptId>| -> String {
                let script: &Command = &model.scripts[tracked.what.index()].command;
                command_line(script)
            };
        put("track_script", json!(wanted.tracking.scripts.iter().map(command).collect::<Vec<_>>()));
    }
    let (kind, secret) = match &wanted.authentication {
        Authentication::None | Authentication::Hmac { .. } => (0, None),
        Authentication::Password(password) => (1, Some(*password)),
        Authentication::Header(key) => (2, Some(*key)),
    };
    put("auth_type", json!(kind));
    if let Some(secret) = secret {
        let end = secret.iter().position(|byte| *byte == 0).unwrap_or(secret.len());
        put("auth_data", json!(String::from_utf8_lossy(&secret[..end])));
    }
    let counts = Counter::ALL.iter().take(COUNTERS);
    let stats: Vec<(&str, Value)> =
        counts.map(|counter| (counter.name(), json!(one.statistics.get(*counter)))).collect();
    format!("{{\"data\":{},\"stats\":{}}}", object(&data), object(&stats))
}

fn micros(time: Duration) -> f64 {
    // Microseconds since 1970 fit a double's 53 bits.
    Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(0)).as_secs_f64()
}

/// The state it is to be in: what it is in, once it was started.
pub(crate) fn wanted_state(wanted: &Instance, one: &InstanceSnapshot) -> State {
    match (one.state, wanted.state) {
        (State::Initialize, keepalived_config::model::WantedState::Master) => State::Master,
        (State::Initialize, keepalived_config::model::WantedState::Backup) => State::Backup,
        (state @ (State::Master | State::Backup | State::Fault), _) => state,
    }
}
