//! The header of a message in each format, and the date in it. Bytes only.

use haproxy_config::model::LogFormatKind;
use rules::WallTime;
use std::io::{IoSlice, Write};

/// `Mmm dd hh:mm:ss ` of RFC 3164.
const SHORT_DATE_LENGTH: usize = 16;
/// `yyyy-mm-ddThh:mm:ss.uuuuuu+hh:mm ` of RFC 5424.
const ISO_DATE_LENGTH: usize = 33;
const ISO_MICROSECONDS_AT: usize = 20;

/// Header parts before the message, the message, the newline.
pub const SEGMENTS_MAX: usize = 7;

/// The second's date in both spellings, rendered once a second.
#[derive(Debug, Clone)]
pub struct DateCache {
    second: Option<u64>,
    short: [u8; SHORT_DATE_LENGTH],
    iso: [u8; ISO_DATE_LENGTH],
}

impl Default for DateCache {
    fn default() -> Self {
        DateCache { second: None, short: [b' '; SHORT_DATE_LENGTH], iso: [b' '; ISO_DATE_LENGTH] }
    }
}

pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl DateCache {
    pub fn update(&mut self, now: WallTime) {
        let second = now.0.as_secs();
        if self.second != Some(second) {
            self.second = Some(second);
            self.render(sys::clock::local_time(i64::try_from(second).unwrap_or(i64::MAX)));
        }
        let mut rest = now.0.subsec_micros();
        for digit in self.iso[ISO_MICROSECONDS_AT..ISO_MICROSECONDS_AT + 6].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
    }

    /// RFC 3164's, with a blank behind it.
    pub fn short(&self) -> &[u8] {
        &self.short
    }

    /// RFC 5424's, with a blank behind it.
    pub fn iso(&self) -> &[u8] {
        &self.iso
    }

    fn render(&mut self, time: sys::clock::LocalTime) {
        let month = MONTHS[usize::from(time.month.clamp(1, 12)) - 1];
        let sign = if time.offset_minutes < 0 { '-' } else { '+' };
        let offset = time.offset_minutes.unsigned_abs();
        // The fields are as wide as the buffers for years up to 9999; beyond, the text is cut, which is no error.
        let _ = write!(
            &mut self.short[..],
            "{month} {:2} {:02}:{:02}:{:02} ",
            time.day,
            time.hour,
            time.minute,
            time.second
        );
        let _ = write!(
            &mut self.iso[..],
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.000000{sign}{:02}:{:02} ",
            time.year,
            time.month,
            time.day,
            time.hour,
            time.minute,
            time.second,
            offset / 60,
            offset % 60
        );
    }
}

/// A `log` line's framing with everything constant rendered.
#[derive(Debug)]
pub struct Framing {
    kind: LogFormatKind,
    /// `<PRI>` (with the version in RFC 5424), for levels 0..=7.
    priorities: [Box<[u8]>; 8],
    /// Between the date and the structured data or message: host, tag and process id.
    origin: Box<[u8]>,
}

impl Framing {
    pub fn new(kind: LogFormatKind, facility: u8, tag: &str, hostname: Option<&str>, pid: u32) -> Framing {
        use LogFormatKind::{Iso, Local, Priority, Raw, Rfc3164, Rfc5424, Short, Timed, Unspecified};
        let kind = match kind {
            Unspecified if hostname.is_some() => Rfc3164,
            Unspecified => Local,
            named => named,
        };
        let priorities = std::array::from_fn(|level| {
            let priority = usize::from(facility) * 8 + level;
            let text = match kind {
                Unspecified | Local | Rfc3164 | Priority => format!("<{priority}>"),
                Rfc5424 => format!("<{priority}>1 "),
                // systemd and journald take the level alone.
                Short | Timed => format!("<{level}>"),
                Iso | Raw => String::new(),
            };
            text.into_bytes().into_boxed_slice()
        });
        let origin = match kind {
            Unspecified | Local => format!("{tag}[{pid}]: "),
            Rfc3164 => format!("{} {tag}[{pid}]: ", hostname.unwrap_or("localhost")),
            Rfc5424 => format!("{} {tag} {pid} - ", hostname.unwrap_or("-")),
            Priority | Short | Timed | Iso | Raw => String::new(),
        };
        Framing { kind, priorities, origin: origin.into_bytes().into_boxed_slice() }
    }

    /// The pieces of a whole message in order, cut to `length_max` bytes, then a newline. `level` is 0..=7.
    pub fn segments<'a>(
        &'a self,
        level: u8,
        date: &'a DateCache,
        structured_data: &'a [u8],
        message: &'a [u8],
        length_max: usize,
    ) -> Segments<'a> {
        use LogFormatKind::{Iso, Local, Priority, Raw, Rfc3164, Rfc5424, Short, Timed, Unspecified};
        let mut segments = Segments::new(length_max);
        segments.push(&self.priorities[usize::from(level.min(7))]);
        match self.kind {
            Unspecified | Local | Rfc3164 => segments.push(&date.short),
            Rfc5424 | Timed | Iso => segments.push(&date.iso),
            Priority | Short | Raw => {}
        }
        segments.push(&self.origin);
        if self.kind == Rfc5424 {
            segments.push(if structured_data.is_empty() { b"-" } else { structured_data });
            segments.push(b" ");
        }
        segments.push(message);
        segments.finish()
    }
}

/// A message whose header is there already, cut to `length_max` bytes, then a newline.
pub fn forwarded<'a>(header: &'a [u8], message: &'a [u8], length_max: usize) -> Segments<'a> {
    let mut segments = Segments::new(length_max);
    segments.push(header);
    segments.push(message);
    segments.finish()
}

/// Slices of one message, for one gathering write.
#[derive(Debug)]
pub struct Segments<'a> {
    slices: [IoSlice<'a>; SEGMENTS_MAX],
    used: usize,
    budget: usize,
    length: usize,
}

impl<'a> Segments<'a> {
    fn new(budget: usize) -> Segments<'a> {
        Segments { slices: [IoSlice::new(b""); SEGMENTS_MAX], used: 0, budget, length: 0 }
    }

    fn push(&mut self, bytes: &'a [u8]) {
        let bytes = &bytes[..bytes.len().min(self.budget)];
        if !bytes.is_empty() {
            self.slices[self.used] = IoSlice::new(bytes);
            self.used += 1;
            self.budget -= bytes.len();
            self.length += bytes.len();
        }
    }

    /// The newline is not counted by `len` (recorded from HAProxy).
    fn finish(mut self) -> Self {
        self.budget = 1;
        self.push(b"\n");
        self
    }

    pub fn as_slices(&self) -> &[IoSlice<'a>] {
        &self.slices[..self.used]
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.length
    }
}
