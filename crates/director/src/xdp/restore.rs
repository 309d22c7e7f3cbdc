//! The table from the maps: what a director before us left there, or nothing.

use super::numbers::{Numbers, Range, Ranges};
use super::object::Object;
use super::walk::Walk;
use super::{Known, Published, Xdp, record};
use crate::kernel::Refusal;
use crate::table::Table;
use netlink::ipvs::{Key, Timeouts};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use sys::bpf::{Cursor, Map};
use xdp_abi::state::{self, ESTABLISHED, FIN_WAIT, UDP};
use xdp_abi::{REALS_MAX, RECORDS_MAX, Real, SERVICES_MAX, SLOTS_MAX, Service, Settings, Template, maps};

const ENTRIES_MAX: u32 = 4096;

/// Every entry of a map.
fn all(map: &Map, mut visit: impl FnMut(&[u8], &[u8])) -> Result<(), Refusal> {
    let mut cursor = Cursor::default();
    while map.walk(&mut cursor, ENTRIES_MAX.min(map.entries_max()), &mut visit)? {}
    Ok(())
}

fn number(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_ne_bytes)
}

/// Numbers of real servers that flows and clients know.
fn numbers_in_use(object: &Object) -> Result<BTreeSet<u32>, Refusal> {
    let mut used = BTreeSet::new();
    for name in [maps::FLOWS_4, maps::FLOWS_6] {
        all(object.maps.get(name), |_, flow| {
            used.insert(number(&flow[4..8]));
        })?;
    }
    all(object.maps.get(maps::TEMPLATES), |_, value| {
        used.extend(Template::read(value).map(|template| template.real));
    })?;
    Ok(used)
}

/// A plane with what is in the maps.
///
/// # Errors
/// A map cannot be read or written.
pub fn plane(object: Object) -> Result<Xdp, Refusal> {
    let mut entries: Vec<u32> = Vec::new();
    all(object.maps.get(maps::SERVICES), |_, value| entries.push(number(value)))?;
    let mut table = Table::default();
    let mut services: BTreeMap<Key, Published> = BTreeMap::new();
    let mut keys: BTreeMap<u32, Key> = BTreeMap::new();
    for place in entries {
        let bytes = object.maps.get(maps::RECORDS).get(&place.to_ne_bytes())?.unwrap_or_default();
        let Some(found) = Service::read(&bytes) else { continue };
        let Some(service) = record::read_service(&found) else { continue };
        let range = Range { first: found.first_slot, length: found.slots };
        keys.insert(found.number, service.key);
        services.insert(service.key, Published { number: found.number, record: place, range, past: [0; 5] });
        table.insert(service, []);
    }
    let mut reals = BTreeMap::new();
    let mut next_order = 0;
    all(object.maps.get(maps::REALS), |place, value| {
        let Some(found) = Real::read(value) else { return };
        let (Some(server), Some(key)) = (record::read_real(&found), keys.get(&found.service)) else { return };
        next_order = next_order.max(found.order);
        let known = Known { number: number(place), order: found.order, record: found };
        reals.insert((*key, server.address, server.port), known);
        if let Some(entry) = table.0.get_mut(key) {
            entry.servers.insert((server.address, server.port), server);
        }
    })?;
    let mut used: BTreeSet<u32> = reals.values().map(|known| known.number).collect();
    used.extend(numbers_in_use(&object)?);
    let of_services: BTreeSet<u32> = services.values().map(|published| published.number).collect();
    let records = services.values().map(|published| Range { first: published.record, length: 1 }).collect();
    let ranges = services.values().map(|published| published.range).collect();
    let settings = object.maps.get(maps::SETTINGS).get(&0_u32.to_ne_bytes())?.unwrap_or_default();
    let settings = Settings::read(&settings).filter(|settings| settings.timeout_tcp > 0);
    let default = |state: u8| state::SECONDS[usize::from(state)];
    let timeouts = Timeouts {
        tcp: settings.map_or(default(ESTABLISHED), |settings| settings.timeout_tcp),
        tcp_fin: settings.map_or(default(FIN_WAIT), |settings| settings.timeout_tcp_fin),
        udp: settings.map_or(default(UDP), |settings| settings.timeout_udp),
    };
    let plane = Xdp {
        object,
        table,
        services,
        reals,
        real_numbers: Numbers::new(REALS_MAX, &used),
        service_numbers: Numbers::new(SERVICES_MAX, &of_services),
        records: Ranges::new(RECORDS_MAX, records),
        ranges: Ranges::new(SLOTS_MAX, ranges),
        next_order,
        timeouts,
        rates: BTreeMap::new(),
        next_rates: Instant::now(),
        walk: Walk::default(),
        waiting: None,
        daemons: Vec::new(),
    };
    plane.write_settings()?;
    Ok(plane)
}
