//! SETTINGS of both sides (RFC 9113 §6.5, RFC 8441 §3).

use super::{Bounds, Role};
use crate::frame::{
    DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, FRAME_SIZE_MAX, Reason, WINDOW_MAX, kind, put, setting,
};
use crate::hpack::DEFAULT_TABLE_SIZE;

/// What the peer has said of itself.
#[derive(Debug, Clone, Copy)]
pub struct Theirs {
    /// It has said something.
    pub came: bool,
    pub header_table_size: u32,
    pub max_concurrent_streams: u32,
    pub initial_window_size: u32,
    pub max_frame_size: u32,
    pub connect_protocol: bool,
}

impl Default for Theirs {
    fn default() -> Theirs {
        Theirs {
            came: false,
            header_table_size: DEFAULT_TABLE_SIZE as u32,
            max_concurrent_streams: u32::MAX,
            initial_window_size: DEFAULT_WINDOW,
            max_frame_size: DEFAULT_FRAME_SIZE,
            connect_protocol: false,
        }
    }
}

impl Theirs {
    /// Takes a payload, whose length is right.
    ///
    /// # Errors
    /// A value that the setting may not have.
    pub fn take(&mut self, payload: &[u8]) -> Result<(), Reason> {
        self.came = true;
        let (entries, _) = payload.as_chunks::<6>();
        for [n1, n2, v1, v2, v3, v4] in entries {
            let value = u32::from_be_bytes([*v1, *v2, *v3, *v4]);
            match u16::from_be_bytes([*n1, *n2]) {
                setting::HEADER_TABLE_SIZE => self.header_table_size = value,
                setting::ENABLE_PUSH if value > 1 => return Err(Reason::PROTOCOL_ERROR),
                setting::MAX_CONCURRENT_STREAMS => self.max_concurrent_streams = value,
                setting::INITIAL_WINDOW_SIZE if value > WINDOW_MAX => {
                    return Err(Reason::FLOW_CONTROL_ERROR);
                }
                setting::INITIAL_WINDOW_SIZE => self.initial_window_size = value,
                setting::MAX_FRAME_SIZE if !(DEFAULT_FRAME_SIZE..=FRAME_SIZE_MAX).contains(&value) => {
                    return Err(Reason::PROTOCOL_ERROR);
                }
                setting::MAX_FRAME_SIZE => self.max_frame_size = value,
                setting::ENABLE_CONNECT_PROTOCOL if value > 1 => return Err(Reason::PROTOCOL_ERROR),
                setting::ENABLE_CONNECT_PROTOCOL => self.connect_protocol = value == 1,
                // What we do not push, how long a list we send: we stay below; what nobody knows is ignored.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Appends our SETTINGS.
pub fn announce(bounds: &Bounds, role: Role, out: &mut Vec<u8>) {
    let own = match role {
        Role::Server => (setting::ENABLE_CONNECT_PROTOCOL, 1),
        Role::Client => (setting::ENABLE_PUSH, 0),
    };
    let mut payload = Vec::with_capacity(36);
    for (name, value) in [
        (setting::HEADER_TABLE_SIZE, bounds.header_table_size),
        (setting::MAX_CONCURRENT_STREAMS, bounds.max_concurrent_streams),
        (setting::INITIAL_WINDOW_SIZE, bounds.initial_window_size),
        (setting::MAX_FRAME_SIZE, bounds.max_frame_size),
        (setting::MAX_HEADER_LIST_SIZE, bounds.max_header_list_size),
        own,
    ] {
        payload.extend_from_slice(&name.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    put(out, kind::SETTINGS, 0, 0, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(name: u16, value: u32) -> Result<Theirs, Reason> {
        let mut theirs = Theirs::default();
        theirs.take(&[&name.to_be_bytes()[..], &value.to_be_bytes()].concat()).map(|()| theirs)
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        for (name, value, reason) in [
            (setting::ENABLE_PUSH, 2, Reason::PROTOCOL_ERROR),
            (setting::INITIAL_WINDOW_SIZE, 0x8000_0000, Reason::FLOW_CONTROL_ERROR),
            (setting::MAX_FRAME_SIZE, 16_383, Reason::PROTOCOL_ERROR),
            (setting::MAX_FRAME_SIZE, 0x100_0000, Reason::PROTOCOL_ERROR),
            (setting::ENABLE_CONNECT_PROTOCOL, 2, Reason::PROTOCOL_ERROR),
        ] {
            assert_eq!(take(name, value).err(), Some(reason), "{name}={value}");
        }
        assert_eq!(take(setting::MAX_FRAME_SIZE, 20_000).map(|theirs| theirs.max_frame_size), Ok(20_000));
        assert!(take(0xffff, 7).is_ok());
    }
}
