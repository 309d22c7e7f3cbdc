//! Replies of protocols whose lengths need arithmetic: MySQL's packets and LDAP's bind response.

use crate::CheckStatus;

/// What is made of the bytes so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// More has to come.
    Wait,
    Good,
    Bad {
        status: CheckStatus,
        code: i64,
        text: String,
    },
}

impl Judgement {
    fn malformed(text: &str) -> Judgement {
        Judgement::Bad { status: CheckStatus::L7Response, code: 0, text: text.to_owned() }
    }

    fn short(eof: bool) -> Judgement {
        if eof { Judgement::malformed("") } else { Judgement::Wait }
    }
}

/// One of those replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryReply {
    /// A packet of MySQL (client/server protocol, "packets"): bad when it is an error packet.
    MysqlPacket,
    /// A bind response (RFC 4511 §4.2.2): good when its code is `success`.
    LdapBind,
}

/// Bytes before the content of a MySQL packet: length and sequence number.
const MYSQL_HEADER_LEN: usize = 4;
/// First byte of the content of an error packet.
const MYSQL_ERROR: u8 = 0xff;
/// Shortest bind response.
const LDAP_LEN_MIN: usize = 14;

impl BinaryReply {
    /// Looks at what was received; `eof`: nothing more comes.
    pub fn judge(self, received: &[u8], eof: bool) -> Judgement {
        match self {
            BinaryReply::MysqlPacket => mysql(received, eof),
            BinaryReply::LdapBind => ldap(received, eof),
        }
    }
}

fn mysql(received: &[u8], eof: bool) -> Judgement {
    let [low, middle, high, _, rest @ ..] = received else { return Judgement::short(eof) };
    let len = usize::from(*low) | usize::from(*middle) << 8 | usize::from(*high) << 16;
    if rest.len() < len {
        return Judgement::short(eof);
    }
    match &received[MYSQL_HEADER_LEN..MYSQL_HEADER_LEN + len] {
        [MYSQL_ERROR, low, high, text @ ..] => Judgement::Bad {
            status: CheckStatus::L7Status,
            code: i64::from(u16::from_le_bytes([*low, *high])),
            text: String::from_utf8_lossy(text).into_owned(),
        },
        [MYSQL_ERROR, ..] => Judgement::malformed(""),
        _ => Judgement::Good,
    }
}

/// What follows the length that `bytes` begin with, in BER's short or long form (X.690 §8.1.3).
fn behind_length(bytes: &[u8]) -> Option<&[u8]> {
    let (&first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 { Some(rest) } else { rest.get(usize::from(first & 0x7f)..) }
}

fn ldap(received: &[u8], eof: bool) -> Judgement {
    if received.len() < LDAP_LEN_MIN {
        return Judgement::short(eof);
    }
    // Sequence, message 1, bind response, enumerated of one byte.
    let code = received
        .strip_prefix(&[0x30])
        .and_then(behind_length)
        .and_then(|rest| rest.strip_prefix(&[0x02, 0x01, 0x01, 0x61]))
        .and_then(behind_length)
        .and_then(|rest| rest.strip_prefix(&[0x0a, 0x01]))
        .and_then(|rest| rest.first().copied());
    match code {
        None => Judgement::malformed("Not LDAPv3 protocol"),
        Some(0) => Judgement::Good,
        Some(code) => Judgement::Bad {
            status: CheckStatus::L7Status,
            code: i64::from(code),
            text: "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_is_judged_and_short_replies_wait() {
        let bind = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
        let error = b"\x0b\0\0\x02\xff\x15\x04#28000No";
        for (reply, whole) in [(BinaryReply::LdapBind, &bind[..]), (BinaryReply::MysqlPacket, &error[..])] {
            for cut in 0..whole.len() {
                assert_eq!(reply.judge(&whole[..cut], false), Judgement::Wait, "{cut}");
                assert_eq!(reply.judge(&whole[..cut], true), Judgement::malformed(""), "{cut}");
            }
            for byte in 0..=255 {
                let _any = reply.judge(&[byte; 20], true);
            }
        }
        assert_eq!(BinaryReply::LdapBind.judge(bind, false), Judgement::Good);
        assert!(matches!(
            BinaryReply::MysqlPacket.judge(error, false),
            Judgement::Bad { status: CheckStatus::L7Status, code: 1045, text } if text == "#28000No"
        ));
    }
}
