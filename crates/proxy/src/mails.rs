//! `email-alert`: mails about servers, in HAProxy's words and by its conversation. One thread for each mail server that is
//! used, so that one that hangs delays nobody else's mails.

use haproxy_config::Model;
use haproxy_config::model::{Address, EmailAlert};
use parking_lot::Mutex;
use rules::log_format::{Zone, internet_date};
use rules::{ProxyId, WallTime};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Mails that wait for one mail server; further ones are dropped.
const QUEUE_LENGTH_MAX: usize = 256;
/// Longest line of a mail server that is read, in bytes.
const LINE_LENGTH_MAX: u64 = 4096;
/// Lines of one reply at most.
const REPLY_LINES_MAX: usize = 100;

/// A mail as it is sent.
struct Mail {
    greeting: String,
    from: String,
    to: String,
    /// Header and text.
    content: String,
}

/// One mail server and the way to its thread, which starts with its first mail.
struct Mailer {
    address: Address,
    timeout: Duration,
    queue: Mutex<Option<SyncSender<Arc<Mail>>>>,
}

/// What one proxy mails, and to which of the mailers.
struct Alert {
    settings: EmailAlert,
    mailers: Vec<usize>,
}

pub struct Mails {
    mailers: Vec<Mailer>,
    /// By `ProxyId`.
    alerts: Vec<Option<Alert>>,
    host: String,
}

impl Mails {
    pub fn new(model: &Model) -> Mails {
        let mut mailers = Vec::new();
        let mut places = Vec::new();
        for section in &model.mailers {
            let first = mailers.len();
            mailers.extend(section.mailers.iter().map(|(_, address)| Mailer {
                address: address.clone(),
                timeout: section.timeout,
                queue: Mutex::default(),
            }));
            places.push((section.name.as_str(), (first..mailers.len()).collect::<Vec<_>>()));
        }
        let alert = |settings: &EmailAlert| {
            let (_, mailers) = places.iter().find(|(name, _)| *name == settings.mailers)?;
            Some(Alert { settings: settings.clone(), mailers: mailers.clone() })
        };
        Mails {
            alerts: model.proxies.iter().map(|proxy| proxy.email_alert.as_ref().and_then(alert)).collect(),
            mailers,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }

    /// Mails a notice of a proxy if its level is wanted. Never waits.
    pub fn send(&self, proxy: ProxyId, level: u8, notice: &str, wall: WallTime, zone: &Zone) {
        let Some(alert) = self.alerts.get(proxy.index()).and_then(Option::as_ref) else { return };
        let settings = &alert.settings;
        if level > settings.level {
            return;
        }
        let text = notice.strip_suffix('.').unwrap_or(notice);
        let date = internet_date(wall, zone);
        let mail = Arc::new(Mail {
            greeting: settings.myhostname.clone().unwrap_or_else(|| self.host.clone()),
            from: settings.from.clone(),
            to: settings.to.clone(),
            content: format!(
                "From: {}\r\nTo: {}\r\nDate: {date}\r\nSubject: [HAProxy Alert] {text}\r\n\r\n{text}\r\n",
                settings.from, settings.to
            ),
        });
        for &mailer in &alert.mailers {
            self.mailers[mailer].enqueue(Arc::clone(&mail));
        }
    }
}

impl Mailer {
    fn enqueue(&self, mail: Arc<Mail>) {
        let mut queue = self.queue.lock();
        let sender = queue.get_or_insert_with(|| {
            let (sender, mails) = sync_channel(QUEUE_LENGTH_MAX);
            let (address, timeout) = (self.address.clone(), self.timeout);
            let started = std::thread::Builder::new()
                .name("mailer".to_owned())
                .spawn(move || run(&address, timeout, &mails));
            if let Err(error) = started {
                eprintln!("[WARNING] cannot start a thread for mails: {error}");
            }
            sender
        });
        // A server that has not taken the last hundreds would not take this one either.
        let _dropped_when_full = sender.try_send(mail);
    }
}

fn run(address: &Address, timeout: Duration, mails: &Receiver<Arc<Mail>>) {
    while let Ok(mail) = mails.recv() {
        // As HAProxy: what cannot be delivered now is not tried again.
        let _undelivered = deliver(address, timeout, &mail);
    }
}

/// One conversation, RFC 5321 without extensions.
fn deliver(address: &Address, timeout: Duration, mail: &Mail) -> io::Result<()> {
    let deadline = Instant::now() + timeout;
    let target: SocketAddr = match address {
        Address::Inet { ip, port } => (*ip, *port).into(),
        Address::Host { name, port } => {
            let mut found = (name.as_str(), *port).to_socket_addrs()?;
            found.next().ok_or(io::ErrorKind::NotFound)?
        }
        Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => {
            return Err(io::ErrorKind::Unsupported.into());
        }
    };
    let stream = TcpStream::connect_timeout(&target, timeout)?;
    let mut conversation = Conversation { reader: BufReader::new(stream), deadline };
    conversation.expect(220)?;
    conversation.say(&format!("HELO {}\r\n", mail.greeting), 250)?;
    conversation.say(&format!("MAIL FROM:<{}>\r\n", mail.from), 250)?;
    conversation.say(&format!("RCPT TO:<{}>\r\n", mail.to), 250)?;
    conversation.say("DATA\r\n", 354)?;
    conversation.say(&format!("{}\r\n.\r\n", mail.content), 250)?;
    conversation.say("QUIT\r\n", 221)
}

struct Conversation {
    reader: BufReader<TcpStream>,
    deadline: Instant,
}

impl Conversation {
    fn remaining(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    fn say(&mut self, text: &str, code: u16) -> io::Result<()> {
        self.reader.get_ref().set_write_timeout(Some(self.remaining()?))?;
        self.reader.get_mut().write_all(text.as_bytes())?;
        self.expect(code)
    }

    /// Reads one reply, of several lines perhaps.
    fn expect(&mut self, code: u16) -> io::Result<()> {
        for _ in 0..REPLY_LINES_MAX {
            self.reader.get_ref().set_read_timeout(Some(self.remaining()?))?;
            let mut line = Vec::new();
            io::Read::take(&mut self.reader, LINE_LENGTH_MAX).read_until(b'\n', &mut line)?;
            let found = line.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
            if found.and_then(|digits| digits.parse().ok()) != Some(code) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if line.get(3) != Some(&b'-') {
                return Ok(());
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}
