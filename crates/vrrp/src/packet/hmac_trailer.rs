//! The trailer of `auth_hmac`, private to keepalived 2.4 and to us.
//!
//! ```text
//!  type 1 │ key id │ 0 0 │ UTC seconds 32 │ 1/65536 s 16 │ counter 16 │ HMAC-SHA256 cut to 16 bytes
//! ```

use super::HmacFault;
use crate::types::{Version, Vrid, WallTime};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::IpAddr;
use std::time::Duration;

/// Bytes of the trailer.
pub const HMAC_TRAILER_LEN: usize = 28;

/// Bytes before the signature.
const HEAD_LEN: usize = 12;

/// Bytes of the signature.
const SIGNATURE_LEN: usize = HMAC_TRAILER_LEN - HEAD_LEN;

/// First byte of every trailer.
const TYPE: u8 = 1;

/// Senders whose last trailer is remembered, against replays. The oldest is forgotten.
const SENDERS_MAX: usize = 16;

/// A secret, and the number by which trailers name it.
#[derive(Clone, PartialEq, Eq)]
pub struct HmacKey {
    /// The number.
    pub id: u8,
    /// The secret, 32 to 64 bytes in keepalived.
    pub secret: Vec<u8>,
}

// Without the secret: what is printed ends in logs.
impl std::fmt::Debug for HmacKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("HmacKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What happens to adverts without a right signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HmacMode {
    /// They are dropped; ours are signed.
    #[default]
    Enforce,
    /// Unsigned ones are taken, wrongly signed ones dropped; ours are signed. For the time when keys are brought out.
    Permissive,
    /// As `Permissive`, but ours are not signed yet.
    ReceiveOnly,
}

/// How repeated adverts are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AntiReplay {
    /// The clock of the sender is near ours, and time and counter only grow.
    #[default]
    Time,
    /// Time and counter only grow: for machines without a common clock.
    Monotonic,
}

/// The `auth_hmac` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacConfig {
    /// All keys that are taken.
    pub keys: Vec<HmacKey>,
    /// Id of the key that signs ours.
    pub active: u8,
    /// What happens to adverts without a right signature.
    pub mode: HmacMode,
    /// How repeated adverts are found.
    pub anti_replay: AntiReplay,
    /// Greatest difference of the clocks.
    pub time_window: Duration,
}

impl HmacConfig {
    fn key(&self, id: u8) -> Option<&HmacKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// Whether our own adverts carry the trailer.
    pub fn signs(&self) -> bool {
        match self.mode {
            HmacMode::Enforce | HmacMode::Permissive => true,
            HmacMode::ReceiveOnly => false,
        }
    }

    /// Whether adverts without the trailer are refused.
    pub(super) fn is_required(&self) -> bool {
        match self.mode {
            HmacMode::Enforce => true,
            HmacMode::Permissive | HmacMode::ReceiveOnly => false,
        }
    }
}

/// What is signed beside the trailer itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    pub version: Version,
    pub vrid: Vrid,
    pub source: IpAddr,
    /// The message as it stands in the packet; its checksum is left out.
    pub message: &'a [u8],
}

impl Signed<'_> {
    fn mac(&self, key: &HmacKey, head: &[u8]) -> Hmac<Sha256> {
        let mut pseudo = [0; 20];
        let mut address = [0; 16];
        pseudo[0] = match self.source {
            IpAddr::V4(source) => {
                address[..4].copy_from_slice(&source.octets());
                4
            }
            IpAddr::V6(source) => {
                address = source.octets();
                6
            }
        };
        pseudo[1] = self.version.number();
        pseudo[2] = self.vrid.get();
        pseudo[4..].copy_from_slice(&address);
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.secret).expect("HMAC takes keys of any length");
        mac.update(&pseudo);
        mac.update(&self.message[..6]);
        mac.update(&[0, 0]);
        mac.update(&self.message[8..]);
        mac.update(head);
        mac.update(&[0; SIGNATURE_LEN]);
        mac
    }
}

/// Time and counter of a trailer: of one sender they only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    seconds: u32,
    fraction: u16,
    counter: u16,
}

/// Signs our adverts.
#[derive(Debug, Default)]
pub(super) struct Signer {
    counter: u16,
}

impl Signer {
    /// The trailer of a message, or `None` when the configuration names no key of ours.
    pub(super) fn trailer(
        &mut self,
        config: &HmacConfig,
        clock: WallTime,
        signed: Signed<'_>,
    ) -> Option<[u8; HMAC_TRAILER_LEN]> {
        let key = config.key(config.active)?;
        let mut trailer = [0; HMAC_TRAILER_LEN];
        trailer[0] = TYPE;
        trailer[1] = key.id;
        // The field is 32 bits wide on the wire: it wraps in 2106.
        trailer[4..8].copy_from_slice(&(clock.0.as_secs() as u32).to_be_bytes());
        let fraction = (u64::from(clock.0.subsec_nanos()) << 16) / 1_000_000_000;
        trailer[8..10].copy_from_slice(&(fraction as u16).to_be_bytes());
        trailer[10..12].copy_from_slice(&self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        let digest = signed.mac(key, &trailer[..HEAD_LEN]).finalize().into_bytes();
        trailer[HEAD_LEN..].copy_from_slice(&digest[..SIGNATURE_LEN]);
        Some(trailer)
    }
}

/// Verifies the adverts of others.
#[derive(Debug, Default)]
pub(super) struct Verifier {
    /// The last stamp of each sender, oldest sender first.
    seen: Vec<(IpAddr, Stamp)>,
}

impl Verifier {
    /// Whether the trailer is the right one.
    pub(super) fn verify(
        &mut self,
        config: &HmacConfig,
        clock: WallTime,
        signed: Signed<'_>,
        trailer: &[u8],
    ) -> Result<(), HmacFault> {
        if trailer.len() != HMAC_TRAILER_LEN || trailer[0] != TYPE || trailer[2..4] != [0, 0] {
            return Err(HmacFault::Malformed);
        }
        let key = config.key(trailer[1]).ok_or(HmacFault::UnknownKey { id: trailer[1] })?;
        let (head, signature) = trailer.split_at(HEAD_LEN);
        signed.mac(key, head).verify_truncated_left(signature).map_err(|_| HmacFault::Signature)?;
        let stamp = Stamp {
            seconds: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            fraction: u16::from_be_bytes([head[8], head[9]]),
            counter: u16::from_be_bytes([head[10], head[11]]),
        };
        if config.anti_replay == AntiReplay::Time {
            let age_seconds = i64::try_from(clock.0.as_secs()).unwrap_or(i64::MAX) - i64::from(stamp.seconds);
            if age_seconds.unsigned_abs() > config.time_window.as_secs() {
                return Err(HmacFault::Stale { age_seconds });
            }
        }
        self.remember(signed.source, stamp)
    }

    fn remember(&mut self, source: IpAddr, stamp: Stamp) -> Result<(), HmacFault> {
        if let Some(position) = self.seen.iter().position(|(known, _)| *known == source) {
            if stamp <= self.seen[position].1 {
                return Err(HmacFault::Replay);
            }
            self.seen.remove(position);
        } else if self.seen.len() == SENDERS_MAX {
            self.seen.remove(0);
        }
        self.seen.push((source, stamp));
        Ok(())
    }
}
