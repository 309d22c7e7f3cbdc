//! Mails of state changes, by a real SMTP conversation on a thread of its own: a relay that hangs delays other mails and
//! nothing else. keepalived's texts; STARTTLS and AUTH, which it lacks.

use super::notify::{Happening, Subject};
use keepalived_config::model::Smtp;
use lettre::Transport;
use lettre::address::{Address, Envelope};
use lettre::transport::smtp::SmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Mails that wait for the relay; further ones are thrown away and counted.
const QUEUE_LENGTH_MAX: usize = 256;
const PORT_DEFAULT: u16 = 25;
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// How the conversation is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// Plain, as keepalived.
    #[default]
    None,
    /// STARTTLS, or no mail.
    StartTls,
}

/// The relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    pub host: String,
    pub port: u16,
    pub helo_name: String,
    pub timeout: Duration,
    pub security: Security,
    /// User and password.
    pub credentials: Option<(String, String)>,
}

impl Relay {
    /// The relay of the configuration; `None` when there is none, or nobody to write to.
    pub fn of(smtp: &Smtp, host_name: &str) -> Option<Self> {
        if smtp.to.is_empty() {
            return None;
        }
        Some(Self {
            host: smtp.server.clone()?,
            port: smtp.port.unwrap_or(PORT_DEFAULT),
            helo_name: smtp.helo_name.clone().unwrap_or_else(|| host_name.to_owned()),
            timeout: smtp.connect_timeout.unwrap_or(TIMEOUT_DEFAULT),
            security: Security::None,
            credentials: None,
        })
    }
}

/// One mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub relay: Relay,
    pub from: String,
    pub to: Vec<String>,
    /// Headers and text, lines ended by CR LF.
    pub message: String,
}

/// The mail about a change; `None` when keepalived sends none for it.
pub fn compose(
    smtp: &Smtp,
    relay: Relay,
    router_id: &str,
    date: &str,
    subject: &Subject,
    what: Happening,
) -> Option<Mail> {
    let state = match what {
        Happening::Master => "MASTER",
        Happening::Backup => "BACKUP",
        Happening::Fault if smtp.no_faults => return None,
        Happening::Fault => "FAULT",
        Happening::Stop
        | Happening::Deleted
        | Happening::MasterHearsLower
        | Happening::MasterPriority
        | Happening::BackupPriority
        | Happening::FaultPriority => return None,
    };
    let (kind, text) = match (subject, what) {
        (Subject::Group(_), _) => {
            ("Group", format!("=> All VRRP group instances are now in {state} state <="))
        }
        (Subject::Instance(_), Happening::Master) => {
            ("Instance", "=> VRRP Instance is now owning VRRP VIPs <=".to_owned())
        }
        (Subject::Instance(_), _) => {
            ("Instance", "=> VRRP Instance is no longer owning VRRP VIPs <=".to_owned())
        }
    };
    let subject = format!("[{router_id}] VRRP {kind} {} - Entering {state} state", subject.name());
    Some(letter(smtp, relay, date, &subject, &text))
}

/// A mail in keepalived's form: its headers, and one line of text.
pub fn letter(smtp: &Smtp, relay: Relay, date: &str, subject: &str, text: &str) -> Mail {
    let from = smtp.from.clone().unwrap_or_else(|| format!("keepalived@{}", relay.helo_name));
    let to = smtp.to.join(", ");
    let message = format!(
        "Date: {date}\r\nFrom: {from}\r\nSubject: {subject}\r\nX-Mailer: Keepalived\r\nTo: {to}\r\n\r\n\
         {text}\r\n\r\n"
    );
    Mail { relay, from, to: smtp.to.clone(), message }
}

/// The queue to the thread that sends.
#[derive(Debug, Clone)]
pub struct Mailer {
    queue: SyncSender<Mail>,
}

impl Mailer {
    /// Starts the thread; `report` is called on it with a line for the log, and whether it is an error.
    ///
    /// # Errors
    /// What the system says of a new thread.
    pub fn start(report: impl Fn(bool, String) + Send + 'static) -> std::io::Result<Self> {
        let (queue, mails) = sync_channel::<Mail>(QUEUE_LENGTH_MAX);
        std::thread::Builder::new().name("mail".to_owned()).spawn(move || {
            for mail in mails {
                let place = format!("[{}]:{}", mail.relay.host, mail.relay.port);
                match send(&mail) {
                    Ok(()) => {
                        report(false, format!("Remote SMTP server {place} connected."));
                        report(false, "SMTP alert successfully sent.".to_owned());
                    }
                    Err(error) => report(true, format!("Error sending mail to SMTP server {place}: {error}")),
                }
            }
        })?;
        Ok(Self { queue })
    }

