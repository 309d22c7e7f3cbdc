//! The socket of the virtual servers: one line of request, one answer, for each client that connects. Owns the socket and
//! the documents about every virtual server; what is in them is the pools' and the plane's, what requests do is `command`'s.

use super::state_word;
use crate::pool::{Admin, Pool};
use crate::table::Table;
use keepalived_config::model::{CheckKind, Forwarding};
use netlink::ipvs::Destination;
use serde_json::{Value, json};
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// Names the socket.
pub const SOCKET_VARIABLE: &str = "HAWSER_DIRECTOR_STATUS";
/// Where it is without that.
pub const SOCKET: &str = "/run/hawser/director-status.sock";
/// A client that does not ask, or does not read its answer, is left after this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rest after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A request is a handful of names.
const REQUEST_LENGTH_MAX: u64 = 4096;
/// Requests that wait for the loop; their clients wait with them.
const REQUESTS_MAX: usize = 16;

/// One line of a client, and where its answer goes.
pub(super) struct Asked {
    pub line: String,
    pub answer: oneshot::Sender<String>,
}

/// A socket for those who ask; it goes away with its file when it is dropped.
pub(super) struct Door {
    socket: Option<(UnixListener, PathBuf)>,
    sender: mpsc::Sender<Asked>,
    asked: mpsc::Receiver<Asked>,
}

impl Door {
    /// The socket at that path, if one is wanted; why there is none, when it cannot be had.
    pub fn open(path: Option<&Path>) -> (Door, Option<String>) {
        let (sender, asked) = mpsc::channel(REQUESTS_MAX);
        let (socket, refusal) = match path.map(|path| (open(path), path)) {
            None => (None, None),
            Some((Ok(listener), path)) => (Some((listener, path.to_owned())), None),
            Some((Err(error), path)) => (None, Some(format!("status socket {}: {error}", path.display()))),
        };
        (Door { socket, sender, asked }, refusal)
    }

