//! The `log` lines of one log owner (`global`, or a proxy with its own), ready to send.

use super::forwarded;
use super::frame::{self, Framing};
use super::outlet::{self, OutletId, OutletsBuilder, Scratch};
use super::received::Received;
use super::sample::Sampler;
use super::{MESSAGE_LENGTH_MAX, OpenError};
use haproxy_config::model::{LogFormatKind, LogTarget};
use rules::WallTime;

/// Who the messages say they are from.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// `log-tag`, by default the program's name.
    pub tag: &'a str,
    /// `log-send-hostname`; `None`: formats print their placeholder.
    pub hostname: Option<&'a str>,
    pub pid: u32,
}

#[derive(Debug)]
struct Line {
    outlet: OutletId,
    framing: Framing,
    /// For messages that are sent on.
    format: LogFormatKind,
    facility: u8,
    sampler: Option<Sampler>,
    length_max: usize,
    max_level: u8,
    min_level: u8,
}

/// Open log targets. Sending takes `&self`, so that threads share them.
#[derive(Debug, Default)]
pub struct Targets {
    lines: Box<[Line]>,
}

impl Targets {
    /// Opens what the lines name, adding to `outlets`. Call while privileged and before a chroot.
    ///
    /// # Errors
    /// The first target that cannot be opened. A syslog daemon that is not there yet is no error.
    pub fn open(
        lines: &[LogTarget],
        identity: &Identity<'_>,
        outlets: &mut OutletsBuilder,
    ) -> Result<Targets, OpenError> {
        let open_line = |target: &LogTarget| {
            let outlet = outlets.open(&target.address)?;
            let ring = outlets.ring(outlet);
            let length_max = target.max_length.min(MESSAGE_LENGTH_MAX);
            let format = ring.map_or(target.format, |ring| ring.format);
            Ok(Line {
                outlet,
                format,
                facility: target.facility,
                framing: Framing::new(format, target.facility, identity.tag, identity.hostname, identity.pid),
                sampler: target.sample.as_ref().map(|(ranges, size)| Sampler::new(ranges, *size)),
                length_max: ring.map_or(length_max, |ring| ring.max_length.min(length_max)),
                max_level: target.max_level,
                min_level: target.min_level,
            })
        };
        Ok(Targets { lines: lines.iter().map(open_line).collect::<Result<_, OpenError>>()? })
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether a message of this level would go anywhere: do not format it when not.
    pub fn wants(&self, level: u8) -> bool {
        self.lines.iter().any(|line| level <= line.max_level)
    }

    /// The longest message that any line sends, in bytes: formatting more is of no use.
    pub fn message_length_max(&self) -> usize {
        self.lines.iter().map(|line| line.length_max).max().unwrap_or(0)
    }

    /// Sends `message` (without newline) to every line that takes `level`, 0 (emerg) ..= 7 (debug).
    pub fn send(&self, level: u8, message: &[u8], now: WallTime, scratch: &mut Scratch) {
        self.send_structured(level, b"", message, now, scratch);
    }

    /// The same with `log-format-sd`'s text, which only RFC 5424 shows; empty is "none".
    pub fn send_structured(
        &self,
        level: u8,
        structured_data: &[u8],
        message: &[u8],
        now: WallTime,
        scratch: &mut Scratch,
    ) {
        scratch.date.update(now);
        let message = message.strip_suffix(b"\n").unwrap_or(message);
        let (outlets, udp, reconnected, date) = scratch.parts();
        for line in &self.lines {
            if level > line.max_level || line.sampler.as_ref().is_some_and(|sampler| !sampler.picks()) {
                continue;
            }
            let level = level.max(line.min_level);
            let segments = line.framing.segments(level, date, structured_data, message, line.length_max);
            outlet::send(outlets, udp, reconnected, line.outlet, &segments);
        }
    }

    /// Sends a message on that was received. What it says of itself stays, as far as a line's format has a place for it.
    /// Without a priority it passes every level and gets the line's facility.
    pub fn forward(&self, received: &Received<'_>, now: WallTime, scratch: &mut Scratch) {
        scratch.date.update(now);
        let end = received.message.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
        let message = &received.message[..end];
        let mut header = std::mem::take(&mut scratch.header);
        let (outlets, udp, reconnected, date) = scratch.parts();
        for line in &self.lines {
            let is_wanted = received.level().is_none_or(|level| level <= line.max_level);
            if !is_wanted || line.sampler.as_ref().is_some_and(|sampler| !sampler.picks()) {
                continue;
            }
            header.clear();
            forwarded::header(line.format, line.facility, line.min_level, received, date, &mut header);
            let segments = frame::forwarded(&header, message, line.length_max);
            outlet::send(outlets, udp, reconnected, line.outlet, &segments);
        }
        scratch.header = header;
    }
}
