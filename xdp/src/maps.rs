//! The maps; what lies in them is in `xdp-abi`.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray};
use xdp_abi::{
    FLOWS_MAX, Flow, FlowKey, REALS_MAX, Real, Reply, SERVICES_MAX, SLOTS_MAX, Service, ServiceKey, counter,
};

#[map]
pub static SERVICES: HashMap<ServiceKey, Service> = HashMap::with_max_entries(SERVICES_MAX, 0);
#[map]
pub static SLOTS: Array<u32> = Array::with_max_entries(SLOTS_MAX, 0);
#[map]
pub static REALS: Array<Real> = Array::with_max_entries(REALS_MAX, 0);
#[map]
pub static FLOWS: LruHashMap<FlowKey, Flow> = LruHashMap::with_max_entries(FLOWS_MAX, 0);
#[map]
pub static REPLIES: LruHashMap<FlowKey, Reply> = LruHashMap::with_max_entries(FLOWS_MAX, 0);
#[map]
pub static TURNS: Array<u64> = Array::with_max_entries(SERVICES_MAX, 0);
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);

/// Counts a packet.
#[inline(always)]
pub fn count(what: u32) {
    if let Some(number) = COUNTERS.get_ptr_mut(what) {
        // SAFETY: the place belongs to this processor, and programs on one do not interrupt each other.
        unsafe { *number += 1 };
    }
}
