//! `option external-check`: a program of the administrator's judges a server. It is told where the server is by arguments
//! and environment, and answers by its exit code.

use crate::state::{ServerState, Target};
use crate::worker::Shared;
use checks::{CheckStatus, Outcome};
use haproxy_config::model::{Address, ExternalCheck, Mode, Proxy};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a program is asked whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What stands for an address or a port that there is not, among the arguments.
const NOT_USED: &str = "NOT_USED";

/// Runs the program; it has `interval` to end, then it is killed. With both of `timeout connect` and `timeout check` the
/// shorter of `timeout connect` and the interval counts, as in HAProxy.
pub(super) async fn probe(
    shared: &Shared,
    server: &ServerState,
    check: &ExternalCheck,
    interval: Duration,
) -> Outcome {
    let proxy = &shared.state.model.proxies[server.id.proxy.index()];
    let timeouts = &proxy.timeouts;
    let connect = timeouts.connect.filter(|_| timeouts.check.is_some());
    let limit = connect.map_or(interval, |connect| connect.min(interval));
    let started = Instant::now();
    let outcome = |status: CheckStatus, code: i64, description: String| Outcome {
        status,
        code,
        description,
        duration: started.elapsed(),
        agent: None,
    };
    if !shared.state.model.global.insecure_fork_wanted {
        let told = "`insecure-fork-wanted` is not set".to_owned();
        return outcome(CheckStatus::ProcessError, 0, told);
    }
    let child = match command(proxy, server, check).spawn() {
        Ok(child) => child,
        Err(error) => return outcome(CheckStatus::ProcessError, 0, error.to_string()),
    };
    match wait(Running(child), started + limit).await {
        Some(status) if status.success() => outcome(CheckStatus::ProcessOk, 0, String::new()),
        Some(status) => {
            outcome(CheckStatus::ProcessError, i64::from(status.code().unwrap_or(0)), String::new())
        }
        None => outcome(CheckStatus::ProcessTimeout, 0, String::new()),
    }
}

/// A program that is killed when nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It ended already in most cases; the error says just that.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn wait(mut program: Running, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match program.0.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => tokio::time::sleep(LOOK_AGAIN).await,
            Ok(None) | Err(_) => return None,
        }
    }
}

fn command(proxy: &Proxy, server: &ServerState, check: &ExternalCheck) -> Command {
    let own = match proxy.binds.first().map(|bind| &bind.address) {
        Some(Address::Inet { ip, port }) => [ip.to_string(), port.to_string()],
        Some(Address::Unix(path)) => [path.display().to_string(), String::new()],
        Some(Address::Host { .. } | Address::Abstract(_) | Address::Fd(_)) | None => Default::default(),
    };
    let port = server.settings.check.as_ref().and_then(|check| check.port);
    let theirs = match &*server.target.read() {
        Some(Target::Inet(address)) => [address.ip().to_string(), port.unwrap_or(address.port()).to_string()],
        Some(Target::Unix(path)) => [path.display().to_string(), String::new()],
        Some(Target::Abstract(_)) | None => Default::default(),
    };
    let mut command = Command::new(program_path(check));
    let arguments = own.iter().chain(&theirs);
    command.args(arguments.map(|text| if text.is_empty() { NOT_USED } else { text.as_str() }));
    command.env_clear();
    let protocol = match proxy.mode {
        Mode::Http => "h1",
        Mode::Tcp | Mode::Health => "tcp",
    };
    let encrypted = if server.settings.tls.is_some() { "1" } else { "0" };
    let number = |number: u32| number.to_string();
    command.envs([
        ("HAPROXY_PROXY_NAME", proxy.name.clone()),
        ("HAPROXY_PROXY_ID", number(proxy.uuid)),
        ("HAPROXY_PROXY_ADDR", own[0].clone()),
        ("HAPROXY_PROXY_PORT", own[1].clone()),
        ("HAPROXY_SERVER_NAME", server.name().to_owned()),
        ("HAPROXY_SERVER_ID", number(server.settings.puid)),
        ("HAPROXY_SERVER_ADDR", theirs[0].clone()),
        ("HAPROXY_SERVER_PORT", theirs[1].clone()),
        ("HAPROXY_SERVER_MAXCONN", number(server.settings.maxconn)),
        ("HAPROXY_SERVER_CURCONN", number(server.served.get())),
        ("HAPROXY_SERVER_SSL", encrypted.to_owned()),
        ("HAPROXY_SERVER_PROTO", protocol.to_owned()),
    ]);
    if let Some(path) = &check.path {
        command.env("PATH", path);
    }
    command.stdin(Stdio::null());
    command
}

/// A name without a slash is looked for in `external-check path` now: the child's own PATH would not be asked.
fn program_path(check: &ExternalCheck) -> std::path::PathBuf {
    let name = std::path::Path::new(&check.command);
    if check.command.contains('/') {
        return name.to_owned();
    }
    let folders = check.path.as_deref().unwrap_or_default().split(':');
    let found = folders.map(|folder| std::path::Path::new(folder).join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| name.to_owned())
}
