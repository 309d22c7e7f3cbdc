//! The `log` lines of one log owner (`global`, or a proxy with its own), ready to send.

use super::frame::Framing;
use super::outlet::{self, OutletId, OutletsBuilder, Scratch};
use super::sample::Sampler;
use super::{MESSAGE_LENGTH_MAX, OpenError};
use haproxy_config::model::LogTarget;
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
            Ok(Line {
                outlet,
                framing: Framing::new(
                    ring.map_or(target.format, |ring| ring.format),
                    target.facility,
                    identity.tag,
                    identity.hostname,
                    identity.pid,
                ),
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
}
