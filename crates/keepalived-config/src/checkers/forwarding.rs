//! `lvs_method` and its tunnels.

use crate::arguments::Arguments;
use crate::context::{Outcome, fail};
use crate::keywords::unknown;
use crate::model::{Forwarding, TunnelChecksum, TunnelKind};

/// `NAT`, `DR`, `TUN [type ipip|gue|gre [port N]] [nocsum|csum|remcsum]`. row: 266
pub(crate) fn read(arguments: &mut Arguments<'_>) -> Outcome<Forwarding> {
    const METHODS: [&str; 3] = ["NAT", "DR", "TUN"];
    let word = arguments.word("NAT, DR or TUN")?;
    match word.value.as_str() {
        "NAT" => Ok(Forwarding::Nat),
        "DR" => Ok(Forwarding::DirectRouting),
        "TUN" => tunnel(arguments),
        _ => Err(unknown("forwarding method", &word, "lvs_method", METHODS)),
    }
}

fn tunnel(arguments: &mut Arguments<'_>) -> Outcome<Forwarding> {
    let mut kind = "ipip".to_owned();
    let mut port = None;
    let mut checksum = TunnelChecksum::None;
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "type" => {
                let name = arguments.word("ipip, gue or gre")?;
                if !matches!(name.value.as_str(), "ipip" | "gue" | "gre") {
                    return Err(unknown("tunnel type", &name, "lvs_method", ["ipip", "gue", "gre"]));
                }
                kind = name.value;
            }
            "port" => port = Some(arguments.port()?),
            "nocsum" => checksum = TunnelChecksum::None,
            "csum" => checksum = TunnelChecksum::Checksum,
            "remcsum" => checksum = TunnelChecksum::Remote,
            _ => {
                let words = ["type", "port", "nocsum", "csum", "remcsum"];
                return Err(unknown("tunnel option", &word, "lvs_method", words));
            }
        }
    }
    let span = arguments.node.span();
    match (kind.as_str(), port, checksum) {
        ("gue", Some(port), checksum) => Ok(Forwarding::Tunnel(TunnelKind::Gue { port, checksum })),
        ("gue", None, _) => fail(span, "a GUE tunnel needs its port: `type gue port N`"),
        (_, Some(_), _) => fail(span, "only GUE tunnels have a port"),
        ("gre", None, TunnelChecksum::Remote) => fail(span, "GRE tunnels have no remote checksum"),
        ("gre", None, checksum) => Ok(Forwarding::Tunnel(TunnelKind::Gre { checksum })),
        (_, None, TunnelChecksum::None) => Ok(Forwarding::Tunnel(TunnelKind::IpIp)),
        (_, None, TunnelChecksum::Checksum | TunnelChecksum::Remote) => {
            fail(span, "ipip tunnels have no checksum")
        }
    }
}
