//! Counts the frames of a client that cost work and carry nothing: PING, SETTINGS, PRIORITY, RST_STREAM. Looks at the
//! length of those that have a fixed one, too, for the `h2` crate calls a wrong one by another name. What the frames mean
//! is the crate's business; this reads nothing but their headers.

use std::time::{Duration, Instant};

/// Control frames that a client may send in a window. Clients that measure the bandwidth send a PING for each round
/// trip, a download that a user abandons many RST_STREAM: both stay far below.
const CONTROL_FRAMES_MAX: u32 = 10_000;

/// The time over which they are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Bytes of a frame header (RFC 9113 §4.1).
const HEADER_LEN: usize = 9;

/// Frame types (RFC 9113 §6).
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

/// Flag of SETTINGS.
const ACK: u8 = 1;

/// What is thought of the bytes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    /// More control frames than any honest client sends.
    Flood,
    /// A frame that has one length has another.
    WrongSize,
}

/// Follows the frames of one direction of a connection.
#[derive(Debug)]
pub struct FrameMeter {
    /// Bytes until the next frame header: of the preface at first, then of payloads.
    skip: usize,
    header: [u8; HEADER_LEN],
    header_len: usize,
    seen: u32,
    window_began: Instant,
}

impl FrameMeter {
    pub fn new(now: Instant) -> FrameMeter {
        FrameMeter {
            skip: http::HTTP2_PREFACE.len(),
            header: [0; HEADER_LEN],
            header_len: 0,
            seen: 0,
            window_began: now,
        }
    }

    /// Takes the next bytes of the connection, in pieces of any size.
    pub fn take(&mut self, mut bytes: &[u8]) -> Verdict {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return Verdict::Fine;
            }
            let count = (HEADER_LEN - self.header_len).min(bytes.len());
            self.header[self.header_len..self.header_len + count].copy_from_slice(&bytes[..count]);
            self.header_len += count;
            bytes = &bytes[count..];
            if self.header_len < HEADER_LEN {
                return Verdict::Fine;
            }
            self.header_len = 0;
            let [high, middle, low, kind, flags, ..] = self.header;
            self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            if !has_right_size(kind, flags, self.skip) {
                return Verdict::WrongSize;
            }
            if matches!(kind, PRIORITY | RST_STREAM | SETTINGS | PING) && self.count() == Verdict::Flood {
                return Verdict::Flood;
            }
        }
    }

    fn count(&mut self) -> Verdict {
        self.seen += 1;
        if self.seen <= CONTROL_FRAMES_MAX {
            return Verdict::Fine;
        }
        // The clock is read only here: once in as many frames.
        let now = Instant::now();
        if now.saturating_duration_since(self.window_began) < WINDOW {
            return Verdict::Flood;
        }
        self.window_began = now;
        self.seen = 0;
        Verdict::Fine
    }
}

/// Whether a frame of a fixed length has it (RFC 9113 §6).
fn has_right_size(kind: u8, flags: u8, length: usize) -> bool {
    match kind {
        PRIORITY => length == 5,
        RST_STREAM | WINDOW_UPDATE => length == 4,
        SETTINGS if flags & ACK != 0 => length == 0,
        SETTINGS => length.is_multiple_of(6),
        PING => length == 8,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, payload.len() as u8, kind, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(payload);
        bytes
    }

    fn started() -> FrameMeter {
        let mut meter = FrameMeter::new(Instant::now());
        assert_eq!(meter.take(http::HTTP2_PREFACE), Verdict::Fine);
        meter
    }

    #[test]
    fn a_flood_of_pings_is_one_however_it_is_cut() {
        let one = frame(PING, &[0; 8]);
        for piece in [1, 7, 17, 4096] {
            let flood = one.repeat(CONTROL_FRAMES_MAX as usize + 1);
            let mut meter = started();
            assert!(flood.chunks(piece).any(|piece| meter.take(piece) == Verdict::Flood), "in {piece}s");
        }
    }

    #[test]
    fn frames_of_one_length_are_not_taken_with_another() {
        for (kind, length) in [(PRIORITY, 4), (RST_STREAM, 5), (SETTINGS, 5), (PING, 6), (WINDOW_UPDATE, 3)] {
            assert_eq!(started().take(&frame(kind, &vec![0; length])), Verdict::WrongSize, "type {kind}");
        }
        assert_eq!(started().take(&frame(SETTINGS, &[0; 12])), Verdict::Fine);
    }

    #[test]
    fn data_is_no_flood_even_when_it_looks_like_pings() {
        let pings = frame(PING, &[0; 8]).repeat(10);
        let mut meter = started();
        for _ in 0..CONTROL_FRAMES_MAX {
            assert_eq!(meter.take(&frame(0, &pings)), Verdict::Fine);
        }
    }

    #[test]
    fn control_frames_spread_over_time_are_no_flood() {
        let mut meter = started();
        meter.window_began = Instant::now() - WINDOW;
        let pings = frame(PING, &[0; 8]).repeat(CONTROL_FRAMES_MAX as usize + 1);
        assert_eq!(meter.take(&pings), Verdict::Fine);
    }
}
