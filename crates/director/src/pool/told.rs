//! What is told of changes: to pipes and people, and to SNMP managers.

/// What went up or down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Server { server: String, service: String },
    Service(String),
}

/// A change of which pipes and people hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub about: About,
    pub is_up: bool,
    /// Not only one of several checkers: pipes hear of these alone.
    pub is_transition: bool,
    /// The text of the mail, where one is wanted: `=> TCP CHECK failed on service <=`.
    pub mail: Option<String>,
}

impl Told {
    fn state(&self) -> &'static str {
        if self.is_up { "UP" } else { "DOWN" }
    }

    /// The line for notify pipes: `RS [10.1.0.1]:tcp:80 [10.0.0.1]:tcp:80 UP`.
    pub fn line(&self) -> String {
        match &self.about {
            About::Server { server, service } => format!("RS {server} {service} {}", self.state()),
            About::Service(service) => format!("VS {service} {}", self.state()),
        }
    }

    /// The subject of the mail, without the router's name.
    pub fn subject(&self) -> String {
        match &self.about {
            About::Server { server, service } => {
                format!("Realserver {server} of virtual server {service} - {}", self.state())
            }
            About::Service(service) => format!("Virtualserver {service} - {}", self.state()),
        }
    }
}

/// How a real server, or the quorum of its virtual server, is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Up,
    Down,
    /// The program ends; of a quorum alone.
    ShutDown,
}

/// A change of which SNMP managers hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// The real server's place; `None`: the quorum of the virtual server.
    pub server: Option<usize>,
    pub phase: Phase,
    /// Real servers that are up, as they were then.
    pub up: usize,
}
