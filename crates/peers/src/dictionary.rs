//! Server keys are sent in full once and by number afterwards: a cache on each side, filled by the sender.

use crate::wire::{Reader, WireError, put_number};
use std::sync::Arc;

/// Keys that one session remembers, each way, as HAProxy has it.
pub const ENTRIES_MAX: usize = 128;

/// What this side has sent.
#[derive(Debug, Default)]
pub struct Sent {
    keys: Vec<Arc<str>>,
    next: usize,
}

impl Sent {
    /// Appends a key: length, number, and where the other side cannot know it, its text.
    pub fn put(&mut self, key: Option<&Arc<str>>, out: &mut Vec<u8>) {
        let Some(key) = key else { return put_number(0, out) };
        let mut content = Vec::with_capacity(key.len() + 4);
        if let Some(number) = self.keys.iter().position(|known| known == key) {
            put_number(number as u64 + 1, &mut content);
        } else {
            let number = self.take_place(key);
            put_number(number as u64 + 1, &mut content);
            put_number(key.len() as u64, &mut content);
            content.extend_from_slice(key.as_bytes());
        }
        put_number(content.len() as u64, out);
        out.extend_from_slice(&content);
    }

    fn take_place(&mut self, key: &Arc<str>) -> usize {
        let number = self.next;
        if number < self.keys.len() {
            self.keys[number] = Arc::clone(key);
        } else {
            self.keys.push(Arc::clone(key));
        }
        self.next = (number + 1) % ENTRIES_MAX;
        number
    }

    /// Number and key, for `show peers dict`.
    pub fn list(&self) -> &[Arc<str>] {
        &self.keys
    }
}

/// What the other side has sent.
#[derive(Debug, Default)]
pub struct Received {
    keys: Vec<Option<Arc<str>>>,
}

impl Received {
    /// Reads a key; `None`: the entry has none.
    ///
    /// # Errors
    /// What is wrong with the bytes; a number that nobody sent a text for is `TooLarge`.
    pub fn take(&mut self, reader: &mut Reader<'_>) -> Result<Option<Arc<str>>, WireError> {
        let mut content = Reader::new(reader.counted_block()?);
        if content.remaining() == 0 {
            return Ok(None);
        }
        let number = content.number()?;
        let place = usize::try_from(number.wrapping_sub(1)).map_err(|_| WireError::TooLarge)?;
        if place >= ENTRIES_MAX {
            return Err(WireError::TooLarge);
        }
        if content.remaining() == 0 {
            return match self.keys.get(place) {
                Some(Some(key)) => Ok(Some(Arc::clone(key))),
                Some(None) | None => Err(WireError::TooLarge),
            };
        }
        let text = String::from_utf8_lossy(content.counted_block()?);
        let key: Arc<str> = Arc::from(&*text);
        if self.keys.len() <= place {
            self.keys.resize(place + 1, None);
        }
        self.keys[place] = Some(Arc::clone(&key));
        Ok(Some(key))
    }

    /// By number, for `show peers dict`.
    pub fn list(&self) -> &[Option<Arc<str>>] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_time_a_number_is_enough() {
        let mut sent = Sent::default();
        let key: Arc<str> = "w1".into();
        let mut out = Vec::new();
        sent.put(Some(&key), &mut out);
        sent.put(Some(&key), &mut out);
        sent.put(None, &mut out);
        assert_eq!(out, [4, 1, 2, b'w', b'1', 1, 1, 0]);
        let mut received = Received::default();
        let mut reader = Reader::new(&out);
        assert_eq!(received.take(&mut reader), Ok(Some(Arc::clone(&key))));
        assert_eq!(received.take(&mut reader), Ok(Some(key)));
        assert_eq!(received.take(&mut reader), Ok(None));
    }

    #[test]
    fn more_keys_than_places_are_sent_in_full_again() {
        let (mut sent, mut received) = (Sent::default(), Received::default());
        for round in 0..3 {
            for number in 0..ENTRIES_MAX + 5 {
                let key: Arc<str> = format!("server-{number}").into();
                let mut out = Vec::new();
                sent.put(Some(&key), &mut out);
                assert_eq!(received.take(&mut Reader::new(&out)), Ok(Some(key)), "round {round}");
            }
        }
    }

    #[test]
    fn a_number_without_a_text_is_refused() {
        assert_eq!(Received::default().take(&mut Reader::new(&[1, 7])), Err(WireError::TooLarge));
        assert_eq!(Received::default().take(&mut Reader::new(&[2, 0xf0, 0])), Err(WireError::TooLarge));
    }
}
