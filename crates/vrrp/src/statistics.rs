//! What a virtual router counts: the numbers of keepalived's statistics dump, and one for each thing it does not count.

/// One number of the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Counter {
    /// Adverts taken as valid (`advert_rcvd`).
    AdvertsReceived,
    /// Adverts sent (`advert_sent`).
    AdvertsSent,
    /// Times it became master (`become_master`).
    BecameMaster,
    /// Times it ceased to be master (`release_master`).
    ReleasedMaster,
    /// Packets of a wrong length (`packet_len_err`).
    LengthErrors,
    /// Adverts of version 2 with another interval, or with none (`advert_interval_err`).
    IntervalErrors,
    /// Packets that came through a router (`ip_ttl_err`).
    TtlErrors,
    /// Packets that are no adverts (`invalid_type_rcvd`).
    TypeErrors,
    /// Adverts with other addresses (`addr_list_err`).
    AddressListErrors,
    /// Adverts with an unknown kind of authentication (`invalid_authtype`).
    AuthTypeErrors,
    /// Adverts with another kind of authentication than ours (`authtype_mismatch`).
    AuthTypeMismatches,
    /// Adverts with a wrong password or signature (`auth_failure`).
    AuthFailures,
    /// Adverts of priority 0 received (`pri_zero_rcvd`).
    PriorityZeroReceived,
    /// Adverts of priority 0 sent (`pri_zero_sent`).
    PriorityZeroSent,
    /// Packets with a wrong checksum.
    ChecksumErrors,
    /// Packets of the other version.
    VersionErrors,
    /// Packets of another virtual router.
    VridErrors,
    /// Packets from no peer of ours, or by unicast instead of multicast and the reverse.
    SourceErrors,
    /// Times another master was heard while we were an established one.
    SplitBrains,
    /// Addresses put back after someone else took them away.
    AddressesRestored,
    /// Times the process slept through its timers.
    Stalls,
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = 21;

    /// All of them, in the order of keepalived's dump, then our own.
    pub const ALL: [Counter; Counter::COUNT] = [
        Counter::AdvertsReceived,
        Counter::AdvertsSent,
        Counter::BecameMaster,
        Counter::ReleasedMaster,
        Counter::LengthErrors,
        Counter::IntervalErrors,
        Counter::TtlErrors,
        Counter::TypeErrors,
        Counter::AddressListErrors,
        Counter::AuthTypeErrors,
        Counter::AuthTypeMismatches,
        Counter::AuthFailures,
        Counter::PriorityZeroReceived,
        Counter::PriorityZeroSent,
        Counter::ChecksumErrors,
        Counter::VersionErrors,
        Counter::VridErrors,
        Counter::SourceErrors,
        Counter::SplitBrains,
        Counter::AddressesRestored,
        Counter::Stalls,
    ];

    /// What it counts, in a few words.
    pub fn description(self) -> &'static str {
        match self {
            Counter::AdvertsReceived => "Adverts taken as valid",
            Counter::AdvertsSent => "Adverts sent",
            Counter::BecameMaster => "Times it became master",
            Counter::ReleasedMaster => "Times it ceased to be master",
            Counter::LengthErrors => "Packets of a wrong length",
            Counter::IntervalErrors => "Adverts of version 2 with another interval, or with none",
            Counter::TtlErrors => "Packets that came through a router",
            Counter::TypeErrors => "Packets that are no adverts",
            Counter::AddressListErrors => "Adverts with other addresses",
            Counter::AuthTypeErrors => "Adverts with an unknown kind of authentication",
            Counter::AuthTypeMismatches => "Adverts with another kind of authentication than ours",
            Counter::AuthFailures => "Adverts with a wrong password or signature",
            Counter::PriorityZeroReceived => "Adverts of priority 0 received",
            Counter::PriorityZeroSent => "Adverts of priority 0 sent",
            Counter::ChecksumErrors => "Packets with a wrong checksum",
            Counter::VersionErrors => "Packets of the other version",
            Counter::VridErrors => "Packets of another virtual router",
            Counter::SourceErrors => {
                "Packets from no peer of ours, or by unicast instead of multicast and the reverse"
            }
            Counter::SplitBrains => "Times another master was heard while we were an established one",
            Counter::AddressesRestored => "Addresses put back after someone else took them away",
            Counter::Stalls => "Times the process slept through its timers",
        }
    }

    /// The name in keepalived's JSON dump; our own words for what it does not count.
    pub fn name(self) -> &'static str {
        match self {
            Counter::AdvertsReceived => "advert_rcvd",
            Counter::AdvertsSent => "advert_sent",
            Counter::BecameMaster => "become_master",
            Counter::ReleasedMaster => "release_master",
            Counter::LengthErrors => "packet_len_err",
            Counter::IntervalErrors => "advert_interval_err",
            Counter::TtlErrors => "ip_ttl_err",
            Counter::TypeErrors => "invalid_type_rcvd",
            Counter::AddressListErrors => "addr_list_err",
            Counter::AuthTypeErrors => "invalid_authtype",
            Counter::AuthTypeMismatches => "authtype_mismatch",
            Counter::AuthFailures => "auth_failure",
            Counter::PriorityZeroReceived => "pri_zero_rcvd",
            Counter::PriorityZeroSent => "pri_zero_sent",
            Counter::ChecksumErrors => "checksum_err",
            Counter::VersionErrors => "version_err",
            Counter::VridErrors => "vrid_err",
            Counter::SourceErrors => "source_err",
            Counter::SplitBrains => "split_brain",
            Counter::AddressesRestored => "addresses_restored",
            Counter::Stalls => "stalls",
        }
    }
}

/// The numbers of one virtual router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    counts: [u64; Counter::COUNT],
}

impl Statistics {
    /// One of the numbers.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    /// One more.
    pub fn count(&mut self, counter: Counter) {
        self.counts[counter as usize] += 1;
    }

    /// All back to 0, as keepalived's `STATS_CLEAR` does.
    pub fn clear(&mut self) {
        *self = Statistics::default();
    }
}
