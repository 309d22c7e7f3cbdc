//! What the kernel counted for a service or a real server.

use crate::wire::{Attributes, Malformed, Message, NESTED, u32_at};

/// Whether counters of packets and connections are 32 bits wide, as before Linux 4.1.
pub(super) const STATISTICS_32: bool = true;

/// Totals, and rates per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    pub connections: u64,
    pub packets_in: u64,
    pub packets_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub connection_rate: u64,
    pub packet_rate_in: u64,
    pub packet_rate_out: u64,
    pub byte_rate_in: u64,
    pub byte_rate_out: u64,
}

impl Statistics {
    /// `is_narrow`: all but the byte totals are 32 bits wide.
    pub(super) fn read(bytes: &[u8], is_narrow: bool) -> Result<Self, Malformed> {
        let mut statistics = Self::default();
        for attribute in Attributes::new(bytes) {
            let (kind, value) = attribute?;
            let Some(field) = statistics.field(kind) else { continue };
            let is_total_of_bytes = matches!(kind, 4 | 5);
            *field =
                if is_narrow && !is_total_of_bytes { u64::from(u32_at(value, 0)?) } else { u64_at(value)? };
        }
        Ok(statistics)
    }

    /// Adds them in 64 bits each, as attribute `kind`.
    pub(super) fn write_nested(&self, kind: u16, message: &mut Message) {
        let mut all = *self;
        message.nest(NESTED | kind, |inside| {
            for number in 1..=10 {
                if let Some(field) = all.field(number) {
                    inside.attribute(number, &field.to_ne_bytes());
                }
            }
        });
    }

    /// `IPVS_STATS_ATTR_*`; `None` for padding and what newer kernels add.
    fn field(&mut self, kind: u16) -> Option<&mut u64> {
        Some(match kind {
            1 => &mut self.connections,
            2 => &mut self.packets_in,
            3 => &mut self.packets_out,
            4 => &mut self.bytes_in,
            5 => &mut self.bytes_out,
            6 => &mut self.connection_rate,
            7 => &mut self.packet_rate_in,
            8 => &mut self.packet_rate_out,
            9 => &mut self.byte_rate_in,
            10 => &mut self.byte_rate_out,
            _ => return None,
        })
    }
}

fn u64_at(value: &[u8]) -> Result<u64, Malformed> {
    let bytes: [u8; 8] = value.get(..8).and_then(|part| part.try_into().ok()).ok_or(Malformed)?;
    Ok(u64::from_ne_bytes(bytes))
}
