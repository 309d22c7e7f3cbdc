//! Reads the frame headers of a client before the `h2` crate does. Counts the frames that cost work and carry nothing:
//! PING, SETTINGS, PRIORITY, RST_STREAM. Refuses what the crate takes, or refuses by another name than RFC 9113: frames of
//! a wrong length, a window above the largest, a connection that does not begin with SETTINGS. What else frames mean is the
//! crate's business.

use h2::Reason;
use std::time::{Duration, Instant};

/// Control frames that a client may send in a window. Clients that measure the bandwidth send a PING for each round
/// trip, a download that a user abandons many RST_STREAM: both stay far below.
const CONTROL_FRAMES_MAX: u32 = 10_000;

/// The time over which they are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Bytes of a frame header (RFC 9113 §4.1).
const HEADER_LEN: usize = 9;

/// Bytes of one setting (RFC 9113 §6.5.1).
const SETTING_LEN: usize = 6;

/// The largest window (RFC 9113 §6.5.2).
const WINDOW_MAX: u32 = 0x7fff_ffff;

/// Frame types (RFC 9113 §6).
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// Flag of SETTINGS.
const ACK: u8 = 1;

/// SETTINGS_INITIAL_WINDOW_SIZE.
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Follows the frames of one direction of a connection.
#[derive(Debug)]
pub struct FrameMeter {
    /// Bytes until the next frame header: of the preface at first, then of payloads.
    skip: usize,
    /// The start of a frame header, or of a setting.
    held: [u8; HEADER_LEN],
    held_len: usize,
    /// The first frame has not come.
    begins: bool,
    /// What is skipped are settings.
    in_settings: bool,
    seen: u32,
    window_began: Instant,
}

impl FrameMeter {
    pub fn new(now: Instant) -> FrameMeter {
        FrameMeter {
            skip: http::HTTP2_PREFACE.len(),
            held: [0; HEADER_LEN],
            held_len: 0,
            begins: true,
            in_settings: false,
            seen: 0,
            window_began: now,
        }
    }

