//! Names what an administrator can choose: the algorithm, and how a hash becomes a server.
//!
//! Owns the closed list of algorithms and the questions a shell asks about them. Never holds servers or load.

use crate::hash;
use crate::roster::Load;

/// Number of draws of `balance random` when none is given.
pub const DEFAULT_DRAWS: u32 = 2;

/// How a backend chooses a server (`balance`, manual section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Smooth weighted round robin; weights may change at run time.
    RoundRobin,
    /// Weighted round robin over a fixed table; a weight is either its initial value or zero.
    StaticRoundRobin,
    /// Fewest requests (served and queued) for its weight, round robin among equals.
    LeastConn,
    /// Fill the server with the lowest id up to its `maxconn`, then the next one.
    First,
    /// The least loaded of a number of servers drawn at random, by weight.
    Random {
        /// Servers drawn for each pick; zero counts as one.
        draws: u32,
        /// `hash-balance-factor`: as in [`HashType`].
        balance_factor: u32,
    },
    /// By the hash of something in the request (source, uri, url_param, hdr, rdp-cookie, hash).
    Hash(HashType),
}

/// `hash-type`, and `hash-balance-factor` with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashType {
    /// How a hash is turned into a server.
    pub method: HashMethod,
    /// How bytes are turned into a hash; `balance source` never uses it.
    pub function: HashFunction,
    /// Stir the hash once more before the lookup.
    pub avalanche: bool,
    /// Most load of a server, in percent of its fair share; 0 means no bound. Used by the ring only.
    pub balance_factor: u32,
    /// Whether requests are told apart even when one server is left: set it for `url_param`, and for nothing else. The
    /// other kinds of key do not look at the request then, so no turn of round robin is used up.
    pub looks_when_alone: bool,
}

/// Lookup method of [`HashType`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashMethod {
    /// Remainder over a table with as many rows as the total weight; nearly every key moves when it changes.
    #[default]
    MapBased,
    /// Nearest point of a ring; about one key in N moves when one of N servers changes.
    Consistent,
}

/// Hash function of [`HashType`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFunction {
    /// The hash of the sdbm database.
    #[default]
    Sdbm,
    /// Bernstein's `times 33`.
    Djb2,
    /// Two rotating accumulators; good on short keys.
    Wt6,
    /// CRC-32 as in Ethernet, gzip and PNG.
    Crc32,
    /// The key is a decimal number and is the hash itself (HAProxy 2.9 and later).
    None,
}

impl HashType {
    /// `hash-type <method>` without a function: sdbm, and the ring gets an avalanche that it does not get when the
    /// function is named.
    pub fn new(method: HashMethod) -> HashType {
        let avalanche = match method {
            HashMethod::MapBased => false,
            HashMethod::Consistent => true,
        };
        HashType { method, function: HashFunction::Sdbm, avalanche, ..HashType::default() }
    }

    /// The hash of `bytes`: the chosen function, then the avalanche when asked for.
    pub fn digest(&self, bytes: &[u8]) -> u32 {
        let digest = match self.function {
            HashFunction::Sdbm => hash::sdbm(bytes),
            HashFunction::Djb2 => hash::djb2(bytes),
            HashFunction::Wt6 => hash::wt6(bytes),
            HashFunction::Crc32 => hash::crc32(bytes),
            HashFunction::None => hash::decimal(bytes),
        };
        self.finish(digest)
    }

    /// Applies the avalanche, where it is configured, to a hash made elsewhere.
    pub(crate) fn finish(&self, digest: u32) -> u32 {
        if self.avalanche { hash::avalanche(digest) } else { digest }
    }
}

impl Algorithm {
    /// Whether weights other than the initial one and zero, and slow start, take effect at run time.
    pub fn is_dynamic(&self) -> bool {
        match self {
            Algorithm::RoundRobin | Algorithm::LeastConn | Algorithm::First | Algorithm::Random { .. } => {
                true
            }
            Algorithm::StaticRoundRobin => false,
            Algorithm::Hash(kind) => kind.method == HashMethod::Consistent,
        }
    }

    /// Whether the picker must hear of every request that starts or ends on a server.
    ///
    /// Where this is false a shell may skip [`Picker::taken`](crate::Picker::taken) and
    /// [`Picker::dropped`](crate::Picker::dropped), and with them two locks per request.
    pub fn tracks_load(&self) -> bool {
        match self {
            Algorithm::LeastConn | Algorithm::Random { .. } => true,
            Algorithm::RoundRobin | Algorithm::StaticRoundRobin | Algorithm::First => false,
            Algorithm::Hash(kind) => kind.method == HashMethod::Consistent && kind.balance_factor > 0,
        }
    }

    /// Whether a failed connection may be sent to another server at once, without waiting for the last
    /// retry: the choice was arbitrary, so nothing is lost (HAProxy does so with more than one active server).
    pub fn redispatches_at_once(&self) -> bool {
        match self {
            Algorithm::RoundRobin | Algorithm::StaticRoundRobin | Algorithm::Random { .. } => true,
            Algorithm::LeastConn | Algorithm::First | Algorithm::Hash(_) => false,
        }
    }

    /// Whether requests waiting in the backend's own queue prove that every server is full, so that a new
    /// request joins them without asking the picker.
    pub fn backend_queue_means_full(&self) -> bool {
        match self {
            Algorithm::RoundRobin | Algorithm::StaticRoundRobin | Algorithm::First => true,
            Algorithm::LeastConn | Algorithm::Random { .. } | Algorithm::Hash(_) => false,
        }
    }

    /// Whether a server that may serve `maxconn` requests (0: no limit) takes no more: for leastconn only when its
    /// queue of `maxqueue` (0: none counts) is full too, for the others as soon as anything waits there.
    pub fn is_full(&self, load: Load, maxconn: u32, maxqueue: u32) -> bool {
        match self {
            Algorithm::LeastConn => maxconn > 0 && load.total() >= u64::from(maxconn) + u64::from(maxqueue),
            Algorithm::RoundRobin
            | Algorithm::StaticRoundRobin
            | Algorithm::First
            | Algorithm::Random { .. }
            | Algorithm::Hash(_) => maxconn > 0 && (load.queued > 0 || load.served >= maxconn),
        }
    }
}
