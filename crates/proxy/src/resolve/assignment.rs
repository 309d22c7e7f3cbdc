//! Which server gets which record of an answer. Pure, and total: whatever the servers had before, as many of them as there
//! are records end up with one, so that no mass replacement can leave slots behind.

use haproxy_config::model::Network;
use std::net::IpAddr;

/// A server that wants one record.
#[derive(Debug, Clone)]
pub struct Seat<T> {
    pub current: Option<T>,
    /// May share a record with another seat.
    pub allow_duplicate: bool,
}

/// Gives each seat a record or none. A seat keeps what it has while that is still among `records`; free seats take unused
/// records in order, those that `prefers` (by seat) first; seats that may share get the least used one when all are taken.
pub fn assign<T: Clone + PartialEq>(
    seats: &[Seat<T>],
    records: &[T],
    prefers: impl Fn(usize, &T) -> bool,
) -> Vec<Option<T>> {
    let mut uses = vec![0usize; records.len()];
    let mut given: Vec<Option<usize>> = vec![None; seats.len()];
    for (seat, slot) in seats.iter().zip(&mut given) {
        let kept = seat
            .current
            .as_ref()
            .and_then(|current| records.iter().position(|record| record == current))
            .filter(|&at| uses[at] == 0);
        if let Some(at) = kept {
            uses[at] += 1;
            *slot = Some(at);
        }
    }
    for (index, (seat, slot)) in seats.iter().zip(&mut given).enumerate() {
        if slot.is_some() {
            continue;
        }
        let unused = |at: &usize| uses[*at] == 0;
        let best = (0..records.len())
            .filter(unused)
            .find(|&at| prefers(index, &records[at]))
            .or_else(|| (0..records.len()).find(unused))
            .or_else(|| {
                let kept = seat
                    .current
                    .as_ref()
                    .and_then(|current| records.iter().position(|record| record == current));
                let least = || (0..records.len()).min_by_key(|&at| uses[at]);
                seat.allow_duplicate.then(|| kept.or_else(least)).flatten()
            });
        if let Some(at) = best {
            uses[at] += 1;
            *slot = Some(at);
        }
    }
    given.into_iter().map(|at| at.map(|at| records[at].clone())).collect()
}

/// Whether `address` lies in one of `networks`.
pub fn is_in(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| contains(network, address))
}

fn contains(network: &Network, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((network_bits, width), (address_bits, address_width)) = (bits(network.ip), bits(address));
    if width != address_width {
        return false;
    }
    let prefix = u32::from(network.prefix).min(width);
    let mask = if prefix == 0 { 0 } else { u128::MAX << (128 - prefix) };
    network_bits & mask == address_bits & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn seats(current: &[Option<u8>]) -> Vec<Seat<u8>> {
        current.iter().map(|&current| Seat { current, allow_duplicate: false }).collect()
    }

    #[test]
    fn what_is_still_there_stays_where_it_is() {
        let given = assign(&seats(&[Some(1), Some(2), None]), &[2, 3, 1], |_, _| false);
        assert_eq!(given, [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn seats_that_may_share_do_when_records_run_out() {
        let mut two = seats(&[None, None]);
        two[1].allow_duplicate = true;
        assert_eq!(assign(&two, &[9], |_, _| false), [Some(9), Some(9)]);
        assert_eq!(assign(&two, &[9, 8], |_, _| false), [Some(9), Some(8)]);
        assert_eq!(assign(&seats(&[None, None]), &[9], |_, _| false), [Some(9), None]);
    }

    #[test]
    fn a_preferred_network_comes_first() {
        let network = Network { ip: "10.0.0.0".parse().unwrap(), prefix: 8 };
        let near: IpAddr = "10.1.2.3".parse().unwrap();
        let far: IpAddr = "192.0.2.1".parse().unwrap();
        let seat = [Seat { current: None, allow_duplicate: false }];
        assert_eq!(assign(&seat, &[far, near], |_, address| is_in(&[network], *address)), [Some(near)]);
        assert!(!is_in(&[network], "::1".parse().unwrap()));
    }

    proptest! {
        // Mass replacement: whatever the servers had, as many as there are records have one afterwards.
        #[test]
        fn no_seat_stays_empty_while_a_record_is_free(
            current in prop::collection::vec(prop::option::of(0u8..20), 0..20),
            records in prop::collection::hash_set(0u8..40, 0..20),
        ) {
            let records: Vec<u8> = records.into_iter().collect();
            let seats = seats(&current);
            let given = assign(&seats, &records, |_, _| false);
            let taken: Vec<u8> = given.iter().flatten().copied().collect();
            let distinct: HashSet<u8> = taken.iter().copied().collect();
            prop_assert_eq!(taken.len(), seats.len().min(records.len()));
            prop_assert_eq!(distinct.len(), taken.len(), "nobody shares");
            prop_assert!(taken.iter().all(|record| records.contains(record)));
            let mut seen = HashSet::new();
            for (seat, given) in seats.iter().zip(&given) {
                if let Some(current) = seat.current
                    && records.contains(&current)
                    && seen.insert(current)
                {
                    prop_assert_eq!(*given, Some(current), "a record that stays does not move");
                }
            }
        }

        #[test]
        fn replacing_everything_again_and_again_converges(
            rounds in prop::collection::vec(prop::collection::hash_set(0u8..40, 0..20), 1..10),
        ) {
            let mut current: Vec<Option<u8>> = vec![None; 10];
            for records in rounds {
                let records: Vec<u8> = records.into_iter().collect();
                current = assign(&seats(&current), &records, |_, _| false);
                prop_assert_eq!(current.iter().flatten().count(), records.len().min(10));
                let again = assign(&seats(&current), &records, |_, _| false);
                prop_assert_eq!(&again, &current, "a second look changes nothing");
            }
        }
    }
}