    /// Takes the next bytes of the connection, in pieces of any size.
    ///
    /// # Errors
    /// What the connection must be closed for.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), Reason> {
        loop {
            if self.in_settings {
                while self.skip > 0 && self.hold(&mut bytes, SETTING_LEN) {
                    self.skip -= SETTING_LEN;
                    self.setting()?;
                }
                if self.skip > 0 {
                    return Ok(());
                }
                self.in_settings = false;
            }
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() || !self.hold(&mut bytes, HEADER_LEN) {
                return Ok(());
            }
            self.frame()?;
        }
    }

    /// Takes bytes until so many are held; whether they are.
    fn hold(&mut self, bytes: &mut &[u8], wanted: usize) -> bool {
        let count = (wanted - self.held_len).min(bytes.len());
        self.held[self.held_len..self.held_len + count].copy_from_slice(&bytes[..count]);
        self.held_len += count;
        *bytes = &bytes[count..];
        let whole = self.held_len == wanted;
        if whole {
            self.held_len = 0;
        }
        whole
    }

    fn frame(&mut self) -> Result<(), Reason> {
        let [high, middle, low, kind, flags, ..] = self.held;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        // RFC 9113 §3.4: SETTINGS follow the preface.
        if std::mem::take(&mut self.begins) && (kind != SETTINGS || flags & ACK != 0) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        if !has_right_size(kind, flags, self.skip) {
            return Err(Reason::FRAME_SIZE_ERROR);
        }
        self.in_settings = kind == SETTINGS;
        if matches!(kind, PRIORITY | RST_STREAM | SETTINGS | PING) { self.count() } else { Ok(()) }
    }

    fn setting(&mut self) -> Result<(), Reason> {
        let [n1, n2, v1, v2, v3, v4, ..] = self.held;
        let value = u32::from_be_bytes([v1, v2, v3, v4]);
        if u16::from_be_bytes([n1, n2]) == INITIAL_WINDOW_SIZE && value > WINDOW_MAX {
            return Err(Reason::FLOW_CONTROL_ERROR);
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Reason> {
        self.seen += 1;
        if self.seen <= CONTROL_FRAMES_MAX {
            return Ok(());
        }
        // The clock is read only here: once in as many frames.
        let now = Instant::now();
        if now.saturating_duration_since(self.window_began) < WINDOW {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        self.window_began = now;
        self.seen = 0;
        Ok(())
    }
}

/// Whether a frame has a length that its type may have (RFC 9113 §6).
fn has_right_size(kind: u8, flags: u8, length: usize) -> bool {
    match kind {
        PRIORITY => length == 5,
        RST_STREAM | WINDOW_UPDATE => length == 4,
        SETTINGS if flags & ACK != 0 => length == 0,
        SETTINGS => length.is_multiple_of(SETTING_LEN),
        PING => length == 8,
        GOAWAY => length >= 8,
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
        assert_eq!(meter.take(http::HTTP2_PREFACE), Ok(()));
        assert_eq!(meter.take(&frame(SETTINGS, &[])), Ok(()));
        meter
    }

    #[test]
    fn a_flood_of_pings_is_one_however_it_is_cut() {
        let one = frame(PING, &[0; 8]);
        for piece in [1, 7, 17, 4096] {
            let flood = one.repeat(CONTROL_FRAMES_MAX as usize);
            let mut meter = started();
            assert!(
                flood.chunks(piece).any(|piece| meter.take(piece) == Err(Reason::ENHANCE_YOUR_CALM)),
                "in {piece}s"
            );
        }
    }

    #[test]
    fn frames_of_one_length_are_not_taken_with_another() {
        for (kind, length) in
            [(PRIORITY, 4), (RST_STREAM, 5), (SETTINGS, 5), (PING, 6), (GOAWAY, 7), (WINDOW_UPDATE, 3)]
        {
            let bytes = frame(kind, &vec![0; length]);
            assert_eq!(started().take(&bytes), Err(Reason::FRAME_SIZE_ERROR), "type {kind}");
        }
        assert_eq!(started().take(&frame(SETTINGS, &[0; 12])), Ok(()));
    }

    #[test]
    fn data_is_no_flood_even_when_it_looks_like_pings() {
        let pings = frame(PING, &[0; 8]).repeat(10);
        let mut meter = started();
        for _ in 0..CONTROL_FRAMES_MAX {
            assert_eq!(meter.take(&frame(0, &pings)), Ok(()));
        }
    }

    #[test]
    fn control_frames_spread_over_time_are_no_flood() {
        let mut meter = started();
        meter.window_began = Instant::now() - WINDOW;
        let pings = frame(PING, &[0; 8]).repeat(CONTROL_FRAMES_MAX as usize + 1);
        assert_eq!(meter.take(&pings), Ok(()));
    }

    #[test]
    fn a_window_above_the_largest_is_refused_wherever_it_stands_and_however_it_is_cut() {
        let settings = [0, 3, 0, 0, 0, 100, 0, 4, 0x80, 0, 0, 0, 0, 5, 0, 0, 0x40, 0];
        for piece in [1, 5, 8, 100] {
            let mut meter = started();
            let bytes = [frame(SETTINGS, &settings[..6]), frame(SETTINGS, &settings)].concat();
            let refused = bytes.chunks(piece).find_map(|piece| meter.take(piece).err());
            assert_eq!(refused, Some(Reason::FLOW_CONTROL_ERROR), "in {piece}s");
        }
    }

    #[test]
    fn the_first_frame_is_settings() {
        for first in [frame(PING, &[0; 8]), {
            let mut ack = frame(SETTINGS, &[]);
            ack[4] = ACK;
            ack
        }] {
            let mut meter = FrameMeter::new(Instant::now());
            assert_eq!(meter.take(&[http::HTTP2_PREFACE, &first[..]].concat()), Err(Reason::PROTOCOL_ERROR));
        }
    }
}
