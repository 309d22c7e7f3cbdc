//! Finds the real server of a new flow: by slots, or by the connections that each has.

use crate::maps::{LOADS, LOCALITIES, MEMBERS, REALS, SCRATCH, SETTLED, SLOTS, Search, TURNS, now};
use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::bpf_loop;
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use xdp_abi::{NO_REAL, Real, Service, choice, elapsed, forward, service_flag, ticks};

/// Slots that are looked at until one's real server takes more connections.
const TRIES_MAX: u32 = 16;
/// A real server leaves a replicated locality after a day.
const MEMBER_TICKS: u32 = ticks(86_400);

/// `hash`: of what the service goes by, where it goes by a hash. A function that is verified by itself.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn choose(service: *const Service, hash: u32) -> u32 {
    if service.is_null() {
        return NO_REAL;
    }
    // SAFETY: callers pass references.
    let service = unsafe { &*service };
    let slots = service.slots;
    if slots == 0 {
        return NO_REAL;
    }
    if service.choice >= choice::LEAST {
        return by_load(service);
    }
    let is_hashed = service.choice != choice::TURNS;
    let first = if is_hashed { hash } else { turn(service.number) };
    let tries = if is_hashed && service.flags & service_flag::FALLBACK == 0 { 1 } else { TRIES_MAX };
    for at in 0..TRIES_MAX {
        if at >= tries {
            break;
        }
        let slot = service.first_slot.wrapping_add(first.wrapping_add(at) % slots);
        let Some(number) = SLOTS.get(slot) else { break };
        let Some(real) = REALS.get(*number) else { continue };
        if serves(real, service) && takes_more(*number, real) {
            return *number;
        }
    }
    NO_REAL
}

/// Whether a real server is one of the service's: numbers change hands.
#[inline(always)]
pub fn serves(real: &Real, service: &Service) -> bool {
    real.forward != forward::NONE && real.service == service.number
}

#[inline(always)]
fn turn(service: u32) -> u32 {
    let Some(turn) = TURNS.get_ptr_mut(service) else { return 0 };
    // Not relaxed: that becomes an addition that does not fetch, and each turn would be the first.
    // SAFETY: the value is aligned, and every processor changes it this way alone.
    (unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(turn, 1) }) as u32
}

/// Active and inactive connections.
#[inline(always)]
fn connections(number: u32) -> (u32, u32) {
    let (Some(load), Some(settled)) = (LOADS.get(number), SETTLED.get(number)) else { return (0, 0) };
    let rest = |counted: u32, expired: u32| {
        let rest = counted.wrapping_sub(expired);
        // Both are read one after the other, and may cross zero for a moment.
        if rest > u32::MAX / 2 { 0 } else { rest }
    };
    (rest(load.active, settled.active), rest(load.inactive, settled.inactive))
}

/// Whether a real server is below its thresholds, with their hysteresis.
#[inline(always)]
fn takes_more(number: u32, real: &Real) -> bool {
    if real.upper == 0 {
        return true;
    }
    let Some(load) = LOADS.get_ptr_mut(number) else { return false };
    let (active, inactive) = connections(number);
    let all = u64::from(active) + u64::from(inactive);
    // SAFETY: the value is aligned; processors that decide at once decide alike.
    unsafe {
        if all >= u64::from(real.upper) {
            (*load).overloaded = 1;
        } else if (*load).overloaded != 0 {
            let is_below =
                if real.lower != 0 { all < u64::from(real.lower) } else { all * 4 < u64::from(real.upper) * 3 };
            if is_below {
                (*load).overloaded = 0;
            }
        }
        (*load).overloaded == 0
    }
}

