//! Mails of state changes, by a real SMTP conversation on a thread of its own: a relay that hangs delays other mails and
//! nothing else. keepalived's texts; STARTTLS and AUTH, which it lacks.

use super::notify::{Happening, Subject};
use keepalived_config::model::{Smtp, SmtpSecurity};
use lettre::Transport;
use lettre::address::{Address, Envelope};
use lettre::transport::smtp::SmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Mails that wait for the relay; further ones are thrown away and counted.
const QUEUE_LENGTH_MAX: usize = 256;
const PORT_DEFAULT: u16 = 25;
/// Of `smtp_tls`.
const PORT_TLS: u16 = 465;
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// The relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    pub host: String,
    pub port: u16,
    pub helo_name: String,
    pub timeout: Duration,
    pub security: SmtpSecurity,
    /// Authorities beside the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// User and password.
    pub credentials: Option<(String, String)>,
}

impl Relay {
    /// The relay of the configuration; `None` when there is none, or nobody to write to.
    pub fn of(smtp: &Smtp, host_name: &str) -> Option<Self> {
        if smtp.to.is_empty() {
            return None;
        }
        let default = match smtp.security {
            SmtpSecurity::None | SmtpSecurity::StartTls => PORT_DEFAULT,
            SmtpSecurity::Tls => PORT_TLS,
        };
        Some(Self {
            host: smtp.server.clone()?,
            port: smtp.port.unwrap_or(default),
            helo_name: smtp.helo_name.clone().unwrap_or_else(|| host_name.to_owned()),
            timeout: smtp.connect_timeout.unwrap_or(TIMEOUT_DEFAULT),
            security: smtp.security,
            ca_file: smtp.ca_file.clone(),
            credentials: smtp.credentials.clone(),
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
         {text}\r\n"
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
            // It talks with strangers and needs no right for it. Where it keeps them all the same, mails go out.
            let _ = rustix::thread::set_capabilities(
                None,
                rustix::thread::CapabilitySets {
                    effective: rustix::thread::CapabilitySet::empty(),
                    permitted: rustix::thread::CapabilitySet::empty(),
                    inheritable: rustix::thread::CapabilitySet::empty(),
                },
            );
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
        SmtpSecurity::None => builder.tls(Tls::None),
        SmtpSecurity::StartTls => builder.tls(Tls::Required(tls_of(relay)?)),
        SmtpSecurity::Tls => builder.tls(Tls::Wrapper(tls_of(relay)?)),
    };
    if let Some((user, password)) = &relay.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
    }
    let to = mail.to.iter().map(|address| address.parse()).collect::<Result<Vec<Address>, _>>()?;
    let envelope = Envelope::new(Some(mail.from.parse()?), to)?;
    builder.build().send_raw(&envelope, mail.message.as_bytes())?;
    Ok(())
}

/// The relay's certificate is verified, for a password may follow.
fn tls_of(relay: &Relay) -> Result<TlsParameters, Box<dyn std::error::Error>> {
    let mut parameters = TlsParameters::builder(relay.host.clone());
    if let Some(path) = &relay.ca_file {
        let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem)?);
    }
    Ok(parameters.build()?)
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
    use std::sync::Arc;

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

    /// A relay that speaks STARTTLS with a certificate of its own authority; what the client said, and over what.
    fn secure_relay_once(listener: TcpListener, config: Arc<rustls::ServerConfig>) -> Vec<String> {
        fn serve(stream: &mut (impl BufRead + Write), is_secure: bool, said: &mut Vec<String>) -> bool {
            let mut in_data = false;
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|length| length > 0) {
                let text = line.trim_end().to_owned();
                line.clear();
                said.push(format!("{}{text}", if is_secure { "secure: " } else { "" }));
                let reply = match (in_data, text.as_str()) {
                    (true, ".") => {
                        in_data = false;
                        "250 ok\r\n"
                    }
                    (true, _) => continue,
                    (false, "DATA") => {
                        in_data = true;
                        "354 go\r\n"
                    }
                    (false, "STARTTLS") => {
                        stream.write_all(b"220 go\r\n").expect("writes");
                        return true;
                    }
                    (false, text) if text.starts_with("EHLO") && is_secure => {
                        "250-relay\r\n250 AUTH PLAIN LOGIN\r\n"
                    }
                    (false, text) if text.starts_with("EHLO") => "250-relay\r\n250 STARTTLS\r\n",
                    (false, text) if text.starts_with("AUTH") => "235 welcome\r\n",
                    (false, "QUIT") => return false,
                    (false, _) => "250 ok\r\n",
                };
                stream.write_all(reply.as_bytes()).expect("writes");
                stream.flush().expect("writes");
            }
            false
        }
        /// Reads by lines, writes at once.
        struct Both<S: std::io::Read + Write>(BufReader<S>);
        impl<S: std::io::Read + Write> std::io::Read for Both<S> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.0.read(buffer)
            }
        }
        impl<S: std::io::Read + Write> BufRead for Both<S> {
            fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
                self.0.fill_buf()
            }
            fn consume(&mut self, amount: usize) {
                self.0.consume(amount);
            }
        }
        impl<S: std::io::Read + Write> Write for Both<S> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.get_mut().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                self.0.get_mut().flush()
            }
        }
        let (mut stream, _) = listener.accept().expect("a client");
        stream.write_all(b"220 hi ESMTP\r\n").expect("writes");
        let mut said = Vec::new();
        let mut plain = Both(BufReader::new(stream));
        if serve(&mut plain, false, &mut said) {
            let session = rustls::ServerConnection::new(config).expect("a session");
            let stream = rustls::StreamOwned::new(session, plain.0.into_inner());
            serve(&mut Both(BufReader::new(stream)), true, &mut said);
        }
        said
    }

    fn try_secure_relay(trust: bool) -> (Result<(), String>, Vec<String>) {
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key.into())
            .expect("they fit");
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let ca_file = std::env::temp_dir().join(format!("hawser-mail-ca-{}-{trust}", std::process::id()));
        std::fs::write(&ca_file, own.cert.pem()).expect("written");
        let smtp = Smtp {
            server: Some("localhost".to_owned()),
            port: Some(port),
            credentials: Some(("ops".to_owned(), "secret".to_owned())),
            security: SmtpSecurity::StartTls,
            ca_file: trust.then(|| ca_file.clone()),
            ..smtp()
        };
        let relay = Relay::of(&smtp, "ha1").expect("a relay");
        let subject = Subject::Instance("VI_1".to_owned());
        let mail = compose(&smtp, relay, "ha1", "DATE", &subject, Happening::Master).expect("a mail");
        let server = std::thread::spawn(move || secure_relay_once(listener, Arc::new(config)));
        let sent = send(&mail).map_err(|error| error.to_string());
        std::fs::remove_file(ca_file).expect("removed");
        (sent, server.join().expect("no panic"))
    }

    // row: 246
    #[test]
    fn name_and_mail_go_over_tls_where_that_is_asked_for() {
        let (sent, said) = try_secure_relay(true);
        assert_eq!(sent, Ok(()), "{said:?}");
        let first_secure = said.iter().position(|line| line.starts_with("secure: ")).expect("TLS");
        assert!(said[..first_secure].iter().all(|line| line.starts_with("EHLO") || line == "STARTTLS"));
        assert!(said.iter().any(|line| line.starts_with("secure: AUTH PLAIN ")), "{said:?}");
        assert!(said.iter().any(|line| line.starts_with("secure: MAIL FROM:")), "{said:?}");
    }

    #[test]
    fn a_relay_that_nobody_vouches_for_gets_no_name() {
        let (sent, said) = try_secure_relay(false);
        assert!(sent.is_err());
        assert!(!said.iter().any(|line| line.contains("AUTH") || line.contains("MAIL")), "{said:?}");
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
