//! DNS messages (RFC 1035, RFC 2782, RFC 6891): writes queries, reads answers. Owns the wire format; never sends anything.
//! A name server's bytes never panic and never loop: every read is bounded by the message and a number of steps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Records of an answer that are looked at.
const RECORDS_MAX: usize = 1024;
/// Pointers followed in one name: more are a loop.
const POINTERS_MAX: usize = 64;
/// Aliases followed from the name asked to its addresses.
const ALIASES_MAX: usize = 16;
const NAME_LENGTH_MAX: usize = 255;
const LABEL_LENGTH_MAX: usize = 63;

const CLASS_IN: u16 = 1;
const TYPE_OPT: u16 = 41;
const TYPE_CNAME: u16 = 5;
const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_TRUNCATED: u16 = 0x0200;
const FLAG_RECURSION_DESIRED: u16 = 0x0100;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryType {
    A = 1,
    Aaaa = 28,
    Srv = 33,
}

/// One service of an SRV answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    /// Lower case, without a final dot.
    pub target: String,
}

/// What a name server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// At least one, in the order of the message.
    Addresses(Vec<IpAddr>),
    Services(Vec<Service>),
    /// No error, but no record of the type asked.
    Empty,
    NoSuchName,
    Refused,
    /// Cut short: more than the payload size.
    Truncated,
    OtherError,
}

/// An answer and the question it repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub id: u16,
    /// Lower case.
    pub name: String,
    pub query_type: u16,
    pub reply: Reply,
}

/// The query of `name`; `None` when it cannot be a DNS name. `payload_size`: what we accept over UDP.
pub fn write_query(id: u16, name: &str, query_type: QueryType, payload_size: u16) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(64);
    for word in [id, FLAG_RECURSION_DESIRED, 1, 0, 0, 1] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() >= NAME_LENGTH_MAX - 1 {
        return None;
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > LABEL_LENGTH_MAX {
            return None;
        }
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&(query_type as u16).to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
    // EDNS: root name, type OPT, our payload size in the place of a class, no flags, no options.
    out.push(0);
    out.extend_from_slice(&TYPE_OPT.to_be_bytes());
    out.extend_from_slice(&payload_size.to_be_bytes());
    out.extend_from_slice(&[0; 6]);
    Some(out)
}

/// Reads an answer; `None` when it is none, or broken.
pub fn read_answer(bytes: &[u8]) -> Option<Answer> {
    let mut reader = Reader { bytes, at: 0 };
    let id = reader.word()?;
    let flags = reader.word()?;
    let questions = reader.word()?;
    let answers = reader.word()?;
    reader.skip(4)?;
    if flags & FLAG_RESPONSE == 0 || questions != 1 {
        return None;
    }
    let name = reader.name()?;
    let query_type = reader.word()?;
    reader.skip(2)?;
    let reply = match flags & 0xf {
        _ if flags & FLAG_TRUNCATED != 0 => Reply::Truncated,
        0 => read_records(&mut reader, &name, query_type, usize::from(answers))?,
        3 => Reply::NoSuchName,
        5 => Reply::Refused,
        _ => Reply::OtherError,
    };
    Some(Answer { id, name, query_type, reply })
}

