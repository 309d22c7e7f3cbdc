//! What managers are told: changes of state of instances and groups.

use super::mib::{self, keepalived, octets, shown};
use crate::office::notify::{Happening, Refused, Subject, Told};
use crate::snapshot::ProtocolError;
use agentx::{Binding, Oid, Value};
use keepalived_config::model::{Instance, Model, Version};
use std::net::IpAddr;
use vrrp::Counter;

/// `snmpTrapOID.0` (RFC 3418): which notification it is.
const TRAP: [u32; 11] = [1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];

/// A notification: its name, then what it says.
pub fn trap(name: Oid, bindings: impl IntoIterator<Item = (Oid, Value)>) -> Vec<Binding> {
    let first = Binding::new(Oid::new(&TRAP), Value::Name(name));
    let rest = bindings.into_iter().map(|(name, value)| Binding::new(name, value));
    std::iter::once(first).chain(rest).collect()
}

/// `VrrpState`; `None`: nothing that is told.
fn state(what: Happening) -> Option<i32> {
    match what {
        Happening::Backup => Some(1),
        Happening::Master => Some(2),
        Happening::Fault => Some(3),
        Happening::Stop => Some(5),
        Happening::Deleted => Some(6),
        Happening::MasterHearsLower
        | Happening::MasterPriority
        | Happening::BackupPriority
        | Happening::FaultPriority => None,
    }
}

/// The notifications of a change, in keepalived's order.
pub fn of(model: &Model, host_name: &str, told: &Told) -> Vec<Vec<Binding>> {
    let snmp = &model.global.snmp;
    let Some(state) = state(told.what).filter(|_| snmp.traps) else { return Vec::new() };
    let router = model.global.router_id.as_deref().unwrap_or(host_name);
    let router = (keepalived(&[1, 2, 0]), shown(router));
    match &told.subject {
        Subject::Group(name) if snmp.vrrp => {
            let named = (keepalived(&[2, 1, 1, 2]), shown(name));
            let state = (keepalived(&[2, 1, 1, 3]), Value::Integer(state));
            vec![trap(keepalived(&[2, 10, 0, 1]), [named, state, router])]
        }
        Subject::Group(_) => Vec::new(),
        Subject::Instance(name) => {
            let instance = model.instances.iter().find(|one| one.name == *name);
            let mut traps = Vec::new();
            if snmp.vrrp {
                let initial = instance.map_or(0, mib::initial_state);
                let bindings = [
                    (keepalived(&[2, 3, 1, 2]), shown(name)),
                    (keepalived(&[2, 3, 1, 4]), Value::Integer(state)),
                    (keepalived(&[2, 3, 1, 5]), Value::Integer(i32::try_from(initial).unwrap_or(0))),
                    router,
                ];
                traps.push(trap(keepalived(&[2, 10, 0, 2]), bindings));
            }
            if let Some(instance) = instance {
                traps.extend(new_master(model, instance, told));
            }
            traps
        }
    }
}

/// The notifications of a packet that was refused: `vrrpTrapAuthFailure`, `vrrpv3ProtoError`. keepalived sends one for each
/// packet; here each reason has one in a state, so that a flood of packets is none of traps.
pub fn of_refused(model: &Model, refused: &Refused) -> Vec<Vec<Binding>> {
    let snmp = &model.global.snmp;
    let instance = model.instances.iter().find(|one| one.name == refused.instance);
    let Some(instance) = instance.filter(|_| snmp.traps) else { return Vec::new() };
    let index = [refused.interface, u32::from(instance.virtual_router_id)];
    let authentication = match refused.counter {
        Counter::AuthTypeErrors => Some(1),
        Counter::AuthTypeMismatches => Some(2),
        Counter::AuthFailures => Some(3),
        _ => None,
    };
    let mut traps = Vec::new();
    if let (Some(kind), true, Version::V2, IpAddr::V4(source)) =
        (authentication, snmp.rfc_v2, instance.version, refused.source)
    {
        let source = (mib::rfc_2787(&[1, 5]).with(&index), Value::IpAddress(source.octets()));
        let kind = (mib::rfc_2787(&[1, 6]).with(&index), Value::Integer(kind));
        traps.push(trap(mib::rfc_2787(&[0, 2]), [source, kind]));
    }
    if let (Some(error), true) = (ProtocolError::of(refused.counter), snmp.rfc_v3) {
        let family = if refused.source.is_ipv4() { 1 } else { 2 };
        let name = mib::rfc_6527(&[1, 2, 5, 1, 6]).with(&[index[0], index[1], family]);
        let error = Value::Integer(i32::try_from(error.number()).unwrap_or(0));
        traps.push(trap(mib::rfc_6527(&[0, 2]), [(name, error)]));
    }
    traps
}

/// `vrrpTrapNewMaster` and `vrrpv3NewMaster`.
fn new_master(model: &Model, instance: &Instance, told: &Told) -> Vec<Vec<Binding>> {
    let Some(mastership) = told.mastership.filter(|_| told.what == Happening::Master) else {
        return Vec::new();
    };
    let index = [mastership.interface, u32::from(instance.virtual_router_id)];
    let mut traps = Vec::new();
    if model.global.snmp.rfc_v2
        && instance.version == Version::V2
        && let IpAddr::V4(source) = mastership.source
    {
        let address = (mib::rfc_2787(&[1, 3, 1, 7]).with(&index), Value::IpAddress(source.octets()));
        traps.push(trap(mib::rfc_2787(&[0, 1]), [address]));
    }
    if model.global.snmp.rfc_v3 {
        let family = if mastership.source.is_ipv4() { 1 } else { 2 };
        let index = [index[0], index[1], family];
        let address = Value::Octets(octets(mastership.source));
        let reason = i32::try_from(mastership.reason.number()).unwrap_or(0);
        let bindings = [
            (mib::rfc_6527(&[1, 1, 1, 1, 3]).with(&index), address),
            (mib::rfc_6527(&[1, 2, 5, 1, 2]).with(&index), Value::Integer(reason)),
        ];
        traps.push(trap(mib::rfc_6527(&[0, 1]), bindings));
    }
    traps
}
