//! `do-resolve`: one name for one request, asked by the thread that needs it. Answers are kept as long as the section holds
//! valid ones.

use super::message::{QueryType, Reply, read_answer, write_query};
use super::nameserver::{Server, ask_over_tcp};
use super::resolution::{Event, Kind, Resolution, Timing};
use super::{Resolve, SectionView};
use haproxy_config::model::Resolvers;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Names whose answers are kept; then all are forgotten.
const KEPT_MAX: usize = 1024;

/// Answers that wait to be read.
const ANSWERS_MAX: usize = 16;

/// A reader rests this long after an error, which tells of an earlier packet.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// What was found, by section, name and preference, and until when it holds.
pub(super) type Kept = HashMap<(usize, String, bool), (IpAddr, Instant)>;

/// The address of a name, asked for in the section of that name. `prefer_ipv6`: which family is asked for first. `None`:
/// there is no such section, or no answer.
pub async fn ask(
    resolve: &Resolve,
    settings: &[Resolvers],
    section: &str,
    name: &str,
    prefer_ipv6: bool,
) -> Option<IpAddr> {
    let place = settings.iter().position(|settings| settings.name == section)?;
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let key = (place, name, prefer_ipv6);
    let now = Instant::now();
    if let Some((address, until)) = resolve.kept.lock().get(&key).copied()
        && now < until
    {
        return Some(address);
    }
    let settings = &settings[place];
    let address = Asking::new(&resolve.sections[place], settings, prefer_ipv6).run(&key.1).await?;
    let mut kept = resolve.kept.lock();
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
    kept.insert(key, (address, now + settings.hold.valid));
    Some(address)
}

struct Asking<'a> {
    view: &'a SectionView,
    payload_size: u16,
    timing: Timing,
    resolution: Resolution,
    sockets: Vec<Arc<UdpSocket>>,
    /// Readers of sockets, and questions over TCP; they end with this.
    tasks: JoinSet<()>,
    sender: mpsc::Sender<Vec<u8>>,
    receiver: mpsc::Receiver<Vec<u8>>,
}

impl<'a> Asking<'a> {
    fn new(view: &'a SectionView, settings: &Resolvers, prefer_ipv6: bool) -> Asking<'a> {
        let timing = Timing::of(settings, view.nameservers.len());
        let payload_size = u16::try_from(settings.accepted_payload_size).unwrap_or(u16::MAX);
        let (sender, receiver) = mpsc::channel(ANSWERS_MAX);
        let resolution = Resolution::new(Kind::Address { prefer_ipv6 }, timing, Instant::now());
        Asking {
            view,
            payload_size,
            timing,
            resolution,
            sockets: Vec::new(),
            tasks: JoinSet::new(),
            sender,
            receiver,
        }
    }

    async fn run(mut self, name: &str) -> Option<IpAddr> {
        for nameserver in &self.view.nameservers {
            let target = nameserver.target;
            // One that cannot be reached leaves the others.
            if !target.over_tcp
                && let Ok(socket) = open(target)
            {
                self.read_from(Arc::clone(&socket));
                self.sockets.push(socket);
            }
        }
        let mut identifier = 0;
        let mut asked = QueryType::A;
        self.resolution.handle_timeout(Instant::now());
        while self.resolution.is_asking() {
            if let Some(query) = self.resolution.poll_query() {
                // A name from a client decides nothing about the identifier, and a port of its own goes with it.
                identifier = RandomState::new().hash_one(name) as u16;
                asked = query;
                self.send(&write_query(identifier, name, query, self.payload_size)?);
            }
            let until = self.resolution.poll_timeout();
            let event = tokio::select! {
                Some(bytes) = self.receiver.recv() => match reply(&bytes, identifier, name, asked) {
                    Some(reply) => self.resolution.handle_reply(Instant::now(), asked, reply),
                    None => None,
                },
                () = tokio::time::sleep_until(until.into()) => self.resolution.handle_timeout(Instant::now()),
            };
            if event == Some(Event::Answered) {
                return self.resolution.addresses().next();
            }
        }
        None
    }

    fn read_from(&mut self, socket: Arc<UdpSocket>) {
        let (sender, size) = (self.sender.clone(), usize::from(self.payload_size));
        self.tasks.spawn_local(async move {
            let mut buffer = vec![0; size];
            loop {
                match socket.recv(&mut buffer).await {
                    Ok(count) if sender.send(buffer[..count].to_vec()).await.is_err() => return,
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
                }
            }
        });
    }

    fn send(&mut self, query: &[u8]) {
        for socket in &self.sockets {
            // A packet that does not go out is a packet lost: it is sent again.
            let _ = rustix::net::send(socket.as_ref(), query, rustix::net::SendFlags::DONTWAIT);
        }
        for nameserver in self.view.nameservers.iter().filter(|nameserver| nameserver.target.over_tcp) {
            let (address, query, sender) = (nameserver.target.address, query.to_vec(), self.sender.clone());
            let timeout = self.timing.retry;
            self.tasks.spawn_local(async move {
                if let Ok(Ok(bytes)) = tokio::time::timeout(timeout, ask_over_tcp(address, &query)).await {
                    let _ = sender.send(bytes).await;
                }
            });
        }
    }
}

fn open(server: Server) -> io::Result<Arc<UdpSocket>> {
    let any: IpAddr = match server.address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(server.address)?;
    socket.set_nonblocking(true)?;
    Ok(Arc::new(UdpSocket::from_std(socket)?))
}

/// What a message answers, if it answers this question.
fn reply(bytes: &[u8], identifier: u16, name: &str, asked: QueryType) -> Option<Reply> {
    let answer = read_answer(bytes)?;
    let fits = answer.id == identifier && answer.name == name && answer.query_type == asked as u16;
    fits.then_some(answer.reply)
}
