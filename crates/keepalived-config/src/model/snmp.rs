//! What an SNMP manager may see.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Where Debian's snmpd listens for sub-agents.
const MASTER: &str = "/var/agentx/master";
/// AgentX over TCP (RFC 2741, section 8.1.1).
const PORT: u16 = 705;

/// The socket of a master agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentSocket {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl AgentSocket {
    /// As Net-SNMP writes transports: `unix:/path`, `/path`, `tcp:10.0.0.1:705`, `tcp:705`, `tcp6:[::1]:705`. Names of hosts
    /// are not looked up, but for `localhost`.
    ///
    /// # Errors
    /// Why it is none, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let (transport, rest) = text.split_once(':').unwrap_or(("unix", text));
        match transport {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(format!("`{text}` has no path from the root")),
            "tcp" | "tcp6" | "tcpipv6" => socket_address(rest)
                .map(Self::Tcp)
                .ok_or_else(|| format!("`{rest}` is no address with a port")),
            _ => Err(format!("`{text}` is neither `unix:/path` nor `tcp:address:port`")),
        }
    }
}

fn socket_address(text: &str) -> Option<SocketAddr> {
    if let Ok(port) = text.parse() {
        return Some((Ipv4Addr::LOCALHOST, port).into());
    }
    let local = text.strip_prefix("localhost").map(|rest| format!("127.0.0.1{rest}"));
    let text = local.as_deref().unwrap_or(text);
    let address = |text: &str| text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT));
    text.parse().ok().or_else(|| address(text))
}

impl fmt::Display for AgentSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Tcp(address) => write!(formatter, "tcp:{address}"),
        }
    }
}

/// `enable_snmp_*` and what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snmp {
    /// `None`: what was given is no socket that we know.
    pub socket: Option<AgentSocket>,
    /// The file says which.
    pub vrrp: bool,
    pub checker: bool,
    /// RFC 2787
    pub rfc_v2: bool,
    /// RFC 6527
    pub rfc_v3: bool,
    pub traps: bool,
    /// How old the counters of virtual servers may be; zero: they are read each time.
    pub virtual_server_interval: Duration,
    pub real_server_interval: Duration,
}

impl Default for Snmp {
    fn default() -> Self {
        Self {
            socket: Some(AgentSocket::Unix(MASTER.into())),
            vrrp: false,
            checker: false,
            rfc_v2: false,
            rfc_v3: false,
            traps: false,
            virtual_server_interval: Duration::from_secs(5),
            real_server_interval: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_written_as_net_snmp_writes_them() {
        let shown = |text: &str| AgentSocket::parse(text).map(|socket| socket.to_string());
        assert_eq!(shown("/run/agentx").as_deref(), Ok("unix:/run/agentx"));
        assert_eq!(shown("unix:/run/agentx").as_deref(), Ok("unix:/run/agentx"));
        assert_eq!(shown("tcp:10.0.0.1:7050").as_deref(), Ok("tcp:10.0.0.1:7050"));
        assert_eq!(shown("tcp:10.0.0.1").as_deref(), Ok("tcp:10.0.0.1:705"));
        assert_eq!(shown("tcp:localhost:7").as_deref(), Ok("tcp:127.0.0.1:7"));
        assert_eq!(shown("tcp:705").as_deref(), Ok("tcp:127.0.0.1:705"));
        assert_eq!(shown("tcp6:[::1]:705").as_deref(), Ok("tcp:[::1]:705"));
        for wrong in ["udp:1.2.3.4:705", "relative", "unix:relative", "tcp:example.org:705", "tcp:", ""] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }
}
