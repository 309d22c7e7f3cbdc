//! SMTP_CHECK: greeting, HELO, QUIT.

use super::{Fault, Next};

/// Bytes of one reply, all its lines.
const REPLY_MAX: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Hello,
    Quit,
}

/// The conversation with a mail server.
#[derive(Debug)]
pub struct SmtpExchange {
    helo_name: String,
    stage: Stage,
    received: Vec<u8>,
}

impl SmtpExchange {
    pub fn new(helo_name: &str) -> Self {
        Self { helo_name: helo_name.to_owned(), stage: Stage::Greeting, received: Vec::new() }
    }

    pub(super) fn received(&mut self, bytes: &[u8]) -> Next {
        self.received.extend_from_slice(bytes);
        let Some(code) = self.reply() else {
            return if self.received.len() > REPLY_MAX { Next::Failed(Fault::Closed) } else { Next::Wait };
        };
        self.received.clear();
        match (self.stage, code.as_slice()) {
            (Stage::Greeting, b"220") => {
                self.stage = Stage::Hello;
                Next::Send(format!("HELO {}\r\n", self.helo_name).into_bytes())
            }
            (Stage::Hello, b"250") => {
                self.stage = Stage::Quit;
                Next::Send(b"QUIT\r\n".to_vec())
            }
            // keepalived takes any answer to its farewell.
            (Stage::Quit, _) => Next::Passed,
            (Stage::Greeting, _) => Next::Failed(Fault::answer("Bad greeting banner from")),
            (Stage::Hello, _) => Next::Failed(Fault::answer("Bad HELO response from")),
        }
    }

    pub(super) fn ended(&self) -> Next {
        match self.stage {
            Stage::Quit => Next::Passed,
            Stage::Greeting | Stage::Hello => Next::Failed(Fault::Closed),
        }
    }

    /// The code of a complete reply: its last line has a blank behind the code (RFC 5321 §4.2.1).
    fn reply(&self) -> Option<Vec<u8>> {
        let mut lines = self.received.split_inclusive(|byte| *byte == b'\n');
        let last = lines.find(|line| line.ends_with(b"\n") && line.get(3) != Some(&b'-'))?;
        Some(last.get(..3).unwrap_or(last).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_is_greeted_and_left() {
        let mut exchange = SmtpExchange::new("me");
        assert_eq!(exchange.received(b"220-mail\r\n22"), Next::Wait);
        assert_eq!(exchange.received(b"0 ready\r\n"), Next::Send(b"HELO me\r\n".to_vec()));
        assert_eq!(exchange.received(b"250 hello\r\n"), Next::Send(b"QUIT\r\n".to_vec()));
        assert_eq!(exchange.received(b"221 bye\r\n"), Next::Passed);
    }

    #[test]
    fn a_refusal_or_an_endless_greeting_fails() {
        let bad = Next::Failed(Fault::answer("Bad greeting banner from"));
        assert_eq!(SmtpExchange::new("me").received(b"554 no\r\n"), bad);
        assert_eq!(SmtpExchange::new("me").received(b"\n"), bad);
        let mut exchange = SmtpExchange::new("me");
        assert_eq!(exchange.received(&[b'2'; REPLY_MAX + 1]), Next::Failed(Fault::Closed));
    }
}
