//! UDP_CHECK: a datagram; good unless it is refused, or a wanted reply does not come.

use super::{Fault, Next};

/// What keepalived sends when nothing is configured.
const PAYLOAD_DEFAULT: &[u8] = b"keepalived check - keepalived ch";

/// What is sent and expected.
#[derive(Debug)]
pub struct UdpExchange {
    payload: Vec<u8>,
    /// `None` where any value of the four bits will do.
    reply: Option<Vec<Option<u8>>>,
    reply_length: (u16, u16),
}

impl UdpExchange {
    /// `reply` is in hex digits, two to a byte.
    pub fn new(payload: Option<&[u8]>, reply: Option<&[Option<u8>]>, reply_length: (u16, u16)) -> Self {
        Self {
            payload: payload.unwrap_or(PAYLOAD_DEFAULT).to_vec(),
            reply: reply.map(<[Option<u8>]>::to_vec),
            reply_length,
        }
    }

    pub(super) fn payload(&self) -> Vec<u8> {
        self.payload.clone()
    }

    pub(super) fn received(&self, bytes: &[u8]) -> Next {
        let Some(wanted) = &self.reply else { return Next::Passed };
        let (min, max) = self.reply_length;
        if !(usize::from(min)..=usize::from(max)).contains(&bytes.len()) {
            return Next::Failed(Fault::answer("reply data mismatch"));
        }
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        let mut has = digits.map(Some).chain(std::iter::repeat(None));
        let matches = wanted.iter().all(|digit| {
            let there = has.next().flatten();
            there.is_some() && (digit.is_none() || *digit == there)
        });
        if matches { Next::Passed } else { Next::Failed(Fault::answer("reply data mismatch")) }
    }

    /// Silence is good where no reply is wanted: a closed port would have been refused.
    pub(super) fn timed_out(&self) -> Next {
        if self.reply.is_none() { Next::Passed } else { Next::Failed(Fault::Silent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_good_where_no_reply_is_wanted() {
        assert_eq!(UdpExchange::new(None, None, (0, 0)).timed_out(), Next::Passed);
        assert_eq!(UdpExchange::new(None, Some(&[]), (0, 9)).timed_out(), Next::Failed(Fault::Silent));
    }

    #[test]
    fn a_reply_is_compared_by_digit() {
        let exchange = UdpExchange::new(None, Some(&[Some(6), None]), (1, 3));
        assert_eq!(exchange.received(b"a"), Next::Passed);
        assert_eq!(exchange.received(b"ozz"), Next::Passed);
        for wrong in [&b"z"[..], b"", b"aaaa"] {
            assert_eq!(exchange.received(wrong), Next::Failed(Fault::answer("reply data mismatch")));
        }
    }
}
