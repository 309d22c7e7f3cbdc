//! Tables of slots: which real server the next new flow goes to. Pure.

/// Slots of a table that hashes look up: primes, so that every step size visits every slot. Some five hundred for each
/// real server keep what moves when one leaves below the third part of a percent of the others.
const HASHED: [usize; 4] = [2_039, 8_191, 65_537, 524_287];
const HASHED_FOR_EACH: usize = 500;
/// Slots of a table that turns walk through, at most.
pub const TURNS_MAX: usize = 4096;

/// One after the other, each as often as it weighs, in the order of IPVS's `wrr` (with equal weights `rr`): rounds in
/// which only the heaviest have a turn, then more and more of the others.
pub fn turns(weights: &[u32]) -> Vec<usize> {
    let divisor = weights.iter().copied().filter(|weight| *weight > 0).fold(0, common_divisor).max(1);
    let mut shares: Vec<u64> = weights.iter().map(|weight| u64::from(weight / divisor)).collect();
    let sum: u64 = shares.iter().sum();
    let limit = u64::try_from(TURNS_MAX).expect("a small number");
    if sum > limit {
        // Too long for its table: shares to scale, none of them lost.
        for share in shares.iter_mut().filter(|share| **share > 0) {
            *share = (*share * limit / 2 / sum).max(1);
        }
    }
    let highest = shares.iter().copied().max().unwrap_or(0);
    let mut slots = Vec::new();
    for least in (1..=highest).rev() {
        let in_turn = (0..shares.len()).filter(|at| shares[*at] >= least);
        slots.extend(in_turn.take(TURNS_MAX.saturating_sub(slots.len())));
    }
    slots
}

fn common_divisor(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}

/// How many slots hashes look up for so many real servers, those without weight included: a server that drains moves
/// nothing else.
fn hashed(servers: usize) -> usize {
    let wanted = servers.saturating_mul(HASHED_FOR_EACH);
    HASHED.into_iter().find(|size| *size >= wanted).unwrap_or(HASHED[HASHED.len() - 1])
}

/// Maglev (Eisenbud and others, NSDI 2016, §3.4): each server takes slots in an order of its own, in proportion to its
/// weight; a server that leaves gives up its own slots and moves few others. `names` are what a server's order is
/// computed from, the same on every director.
pub fn maglev(names: &[u64], weights: &[u32]) -> Vec<usize> {
    let highest = weights.iter().copied().max().unwrap_or(0);
    if highest == 0 {
        return Vec::new();
    }
    let length = hashed(names.len());
    let size = length as u64;
    let mut positions: Vec<(u64, u64)> =
        names.iter().map(|name| (mixed(*name) % size, mixed(!*name) % (size - 1) + 1)).collect();
    let mut slots = vec![usize::MAX; length];
    let mut credits = vec![0_u64; names.len()];
    let mut left = length;
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
        assert_eq!(turns(&[3, 1]), [0, 0, 0, 1]);
        assert_eq!(turns(&[1, 2, 3]), [2, 1, 2, 0, 1, 2]);
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
        let heavy = slots.iter().filter(|server| **server == 0).count() as f64 / slots.len() as f64;
        assert!((heavy - 0.75).abs() < 0.01, "{heavy}");
        assert_eq!(maglev(&[7], &[0]), [0; 0]);
    }
}
