//! Packets: those of real programs byte for byte, any of ours there and back, and bytes that are none.

use agentx::{Binding, Malformed, Message, Oid, Order, Pdu, SearchRange, Value, error};
use proptest::prelude::*;

/// Packets of keepalived 2.2.7 and snmpd 5.9.3, with who sent them.
fn recorded() -> Vec<(&'static str, Vec<u8>)> {
    let text = include_str!("../../../tests/vectors/agentx/keepalived.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let packets = lines.map(|line| {
        let (who, digits) = line.split_once(' ').expect("two words");
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("a byte");
        (who, (0..digits.len()).step_by(2).map(byte).collect())
    });
    packets.collect()
}

#[test]
fn recorded_packets_are_read_and_written_again_alike() {
    let (mut kinds, mut equal) = (std::collections::BTreeSet::new(), 0);
    for (who, bytes) in recorded() {
        let message = Message::decode(&bytes).unwrap_or_else(|why| panic!("{who} {bytes:x?}: {why}"));
        kinds.insert((who, bytes[1]));
        let again = message.encode(Order::Little);
        // net-snmp names the default context, with no bytes in it: that alone may be left out.
        if bytes[2] & 8 == 0 {
            // Its names in values carry a flag of search ranges, which means nothing there.
            let flags = again.iter().zip(&bytes).filter(|(ours, its)| ours != its);
            let flags: Vec<_> = flags.collect();
            assert!(again.len() == bytes.len() && flags.iter().all(|pair| *pair == (&0, &1)), "{message:?}");
            assert!(flags.len() <= usize::from(bytes[1] == 12), "{message:?}");
            equal += usize::from(flags.is_empty());
        } else {
            assert_eq!(&again[20..], &bytes[24..], "{message:?}");
        }
    }
    assert!(equal > 20, "{equal}");
    let of = |who| kinds.iter().filter(|(known, _)| *known == who).map(|(_, kind)| *kind).collect::<Vec<_>>();
    assert_eq!(of("agent"), [1, 2, 3, 12, 16, 17, 18]);
    assert_eq!(of("master"), [5, 6, 8, 9, 11, 18]);
}

#[test]
fn a_recorded_notification_names_the_group_and_its_state() {
    let packets = recorded();
    let (_, bytes) = packets.iter().find(|(_, bytes)| bytes[1] == 12).expect("a notification");
    let Pdu::Notify(bindings) = Message::decode(bytes).expect("a packet").pdu else { panic!("it notifies") };
    let keepalived = Oid::new(&[1, 3, 6, 1, 4, 1, 9586, 100, 5]);
    let expected = [
        (Oid::new(&[1, 3, 6, 1, 2, 1, 1, 3, 0]), Value::TimeTicks(206)),
        (Oid::new(&[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0]), Value::Name(keepalived.with(&[2, 10, 0, 1]))),
        (keepalived.with(&[2, 1, 1, 2]), Value::text("G")),
        (keepalived.with(&[2, 1, 1, 3]), Value::Integer(1)),
        (keepalived.with(&[1, 2, 0]), Value::text("LVS_1")),
    ];
    assert_eq!(bindings, expected.map(|(name, value)| Binding { name, value }));
}

#[test]
fn what_is_no_packet_is_refused_with_what_is_wrong() {
    let ping = Message { session: 7, transaction: 1, packet: 2, context: Vec::new(), pdu: Pdu::Ping };
    let whole = ping.encode(Order::Big);
    assert_eq!(Message::decode(&whole[..19]), Err(Malformed::Short));
    let changed = |at: usize, to: u8| {
        let mut bytes = whole.clone();
        bytes[at] = to;
        Message::decode(&bytes)
    };
    assert_eq!(changed(0, 2), Err(Malformed::Version(2)));
    assert_eq!(changed(1, 14), Err(Malformed::Type(14)));
    assert_eq!(changed(19, 3), Err(Malformed::Length(3)));
    assert_eq!(changed(19, 4), Err(Malformed::Short));
    assert_eq!(changed(16, 1), Err(Malformed::Length(1 << 24)));
    let mut long = whole.clone();
    long.extend_from_slice(&[0; 4]);
    assert_eq!(Message::decode(&long), Err(Malformed::Trailing));
    // A name of 129 sub-identifiers, and a string that goes on beyond the packet.
    let get = |name: &[u8]| {
        let mut bytes = whole.clone();
        bytes[1] = 5;
        bytes[18..20].copy_from_slice(&u16::try_from(name.len()).expect("short").to_be_bytes());
        bytes.extend_from_slice(name);
        Message::decode(&bytes)
    };
    assert_eq!(get(&[&[129, 0, 0, 0][..], &[0; 516]].concat()), Err(Malformed::Name));
    assert_eq!(get(&[125, 4, 0, 0]), Err(Malformed::Name));
    assert_eq!(get(&[1, 4, 0, 0]), Err(Malformed::Short));
}

