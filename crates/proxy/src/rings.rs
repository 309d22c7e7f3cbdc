//! Sends what rings keep to their syslog servers, one task for each; a server that is away gets what is still kept when it
//! comes back.

use crate::net::{ConnectOptions, Stream, connect};
use crate::run::Stage;
use crate::state::Target;
use crate::syslog::{Receiver, Ring};
use crate::worker::Shared;
use haproxy_config::model::Address;
use std::future::poll_fn;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Rest between two attempts to reach a server.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// Where the ring says nothing.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Bytes made ready before the socket takes some of them.
const BATCH_LENGTH_MAX: usize = 64 * 1024;

/// Runs until the stage says that everything ends.
pub async fn run(shared: Arc<Shared>, mut stage: watch::Receiver<Stage>) {
    let mut tasks = tokio::task::JoinSet::new();
    for ring in shared.logs.outlets.rings() {
        for place in 0..ring.servers.len() {
            tasks.spawn_local(feed(Arc::clone(ring), place));
        }
    }
    let _ = stage.wait_for(|stage| *stage == Stage::Stopped).await;
}

async fn feed(ring: Arc<Ring>, place: usize) {
    let receiver = &ring.servers[place];
    let Some(target) = target(&receiver.settings.address) else {
        eprintln!("[WARNING] ring '{}': cannot resolve server '{}'", ring.name, receiver.settings.name);
        return;
    };
    let mut next = 0;
    loop {
        let patience = receiver.connect_timeout.unwrap_or(TIMEOUT_DEFAULT);
        let connected = tokio::time::timeout(patience, connect(&target, ConnectOptions::default())).await;
        if let Ok(Ok(stream)) = connected {
            // It is gone: what it did not get comes with the next connection.
            let _gone = send(&ring, receiver, stream, &mut next).await;
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

/// Sends until the connection ends. `next`: the first message that did not go out whole.
async fn send(ring: &Ring, receiver: &Receiver, mut stream: Stream, next: &mut u64) -> io::Result<()> {
    let mut written = ring.watch();
    let mut bytes = Vec::new();
    let patience = receiver.server_timeout.unwrap_or(TIMEOUT_DEFAULT);
    loop {
        written.borrow_and_update();
        bytes.clear();
        // Where each message ends.
        let mut ends = Vec::new();
        let after = ring.read(*next, |message| {
            if bytes.len() >= BATCH_LENGTH_MAX {
                return false;
            }
            receiver.frame(message, &mut bytes);
            ends.push(bytes.len());
            true
        });
        let first = after - ends.len() as u64;
        let mut sent = 0;
        while sent < bytes.len() {
            let write = poll_fn(|context| stream.poll_write(context, &bytes[sent..]));
            let result = tokio::time::timeout(patience, write).await;
            sent += result.map_err(io::Error::from)??;
            *next = first + ends.partition_point(|end| *end <= sent) as u64;
        }
        if bytes.is_empty() {
            let mut received = [0; 256];
            tokio::select! {
                // Syslog servers say nothing; whoever closes is noticed here.
                read = poll_fn(|context| stream.poll_read(context, &mut received)) => if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                },
                changed = written.changed() => changed.map_err(io::Error::other)?,
            }
        }
    }
}

fn target(address: &Address) -> Option<Target> {
    match address {
        Address::Inet { ip, port } => Some(Target::Inet((*ip, *port).into())),
        Address::Host { name, port } => {
            (name.as_str(), *port).to_socket_addrs().ok()?.next().map(Target::Inet)
        }
        Address::Unix(path) => Some(Target::Unix(path.clone())),
        Address::Abstract(name) => Some(Target::Abstract(name.clone())),
        Address::Fd(_) => None,
    }
}
