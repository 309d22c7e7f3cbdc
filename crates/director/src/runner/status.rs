//! The status socket: one document in JSON about every virtual server for each client that connects. Owns the socket and the
//! form of the document; what is in it is the pools' and the plane's.

use crate::pool::{Admin, Pool};
use crate::table::Table;
use keepalived_config::model::Forwarding;
use netlink::ipvs::Destination;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

/// Names the socket; without it there is none.
pub const SOCKET_VARIABLE: &str = "HAWSER_DIRECTOR_SOCKET";
/// A client that does not read its answer is left after this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rest after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket for those who ask; it goes away with its file when it is dropped.
pub(super) struct Door(Option<(UnixListener, PathBuf)>);

impl Door {
    /// The socket that the environment names; why there is none, when it names one.
    pub fn from_environment() -> (Door, Option<String>) {
        let Some(path) = std::env::var_os(SOCKET_VARIABLE).map(PathBuf::from) else {
            return (Door(None), None);
        };
        match open(&path) {
            Ok(listener) => (Door(Some((listener, path))), None),
            Err(error) => (Door(None), Some(format!("status socket {}: {error}", path.display()))),
        }
    }

    /// The next client; never ends without a socket.
    pub async fn next(&self) -> UnixStream {
        let Some((listener, _)) = &self.0 else { return std::future::pending().await };
        loop {
            match listener.accept().await {
                Ok((client, _)) => return client,
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn open(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    // One left by a predecessor that was killed.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Writes the document in a task of its own: the loop waits for nobody.
pub(super) fn answer(mut client: UnixStream, text: String) {
    tokio::task::spawn_local(async move {
        // How a client leaves is its own business.
        let _ = tokio::time::timeout(PATIENCE, client.write_all(text.as_bytes())).await;
    });
}

/// The document. `table`: what the plane has, with its counters.
pub(super) fn document(pools: &[Pool], table: &Table) -> String {
    let all: Vec<Value> = pools.iter().map(|pool| virtual_server(pool, table)).collect();
    format!("{}\n", json!({ "virtual_servers": all }))
}

fn virtual_server(pool: &Pool, table: &Table) -> Value {
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
    let address = pool.virtual_server().real_servers[at].address;
    let is_it = |one: &&Destination| {
        one.address == address.ip() && (one.port == address.port() || address.port() == 0)
    };
    let entries = pool.keys().iter().filter_map(|key| table.0.get(key));
    let rows: Vec<&Destination> = entries.flat_map(|entry| entry.servers.values()).filter(is_it).collect();
    let sum = |of: fn(&Destination) -> u64| rows.iter().map(|row| of(row)).sum::<u64>();
    json!({
        "name": pool.server_name(at),
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
        "bytes_in": sum(|row| row.statistics.bytes_in),
        "bytes_out": sum(|row| row.statistics.bytes_out),
    })
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
        let mut pool = Pool::new(model.virtual_servers[0].clone(), &model.virtual_server_groups);
        pool.handle_verdict(1, 0, false, "it refuses");
        let mut table = Table::default();
        pool.wanted(&mut table);
        for entry in table.0.values_mut() {
            for server in entry.servers.values_mut() {
                server.active = 5;
                server.statistics.connections = 99;
            }
        }
        let document: Value = serde_json::from_str(&document(&[pool], &table)).expect("JSON");
        let service = &document["virtual_servers"][0];
        assert_eq!((&service["scheduler"], &service["forwarding"]), (&json!("wrr"), &json!("DR")));
        assert_eq!((&service["quorum"], &service["sorry"]), (&json!(true), &json!(false)));
        let [up, down] = [0, 1].map(|at| &service["real_servers"][at]);
        assert_eq!((&up["alive"], &up["weight"], &up["active"]), (&json!(true), &json!(7), &json!(5)));
        assert_eq!((&up["connections"], &up["admin"]), (&json!(99), &json!("ready")));
        assert_eq!((&down["alive"], &down["active"]), (&json!(false), &json!(0)), "it is not in the plane");
    }
}
