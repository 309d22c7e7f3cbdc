//! One client of the runtime API: its rights, its modes, and how replies reach it.

use super::Api;
use crate::control::Control;
use crate::state::State;
use crate::worker::Shared;
use haproxy_config::model::{Level, SeverityOutput};
use rules::{ProxyId, ServerId};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

/// What a client is and may.
pub struct Session {
    pub control: Rc<Control>,
    /// Who knows what is in force when the next command comes; `None` for a client without a socket.
    pub api: Option<Rc<Api>>,
    pub level: Level,
    pub prompt: bool,
    pub severity: SeverityOutput,
    /// Idle time after which the connection is closed.
    pub timeout: Duration,
    pub expert: bool,
    pub experimental: bool,
    /// What followed `<<` behind the present command.
    pub payload: Option<String>,
    pub quits: bool,
    /// `expose-fd listeners`.
    pub may_take_listeners: bool,
    /// The client is a successor, and gets the listeners once the conversation ends.
    pub takes_listeners: bool,
}

/// Severity of messages, as in syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Error => "err",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
            Severity::Info => "info",
        }
    }
}

/// The answer to a command. Texts bring their own newlines; one more follows every answer.
pub enum Reply {
    /// Done, nothing to say.
    Done,
    Message(Severity, String),
    /// Numbers and lists: never carries a severity.
    Dump(String),
    /// The workers are asked.
    Later(Pin<Box<dyn Future<Output = Reply>>>),
}

impl Reply {
    pub fn error(text: impl Into<String>) -> Reply {
        Reply::Message(Severity::Error, text.into())
    }

    pub fn warning(text: impl Into<String>) -> Reply {
        Reply::Message(Severity::Warning, text.into())
    }

    pub fn notice(text: impl Into<String>) -> Reply {
        Reply::Message(Severity::Notice, text.into())
    }

    pub fn info(text: impl Into<String>) -> Reply {
        Reply::Message(Severity::Info, text.into())
    }
}

/// How a command ends early: its reply is the error.
pub type Outcome = Result<Reply, Reply>;

impl Session {
    pub fn new(control: Rc<Control>, level: Level, severity: SeverityOutput, timeout: Duration) -> Session {
        Session {
            control,
            api: None,
            level,
            prompt: false,
            severity,
            timeout,
            expert: false,
            experimental: false,
            payload: None,
            quits: false,
            may_take_listeners: false,
            takes_listeners: false,
        }
    }

    pub fn shared(&self) -> &Shared {
        &self.control.shared
    }

    pub fn state(&self) -> &State {
        &self.control.shared.state
    }

    /// What goes on the wire for a reply.
    pub fn render(&self, reply: Reply) -> String {
        let mut out = match reply {
            Reply::Done => String::new(),
            Reply::Dump(text) => text,
            Reply::Message(severity, text) => match self.severity {
                SeverityOutput::None => text,
                SeverityOutput::Number => format!("[{}]: {text}", severity as u8),
                SeverityOutput::String => format!("[{}]: {text}", severity.word()),
            },
            Reply::Later(_) => unreachable!("awaited before it is rendered"),
        };
        out.push_str(if self.prompt { "\n> " } else { "\n" });
        out
    }

    /// The server that `backend/server` names.
    ///
    /// # Errors
    /// The texts that scripts know.
    pub fn find_server(&self, name: &str) -> Result<ServerId, Reply> {
        let Some((backend, server)) = name.split_once('/') else {
            return Err(Reply::error("Require 'backend/server'.\n"));
        };
        let backend = self.find_backend(backend)?;
        let found = self.state().backend(backend).server_by_name(server);
        found.map(|server| server.id).ok_or_else(|| Reply::error("No such server.\n"))
    }

    /// The backend of that name, or `#` and its number.
    ///
    /// # Errors
    /// There is none.
    pub fn find_backend(&self, name: &str) -> Result<ProxyId, Reply> {
        self.find_proxy(name, |proxy| proxy.is_backend).ok_or_else(|| Reply::error("No such backend.\n"))
    }

    /// The frontend of that name.
    ///
    /// # Errors
    /// None was named, or there is none.
    pub fn find_frontend(&self, name: &str) -> Result<ProxyId, Reply> {
        if name.is_empty() {
            return Err(Reply::error("A frontend name is expected.\n"));
        }
        self.find_proxy(name, |proxy| proxy.is_frontend).ok_or_else(|| Reply::error("No such frontend.\n"))
    }

    /// The proxy of that name or `#number` that `wanted` takes.
    pub fn find_proxy(
        &self,
        name: &str,
        wanted: impl Fn(&haproxy_config::model::Proxy) -> bool,
    ) -> Option<ProxyId> {
        let number = name.strip_prefix('#').and_then(|number| number.parse::<u32>().ok());
        let proxies = &self.state().model.proxies;
        let known = |proxy: &&haproxy_config::model::Proxy| match number {
            Some(number) => proxy.uuid == number,
            None => proxy.name == name,
        };
        proxies.iter().filter(|proxy| wanted(proxy)).find(known).map(|proxy| proxy.id)
    }
}

/// The word at `index`, empty behind the last one.
pub fn word<'a>(words: &[&'a str], index: usize) -> &'a str {
    words.get(index).copied().unwrap_or("")
}
