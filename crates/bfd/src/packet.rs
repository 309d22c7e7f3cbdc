//! The control packet (RFC 5880, section 4.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//!  |                       My Discriminator                        |
//!  |                      Your Discriminator                       |
//!  |                    Desired Min TX Interval                    |
//!  |                   Required Min RX Interval                    |
//!  |                 Required Min Echo RX Interval                 |
//! ```

use std::fmt;
use std::time::Duration;

/// Bytes of a packet without authentication.
pub const LENGTH: usize = 24;
const VERSION: u8 = 1;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const AUTHENTICATED: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// How a session is, as one of its ends sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    AdminDown,
    Down,
    Init,
    Up,
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            State::AdminDown => "AdminDown",
            State::Down => "Down",
            State::Init => "Init",
            State::Up => "Up",
        })
    }
}

/// Why a session changed for the last time. Numbers beyond those of the RFC are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diagnostic(pub u8);

impl Diagnostic {
    pub const NONE: Self = Self(0);
    pub const TIME_EXPIRED: Self = Self(1);
    pub const NEIGHBOUR_SAYS_DOWN: Self = Self(3);
    pub const ADMINISTRATIVELY_DOWN: Self = Self(7);
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names of RFC 5880, section 4.1.
        out.write_str(match self.0 {
            0 => "No Diagnostic",
            1 => "Control Detection Time Expired",
            2 => "Echo Function Failed",
            3 => "Neighbor Signaled Session Down",
            4 => "Forwarding Plane Reset",
            5 => "Path Down",
            6 => "Concatenated Path Down",
            7 => "Administratively Down",
            8 => "Reverse Concatenated Path Down",
            _ => "Reserved",
        })
    }
}

/// One control packet. Intervals are whole microseconds, up to 2³² − 1 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub state: State,
    pub diagnostic: Diagnostic,
    pub poll: bool,
    pub is_final: bool,
    pub demand: bool,
    /// 1..=255
    pub multiplier: u8,
    /// Not 0.
    pub my_discriminator: u32,
    /// 0: not known yet.
    pub your_discriminator: u32,
    pub desired_send: Duration,
    /// Zero: the sender wants none.
    pub required_receive: Duration,
    pub required_echo: Duration,
}

/// Why bytes are no packet for us (RFC 5880, section 6.8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    Short,
    Version,
    Length,
    NoMultiplier,
    Multipoint,
    NoDiscriminator,
    /// It does not know us, and yet it says that we have met.
    Stranger,
    /// With authentication, which no session here has.
    Authenticated,
}

impl Packet {
    /// # Errors
    /// The first rule of section 6.8.6 that the bytes break.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some(head) = bytes.first_chunk::<LENGTH>() else { return Err(Malformed::Short) };
        let (first, flags, multiplier, length) = (head[0], head[1], head[2], usize::from(head[3]));
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let interval = |at: usize| Duration::from_micros(u64::from(word(at)));
        let state = match flags >> 6 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        };
        let (mine, yours) = (word(4), word(8));
        let error = match () {
            () if first >> 5 != VERSION => Malformed::Version,
            () if length < LENGTH || length > bytes.len() => Malformed::Length,
            () if multiplier == 0 => Malformed::NoMultiplier,
            () if flags & MULTIPOINT != 0 => Malformed::Multipoint,
            () if mine == 0 => Malformed::NoDiscriminator,
            () if yours == 0 && matches!(state, State::Init | State::Up) => Malformed::Stranger,
            () if flags & AUTHENTICATED != 0 => Malformed::Authenticated,
            () => {
                return Ok(Self {
                    state,
                    diagnostic: Diagnostic(first & 0x1f),
                    poll: flags & POLL != 0,
                    is_final: flags & FINAL != 0,
                    demand: flags & DEMAND != 0,
                    multiplier,
                    my_discriminator: mine,
                    your_discriminator: yours,
                    desired_send: interval(12),
                    required_receive: interval(16),
                    required_echo: interval(20),
                });
            }
        };
        Err(error)
    }

    pub fn write(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = (VERSION << 5) | (self.diagnostic.0 & 0x1f);
        let state = match self.state {
            State::AdminDown => 0,
            State::Down => 1,
            State::Init => 2,
            State::Up => 3,
        };
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        bytes[1] =
            (state << 6) | flag(self.poll, POLL) | flag(self.is_final, FINAL) | flag(self.demand, DEMAND);
        bytes[2] = self.multiplier;
        bytes[3] = LENGTH as u8;
        let microseconds = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let words = [
            self.my_discriminator,
            self.your_discriminator,
            microseconds(self.desired_send),
            microseconds(self.required_receive),
            microseconds(self.required_echo),
        ];
        for (place, word) in bytes[4..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }
}
