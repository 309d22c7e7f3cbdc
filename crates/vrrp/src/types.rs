//! The small words of the protocol: versions, numbers, times. Owns their ranges and the two formulas of the timers.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

/// Priority of the owner of the addresses.
pub const PRIORITY_OWNER: u8 = 255;

/// Priority in an advert by which a master says that it leaves.
pub const PRIORITY_RESIGN: u8 = 0;

/// Version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// RFC 3768, with the authentication of RFC 2338 as keepalived has it.
    V2,
    /// RFC 5798 and RFC 9568.
    V3,
}

impl Version {
    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }
}

/// Family of the addresses that a router holds and of the packets that carry its adverts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// Bytes of one address.
    pub fn address_len(self) -> usize {
        match self {
            Family::V4 => 4,
            Family::V6 => 16,
        }
    }
}

/// Number of a virtual router, 1 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// `None` for 0.
    pub fn new(number: u8) -> Option<Vrid> {
        NonZeroU8::new(number).map(Vrid)
    }

    /// 1 to 255.
    pub fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Time between two adverts of a master: at least 10 ms, and what the version can say on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    centiseconds: u16,
}

impl Interval {
    /// Whole seconds, 1 to 255: all that version 2 can say.
    pub fn seconds(seconds: u8) -> Option<Interval> {
        (seconds > 0).then_some(Interval { centiseconds: u16::from(seconds) * 100 })
    }

    /// Hundredths of a second, 1 to 4095: what version 3 can say.
    pub fn centiseconds(centiseconds: u16) -> Option<Interval> {
        (1..=4095).contains(&centiseconds).then_some(Interval { centiseconds })
    }

    /// The interval of exactly this length, if that version can say it.
    pub fn new(version: Version, length: Duration) -> Option<Interval> {
        match version {
            Version::V2 if length.subsec_nanos() == 0 => {
                u8::try_from(length.as_secs()).ok().and_then(Interval::seconds)
            }
            Version::V3 if length.subsec_nanos().is_multiple_of(10_000_000) => {
                u16::try_from(length.as_millis() / 10).ok().and_then(Interval::centiseconds)
            }
            Version::V2 | Version::V3 => None,
        }
    }

    /// How long it is.
    pub fn duration(self) -> Duration {
        Duration::from_millis(u64::from(self.centiseconds) * 10)
    }

    /// The number in the packet: seconds in version 2, centiseconds in version 3. `None` when that version has no
    /// number for this interval.
    pub fn on_wire(self, version: Version) -> Option<u16> {
        match version {
            Version::V2 => (self.centiseconds.is_multiple_of(100)).then_some(self.centiseconds / 100),
            Version::V3 => (self.centiseconds <= 4095).then_some(self.centiseconds),
        }
    }
}

/// Time since 1970-01-01 UTC: for what leaves the machine or is read by people, never for timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(pub Duration);

/// What keeps backups from taking over all at once: the lower the priority, the longer.
///
/// Version 2 (RFC 3768 §6.1): `(256 - priority) / 256` of a second, whatever the interval. Version 3 (RFC 9568 §6.1): the
/// same share of the interval of the master.
pub fn skew_time(version: Version, priority: u8, master_interval: Interval) -> Duration {
    let unit = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => master_interval.duration(),
    };
    unit * (256 - u32::from(priority)) / 256
}

/// How long a backup hears nothing before it takes over: `adverts` intervals of the master, and the skew. RFC 9568
/// §6.1 has 3 for `adverts`.
pub fn master_down_interval(
    version: Version,
    priority: u8,
    master_interval: Interval,
    adverts: u32,
) -> Duration {
    master_interval.duration() * adverts + skew_time(version, priority, master_interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u8) -> Interval {
        Interval::seconds(seconds).expect("not zero")
    }

    fn centis(centiseconds: u16) -> Interval {
        Interval::centiseconds(centiseconds).expect("in range")
    }

    // Point 4: version 2 speaks whole seconds, version 3 twelve bits of centiseconds.
    #[test]
    fn point_04_intervals_are_what_the_version_can_say() {
        assert_eq!(Interval::new(Version::V2, Duration::from_millis(500)), None);
        assert_eq!(Interval::new(Version::V2, Duration::from_secs(256)), None);
        assert_eq!(Interval::new(Version::V2, Duration::ZERO), None);
        assert_eq!(Interval::new(Version::V3, Duration::ZERO), None);
        assert_eq!(Interval::new(Version::V3, Duration::from_millis(15)), None);
        assert_eq!(Interval::new(Version::V3, Duration::from_millis(40_960)), None);
        assert_eq!(Interval::new(Version::V3, Duration::from_millis(40_950)), Interval::centiseconds(4095));
        assert_eq!(centis(50).on_wire(Version::V2), None);
        assert_eq!(secs(41).on_wire(Version::V3), None);
        assert_eq!((secs(2).on_wire(Version::V2), secs(2).on_wire(Version::V3)), (Some(2), Some(200)));
    }

    // Point 25.
    #[test]
    fn point_25_skew_is_a_share_of_a_second_or_of_the_interval() {
        assert_eq!(skew_time(Version::V2, 100, secs(1)), Duration::from_micros(609_375));
        assert_eq!(skew_time(Version::V2, 100, secs(5)), Duration::from_micros(609_375));
        assert_eq!(skew_time(Version::V3, 100, secs(1)), Duration::from_micros(609_375));
        assert_eq!(skew_time(Version::V3, 100, centis(1)), Duration::from_nanos(6_093_750));
        assert_eq!(skew_time(Version::V3, 255, centis(100)), Duration::from_nanos(3_906_250));
    }

    // Point 26.
    #[test]
    fn point_26_a_master_is_down_after_three_intervals_and_skew() {
        let down = |version, priority, interval| master_down_interval(version, priority, interval, 3);
        assert_eq!(down(Version::V2, 99, secs(1)), Duration::from_nanos(3_613_281_250));
        assert_eq!(down(Version::V3, 100, centis(1)), Duration::from_nanos(36_093_750));
        assert_eq!(master_down_interval(Version::V3, 100, centis(100), 1), Duration::from_micros(1_609_375));
    }
}
