//! What checkers say of success and failure, in keepalived's words, recorded from it. Texts alone.

use super::checker::Failure;
use crate::check::Fault;
use keepalived_config::model::CheckKind;
use std::net::SocketAddr;

/// One check of one real server.
pub(super) struct Words<'a> {
    pub kind: &'a CheckKind,
    /// `[10.5.0.1]:tcp:80`
    pub server: &'a str,
    pub pool: &'a str,
    /// Where it connects to.
    pub at: SocketAddr,
    /// Retries of the configuration.
    pub retry: u32,
}

impl Words<'_> {
    /// What a mail says of a change.
    pub fn reason(&self, is_up: bool, failure: Option<&Failure>) -> String {
        match (self.kind, is_up) {
            (CheckKind::Tcp, true) => "=> TCP CHECK succeed on service <=".to_owned(),
            (CheckKind::Tcp, false) => "=> TCP CHECK failed on service <=".to_owned(),
            (CheckKind::Misc { .. }, true) => "=> MISC CHECK succeed on service <=".to_owned(),
            (CheckKind::Misc { .. }, false) => "=> MISC CHECK failed on service <=".to_owned(),
            (CheckKind::Http { .. }, false) => {
                "=> CHECK failed on service : HTTP request failed <=".to_owned()
            }
            (CheckKind::Smtp { .. }, false) => match failure {
                Some(failure) => format!("=> CHECK failed on service : {} <=", self.mail_words(failure)),
                None => "=> CHECK failed on service <=".to_owned(),
            },
            (_, true) => "=> CHECK succeed on service <=".to_owned(),
            (_, false) => "=> CHECK failed on service <=".to_owned(),
        }
    }

    /// The server is up, or proven so.
    pub fn of_success(&self) -> Option<String> {
        let name = self.server;
        match self.kind {
            CheckKind::Tcp => Some(format!("TCP connection to {name} success.")),
            CheckKind::Udp { .. } => Some(format!("UDP connection to {name} success.")),
            CheckKind::Http { .. } => Some(format!("Remote Web server {name} succeed on service.")),
            CheckKind::Smtp { .. } => Some(format!("Remote SMTP server {name} succeed on service.")),
            CheckKind::Ping => Some(format!("ICMP connection to {name} success.")),
            CheckKind::Misc { .. } => Some(format!("{} succeeded.", self.of_script())),
            // keepalived says nothing of these.
            CheckKind::Dns { .. } | CheckKind::File { .. } | CheckKind::Bfd { .. } => None,
        }
    }

    /// Any failure, where all are logged. `is_last`: no retry follows, and [`Words::of_end`] speaks too. `retries`: how many
    /// there were before it.
    pub fn of_failure(&self, failure: &Failure, is_last: bool, retries: u32) -> Option<String> {
        let name = self.server;
        match self.kind {
            CheckKind::Tcp => Some(match failure {
                Failure::NotConnected => format!("TCP connection to {name} timeout."),
                _ => format!("TCP connection to {name} failed."),
            }),
            CheckKind::Udp { .. } => Some(match failure {
                Failure::Fault(Fault::Answer(what)) => format!("UDP check to {name} {what}."),
                _ => format!("UDP connection to {name} failed."),
            }),
            CheckKind::Http { .. } => Some(format!("{} server {name}.", web_words(failure))),
            CheckKind::Ping => Some(format!("ICMP connection to address {name} timeout.")),
            // The end says the same.
            CheckKind::Smtp { .. } | CheckKind::Dns { .. } | CheckKind::Misc { .. } if is_last => None,
            CheckKind::Smtp { .. } => Some(format!("SMTP_CHECK {}", self.mail_words(failure))),
            CheckKind::Dns { .. } => Some(self.name_words(failure)),
            CheckKind::Misc { .. } => {
                let after = match retries {
                    0 => format!(", will do {}", retry_words(self.retry)),
                    retries => format!(" on retry {retries}/{}", self.retry),
                };
                Some(self.script_words(failure, &after))
            }
            CheckKind::File { .. } | CheckKind::Bfd { .. } => None,
        }
    }

    /// The server is down. `has_run`: it was proven before; the first failure had no retries.
    pub fn of_end(&self, failure: Option<&Failure>, has_run: bool) -> Option<String> {
        let name = self.server;
        let after = |said: bool| match self.retry {
            0 => String::new(),
            _ if !said => String::new(),
            retry => format!(" after {retry} retries"),
        };
        Some(match self.kind {
            CheckKind::Tcp => format!("TCP_CHECK on service {name} failed{}.", after(has_run)),
            CheckKind::Udp { .. } => format!("UDP_CHECK on service {name} failed{}.", after(has_run)),
            CheckKind::Http { .. } => format!("HTTP_CHECK on service {name} failed{}.", after(true)),
            CheckKind::Ping => {
                format!("ICMP CHECK on service {name} of {} failed{}.", self.pool, after(has_run))
            }
            CheckKind::Smtp { .. } => format!("SMTP_CHECK {}", self.mail_words(failure?)),
            CheckKind::Dns { .. } => format!("{}{}", self.name_words(failure?), after(has_run)),
            CheckKind::Misc { .. } => match self.retry {
                0 => self.script_words(failure?, " with retry disabled"),
                retry => self.script_words(failure?, &format!(" after {}", retry_words(retry))),
            },
            CheckKind::File { .. } | CheckKind::Bfd { .. } => return None,
        })
    }

    /// `Bad greeting banner from server [10.5.0.1]:25`
    fn mail_words(&self, failure: &Failure) -> String {
        let what = match failure {
            Failure::NotConnected => "Connection timeout to",
            Failure::Fault(Fault::Answer(what)) => what,
            Failure::Fault(Fault::Silent | Fault::Half) => "Read timeout from",
            Failure::Fault(Fault::Closed) | Failure::Broken(_) => "Read failure from",
            Failure::Connection(_) | Failure::Program(_) | Failure::ProgramTimedOut => "Could not connect to",
        };
        format!("{what} server [{}]:{}", self.at.ip(), self.at.port())
    }

    /// `DNS_CHECK ([10.5.0.1]:udp:53) read timeout from socket`
    fn name_words(&self, failure: &Failure) -> String {
        let what = match failure {
            Failure::Fault(Fault::Answer(what)) => what.clone(),
            Failure::Connection(Some(number)) | Failure::Broken(Some(number)) => {
                format!("failed to read socket; errno {number} ({})", crate::kernel::system_text(*number))
            }
            _ => "read timeout from socket".to_owned(),
        };
        format!("DNS_CHECK ({}) {what}", self.server)
    }

    fn of_script(&self) -> String {
        let script = match self.kind {
            CheckKind::Misc { command, .. } => command.words[0].as_str(),
            _ => "",
        };
        format!("Misc check for [{} VS {}] by [{script}]", self.server, self.pool)
    }

    fn script_words(&self, failure: &Failure, after: &str) -> String {
        let script = self.of_script();
        match failure {
            Failure::ProgramTimedOut => format!("{script} timed out{after}."),
            Failure::Program(how) => format!("{script} failed{after} ({how})."),
            _ => format!("{script} failed{after}."),
        }
    }
}

/// `1 retry`
fn retry_words(count: u32) -> String {
    format!("{count} {}", if count == 1 { "retry" } else { "retries" })
}

fn web_words(failure: &Failure) -> &str {
    match failure {
        Failure::NotConnected => "Timeout connecting",
        Failure::Connection(_) | Failure::Program(_) | Failure::ProgramTimedOut => "Connection failed",
        Failure::Broken(_) => "Read error with",
        // With a blank of its own.
        Failure::Fault(Fault::Closed) => "Read, no data received from ",
        Failure::Fault(Fault::Silent) => "Timeout WEB read",
        Failure::Fault(Fault::Half) => "Timeout HTTP read",
        Failure::Fault(Fault::Answer(what)) => what,
    }
}