    /// The next request; never ends without a socket.
    pub async fn next(&mut self) -> Asked {
        let Some((listener, _)) = &self.socket else { return std::future::pending().await };
        loop {
            tokio::select! {
                Some(asked) = self.asked.recv() => return asked,
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => {
                        tokio::task::spawn_local(converse(client, self.sender.clone()));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn open(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    // Another director that lives keeps its socket; one that was killed has left it.
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(std::io::ErrorKind::AddrInUse.into());
    }
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// One client, in a task of its own: the loop waits for nobody. How it leaves is its own business.
async fn converse(client: UnixStream, loop_: mpsc::Sender<Asked>) {
    let (reader, mut writer) = client.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(REQUEST_LENGTH_MAX));
    let asked = tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await;
    if !matches!(asked, Ok(Ok(_))) {
        return;
    }
    let (answer, told) = oneshot::channel();
    if loop_.send(Asked { line, answer }).await.is_err() {
        return;
    }
    let Ok(text) = told.await else { return };
    let _ = tokio::time::timeout(PATIENCE, writer.write_all(text.as_bytes())).await;
}

/// For people: each virtual server, and a line to each real server.
pub(super) fn table(pools: &[&Pool], counted: &Table) -> String {
    let mut out = String::new();
    for pool in pools {
        let one = virtual_server(pool, counted);
        let word = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let quorum = if pool.has_quorum() { "quorum" } else { "no quorum" };
        let sorry = if pool.is_sorry() { ", sorry server" } else { "" };
        let (scheduler, forwarding) = (word("scheduler"), word("forwarding"));
        let _ = writeln!(out, "{} {scheduler} {forwarding}: {quorum}{sorry}", pool.name());
        let _ = writeln!(
            out,
            "  {:<30} {:<9} {:>6} {:>10} {:>10} {:>12}",
            "Real server", "State", "Weight", "ActiveConn", "InActConn", "Conns"
        );
        for (at, server) in one["real_servers"].as_array().into_iter().flatten().enumerate() {
            let number = |name: &str| server[name].as_u64().unwrap_or(0);
            let left = server["drain_seconds_left"].as_u64();
            let left = left.map(|left| format!("  {left} s left")).unwrap_or_default();
            let _ = writeln!(
                out,
                "  {:<30} {:<9} {:>6} {:>10} {:>10} {:>12}{left}",
                pool.server_name(at),
                state_word(pool, at),
                number("weight"),
                number("active"),
                number("inactive"),
                number("connections"),
            );
        }
    }
    out
}

/// The document. `table`: what the plane has, with its counters.
pub(super) fn document(pools: &[&Pool], table: &Table) -> String {
    let all: Vec<Value> = pools.iter().map(|pool| virtual_server(pool, table)).collect();
    format!("{}\n", json!({ "virtual_servers": all }))
}

pub(super) fn virtual_server(pool: &Pool, table: &Table) -> Value {
    let settings = pool.virtual_server();
    let servers: Vec<Value> =
        (0..settings.real_servers.len()).map(|at| real_server(pool, at, table)).collect();
    json!({
        "name": pool.name(),
        "scheduler": settings.scheduler.name(),
        "forwarding": match settings.forwarding {
            Forwarding::Nat => "NAT",
            Forwarding::DirectRouting => "DR",
            Forwarding::Tunnel(_) => "TUN",
        },
        "quorum": pool.has_quorum(),
        "sorry": pool.is_sorry(),
        "real_servers": servers,
    })
}

/// Sums over all services of the virtual server: a group has several.
fn real_server(pool: &Pool, at: usize, table: &Table) -> Value {
    let settings = &pool.virtual_server().real_servers[at];
    let address = settings.address;
    let is_it = |one: &&Destination| {
        one.address == address.ip() && (one.port == address.port() || address.port() == 0)
    };
    let entries = pool.keys().iter().filter_map(|key| table.0.get(key));
    let rows: Vec<&Destination> = entries.flat_map(|entry| entry.servers.values()).filter(is_it).collect();
    let sum = |of: fn(&Destination) -> u64| rows.iter().map(|row| of(row)).sum::<u64>();
    let checks: Vec<Value> = settings
        .checks
        .iter()
        .enumerate()
        .map(|(check, one)| json!({ "kind": kind(&one.kind), "passing": pool.is_passing(at, check) }))
        .collect();
    let left = match pool.admin(at) {
        Admin::Draining { until: Some(until) } => Some(until.saturating_duration_since(Instant::now())),
        Admin::Draining { until: None } | Admin::Ready | Admin::Drained => None,
    };
    json!({
        "name": pool.server_name(at),
        "state": state_word(pool, at),
        "checks": checks,
        "drain_seconds_left": left.map(|left| left.as_secs()),
        "alive": pool.is_alive(at),
        "admin": match pool.admin(at) {
            Admin::Ready => "ready",
            Admin::Draining { .. } => "draining",
            Admin::Drained => "drained",
        },
        "weight": pool.weight(at),
        "active": sum(|row| row.active.into()),
        "inactive": sum(|row| row.inactive.into()),
        "connections": sum(|row| row.statistics.connections),
        "packets_in": sum(|row| row.statistics.packets_in),
        "packets_out": sum(|row| row.statistics.packets_out),
        "bytes_in": sum(|row| row.statistics.bytes_in),
        "bytes_out": sum(|row| row.statistics.bytes_out),
    })
}

/// As in the configuration.
fn kind(check: &CheckKind) -> &'static str {
    match check {
        CheckKind::Tcp => "TCP_CHECK",
        CheckKind::Http { tls: false, .. } => "HTTP_GET",
        CheckKind::Http { tls: true, .. } => "SSL_GET",
        CheckKind::Smtp { .. } => "SMTP_CHECK",
        CheckKind::Dns { .. } => "DNS_CHECK",
        CheckKind::Misc { .. } => "MISC_CHECK",
        CheckKind::Udp { .. } => "UDP_CHECK",
        CheckKind::Ping => "PING_CHECK",
        CheckKind::File { .. } => "FILE_CHECK",
        CheckKind::Bfd { .. } => "BFD_CHECK",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepalived_config::{LoadOptions, SystemHost};

    const TEXT: &str = "virtual_server 192.0.2.10 80 {\n  lvs_sched wrr\n  lvs_method DR\n  protocol TCP\n  quorum 1\n\
        real_server 10.1.0.1 80 { weight 7\n TCP_CHECK { connect_timeout 1 } }\n\
        real_server 10.1.0.2 80 { weight 3\n TCP_CHECK { connect_timeout 1 } }\n}\n";

    #[test]
    fn it_tells_what_the_pools_know_and_what_the_plane_counts() {
        let file = std::env::temp_dir().join(format!("hawser-director-{}.conf", std::process::id()));
        std::fs::write(&file, TEXT).expect("writes");
        let loaded = keepalived_config::load(&LoadOptions::new(file.clone()), &SystemHost);
        std::fs::remove_file(&file).expect("removes");
        let model = loaded.model.expect("valid");
        let mut pool = Pool::new(model.virtual_servers[0].clone(), &model.virtual_server_groups, &[]);
        pool.handle_verdict(1, 0, false, "it refuses");
        let mut table = Table::default();
        pool.wanted(&mut table);
        for entry in table.0.values_mut() {
            for server in entry.servers.values_mut() {
                server.active = 5;
                server.statistics.connections = 99;
            }
        }
        let document: Value = serde_json::from_str(&document(&[&pool], &table)).expect("JSON");
        let service = &document["virtual_servers"][0];
        assert_eq!((&service["scheduler"], &service["forwarding"]), (&json!("wrr"), &json!("DR")));
        assert_eq!((&service["quorum"], &service["sorry"]), (&json!(true), &json!(false)));
        let [up, down] = [0, 1].map(|at| &service["real_servers"][at]);
        assert_eq!((&up["alive"], &up["weight"], &up["active"]), (&json!(true), &json!(7), &json!(5)));
        assert_eq!((&up["connections"], &up["admin"]), (&json!(99), &json!("ready")));
        assert_eq!(
            (&up["checks"], &up["state"]),
            (&json!([{"kind": "TCP_CHECK", "passing": true}]), &json!("up"))
        );
        assert_eq!((&down["checks"][0]["passing"], &down["state"]), (&json!(false), &json!("down")));
        assert_eq!((&down["alive"], &down["active"]), (&json!(false), &json!(0)), "it is not in the plane");
    }
}
