//! The states of a connection as the director sees it, and what a segment does to them. Pure.
//!
//! They are IPVS's, so that both planes count the same connections as active: those that are established. A plane that
//! forwards by routing or a tunnel never sees the answers, and has only the client's word for it.

/// A flow of datagrams.
pub const UDP: u8 = 0;
pub const SYN_RECEIVED: u8 = 1;
pub const ESTABLISHED: u8 = 2;
pub const FIN_WAIT: u8 = 3;
pub const CLOSE_WAIT: u8 = 4;
pub const TIME_WAIT: u8 = 5;
pub const CLOSE: u8 = 6;
/// Nothing is known yet.
pub const NONE: u8 = 7;
pub const COUNT: usize = 8;

/// As `ipvsadm -L -c` says them.
pub const NAMES: [&str; COUNT] =
    ["UDP", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "TIME_WAIT", "CLOSE", "NONE"];

/// Seconds until a silent flow is forgotten, where nobody set others.
pub const SECONDS: [u32; COUNT] = [300, 60, 900, 120, 60, 120, 10, 2];

/// Bits of a TCP header's byte 13.
pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// Who sent a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Of a connection whose answers come by here.
    Client,
    Server,
    /// Of a connection whose answers go another way.
    ClientAlone,
}

/// The state after a segment with these flags.
#[inline(always)]
pub fn next(state: u8, flags: u8, sender: Sender) -> u8 {
    if flags & RST != 0 {
        return match (sender, state) {
            // A reset that crosses the handshake: the client may try again.
            (Sender::Client | Sender::ClientAlone, SYN_RECEIVED) => SYN_RECEIVED,
            (Sender::Server, TIME_WAIT) => TIME_WAIT,
            _ => CLOSE,
        };
    }
    if flags & SYN != 0 {
        return match (sender, state) {
            (Sender::Server, _) | (_, ESTABLISHED) => state,
            _ => SYN_RECEIVED,
        };
    }
    if flags & FIN != 0 {
        return match (state, sender) {
            (ESTABLISHED, Sender::Client) => CLOSE_WAIT,
            (ESTABLISHED, Sender::Server | Sender::ClientAlone) => FIN_WAIT,
            (SYN_RECEIVED, _) | (FIN_WAIT, Sender::Client) | (CLOSE_WAIT, Sender::Server) => TIME_WAIT,
            (NONE, _) => CLOSE,
            _ => state,
        };
    }
    if flags & ACK != 0 && (state == NONE || state == SYN_RECEIVED) {
        return ESTABLISHED;
    }
    state
}

/// Whether a connection may begin anew on the same ports.
#[inline(always)]
pub fn is_over(state: u8) -> bool {
    state == TIME_WAIT || state == CLOSE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(steps: &[(Sender, u8)]) -> [u8; 8] {
        let mut states = [NONE; 8];
        let mut state = NONE;
        for (at, (sender, flags)) in steps.iter().enumerate() {
            state = next(state, *flags, *sender);
            states[at] = state;
        }
        states
    }

    #[test]
    fn a_connection_is_active_between_handshake_and_first_fin() {
        use Sender::{Client, ClientAlone, Server};
        let seen = [
            (Client, SYN),
            (Server, SYN | ACK),
            (Client, ACK),
            (Server, ACK),
            (Client, FIN | ACK),
            (Server, FIN | ACK),
            (Client, ACK),
        ];
        let expected =
            [SYN_RECEIVED, SYN_RECEIVED, ESTABLISHED, ESTABLISHED, CLOSE_WAIT, TIME_WAIT, TIME_WAIT, NONE];
        assert_eq!(states(&seen), expected);
        let alone = [(ClientAlone, SYN), (ClientAlone, ACK), (ClientAlone, FIN | ACK), (ClientAlone, ACK)];
        assert_eq!(states(&alone)[..4], [SYN_RECEIVED, ESTABLISHED, FIN_WAIT, FIN_WAIT]);
        assert_eq!(next(ESTABLISHED, RST, ClientAlone), CLOSE);
        assert_eq!(next(NONE, ACK, Client), ESTABLISHED, "a flow taken over from another director");
        assert_eq!(next(TIME_WAIT, SYN, Client), SYN_RECEIVED);
    }
}
