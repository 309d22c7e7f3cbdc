//! The maps; what lies in them is in `xdp-abi`.

use aya_ebpf::helpers::bpf_ktime_get_coarse_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray};
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use xdp_abi::{
    FLOWS_MAX, Flow, FlowKey, Load, REALS_MAX, RECORDS_MAX, Real, SERVICES_MAX, SLOTS_MAX, Service, ServiceKey,
    Settings, Statistics, TEMPLATES_MAX, TICK_SHIFT, Template, TemplateKey, counter,
};

#[map]
pub static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);
#[map]
pub static SERVICES: HashMap<ServiceKey, u32> = HashMap::with_max_entries(SERVICES_MAX, 0);
#[map]
pub static RECORDS: Array<Service> = Array::with_max_entries(RECORDS_MAX, 0);
#[map]
pub static SLOTS: Array<u32> = Array::with_max_entries(SLOTS_MAX, 0);
#[map]
pub static REALS: Array<Real> = Array::with_max_entries(REALS_MAX, 0);
#[map]
pub static FLOWS_4: LruHashMap<FlowKey<u32>, Flow<u32>> = LruHashMap::with_max_entries(FLOWS_MAX, 0);
#[map]
pub static FLOWS_6: LruHashMap<FlowKey<[u32; 4]>, Flow<[u32; 4]>> =
    LruHashMap::with_max_entries(FLOWS_MAX, 0);
#[map]
pub static TEMPLATES: LruHashMap<TemplateKey, Template> = LruHashMap::with_max_entries(TEMPLATES_MAX, 0);
/// By service: the real server that a service by locality is at.
#[map]
pub static LOCALITIES: Array<u32> = Array::with_max_entries(SERVICES_MAX, 0);
/// By real server: the tick, its lowest bit set, at which it joined those of a replicated locality.
#[map]
pub static MEMBERS: Array<u32> = Array::with_max_entries(REALS_MAX, 0);
#[map]
pub static LOADS: Array<Load> = Array::with_max_entries(REALS_MAX, 0);
#[map]
pub static SETTLED: Array<Load> = Array::with_max_entries(REALS_MAX, 0);
#[map]
pub static TURNS: Array<u64> = Array::with_max_entries(SERVICES_MAX, 0);
#[map]
pub static STATISTICS: PerCpuArray<Statistics> = PerCpuArray::with_max_entries(REALS_MAX, 0);
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);

/// What is put together for a new flow: too much for the stack.
#[repr(C)]
pub struct Scratch {
    pub service: ServiceKey,
    pub client: TemplateKey,
    pub flow_4: Flow<u32>,
    pub flow_6: Flow<[u32; 4]>,
    pub answer_4: FlowKey<u32>,
    pub answer_6: FlowKey<[u32; 4]>,
    pub nothing: u32,
    pub search: Search,
    /// The way of an IPv6 packet.
    pub way: crate::transmit::Words,
}

/// A look at all real servers of a service; see `choose`.
#[repr(C)]
pub struct Search {
    pub best_cost: u64,
    pub best_weight: u64,
    pub member_cost: u64,
    pub member_weight: u64,
    pub service: u32,
    pub first_slot: u32,
    pub best: u32,
    pub member: u32,
    /// Of the real server that the locality is at.
    pub current: u32,
    pub now: u32,
    /// Whether `current` has more connections than its weight.
    pub is_current_loaded: u32,
    pub is_current_there: u32,
    pub is_member_loaded: u32,
    /// Whether some real server has less than half of what its weight stands for.
    pub has_half_loaded: u32,
    pub choice: u32,
    pub nothing: u32,
}

#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// Counts a packet.
#[inline(always)]
pub fn count(what: u32) {
    if let Some(number) = COUNTERS.get_ptr_mut(what) {
        // SAFETY: the place belongs to this processor, and programs on one do not interrupt each other.
        unsafe { *number += 1 };
    }
}

/// The time, in ticks.
#[inline(always)]
pub fn now() -> u32 {
    // SAFETY: takes nothing.
    (unsafe { bpf_ktime_get_coarse_ns() } >> TICK_SHIFT) as u32
}

/// Adds to what every processor changes; a step down is a step up all the way round.
#[inline(always)]
pub fn add(number: *mut u32, step: i32) {
    // Relaxed: an addition that does not fetch.
    // SAFETY: the callers point into a map's value; it is aligned, and every processor changes it this way alone.
    unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(number, step as u32) };
}
