//! The handshake: three lines from who connects, one line from who accepts.

use std::fmt;

const PROTOCOL: &str = "HAProxyS";
/// Versions taken: 2.0 has the same messages.
const MAJOR: u32 = 2;
const VERSION: &str = "2.1";
/// Longest greeting that is read, in bytes.
pub const GREETING_LEN_MAX: usize = 1024;
/// Longest answer that is read, in bytes.
pub const STATUS_LEN_MAX: usize = 16;

/// What who connects says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Whom it wants.
    pub to: String,
    /// Who it is.
    pub from: String,
    pub process: u32,
}

/// Why a greeting is refused, or not complete yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GreetingError {
    Incomplete,
    Refused(Status),
}

/// The answer to a greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Succeeded,
    TryAgain,
    ProtocolError,
    BadVersion,
    /// Who was greeted has another name.
    LocalMismatch,
    /// Who greets is not known.
    RemoteMismatch,
    /// A code of no known meaning.
    Other(u16),
}

impl Status {
    pub fn code(self) -> u16 {
        match self {
            Status::Succeeded => 200,
            Status::TryAgain => 300,
            Status::ProtocolError => 501,
            Status::BadVersion => 502,
            Status::LocalMismatch => 503,
            Status::RemoteMismatch => 504,
            Status::Other(code) => code,
        }
    }

    fn from_code(code: u16) -> Status {
        match code {
            200 => Status::Succeeded,
            300 => Status::TryAgain,
            501 => Status::ProtocolError,
            502 => Status::BadVersion,
            503 => Status::LocalMismatch,
            504 => Status::RemoteMismatch,
            other => Status::Other(other),
        }
    }

    /// The line to send.
    pub fn line(self) -> String {
        format!("{}\n", self.code())
    }

    /// Reads the line from the front of `received` and how long it is; `None`: it is not complete.
    ///
    /// # Errors
    /// `ProtocolError`: it is no status.
    pub fn parse(received: &[u8]) -> Result<Option<(Status, usize)>, Status> {
        let Some(end) = received.iter().position(|&byte| byte == b'\n') else {
            return if received.len() >= STATUS_LEN_MAX { Err(Status::ProtocolError) } else { Ok(None) };
        };
        let line = std::str::from_utf8(&received[..end]).map_err(|_| Status::ProtocolError)?;
        let code = line.trim_end_matches('\r').parse().map_err(|_| Status::ProtocolError)?;
        Ok(Some((Status::from_code(code), end + 1)))
    }
}

impl fmt::Display for Greeting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last number is HAProxy's relative process, always the first one since there is only one.
        write!(formatter, "{PROTOCOL} {VERSION}\n{}\n{} {} 1\n", self.to, self.from, self.process)
    }
}

impl Greeting {
    /// Reads a greeting from the front of `received`, and how many bytes it takes.
    ///
    /// # Errors
    /// `Incomplete`: more has to come. `Refused`: what to answer.
    pub fn parse(received: &[u8]) -> Result<(Greeting, usize), GreetingError> {
        let mut lines = Lines { received, at: 0 };
        let first = lines.next()?;
        let version = first
            .strip_prefix(PROTOCOL)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(GreetingError::Refused(Status::ProtocolError))?;
        let major = version.split('.').next().and_then(|number| number.parse::<u32>().ok());
        if major != Some(MAJOR) {
            return Err(GreetingError::Refused(Status::BadVersion));
        }
        let to = lines.next()?.to_owned();
        let mut words = lines.next()?.split(' ');
        let (Some(from), Some(process)) = (words.next(), words.next()) else {
            return Err(GreetingError::Refused(Status::ProtocolError));
        };
        let greeting = Greeting { to, from: from.to_owned(), process: process.parse().unwrap_or(0) };
        Ok((greeting, lines.at))
    }
}

struct Lines<'a> {
    received: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a str, GreetingError> {
        let rest = &self.received[self.at..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            return Err(if self.received.len() >= GREETING_LEN_MAX {
                GreetingError::Refused(Status::ProtocolError)
            } else {
                GreetingError::Incomplete
            });
        };
        self.at += end + 1;
        let line =
            std::str::from_utf8(&rest[..end]).map_err(|_| GreetingError::Refused(Status::ProtocolError))?;
        Ok(line.trim_end_matches('\r'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_are_haproxys() {
        let greeting = Greeting { to: "a".into(), from: "b".into(), process: 30213 };
        let text = greeting.to_string();
        assert_eq!(text, "HAProxyS 2.1\na\nb 30213 1\n");
        let mut stream = text.clone().into_bytes();
        stream.extend_from_slice(&[0, 0]);
        assert_eq!(Greeting::parse(&stream), Ok((greeting, text.len())));
        assert_eq!(Greeting::parse(&stream[..20]), Err(GreetingError::Incomplete));
    }

    #[test]
    fn strangers_are_told_why_they_cannot_stay() {
        for (text, status) in [
            ("GET / HTTP/1.1\r\n\r\n\r\n", Status::ProtocolError),
            ("HAProxyS 3.0\na\nb 1 1\n", Status::BadVersion),
            ("HAProxyS 2.1\na\nb\n", Status::ProtocolError),
        ] {
            assert_eq!(Greeting::parse(text.as_bytes()), Err(GreetingError::Refused(status)), "{text}");
        }
        let endless = vec![b'x'; GREETING_LEN_MAX];
        assert_eq!(Greeting::parse(&endless), Err(GreetingError::Refused(Status::ProtocolError)));
    }

    #[test]
    fn the_answer_is_one_line() {
        assert_eq!(Status::parse(b"200\n\0\0"), Ok(Some((Status::Succeeded, 4))));
        assert_eq!(Status::parse(b"20"), Ok(None));
        assert_eq!(Status::parse(b"hello\n"), Err(Status::ProtocolError));
        assert_eq!(Status::RemoteMismatch.line(), "504\n");
    }
}
