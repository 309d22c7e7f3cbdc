//! Connections that IPVS remembers and nobody uses any more: closed ones stay in its table for up to two minutes. Reads the
//! kernel's own text; who drains a real server needs not wait for them.

use netlink::ipvs::{Key, TCP};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::net::{IpAddr, Ipv4Addr};

/// A connection that one side has closed and that was silent so long is over: the other side's end was not seen (direct
/// routing), or nothing came after it.
const SILENCE: u64 = 10;
/// More are not looked through: a drain then waits as if all were in use.
const LINES_MAX: usize = 200_000;
/// A line has eight words, the longest of them addresses of IPv6.
const LINE_LENGTH_MAX: usize = 256;

/// How many of each real server's, by service and real server.
pub type Remembered = BTreeMap<(Key, IpAddr, u16), u32>;

/// Of text as in `/proc/net/ip_vs_conn`; lines that are none are passed over. `None`: there are too many.
pub fn remembered(text: impl BufRead) -> Option<Remembered> {
    let mut found = Remembered::new();
    for (number, line) in text.lines().enumerate() {
        if number >= LINES_MAX {
            return None;
        }
        let Ok(line) = line else { return None };
        if line.len() <= LINE_LENGTH_MAX
            && let Some(place) = place(&line)
        {
            *found.entry(place).or_default() += 1;
        }
    }
    Some(found)
}

/// Whose connection a line is, if it is over: `TCP 0A000002 9DB0 0A000064 0050 0A00010B 0050 FIN_WAIT 98`.
fn place(line: &str) -> Option<(Key, IpAddr, u16)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let ["TCP", _, _, service, service_port, server, server_port, state, left, ..] = words[..] else {
        return None;
    };
    // The kernel's own times; its `--set` changes none of these.
    let whole = match state {
        "TIME_WAIT" | "CLOSE" => u64::MAX,
        "FIN_WAIT" => 120,
        "CLOSE_WAIT" => 60,
        "LAST_ACK" => 30,
        _ => return None,
    };
    let is_over = whole == u64::MAX || left.parse::<u64>().ok()? + SILENCE <= whole;
    let port = |text: &str| u16::from_str_radix(text, 16).ok();
    let key = Key::Address { protocol: TCP, address: address(service)?, port: port(service_port)? };
    is_over.then_some((key, address(server)?, port(server_port)?))
}

/// Eight hexadecimal digits, or IPv6 as it is written.
fn address(text: &str) -> Option<IpAddr> {
    if let Some(address) =
        text.parse::<std::net::Ipv6Addr>().ok().or_else(|| text.trim_matches(['[', ']']).parse().ok())
    {
        return Some(address.into());
    }
    u32::from_str_radix(text, 16).ok().map(|bits| Ipv4Addr::from_bits(bits).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_counted_and_what_may_go_on_is_not() {
        let line = |state: &str, left: u64| {
            format!("TCP 0A000002 9DB0 0A000064 0050 0A00010B 1F90 {state:<11} {left}\n")
        };
        let text = [
            "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n".to_owned(),
            line("ESTABLISHED", 800),
            line("SYN_RECV", 1),
            line("FIN_WAIT", 119),
            line("FIN_WAIT", 110),
            line("TIME_WAIT", 119),
            line("CLOSE", 9),
            "UDP 0A000002 9DB0 0A000064 0035 0A00010B 0035 UDP 1\n".to_owned(),
            "TCP fd00::2 9DB0 fd00::100 0050 fd00:1::b 0050 LAST_ACK 3\n".to_owned(),
            "nonsense\n".to_owned(),
        ]
        .concat();
        let found = remembered(text.as_bytes()).expect("few");
        let key = |address: &str| Key::Address {
            protocol: TCP,
            address: address.parse().expect("an address"),
            port: 80,
        };
        let expected = [
            ((key("10.0.0.100"), "10.0.1.11".parse().expect("an address"), 8080), 3),
            ((key("fd00::100"), "fd00:1::b".parse().expect("an address"), 80), 1),
        ];
        assert_eq!(found, Remembered::from(expected));
        assert_eq!(remembered("\n".repeat(LINES_MAX + 1).as_bytes()), None);
    }
}
