//! Tables of slots: which real server the next new flow goes to. Pure.

/// Slots of a table that hashes look up: a prime, so that every step size visits every slot.
pub const HASHED: usize = 65_537;
/// Slots of a table that turns walk through, at most.
pub const TURNS_MAX: usize = 4096;

/// One after the other, each as often as it weighs, spread evenly (what IPVS's `wrr` comes to; with equal weights `rr`).
pub fn turns(weights: &[u32]) -> Vec<usize> {
    let divisor = weights.iter().copied().filter(|weight| *weight > 0).fold(0, common_divisor).max(1);
    let mut shares: Vec<i64> = weights.iter().map(|weight| i64::from(weight / divisor)).collect();
    let sum: i64 = shares.iter().sum();
    let limit = i64::try_from(TURNS_MAX).expect("a small number");
    if sum > limit {
        // Too long for its table: shares to scale, none of them lost.
        for share in shares.iter_mut().filter(|share| **share > 0) {
            *share = (*share * limit / 2 / sum).max(1);
        }
    }
    let total: i64 = shares.iter().sum();
    let mut credits = vec![0; shares.len()];
    let mut slots = Vec::new();
    for _ in 0..total.min(limit) {
        for (credit, share) in credits.iter_mut().zip(&shares) {
            *credit += share;
        }
        let richest =
            (0..credits.len()).filter(|at| shares[*at] > 0).max_by_key(|at| (credits[*at], usize::MAX - at));
        let Some(richest) = richest else { break };
        credits[richest] -= total;
        slots.push(richest);
    }
    slots
}

fn common_divisor(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}

/// Maglev (Eisenbud and others, NSDI 2016, §3.4): each server takes slots in an order of its own, in proportion to its
/// weight; a server that leaves gives up its own slots and moves few others. `names` are what a server's order is
/// computed from, the same on every director.
pub fn maglev(names: &[u64], weights: &[u32]) -> Vec<usize> {
    let highest = weights.iter().copied().max().unwrap_or(0);
    if highest == 0 {
        return Vec::new();
    }
    let size = HASHED as u64;
    let mut positions: Vec<(u64, u64)> =
        names.iter().map(|name| (mixed(*name) % size, mixed(!*name) % (size - 1) + 1)).collect();
    let mut slots = vec![usize::MAX; HASHED];
    let mut credits = vec![0_u64; names.len()];
    let mut left = HASHED;
    while left > 0 {
        for server in 0..names.len() {
            credits[server] += u64::from(weights[server]);
            // The heaviest takes a slot in each round, the others in their share of the rounds.
            if credits[server] < u64::from(highest) || left == 0 {
                continue;
            }
            credits[server] -= u64::from(highest);
            let (position, step) = &mut positions[server];
            loop {
                let slot = &mut slots[usize::try_from(*position).expect("below the size")];
                *position = (*position + *step) % size;
                if *slot == usize::MAX {
                    *slot = server;
                    left -= 1;
                    break;
                }
            }
        }
    }
    slots
}

/// SplitMix64's finaliser.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    // row: 292, 293
    #[test]
    fn turns_follow_the_weights() {
        assert_eq!(turns(&[1, 1]), [0, 1]);
        assert_eq!(turns(&[3, 1]), [0, 0, 1, 0]);
        assert_eq!(turns(&[10, 0, 10]), [0, 2]);
        assert_eq!(turns(&[0, 0]), [0; 0]);
        let large = turns(&[60_000, 1]);
        assert!(large.len() <= TURNS_MAX && large.contains(&1), "{}", large.len());
    }

    #[test]
    fn one_of_a_hundred_servers_leaving_moves_few_of_the_others() {
        let names: Vec<u64> = (0..100).collect();
        let mut weights = vec![1; 100];
        let before = maglev(&names, &weights);
        weights[42] = 0;
        let after = maglev(&names, &weights);
        let kept = before.iter().zip(&after).filter(|(before, _)| **before != 42);
        let moved = kept.clone().filter(|(before, after)| before != after).count();
        let share = moved as f64 / kept.count() as f64;
        assert!(share <= 0.015, "{share}");
        assert!(!after.contains(&42));
    }

    #[test]
    fn shares_are_as_the_weights() {
        let slots = maglev(&[7, 8], &[3, 1]);
        let heavy = slots.iter().filter(|server| **server == 0).count() as f64 / HASHED as f64;
        assert!((heavy - 0.75).abs() < 0.01, "{heavy}");
        assert_eq!(maglev(&[7], &[0]), [0; 0]);
    }
}
