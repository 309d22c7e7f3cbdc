//! `keepalived.global`: the daemon. Shown by the VRRP process, or by the checkers' where that one shows nothing.

use super::build::{Build, address_type, octets, shown, truth};
use super::keepalived;
use agentx::Value;
use keepalived_config::model::{LvsFlush, Model};
use std::net::IpAddr;

/// RFC 5321
const SMTP_PORT: u16 = 25;
/// Seconds.
const SMTP_TIMEOUT: u64 = 30;

/// A switch that may be unset.
fn switch(value: Option<bool>) -> Value {
    Value::Integer(match value {
        Some(true) => 1,
        Some(false) => 2,
        None => 3,
    })
}

/// keepalived's numbers first, so that scripts compare them, then who we really are.
fn version() -> String {
    format!("Keepalived v2.2.7 (Hawser {})", env!("CARGO_PKG_VERSION"))
}

pub fn global(build: &mut Build, model: &Model, host_name: &str) {
    let global = &model.global;
    let mut put = |place: &[u32], value: Option<Value>| build.scalar(keepalived(&[1]).with(place), value);
    put(&[1], Some(shown(&version())));
    put(&[2], Some(shown(global.router_id.as_deref().unwrap_or(host_name))));
    let smtp = &global.smtp;
    // A relay given by name is looked up for each mail.
    let address: Option<IpAddr> = smtp.server.as_deref().and_then(|server| server.parse().ok());
    put(&[3, 1], address.map(|address| address_type(address.is_ipv4())));
    put(&[3, 2], address.map(|address| Value::Octets(octets(address))));
    let has_relay = smtp.server.is_some();
    let seconds = smtp.connect_timeout.map_or(SMTP_TIMEOUT, |timeout| timeout.as_secs());
    put(&[3, 3], has_relay.then(|| Value::Gauge32(u32::try_from(seconds).unwrap_or(u32::MAX))));
    put(&[3, 4], smtp.from.as_deref().map(shown));
    put(&[3, 6], has_relay.then(|| Value::Gauge32(smtp.port.unwrap_or(SMTP_PORT).into())));
    put(&[3, 7], Some(truth(!smtp.no_faults)));
    put(&[3, 8], Some(switch(smtp.alert)));
    put(&[3, 9], Some(switch(smtp.alert_vrrp)));
    put(&[3, 10], Some(switch(smtp.alert_checker)));
    put(&[4], Some(truth(global.snmp.traps)));
    // 1 netlink, 2 polling
    put(&[5], Some(truth(!global.poll_links)));
    put(&[6], Some(truth(global.lvs_flush)));
    // Counters of IPVS have 64 bits.
    put(&[7], Some(truth(true)));
    put(&[8], Some(shown(global.net_namespace.as_deref().unwrap_or_default())));
    // There is no such service, whatever the file asks for.
    put(&[9], Some(truth(false)));
    put(&[10], Some(truth(global.dynamic_interfaces)));
    let flush = match global.lvs_flush_on_stop {
        LvsFlush::All => 1,
        LvsFlush::No => 2,
        LvsFlush::VirtualServers => 3,
    };
    put(&[11], Some(Value::Integer(flush)));
    let entry = keepalived(&[1, 3, 5, 1]);
    build.columns(&entry, [2]);
    for (place, recipient) in smtp.to.iter().enumerate() {
        build.row(&entry, &[super::build::number(place)]).text(2, recipient);
    }
}