fn read_records(reader: &mut Reader<'_>, name: &str, query_type: u16, count: usize) -> Option<Reply> {
    let mut aliases: Vec<(String, String)> = Vec::new();
    let mut addresses: Vec<(String, IpAddr)> = Vec::new();
    let mut services: Vec<Service> = Vec::new();
    for _ in 0..count.min(RECORDS_MAX) {
        let owner = reader.name()?;
        let record_type = reader.word()?;
        let class = reader.word()?;
        reader.skip(4)?;
        let length = usize::from(reader.word()?);
        let end = reader.at.checked_add(length).filter(|end| *end <= reader.bytes.len())?;
        let data = reader.bytes.get(reader.at..end)?;
        if class == CLASS_IN && record_type == TYPE_CNAME {
            let mut inner = Reader { bytes: reader.bytes, at: reader.at };
            aliases.push((owner, inner.name()?));
        } else if class == CLASS_IN && record_type == query_type {
            if query_type == QueryType::A as u16 {
                let octets: [u8; 4] = data.try_into().ok()?;
                addresses.push((owner, Ipv4Addr::from(octets).into()));
            } else if query_type == QueryType::Aaaa as u16 {
                let octets: [u8; 16] = data.try_into().ok()?;
                addresses.push((owner, Ipv6Addr::from(octets).into()));
            } else if query_type == QueryType::Srv as u16 {
                let mut inner = Reader { bytes: reader.bytes, at: reader.at };
                let (priority, weight, port) = (inner.word()?, inner.word()?, inner.word()?);
                services.push(Service { priority, weight, port, target: inner.name()? });
            }
        }
        reader.at = end;
    }
    if !services.is_empty() {
        return Some(Reply::Services(services));
    }
    let mut owner = name;
    for _ in 0..ALIASES_MAX {
        match aliases.iter().find(|(from, _)| from == owner) {
            Some((_, to)) => owner = to,
            None => break,
        }
    }
    let mine: Vec<IpAddr> =
        addresses.iter().filter(|(from, _)| from == owner).map(|(_, address)| *address).collect();
    Some(if mine.is_empty() { Reply::Empty } else { Reply::Addresses(mine) })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn word(&mut self) -> Option<u16> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(2)?)?;
        self.at += 2;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    /// A name in lower case; leaves the position behind it, or behind its first pointer.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut at = self.at;
        let mut behind = None;
        let mut pointers = 0;
        loop {
            let length = *self.bytes.get(at)?;
            match length {
                0 => {
                    self.at = behind.unwrap_or(at + 1);
                    return Some(name);
                }
                1..=63 => {
                    let label = self.bytes.get(at + 1..at + 1 + usize::from(length))?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
                    if name.len() > NAME_LENGTH_MAX {
                        return None;
                    }
                    at += 1 + usize::from(length);
                }
                64..=191 => return None,
                192..=255 => {
                    let low = *self.bytes.get(at + 1)?;
                    behind.get_or_insert(at + 2);
                    at = usize::from(length & 0x3f) << 8 | usize::from(low);
                    pointers += 1;
                    if pointers > POINTERS_MAX {
                        return None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(flags: u16, question: &[u8], records: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [7, flags, 1, records.len() as u16, 0, 0] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(question);
        records.iter().for_each(|record| out.extend_from_slice(record));
        out
    }

    const QUESTION: &[u8] = b"\x01h\x04test\0\0\x01\0\x01";

    #[test]
    fn a_query_asks_one_question_and_announces_the_payload_size() {
        let query = write_query(7, "h.test", QueryType::A, 512).unwrap();
        assert_eq!(query[..12], [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(&query[12..12 + QUESTION.len()], QUESTION);
        assert_eq!(query[12 + QUESTION.len()..], [0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(write_query(7, "a..b", QueryType::A, 512), None);
        assert_eq!(write_query(7, &"a".repeat(64), QueryType::A, 512), None);
    }

    #[test]
    fn addresses_are_found_behind_aliases() {
        let bytes = answer(
            0x8180,
            QUESTION,
            &[
                b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x04\x01w\xc0\x0e",
                b"\x01w\x04test\0\0\x01\0\x01\0\0\0\x05\0\x04\x7f\0\0\x0a",
                b"\x05other\0\0\x01\0\x01\0\0\0\x05\0\x04\x7f\0\0\x0b",
            ],
        );
        let answer = read_answer(&bytes).unwrap();
        assert_eq!((answer.id, answer.name.as_str()), (7, "h.test"));
        assert_eq!(answer.reply, Reply::Addresses(vec!["127.0.0.10".parse().unwrap()]));
    }

    #[test]
    fn errors_are_told_apart() {
        let reply = |flags| read_answer(&answer(flags, QUESTION, &[])).unwrap().reply;
        assert_eq!(reply(0x8180), Reply::Empty);
        assert_eq!(reply(0x8183), Reply::NoSuchName);
        assert_eq!(reply(0x8185), Reply::Refused);
        assert_eq!(reply(0x8182), Reply::OtherError);
        assert_eq!(reply(0x8380), Reply::Truncated);
        assert_eq!(read_answer(&answer(0x0100, QUESTION, &[])), None, "a query is no answer");
    }

    #[test]
    fn a_name_that_points_at_itself_is_refused() {
        assert_eq!(read_answer(&answer(0x8180, b"\xc0\x0c\0\x01\0\x01", &[])), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = read_answer(&bytes);
        }

        #[test]
        fn no_damaged_answer_panics(at in 0usize..60, value: u8) {
            let mut bytes = answer(0x8180, QUESTION, &[b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x7f\0\0\x0a"]);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = read_answer(&bytes);
        }
    }
}
