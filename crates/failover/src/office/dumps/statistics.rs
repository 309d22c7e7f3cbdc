//! Numbers: keepalived's statistics file, Prometheus' text format, and a table for people.

use crate::snapshot::Snapshot;
use keepalived_config::model::Model;
use std::fmt::Write;
use vrrp::{Counter, Statistics};

/// `keepalived.stats`.
pub fn statistics(_model: &Model, snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for instance in &snapshot.instances {
        let count = |counter| instance.statistics.get(counter);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "VRRP Instance: {}\n  Advertisements:\n    Received: {}\n    Sent: {}\n  Became master: {}\n  \
             Released master: {}\n  Packet Errors:\n    Length: {}\n    TTL: {}\n    Invalid Type: {}\n    \
             Advertisement Interval: {}\n    Address List: {}\n  Authentication Errors:\n    Invalid Type: {}\n    \
             Type Mismatch: {}\n    Failure: {}\n  Priority Zero:\n    Received: {}\n    Sent: {}\n",
            instance.name,
            count(Counter::AdvertsReceived),
            count(Counter::AdvertsSent),
            count(Counter::BecameMaster),
            count(Counter::ReleasedMaster),
            count(Counter::LengthErrors),
            count(Counter::TtlErrors),
            count(Counter::TypeErrors),
            count(Counter::IntervalErrors),
            count(Counter::AddressListErrors),
            count(Counter::AuthTypeErrors),
            count(Counter::AuthTypeMismatches),
            count(Counter::AuthFailures),
            count(Counter::PriorityZeroReceived),
            count(Counter::PriorityZeroSent),
        );
    }
    text
}

/// The text format of Prometheus.
pub fn metrics(model: &Model, snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let instances = || model.instances.iter().zip(&snapshot.instances);
    let label = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"");
    let mut gauge = |name: &str, help: &str, values: &mut dyn Iterator<Item = (String, f64)>| {
        let _ = writeln!(text, "# HELP hawser_vrrp_{name} {help}\n# TYPE hawser_vrrp_{name} gauge");
        for (labels, value) in values {
            let _ = writeln!(text, "hawser_vrrp_{name}{labels} {value}");
        }
    };
    let labels = |name: &str, vrid: u8| format!("{{instance=\"{}\",vrid=\"{vrid}\"}}", label(name));
    let states = "State: 0 init, 1 backup, 2 master, 3 fault";
    gauge(
        "state",
        states,
        &mut instances()
            .map(|(model, one)| (labels(&one.name, model.virtual_router_id), f64::from(one.state.number()))),
    );
    gauge(
        "priority",
        "Effective priority",
        &mut instances()
            .map(|(model, one)| (labels(&one.name, model.virtual_router_id), f64::from(one.priority))),
    );
    gauge(
        "split_brain",
        "1 while another master is heard",
        &mut instances().map(|(model, one)| {
            (labels(&one.name, model.virtual_router_id), f64::from(u8::from(one.split_with.is_some())))
        }),
    );
    gauge(
        "maintenance",
        "1 while out of service",
        &mut instances().map(|(model, one)| {
            (labels(&one.name, model.virtual_router_id), f64::from(u8::from(one.in_maintenance)))
        }),
    );
    gauge(
        "last_transition_seconds",
        "When the state changed",
        &mut instances().map(|(model, one)| {
            (labels(&one.name, model.virtual_router_id), one.last_transition.as_secs_f64())
        }),
    );
    gauge(
        "lateness_max_seconds",
        "Latest wake-up behind its deadline",
        &mut std::iter::once((String::new(), snapshot.lateness_max.as_secs_f64())),
    );
    for counter in Counter::ALL {
        let (name, help) = (counter.name(), counter.description());
        let _ = writeln!(text, "# HELP hawser_vrrp_{name}_total {help}");
        let _ = writeln!(text, "# TYPE hawser_vrrp_{name}_total counter");
        for (model, one) in instances() {
            let value = Statistics::get(&one.statistics, counter);
            let _ = writeln!(
                text,
                "hawser_vrrp_{name}_total{} {value}",
                labels(&one.name, model.virtual_router_id)
            );
        }
    }
    let _ = writeln!(text, "# HELP hawser_vrrp_send_errors_total Packets that could not be sent");
    let _ = writeln!(text, "# TYPE hawser_vrrp_send_errors_total counter");
    let _ = writeln!(text, "hawser_vrrp_send_errors_total {}", snapshot.send_errors);
    text
}

/// The table of `hawser vrrp status`.
pub fn status(model: &Model, snapshot: &Snapshot) -> String {
    let mut text = format!(
        "{:20} {:>4} {:8} {:>8} {:12} {:24} NOTES\n",
        "INSTANCE", "VRID", "STATE", "PRIORITY", "INTERFACE", "MASTER"
    );
    for (model, one) in model.instances.iter().zip(&snapshot.instances) {
        let interface = one.own_interface.as_deref().or(one.interface.as_deref()).unwrap_or("-");
        let master = match (one.state, one.master_address) {
            (vrrp::State::Master, _) => "this node".to_owned(),
            (_, Some(address)) => format!("{address} ({})", one.master_priority),
            (_, None) => "-".to_owned(),
        };
        let mut notes = Vec::new();
        if one.in_maintenance {
            notes.push("maintenance".to_owned());
        }
        if let Some(other) = one.split_with {
            notes.push(format!("SPLIT BRAIN with {other}"));
        }
        let line = format!(
            "{:20} {:>4} {:8} {:>8} {:12} {:24} {}",
            one.name,
            model.virtual_router_id,
            one.state.word(),
            one.priority,
            interface,
            master,
            notes.join(", ")
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
