//! Messages: two bytes of class and type, and for types from 128 on a length and as many bytes.

use crate::wire::{Reader, WireError, put_number};

/// Most bytes of a message that is taken: `tune.bufsize`, where HAProxy gives up too.
pub const MESSAGE_LEN_MAX: usize = 16_384;

/// First type that has a length.
const VARIABLE_FIRST: u8 = 128;

/// What a message is, by class and type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    ResyncRequest,
    ResyncFinished,
    ResyncPartial,
    ResyncConfirmed,
    Heartbeat,
    ProtocolError,
    SizeLimitError,
    /// `timed`: with the time that the entry has left. `numbered`: with its number; else it is the next one.
    Update {
        numbered: bool,
        timed: bool,
    },
    Definition,
    Switch,
    Acknowledgement,
    /// Skipped.
    Unknown,
}

impl Kind {
    fn from_bytes(class: u8, kind: u8) -> Kind {
        match (class, kind) {
            (0, 0) => Kind::ResyncRequest,
            (0, 1) => Kind::ResyncFinished,
            (0, 2) => Kind::ResyncPartial,
            (0, 3) => Kind::ResyncConfirmed,
            (0, 4) => Kind::Heartbeat,
            (1, 0) => Kind::ProtocolError,
            (1, 1) => Kind::SizeLimitError,
            (10, 128) => Kind::Update { numbered: true, timed: false },
            (10, 129) => Kind::Update { numbered: false, timed: false },
            (10, 130) => Kind::Definition,
            (10, 131) => Kind::Switch,
            (10, 132) => Kind::Acknowledgement,
            (10, 133) => Kind::Update { numbered: true, timed: true },
            (10, 134) => Kind::Update { numbered: false, timed: true },
            _ => Kind::Unknown,
        }
    }

    fn to_bytes(self) -> [u8; 2] {
        match self {
            Kind::ResyncRequest => [0, 0],
            Kind::ResyncFinished => [0, 1],
            Kind::ResyncPartial => [0, 2],
            Kind::ResyncConfirmed => [0, 3],
            Kind::Heartbeat => [0, 4],
            Kind::ProtocolError => [1, 0],
            Kind::SizeLimitError | Kind::Unknown => [1, 1],
            Kind::Update { numbered: true, timed: false } => [10, 128],
            Kind::Update { numbered: false, timed: false } => [10, 129],
            Kind::Definition => [10, 130],
            Kind::Switch => [10, 131],
            Kind::Acknowledgement => [10, 132],
            Kind::Update { numbered: true, timed: true } => [10, 133],
            Kind::Update { numbered: false, timed: true } => [10, 134],
        }
    }
}

/// Appends a message without content.
pub fn put_control(kind: Kind, out: &mut Vec<u8>) {
    out.extend_from_slice(&kind.to_bytes());
}

/// Appends a message with content.
pub fn put_message(kind: Kind, content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&kind.to_bytes());
    put_number(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// What stands at the front of received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front<'a> {
    Message {
        kind: Kind,
        content: &'a [u8],
        /// Bytes of the whole message.
        len: usize,
    },
    /// Not all of a message is there.
    Incomplete,
    TooLong,
    Malformed,
}

/// Looks at the front of received bytes.
pub fn front(received: &[u8]) -> Front<'_> {
    let mut reader = Reader::new(received);
    let (Ok(class), Ok(kind)) = (reader.byte(), reader.byte()) else { return Front::Incomplete };
    let content = if kind < VARIABLE_FIRST {
        &[][..]
    } else {
        match reader.number() {
            Ok(len) if len > MESSAGE_LEN_MAX as u64 => return Front::TooLong,
            Ok(len) => match reader.block(len as usize) {
                Ok(content) => content,
                Err(_) => return Front::Incomplete,
            },
            Err(WireError::Short) => return Front::Incomplete,
            Err(WireError::TooLarge) => return Front::Malformed,
        }
    };
    Front::Message { kind: Kind::from_bytes(class, kind), content, len: received.len() - reader.remaining() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_from_a_stream() {
        let mut stream = Vec::new();
        put_message(Kind::Acknowledgement, &[5, 0, 0, 0, 3], &mut stream);
        put_control(Kind::Heartbeat, &mut stream);
        assert_eq!(stream, [0x0a, 0x84, 5, 5, 0, 0, 0, 3, 0, 4]);
        for cut in 0..8 {
            assert_eq!(front(&stream[..cut]), Front::Incomplete);
        }
        let content = &[5, 0, 0, 0, 3][..];
        assert_eq!(front(&stream), Front::Message { kind: Kind::Acknowledgement, content, len: 8 });
        assert_eq!(front(&stream[8..]), Front::Message { kind: Kind::Heartbeat, content: &[], len: 2 });
        assert_eq!(front(&[0x0a, 0x80, 0xff, 0xff, 0xff, 0x7f]), Front::TooLong);
    }
}
