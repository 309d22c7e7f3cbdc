//! Session tickets: what a client keeps for us. Keys come from a file (several nodes then resume each other's
//! sessions) or from chance, and then change by themselves.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use parking_lot::Mutex;
use rustls::server::ProducesTickets;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a key's name, as in HAProxy's files.
const NAME: usize = 16;
/// Lengths of a key in a file: name, then keys of 128 or 256 bits for encryption and authentication.
const FILE_KEY_LENGTHS: [usize; 2] = [48, 80];
/// Keys of a file that are in use: one encrypts, the others still decrypt.
pub const KEYS_MAX: usize = 3;
/// A key of chance encrypts for this long, and decrypts for as long again.
const ROTATION: Duration = Duration::from_secs(12 * 3600);

struct Key {
    name: [u8; NAME],
    aead: LessSafeKey,
    /// As it was given: base64 of it is shown by the runtime API.
    secret: Box<[u8]>,
}

/// Keys of tickets, newest first.
pub struct TicketKeys {
    keys: Mutex<Ring>,
    /// Given by a file, else by chance.
    pub file: Option<String>,
}

struct Ring {
    keys: Vec<Arc<Key>>,
    since: SystemTime,
}

fn derive(secret: &[u8]) -> Option<Key> {
    let (name, key) = secret.split_at_checked(NAME)?;
    // Both halves count: files of either length give a key of full strength.
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key);
    let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, digest.as_ref()).ok()?);
    Some(Key { name: name.try_into().ok()?, aead, secret: secret.into() })
}

fn chance() -> Option<Key> {
    let mut secret = [0; FILE_KEY_LENGTHS[1]];
    rand::fill(&mut secret).ok()?;
    derive(&secret)
}

impl TicketKeys {
    /// Keys of chance.
    pub fn random() -> TicketKeys {
        let keys = chance().into_iter().map(Arc::new).collect();
        TicketKeys { keys: Mutex::new(Ring { keys, since: SystemTime::now() }), file: None }
    }

    /// Takes over the keys of `old` where both are of chance.
    pub fn inherit(&self, old: &TicketKeys) {
        if self.file.is_some() || old.file.is_some() || std::ptr::eq(self, old) {
            return;
        }
        let (keys, since) = {
            let old = old.keys.lock();
            (old.keys.clone(), old.since)
        };
        *self.keys.lock() = Ring { keys, since };
    }

    /// Keys of a file: each line is one in base64, the last but one encrypts, as in HAProxy.
    ///
    /// # Errors
    /// Which line is wrong, and how.
    pub fn from_file(name: &str, text: &str) -> Result<TicketKeys, String> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let secret = decode_base64(line.trim())
                .filter(|secret| FILE_KEY_LENGTHS.contains(&secret.len()))
                .ok_or_else(|| format!("line {} is not 48 or 80 bytes in base64", index + 1))?;
            keys.extend(derive(&secret).map(Arc::new));
        }
        if keys.len() < KEYS_MAX {
            return Err(format!("it has {} keys: at least {KEYS_MAX} are needed", keys.len()));
        }
        // Of the last three, the middle one encrypts; the others decrypt what other nodes gave out.
        let mut last: Vec<_> = keys.split_off(keys.len() - KEYS_MAX);
        last.swap(0, 1);
        Ok(TicketKeys {
            keys: Mutex::new(Ring { keys: last, since: SystemTime::now() }),
            file: Some(name.to_owned()),
        })
    }

    /// Adds a key that will encrypt after the next one comes, as `set ssl tls-key` does. False: the key has no valid
    /// length.
    pub fn push(&self, secret: &[u8]) -> bool {
        let Some(key) =
            Some(secret).filter(|secret| FILE_KEY_LENGTHS.contains(&secret.len())).and_then(derive)
        else {
            return false;
        };
        let mut ring = self.keys.lock();
        // Order of use: [encrypting, older, newest]; the newest becomes the one that encrypts.
        let newest = ring.keys.pop();
        let encrypting = (!ring.keys.is_empty()).then(|| ring.keys.remove(0));
        ring.keys.clear();
        ring.keys.extend(newest.into_iter().chain(encrypting));
        ring.keys.push(Arc::new(key));
        true
    }

    /// The keys as they were given, oldest first.
    pub fn secrets(&self) -> Vec<Vec<u8>> {
        let ring = self.keys.lock();
        let mut keys: Vec<_> = ring.keys.iter().map(|key| key.secret.to_vec()).collect();
        if keys.len() > 1 {
            keys.swap(0, 1);
        }
        keys
    }

    fn current(&self) -> Option<Arc<Key>> {
        let mut ring = self.keys.lock();
        if self.file.is_none() && ring.since.elapsed().is_ok_and(|age| age > ROTATION) {
            ring.keys.truncate(1);
            if let Some(key) = chance() {
                ring.keys.insert(0, Arc::new(key));
            }
            ring.since = SystemTime::now();
        }
        ring.keys.first().cloned()
    }

    fn named(&self, name: &[u8]) -> Option<Arc<Key>> {
        self.keys.lock().keys.iter().find(|key| key.name == name).cloned()
    }
}

