//! The socket at which the XDP plane is asked like the kernel's IPVS: netlink messages over a stream. Owns the
//! conversation; the messages are in `netlink`, what they do is the plane's.

use crate::dataplane::Dataplane;
use crate::kernel::Refusal;
use crate::table::Change;
use crate::xdp::Xdp;
use netlink::ipvs::server::{Asked, FAMILY, acknowledge, done};
use netlink::ipvs::{Information, Reply, Request};
use netlink::wire::{Control, HEADER_LENGTH, Messages};
use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Where the plane listens unless told otherwise.
pub const SOCKET: &str = "/run/hawser/director.sock";
/// Names another place, for the plane and for those that ask it.
pub const SOCKET_VARIABLE: &str = "HAWSER_DIRECTOR";

const REQUEST_LENGTH_MAX: usize = 64 * 1024;
/// Conversations at once; others wait.
const CONVERSATIONS_MAX: usize = 64;

/// IPVS 1.2.1, whose interface this is.
const INTERFACE_VERSION: u32 = 0x0001_0201;

const NO_SUCH_SERVICE: i32 = 3;
const INVALID: i32 = 22;
const INPUT_OUTPUT: i32 = 5;
/// `ENOSYS`: what the plane does not do; the name of it is in the log.
const NOT_IMPLEMENTED: i32 = 38;

/// Who hears of refusals by name.
pub type Log = Rc<dyn Fn(&str)>;

/// Answers whoever may open the socket: root alone. Needs a local task set.
///
/// # Errors
/// The socket cannot be made.
pub async fn listen(plane: Rc<RefCell<Xdp>>, path: &Path, log: Log) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // One that was left; a director that runs has the interfaces, and we would not have come here.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let places = Arc::new(Semaphore::new(CONVERSATIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let (stream, _) = listener.accept().await?;
        let (plane, log) = (Rc::clone(&plane), Rc::clone(&log));
        tokio::task::spawn_local(async move {
            // A conversation that breaks off is its client's loss.
            let _ = converse(stream, &plane, &log).await;
            drop(place);
        });
    }
}

