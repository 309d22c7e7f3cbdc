//! Control packets: as keepalived 2.2.7 sends them, and everything that is none.

use bfd::{Diagnostic, LENGTH, Malformed, Packet, State};
use proptest::prelude::*;
use std::time::Duration;

/// Recorded between two keepalived 2.2.7 with `min_rx 50`, `min_tx 50`, `idle_tx 1000`, `multiplier 3`: the first one, and
/// the one that begins the poll sequence.
const FIRST: [u8; LENGTH] = [
    0x20, 0x40, 0x03, 0x18, 0xc4, 0x2c, 0x75, 0xa2, 0, 0, 0, 0, 0x00, 0x0f, 0x42, 0x40, 0x00, 0x00, 0xc3,
    0x50, 0, 0, 0, 0,
];
const POLL: [u8; LENGTH] = [
    0x20, 0xe0, 0x03, 0x18, 0x56, 0xd7, 0xd3, 0xf9, 0xc4, 0x2c, 0x75, 0xa2, 0x00, 0x00, 0xc3, 0x50, 0x00,
    0x00, 0xc3, 0x50, 0, 0, 0, 0,
];

fn first() -> Packet {
    Packet {
        state: State::Down,
        diagnostic: Diagnostic::NONE,
        poll: false,
        is_final: false,
        demand: false,
        multiplier: 3,
        my_discriminator: 0xc42c_75a2,
        your_discriminator: 0,
        desired_send: Duration::from_millis(1000),
        required_receive: Duration::from_millis(50),
        required_echo: Duration::ZERO,
    }
}

#[test]
fn packets_are_those_of_keepalived() {
    assert_eq!(Packet::read(&FIRST), Ok(first()));
    assert_eq!(first().write(), FIRST);
    let poll = Packet {
        state: State::Up,
        poll: true,
        my_discriminator: 0x56d7_d3f9,
        your_discriminator: 0xc42c_75a2,
        desired_send: Duration::from_millis(50),
        ..first()
    };
    assert_eq!(Packet::read(&POLL), Ok(poll));
    assert_eq!(poll.write(), POLL);
}

#[test]
fn each_rule_of_reception_discards() {
    let with = |at: usize, value: u8| {
        let mut bytes = POLL;
        bytes[at] = value;
        Packet::read(&bytes)
    };
    assert_eq!(Packet::read(&POLL[..23]), Err(Malformed::Short));
    assert_eq!(with(0, 0x40), Err(Malformed::Version));
    assert_eq!(with(3, 23), Err(Malformed::Length));
    assert_eq!(with(3, 25), Err(Malformed::Length));
    assert_eq!(with(2, 0), Err(Malformed::NoMultiplier));
    assert_eq!(with(1, 0xe1), Err(Malformed::Multipoint));
    assert_eq!(with(1, 0xe4), Err(Malformed::Authenticated));
    let mut stranger = POLL;
    stranger[8..12].fill(0);
    assert_eq!(Packet::read(&stranger), Err(Malformed::Stranger));
    let mut nobody = POLL;
    nobody[4..8].fill(0);
    assert_eq!(Packet::read(&nobody), Err(Malformed::NoDiscriminator));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic_and_what_is_read_is_written(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(packet) = Packet::read(&bytes) {
            prop_assert_eq!(Packet::read(&packet.write()), Ok(packet));
        }
    }
}