    /// Puts a mail into the queue. False: it is full.
    pub fn send(&self, mail: Mail) -> bool {
        match self.queue.try_send(mail) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

/// The whole conversation for one mail.
fn send(mail: &Mail) -> Result<(), Box<dyn std::error::Error>> {
    let relay = &mail.relay;
    let mut builder = SmtpTransport::builder_dangerous(&relay.host)
        .port(relay.port)
        .hello_name(ClientId::Domain(relay.helo_name.clone()))
        .timeout(Some(relay.timeout));
    builder = match relay.security {
        Security::None => builder.tls(Tls::None),
        Security::StartTls => builder.tls(Tls::Required(TlsParameters::new(relay.host.clone())?)),
    };
    if let Some((user, password)) = &relay.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
    }
    let to = mail.to.iter().map(|address| address.parse()).collect::<Result<Vec<Address>, _>>()?;
    let envelope = Envelope::new(Some(mail.from.parse()?), to)?;
    builder.build().send_raw(&envelope, mail.message.as_bytes())?;
    Ok(())
}

/// `Sun, 22 Nov 2026 21:06:00 +0000`: RFC 5322 §3.3.
pub fn date(time: sys::clock::LocalTime) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let offset = time.offset_minutes;
    format!(
        "{}, {:02} {} {} {:02}:{:02}:{:02} {}{:02}{:02}",
        DAYS[usize::from(time.weekday) % 7],
        time.day,
        MONTHS[usize::from(time.month.max(1) - 1) % 12],
        time.year,
        time.hour,
        time.minute,
        time.second,
        if offset < 0 { '-' } else { '+' },
        offset.abs() / 60,
        offset.abs() % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    fn smtp() -> Smtp {
        Smtp {
            to: vec!["root@localhost".to_owned(), "ops@example.com".to_owned()],
            from: Some("keepalived@localhost".to_owned()),
            server: Some("127.0.0.1".to_owned()),
            ..Smtp::default()
        }
    }

    /// A relay that takes one mail; what the client said.
    fn relay_once(listener: TcpListener, extensions: &str) -> Vec<String> {
        let (stream, _) = listener.accept().expect("a client");
        let mut writer = stream.try_clone().expect("a handle");
        let mut said = Vec::new();
        writer.write_all(b"220 hi ESMTP\r\n").expect("writes");
        let mut in_data = false;
        for line in BufReader::new(stream).lines() {
            let line = line.expect("a line");
            let reply = match (in_data, line.as_str()) {
                (true, ".") => {
                    in_data = false;
                    "250 ok\r\n".to_owned()
                }
                (true, _) => String::new(),
                (false, "DATA") => {
                    in_data = true;
                    "354 go\r\n".to_owned()
                }
                (false, line) if line.starts_with("EHLO") => format!("250-relay\r\n250 {extensions}\r\n"),
                (false, line) if line.starts_with("AUTH") => "235 welcome\r\n".to_owned(),
                (false, "QUIT") => "221 bye\r\n".to_owned(),
                (false, _) => "250 ok\r\n".to_owned(),
            };
            said.push(line.clone());
            writer.write_all(reply.as_bytes()).expect("writes");
            if line == "QUIT" {
                break;
            }
        }
        said
    }

    // row: 213, 214, 215, 216, 217, 245
    #[test]
    fn a_mail_of_a_transition_is_said_to_the_relay() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let mut relay = Relay::of(&smtp(), "ha1").expect("a relay");
        relay.port = listener.local_addr().expect("bound").port();
        let subject = Subject::Instance("VI_1".to_owned());
        let mail = compose(&smtp(), relay, "ha1", "DATE", &subject, Happening::Master).expect("a mail");
        let relay = std::thread::spawn(move || relay_once(listener, "8BITMIME"));
        send(&mail).expect("sent");
        let said = relay.join().expect("no panic");
        let body: Vec<&str> =
            said.iter().map(String::as_str).skip_while(|line| *line != "DATA").skip(1).collect();
        assert!(said.iter().any(|line| line.starts_with("MAIL FROM:<keepalived@localhost>")), "{said:?}");
        assert!(said.iter().any(|line| line.starts_with("RCPT TO:<ops@example.com>")), "{said:?}");
        assert_eq!(
            body[..7],
            [
                "Date: DATE",
                "From: keepalived@localhost",
                "Subject: [ha1] VRRP Instance VI_1 - Entering MASTER state",
                "X-Mailer: Keepalived",
                "To: root@localhost, ops@example.com",
                "",
                "=> VRRP Instance is now owning VRRP VIPs <=",
            ]
        );
    }

    // row: 246
    #[test]
    fn a_relay_that_wants_a_name_gets_it() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let mut relay = Relay::of(&smtp(), "ha1").expect("a relay");
        relay.port = listener.local_addr().expect("bound").port();
        relay.credentials = Some(("ops".to_owned(), "secret".to_owned()));
        let subject = Subject::Group("G1".to_owned());
        let mail = compose(&smtp(), relay, "ha1", "DATE", &subject, Happening::Fault).expect("a mail");
        let relay = std::thread::spawn(move || relay_once(listener, "AUTH PLAIN LOGIN"));
        send(&mail).expect("sent");
        let said = relay.join().expect("no panic");
        assert!(said.iter().any(|line| line.starts_with("AUTH PLAIN ")), "{said:?}");
        assert!(said.iter().any(|line| line == "=> All VRRP group instances are now in FAULT state <="));
    }

    #[test]
    fn no_mail_of_faults_when_they_are_not_wanted_and_none_of_stops() {
        let quiet = Smtp { no_faults: true, ..smtp() };
        let relay = || Relay::of(&smtp(), "ha1").expect("a relay");
        let subject = Subject::Instance("VI_1".to_owned());
        assert_eq!(compose(&quiet, relay(), "ha1", "", &subject, Happening::Fault), None);
        assert_eq!(compose(&smtp(), relay(), "ha1", "", &subject, Happening::Stop), None);
        assert_eq!(Relay::of(&Smtp { to: Vec::new(), ..smtp() }, "ha1"), None);
    }
}