#[inline(always)]
fn by_load(service: &Service) -> u32 {
    let how = service.choice;
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return NO_REAL };
    // SAFETY: the value is this processor's, and one packet at a time uses it.
    let search = unsafe { &mut (*scratch).search };
    // The best so far; a real server is better when its cost for its weight is lower.
    *search = Search {
        service: service.number,
        first_slot: service.first_slot,
        best: NO_REAL,
        member: NO_REAL,
        best_cost: 0,
        best_weight: 0,
        member_cost: 0,
        member_weight: 0,
        current: NO_REAL,
        now: now(),
        is_current_loaded: 0,
        is_current_there: 0,
        is_member_loaded: 0,
        has_half_loaded: 0,
        choice: u32::from(how),
        nothing: 0,
    };
    if how == choice::LOCALITY
        && let Some(current) = LOCALITIES.get(service.number)
    {
        search.current = *current;
    }
    // What the callback is given must be on the stack: it finds the search by itself.
    let mut nothing = 0_u64;
    // SAFETY: the callback takes what it is given.
    unsafe {
        bpf_loop(service.slots, look as *mut c_void, (&raw mut nothing).cast(), 0);
    }
    match how {
        choice::LOCALITY => {
            let stays = search.is_current_there != 0
                && (search.is_current_loaded == 0 || search.has_half_loaded == 0);
            if stays {
                return search.current;
            }
            if let Some(current) = LOCALITIES.get_ptr_mut(service.number) {
                // SAFETY: one word.
                unsafe { *current = search.best };
            }
            search.best
        }
        choice::LOCALITY_REPLICATED => {
            let stays =
                search.member != NO_REAL && (search.is_member_loaded == 0 || search.has_half_loaded == 0);
            if stays {
                return search.member;
            }
            if let Some(member) = MEMBERS.get_ptr_mut(search.best) {
                // SAFETY: one word.
                unsafe { *member = search.now | 1 };
            }
            search.best
        }
        _ => search.best,
    }
}

/// Looks at one real server; always goes on.
extern "C" fn look(at: u64, _: *mut u64) -> i64 {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return 1 };
    // SAFETY: the value is this processor's; `by_load` began the search, and waits.
    let search = unsafe { &mut (*scratch).search };
    let Some(number) = SLOTS.get(search.first_slot.wrapping_add(at as u32)) else { return 0 };
    let number = *number;
    let Some(real) = REALS.get(number) else { return 0 };
    if real.forward == forward::NONE || real.service != search.service || real.weight == 0 {
        return 0;
    }
    if !takes_more(number, real) {
        return 0;
    }
    let (active, inactive) = connections(number);
    let (active, inactive) = (u64::from(active), u64::from(inactive));
    let weight = u64::from(real.weight);
    if active * 2 < weight {
        search.has_half_loaded = 1;
    }
    let all = active * 256 + inactive;
    let (cost, share) = match search.choice as u8 {
        choice::LEAST => (all, 1),
        choice::SHORTEST_DELAY => (active + 1, weight),
        choice::NEVER_QUEUE => (if active == 0 { 0 } else { active + 1 }, weight),
        choice::FAILOVER => (u64::from(u32::MAX) - weight, 1),
        choice::OVERFLOW => {
            if active >= weight {
                return 0;
            }
            (u64::from(u32::MAX) - weight, 1)
        }
        _ => (all, weight),
    };
    if search.best == NO_REAL || cost * search.best_weight < search.best_cost * share {
        search.best = number;
        search.best_cost = cost;
        search.best_weight = share;
    }
    let is_loaded = u32::from(active > weight);
    if number == search.current {
        search.is_current_there = 1;
        search.is_current_loaded = is_loaded;
    }
    if search.choice as u8 == choice::LOCALITY_REPLICATED
        && let Some(joined) = MEMBERS.get(number)
        && *joined != 0
        && elapsed(search.now, *joined) < MEMBER_TICKS
        && (search.member == NO_REAL || cost * search.member_weight < search.member_cost * share)
    {
        search.member = number;
        search.member_cost = cost;
        search.member_weight = share;
        search.is_member_loaded = is_loaded;
    }
    0
}
