//! What goes over the channel between the parent and a child: words of one byte, and news of BFD sessions, which the VRRP
//! child has and the checkers' child hears of through the parent. Bytes in, news out; sockets are others'.
//!
//! ```text
//!  word
//!  'U' or 'D', length of the name (1), name, microseconds of the monotonic clock (8)
//! ```

use std::time::Duration;

const UP: u8 = b'U';
const DOWN: u8 = b'D';
const HEAD_LENGTH: usize = 2;
const TIME_LENGTH: usize = 8;

/// What a child tells its parent, one byte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Word {
    Ready = b'R',
    Reloading = b'L',
    /// The configuration stays as it was.
    Refused = b'F',
    Stopping = b'S',
    /// Somebody asked for a reload over the runtime socket: the others are to follow.
    WantsReload = b'W',
}

impl Word {
    const ALL: [Word; 5] = [Word::Ready, Word::Reloading, Word::Refused, Word::Stopping, Word::WantsReload];
}

/// A session of BFD has gone up or down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub name: String,
    pub is_up: bool,
    /// When it was told, by the monotonic clock.
    pub at: Duration,
}

impl Session {
    pub fn now(name: String, is_up: bool) -> Self {
        Self { name, is_up, at: monotonic() }
    }

    /// Names longer than 255 bytes are cut: the configuration has none.
    pub fn write(&self) -> Vec<u8> {
        let name = &self.name.as_bytes()[..self.name.len().min(usize::from(u8::MAX))];
        let mut bytes = vec![if self.is_up { UP } else { DOWN }, name.len() as u8];
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&u64::try_from(self.at.as_micros()).unwrap_or(u64::MAX).to_be_bytes());
        bytes
    }
}

/// The clock of all processes of this host.
pub(super) fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    Word(Word),
    Session(Session),
}

/// Bytes of a channel that are no whole news yet: never more than one.
#[derive(Debug, Default)]
pub(super) struct Hearing(Vec<u8>);

impl Hearing {
    /// Takes bytes; what they complete comes out, in order. Bytes that are no news are passed over.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<News> {
        self.0.extend_from_slice(bytes);
        let mut all = Vec::new();
        let mut at = 0;
        while let Some(first) = self.0.get(at) {
            let length = match first {
                &(UP | DOWN) => match self.0.get(at + 1) {
                    Some(length) => HEAD_LENGTH + usize::from(*length) + TIME_LENGTH,
                    None => break,
                },
                _ => 1,
            };
            let Some(one) = self.0.get(at..at + length) else { break };
            at += length;
            all.extend(read(one));
        }
        self.0.drain(..at);
        all
    }
}

fn read(bytes: &[u8]) -> Option<News> {
    if let [byte] = bytes {
        return Word::ALL.into_iter().find(|word| *word as u8 == *byte).map(News::Word);
    }
    let (rest, time) = bytes.split_last_chunk::<TIME_LENGTH>()?;
    let name = String::from_utf8_lossy(rest.get(HEAD_LENGTH..)?).into_owned();
    let at = Duration::from_micros(u64::from_be_bytes(*time));
    Some(News::Session(Session { name, is_up: rest.first() == Some(&UP), at }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_come_out_however_the_bytes_are_cut() {
        let session = |name: &str, is_up| Session {
            name: name.to_owned(),
            is_up,
            at: Duration::from_micros(7_000_001),
        };
        let said = [session("peer", true), session("", false), session(&"x".repeat(255), true)];
        let mut bytes = vec![b'R', b'?'];
        for one in &said {
            bytes.extend(one.write());
            bytes.push(b'L');
        }
        let mut hearing = Hearing::default();
        let heard: Vec<News> = bytes.iter().flat_map(|byte| hearing.take(&[*byte])).collect();
        let mut whole = Hearing::default();
        assert_eq!(whole.take(&bytes), heard);
        let mut expected = vec![News::Word(Word::Ready)];
        for one in said {
            expected.extend([News::Session(one), News::Word(Word::Reloading)]);
        }
        assert_eq!(heard, expected);
    }
}
