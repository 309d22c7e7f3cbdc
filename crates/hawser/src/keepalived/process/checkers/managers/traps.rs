//! What managers are told: real servers that come and go, quorums gained and lost. Names are those of columns, without an
//! index, as keepalived 2.2.7 sends them.

use super::tables::{self, REAL_SERVERS, VIRTUAL_SERVERS};
use agentx::{Binding, Oid, Value};
use director::pool::{Changed, Phase, Pool};
use failover::snmp::mib::{address_type, keepalived, octets, shown};
use failover::snmp::traps::trap;
use keepalived_config::Model;

/// `checkTraps`
const TRAPS: [u32; 3] = [3, 5, 0];
const OF_SERVER: u32 = 1;
const OF_QUORUM: u32 = 2;

fn of_virtual_server(column: u32) -> Oid {
    keepalived(&VIRTUAL_SERVERS).with(&[column])
}

fn count(number: usize) -> Value {
    Value::Gauge32(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The notification of a change.
pub(super) fn of(model: &Model, host_name: &str, pool: &Pool, changed: Changed) -> Vec<Binding> {
    let server = pool.virtual_server();
    let mut bindings = Vec::new();
    if let Some(at) = changed.server {
        let address = server.real_servers[at].address;
        let name = |column| keepalived(&REAL_SERVERS).with(&[column]);
        let status = if changed.phase == Phase::Up { 1 } else { 2 };
        bindings.extend([
            (name(3), address_type(address.is_ipv4())),
            (name(4), Value::Octets(octets(address.ip()))),
            (name(5), Value::Gauge32(pool.port_of(at).into())),
            (name(6), Value::Integer(status)),
        ]);
    }
    let identity = tables::identity(model, server).into_iter();
    bindings.extend(identity.map(|(column, value)| (of_virtual_server(column), value)));
    if changed.server.is_none() {
        let status = match changed.phase {
            Phase::Up => 1,
            Phase::Down => 2,
            Phase::ShutDown => 3,
        };
        bindings.push((of_virtual_server(23), Value::Integer(status)));
        bindings.push((of_virtual_server(22), Value::Gauge32(server.quorum)));
    }
    bindings.push((of_virtual_server(21), count(changed.up)));
    bindings.push((of_virtual_server(20), count(server.real_servers.len())));
    let router = model.global.router_id.as_deref().unwrap_or(host_name);
    bindings.push((keepalived(&[1, 2, 0]), shown(router)));
    let kind = if changed.server.is_some() { OF_SERVER } else { OF_QUORUM };
    trap(keepalived(&TRAPS).with(&[kind]), bindings)
}