async fn converse(mut stream: UnixStream, plane: &RefCell<Xdp>, log: &Log) -> io::Result<()> {
    let mut request = vec![0; HEADER_LENGTH];
    loop {
        request.clear();
        request.extend_from_slice(&[0; HEADER_LENGTH]);
        stream.read_exact(&mut request).await?;
        let length = u32::from_ne_bytes([request[0], request[1], request[2], request[3]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX).next_multiple_of(4);
        if !(HEADER_LENGTH..=REQUEST_LENGTH_MAX).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        request.resize(length, 0);
        stream.read_exact(&mut request[HEADER_LENGTH..]).await?;
        match asked_for_connections(&request) {
            Some(sequence) => tell_connections(&mut stream, plane, sequence).await?,
            None => stream.write_all(&answer(&request, plane, log)).await?,
        }
    }
}

/// The sequence number of a request for the connections.
fn asked_for_connections(request: &[u8]) -> Option<u32> {
    let Some(Ok(Control::Data(received))) = Messages::new(request).next() else { return None };
    matches!(Asked::read(received), Ok(Some(Asked::Connections))).then_some(received.sequence)
}

/// Piece by piece: between two of them the loop has its turn, and the plane may change.
async fn tell_connections(stream: &mut UnixStream, plane: &RefCell<Xdp>, sequence: u32) -> io::Result<()> {
    let mut listing = plane.borrow().connections();
    loop {
        let piece = plane.borrow().next_connections(&mut listing);
        match piece {
            Ok(Some(lines)) => {
                let replies = lines.into_iter().map(Reply::Connection);
                let bytes: Vec<u8> = replies.flat_map(|reply| reply.write(sequence)).collect();
                stream.write_all(&bytes).await?;
                tokio::task::yield_now().await;
            }
            Ok(None) => return stream.write_all(&done(sequence)).await,
            Err(refusal) => {
                return stream
                    .write_all(&acknowledge(sequence, refusal.errno().unwrap_or(INPUT_OUTPUT)))
                    .await;
            }
        }
    }
}

/// The bytes that answer a request.
fn answer(request: &[u8], plane: &RefCell<Xdp>, log: &Log) -> Vec<u8> {
    let Some(Ok(Control::Data(received))) = Messages::new(request).next() else {
        return acknowledge(0, INVALID);
    };
    let Ok(Some(asked)) = Asked::read(received) else { return acknowledge(received.sequence, INVALID) };
    let is_dump =
        matches!(asked, Asked::Services | Asked::Destinations(_) | Asked::Daemons | Asked::Connections);
    match replies(asked, &mut plane.borrow_mut()) {
        Ok(replies) => {
            let mut bytes: Vec<u8> =
                replies.iter().flat_map(|reply| reply.write(received.sequence)).collect();
            bytes.extend(if is_dump { done(received.sequence) } else { acknowledge(received.sequence, 0) });
            bytes
        }
        Err(refusal) => {
            if refusal.errno().is_none() {
                log(&format!("ipvsadm: {refusal}"));
            }
            let otherwise =
                if matches!(refusal, Refusal::Unsupported(_)) { NOT_IMPLEMENTED } else { INPUT_OUTPUT };
            acknowledge(received.sequence, refusal.errno().unwrap_or(otherwise))
        }
    }
}

/// The same without a socket.
///
/// # Errors
/// What the plane refuses.
pub(crate) fn ask(plane: &RefCell<Xdp>, request: &Request<'_>) -> Result<Vec<Reply>, Refusal> {
    let bytes = request.write(FAMILY, 0);
    let Some(Ok(Control::Data(received))) = Messages::new(&bytes).next() else {
        return Err(Refusal::Kernel(INVALID));
    };
    let asked = Asked::read(received)?.ok_or(Refusal::Kernel(INVALID))?;
    replies(asked, &mut plane.borrow_mut())
}

fn replies(asked: Asked, plane: &mut Xdp) -> Result<Vec<Reply>, Refusal> {
    let change = match asked {
        Asked::AddService(service) => Change::AddService(service),
        Asked::EditService(service) => Change::EditService(service),
        Asked::DeleteService(key) => Change::DeleteService(key),
        Asked::AddDestination(key, server) => Change::AddServer(key, server),
        Asked::EditDestination(key, server) => Change::EditServer(key, server),
        Asked::DeleteDestination(key, server) => Change::DeleteServer(key, server),
        Asked::Services => {
            return Ok(plane.read()?.0.into_values().map(|entry| Reply::Service(entry.service)).collect());
        }
        Asked::Service(key) => {
            let entry = plane.read()?.0.remove(&key).ok_or(Refusal::Kernel(NO_SUCH_SERVICE))?;
            return Ok(vec![Reply::Service(entry.service)]);
        }
        Asked::Destinations(key) => {
            let entry = plane.read()?.0.remove(&key).ok_or(Refusal::Kernel(NO_SUCH_SERVICE))?;
            return Ok(entry.servers.into_values().map(Reply::Destination).collect());
        }
        Asked::Daemons => return Ok(plane.daemons().map(Reply::Daemon).collect()),
        Asked::StartDaemon(daemon) => return plane.start_daemon(daemon).map(|()| Vec::new()),
        Asked::StopDaemon(role) => return plane.stop_daemon(role).map(|()| Vec::new()),
        Asked::Timeouts => return Ok(vec![Reply::Timeouts(plane.timeouts())]),
        Asked::SetTimeouts(timeouts) => return plane.set_timeouts(timeouts).map(|()| Vec::new()),
        Asked::Information => {
            let information = Information { version: INTERFACE_VERSION, table_size: plane.flows_max() };
            return Ok(vec![Reply::Information(information)]);
        }
        Asked::Connections => {
            let mut listing = plane.connections();
            let mut all = Vec::new();
            while let Some(lines) = plane.next_connections(&mut listing)? {
                all.extend(lines.into_iter().map(Reply::Connection));
            }
            return Ok(all);
        }
        Asked::Zero(key) => return plane.zero(key.as_ref()).map(|()| Vec::new()),
        Asked::Flush => {
            let changes: Vec<Change> = plane.read()?.0.into_keys().map(Change::DeleteService).collect();
            let refused = plane.apply_all(&changes).into_iter().next();
            return refused.map_or(Ok(Vec::new()), |(_, refusal)| Err(refusal));
        }
    };
    plane.apply(&change).map(|()| Vec::new())
}
