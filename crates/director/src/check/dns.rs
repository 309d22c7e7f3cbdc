//! DNS_CHECK: one question; any answer without an error is good.

use super::{Fault, Next};
use keepalived_config::model::DnsType;

const HEADER_LENGTH: usize = 12;
const RECURSION_DESIRED: u16 = 0x0100;
const IS_RESPONSE: u8 = 0x80;
const CODE_MASK: u8 = 0x0f;
const CLASS_INTERNET: u16 = 1;
const LABEL_MAX: usize = 63;

/// The question and its identifier.
#[derive(Debug)]
pub struct DnsExchange {
    identifier: u16,
    question: DnsType,
    name: String,
}

impl DnsExchange {
    /// `identifier` should be random: it is what ties the answer to the question.
    pub fn new(question: DnsType, name: &str, identifier: u16) -> Self {
        Self { identifier, question, name: name.to_owned() }
    }

    pub(super) fn query(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.identifier.to_be_bytes());
        bytes.extend_from_slice(&RECURSION_DESIRED.to_be_bytes());
        // One question; no answer, authority or more.
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        for label in self.name.split('.').filter(|label| !label.is_empty()) {
            let label = &label.as_bytes()[..label.len().min(LABEL_MAX)];
            bytes.push(u8::try_from(label.len()).expect("cut to 63"));
            bytes.extend_from_slice(label);
        }
        bytes.push(0);
        bytes.extend_from_slice(&number(self.question).to_be_bytes());
        bytes.extend_from_slice(&CLASS_INTERNET.to_be_bytes());
        bytes
    }

    pub(super) fn received(&mut self, bytes: &[u8]) -> Next {
        let (Some(identifier), true) = (bytes.get(..2), bytes.len() >= HEADER_LENGTH) else {
            return Next::Failed(Fault::answer("read error occurred."));
        };
        if identifier != self.identifier.to_be_bytes() || bytes[2] & IS_RESPONSE == 0 {
            // Not ours: the answer may still come.
            return Next::Wait;
        }
        match bytes[3] & CODE_MASK {
            0 => Next::Passed,
            code => Next::Failed(Fault::Answer(format!("read error occurred. (rcode = {code})"))),
        }
    }
}

fn number(question: DnsType) -> u16 {
    match question {
        DnsType::A => 1,
        DnsType::Ns => 2,
        DnsType::Cname => 5,
        DnsType::Soa => 6,
        DnsType::Mx => 15,
        DnsType::Txt => 16,
        DnsType::Aaaa => 28,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_keepaliveds() {
        let exchange = DnsExchange::new(DnsType::Mx, "www.example.com.", 0x0e7e);
        let recorded =
            b"\x0e~\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x0f\x00\x01";
        assert_eq!(exchange.query(), recorded);
    }

    #[test]
    fn an_answer_without_error_is_good() {
        let mut exchange = DnsExchange::new(DnsType::Soa, ".", 7);
        assert_eq!(exchange.received(&[0, 8, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]), Next::Wait);
        assert_eq!(
            exchange.received(&[0, 7, 0x81, 0x83, 0, 0, 0, 0, 0, 0, 0, 0]),
            Next::Failed(Fault::answer("read error occurred. (rcode = 3)"))
        );
        assert_eq!(exchange.received(&[0, 7, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]), Next::Passed);
        assert!(matches!(exchange.received(&[0, 7]), Next::Failed(_)));
    }
}