/// Tickets of listeners with one set of settings.
pub struct Tickets {
    pub keys: Arc<TicketKeys>,
    /// Seconds that a ticket is good for.
    pub lifetime: u32,
    /// What the sessions are bound to: a ticket of a listener that asks for no client certificate must not open one
    /// that does.
    pub scope: Vec<u8>,
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tickets").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.lifetime
    }

    /// Name, nonce, then sealed: time of issue and the session.
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.current()?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = now().to_be_bytes().to_vec();
        sealed.extend_from_slice(plain);
        let aad = Aad::from(&self.scope[..]);
        key.aead.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some([&key.name[..], &nonce[..], &sealed[..]].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = cipher.split_at_checked(NAME)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let key = self.keys.named(name)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = key.aead.open_in_place(nonce, Aad::from(&self.scope[..]), &mut sealed).ok()?;
        let (issued, session) = plain.split_at_checked(8)?;
        let age = now().saturating_sub(u64::from_be_bytes(issued.try_into().ok()?));
        (age <= u64::from(self.lifetime)).then(|| session.to_vec())
    }
}

/// Decodes base64 of RFC 4648 with padding.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let text = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for byte in text.bytes() {
        bits = bits << 6 | u32::from(value(byte)?);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}

/// Encodes base64 of RFC 4648 with padding.
pub fn encode_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            if place <= group.len() {
                out.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(keys: TicketKeys, scope: &[u8]) -> Tickets {
        Tickets { keys: Arc::new(keys), lifetime: 300, scope: scope.to_vec() }
    }

    fn file(seed: u8) -> String {
        (0..3).map(|line| encode_base64(&[seed + line; 80]) + "\n").collect()
    }

    #[test]
    fn a_ticket_opens_where_the_keys_and_the_scope_are_the_same() {
        let one = tickets(TicketKeys::from_file("k", &file(1)).unwrap(), b"web");
        let other_node = tickets(TicketKeys::from_file("k", &file(1)).unwrap(), b"web");
        let other_scope = tickets(TicketKeys::from_file("k", &file(1)).unwrap(), b"mutual");
        let other_keys = tickets(TicketKeys::random(), b"web");
        let ticket = one.encrypt(b"session").unwrap();
        assert_eq!(other_node.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(other_scope.decrypt(&ticket), None);
        assert_eq!(other_keys.decrypt(&ticket), None);
    }

    #[test]
    fn a_changed_or_cut_ticket_does_not_open() {
        let tickets = tickets(TicketKeys::random(), b"");
        let mut ticket = tickets.encrypt(b"session").unwrap();
        for end in 0..ticket.len() {
            assert_eq!(tickets.decrypt(&ticket[..end]), None);
        }
        let last = ticket.len() - 1;
        ticket[last] ^= 1;
        assert_eq!(tickets.decrypt(&ticket), None);
    }

    #[test]
    fn tickets_of_the_key_before_still_open_after_a_new_key() {
        let tickets = tickets(TicketKeys::from_file("k", &file(1)).unwrap(), b"");
        let ticket = tickets.encrypt(b"session").unwrap();
        assert!(tickets.keys.push(&[9; 80]));
        assert!(tickets.decrypt(&ticket).is_some());
        assert!(!tickets.keys.push(&[9; 20]));
    }

    #[test]
    fn base64_goes_both_ways() {
        for text in ["", "f", "fo", "foo", "foob"] {
            assert_eq!(decode_base64(&encode_base64(text.as_bytes())).unwrap(), text.as_bytes());
        }
        assert_eq!(encode_base64(b"fo"), "Zm8=");
        assert_eq!(decode_base64("Z$8="), None);
    }
}