fn name() -> impl Strategy<Value = Oid> {
    let free = prop::collection::vec(any::<u32>(), 0..=128).prop_map(|sub_ids| Oid::new(&sub_ids));
    let common = prop::collection::vec(any::<u32>(), 0..12)
        .prop_map(|more| Oid::new(&[1, 3, 6, 1]).with(&[4, 1, 9586]).with(&more));
    let edge = (0..300_u32).prop_map(|last| Oid::new(&[1, 3, 6, 1, last]));
    prop_oneof![free, common, edge]
}

fn value() -> impl Strategy<Value = Value> {
    let octets = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        any::<i32>().prop_map(Value::Integer),
        octets().prop_map(Value::Octets),
        octets().prop_map(Value::Opaque),
        name().prop_map(Value::Name),
        any::<[u8; 4]>().prop_map(Value::IpAddress),
        any::<u32>().prop_map(Value::Counter32),
        any::<u32>().prop_map(Value::Gauge32),
        any::<u32>().prop_map(Value::TimeTicks),
        any::<u64>().prop_map(Value::Counter64),
        Just(Value::Null),
        Just(Value::NoSuchObject),
        Just(Value::NoSuchInstance),
        Just(Value::EndOfMibView),
    ]
}

fn pdu() -> impl Strategy<Value = Pdu> {
    let bindings = || {
        prop::collection::vec((name(), value()), 0..6)
            .prop_map(|all| all.into_iter().map(|(name, value)| Binding { name, value }).collect::<Vec<_>>())
    };
    let ranges = || {
        prop::collection::vec((name(), any::<bool>(), name()), 0..6).prop_map(|all| {
            let range = |(start, include, end)| SearchRange { start, include, end };
            all.into_iter().map(range).collect::<Vec<_>>()
        })
    };
    let text = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (any::<u8>(), name(), text()).prop_map(|(timeout, id, description)| Pdu::Open {
            timeout,
            id,
            description
        }),
        any::<u8>().prop_map(|reason| Pdu::Close { reason }),
        (any::<u8>(), any::<u8>(), name()).prop_map(|(timeout, priority, subtree)| Pdu::Register {
            timeout,
            priority,
            subtree
        }),
        (any::<u8>(), name()).prop_map(|(priority, subtree)| Pdu::Unregister { priority, subtree }),
        ranges().prop_map(Pdu::Get),
        ranges().prop_map(Pdu::GetNext),
        (any::<u16>(), any::<u16>(), ranges()).prop_map(|(non_repeaters, repetitions_max, ranges)| {
            Pdu::GetBulk { non_repeaters, repetitions_max, ranges }
        }),
        bindings().prop_map(Pdu::TestSet),
        Just(Pdu::CommitSet),
        Just(Pdu::UndoSet),
        Just(Pdu::CleanupSet),
        bindings().prop_map(Pdu::Notify),
        Just(Pdu::Ping),
        (name(), text()).prop_map(|(id, description)| Pdu::AddAgentCaps { id, description }),
        name().prop_map(|id| Pdu::RemoveAgentCaps { id }),
        (any::<u32>(), any::<u16>(), bindings()).prop_map(|(up_time, index, bindings)| {
            Pdu::Response { up_time, error: error::NONE, index, bindings }
        }),
    ]
}

proptest! {
    #[test]
    fn any_packet_is_read_as_it_was_written_in_either_order(
        numbers in any::<[u32; 3]>(),
        context in prop::collection::vec(any::<u8>(), 0..9),
        pdu in pdu(),
    ) {
        let [session, transaction, packet] = numbers;
        let message = Message { session, transaction, packet, context, pdu };
        for order in [Order::Big, Order::Little] {
            let bytes = message.encode(order);
            prop_assert_eq!(bytes.len() % 4, 0);
            prop_assert_eq!(Message::decode(&bytes), Ok(message.clone()));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_as_something_that_can_be_written(
        kind in 0..20_u8,
        flags in any::<u8>(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = vec![1, kind, flags | 0x10, 0];
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(&u32::try_from(payload.len()).expect("short").to_be_bytes());
        bytes.extend_from_slice(&payload);
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(Message::decode(&message.encode(Order::Little)), Ok(message));
        }
    }
}
