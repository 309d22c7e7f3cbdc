//! The order of the list. ipvsadm subtracts numbers of 32 bits and looks at the sign, so that far-apart addresses wrap
//! around and the relation is no order: the same merge gives the same rows.

use netlink::ipvs::{Destination, Key, Service};
use std::net::IpAddr;

pub fn services(services: &mut Vec<Service>) {
    merge_sort(services, &|one, other| service(&one.key, &other.key));
}

pub fn destinations(destinations: &mut Vec<Destination>) {
    merge_sort(destinations, &|one, other| {
        // IPv6 first, the other way round than among services.
        let family = i32::from(other.address.is_ipv6()) - i32::from(one.address.is_ipv6());
        first([family, address(one.address, other.address), i32::from(one.port) - i32::from(other.port)])
    });
}

fn service(one: &Key, other: &Key) -> i32 {
    let mark = |key: &Key| match key {
        Key::Mark { mark, .. } => *mark,
        Key::Address { .. } => 0,
    };
    let family = i32::from(one.is_ipv6()) - i32::from(other.is_ipv6());
    let marks = difference(mark(one), mark(other));
    match (one, other) {
        (
            Key::Address { protocol, address: host, port },
            Key::Address { protocol: other_protocol, address: other_host, port: other_port },
        ) => first([
            marks,
            family,
            i32::from(*protocol) - i32::from(*other_protocol),
            address(*host, *other_host),
            i32::from(*port) - i32::from(*other_port),
        ]),
        (Key::Address { .. } | Key::Mark { .. }, Key::Address { .. } | Key::Mark { .. }) => {
            first([marks, family])
        }
    }
}

fn address(one: IpAddr, other: IpAddr) -> i32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => difference(one.to_bits(), other.to_bits()),
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let words = |bits: u128| [96, 64, 32, 0].map(|shift| (bits >> shift) as u32);
            let (one, other) = (words(one.to_bits()), words(other.to_bits()));
            first([0, 1, 2, 3].map(|at| difference(one[at], other[at])))
        }
        // Told apart by family before.
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => 0,
    }
}

fn difference(one: u32, other: u32) -> i32 {
    one.wrapping_sub(other).cast_signed()
}

fn first<const N: usize>(differences: [i32; N]) -> i32 {
    differences.into_iter().find(|difference| *difference != 0).unwrap_or(0)
}

/// Halves, sorts and merges, taking from the left on a tie, as the C library does.
fn merge_sort<T>(items: &mut Vec<T>, compare: &impl Fn(&T, &T) -> i32) {
    if items.len() < 2 {
        return;
    }
    let mut right = items.split_off(items.len() / 2);
    let mut left = std::mem::take(items);
    merge_sort(&mut left, compare);
    merge_sort(&mut right, compare);
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let next = if compare(one, other) <= 0 { left.next() } else { right.next() };
        items.extend(next);
    }
    items.extend(left);
    items.extend(right);
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink::ipvs::TCP;

    #[test]
    fn far_addresses_wrap_around_as_in_ipvsadm() {
        let addresses = ["10.9.9.9", "1.0.0.1", "200.0.0.1", "fd00::9", "ff02::1", "::"];
        let key = |text: &&str| Key::Address { protocol: TCP, address: text.parse().expect("one"), port: 80 };
        let mut list: Vec<Service> = addresses.iter().map(|text| Service::new(key(text), "rr")).collect();
        list.push(Service::new(Key::Mark { mark: u32::MAX, is_ipv6: false }, "rr"));
        list.push(Service::new(Key::Mark { mark: 5, is_ipv6: true }, "rr"));
        services(&mut list);
        let shown: Vec<String> = list
            .iter()
            .map(|service| match service.key {
                Key::Address { address, .. } => address.to_string(),
                Key::Mark { mark, .. } => mark.to_string(),
            })
            .collect();
        let expected = ["4294967295", "200.0.0.1", "1.0.0.1", "10.9.9.9", "fd00::9", "ff02::1", "::", "5"];
        assert_eq!(shown, expected);
    }
}
