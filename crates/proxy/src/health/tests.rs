//! State changes on a whole `Shared`, without a socket to a server.

use super::Operator;
use crate::run::{BindOptions, bind};
use crate::state::{Admin, Running, ServerState};
use crate::worker::Shared;
use checks::{AdminCommand, Cause, CheckStatus, Outcome, Turn};
use haproxy_config::{LoadOptions, load};
use rules::{ProxyId, ServerId};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const A: ServerId = ServerId { proxy: ProxyId(0), index: 0 };
const T: ServerId = ServerId { proxy: ProxyId(1), index: 0 };

struct World {
    shared: Arc<Shared>,
    log: UdpSocket,
}

impl World {
    fn new(backends: &str) -> World {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let log = UdpSocket::bind("127.0.0.1:0").unwrap();
        log.set_nonblocking(true).unwrap();
        let address = log.local_addr().unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hawser-states-{}-{count}.cfg", std::process::id()));
        let head = format!(
            "global\n    log {address} local0\n    nbthread 1\ndefaults\n    log global\n    mode http\n"
        );
        std::fs::write(&path, format!("{head}{backends}")).unwrap();
        let loaded = load(&LoadOptions::new(vec![path.clone()]));
        std::fs::remove_file(&path).unwrap();
        let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.report));
        let shared = bind(Arc::new(model), BindOptions::default()).unwrap().shared;
        for (_, server) in &shared.state.servers {
            if server.settings.check.is_some() {
                let mut view = server.check.lock();
                (view.enabled, view.rise, view.fall, view.health) = (true, 2, 3, 2);
            }
        }
        World { shared, log }
    }

    fn server(&self, id: ServerId) -> &ServerState {
        self.shared.state.server(id)
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = [0; 2048];
        while let Ok(count) = self.log.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            lines.push(text[text.find("]: ").unwrap() + 3..].trim_end().to_owned());
        }
        lines
    }

    fn ends(&self, id: ServerId, status: CheckStatus) {
        let outcome =
            Outcome { status, code: 0, description: String::new(), duration: Duration::ZERO, agent: None };
        self.shared.apply_outcome(self.server(id), super::outcome::Probe::Health, &outcome);
    }
}

const TWO: &str = "backend web\n    server a 127.0.0.1:9 check weight 3\n    server b 127.0.0.1:9\n\
                   backend t\n    server t 127.0.0.1:9 track web/a\n";

// row: 202
#[test]
fn maintenance_reaches_the_picker_the_trackers_and_the_log() {
    let world = World::new(TWO);
    let web = world.shared.state.backend(ProxyId(0));
    assert_eq!((web.usable(), web.usable_by_role()), (2, (2, 0)));
    world.shared.command_server(A, AdminCommand::Maintenance);
    assert_eq!(web.usable_by_role(), (1, 0));
    assert!(world.server(T).admin().contains(Admin::INHERITED_MAINT));
    assert!(!world.server(T).is_usable());
    assert_eq!(
        world.lines(),
        [
            "Server web/a is going DOWN for maintenance. 1 active and 0 backup servers left. 0 sessions active, \
             0 requeued, 0 remaining in queue.",
            "Server t/t is going DOWN for maintenance via web/a. 0 active and 0 backup servers left. \
             0 sessions active, 0 requeued, 0 remaining in queue.",
            "backend t has no server available!",
        ]
    );
    world.shared.command_server(A, AdminCommand::Ready);
    assert!(world.server(T).is_usable());
    assert_eq!(
        world.lines(),
        [
            "Server web/a is UP/READY (leaving forced maintenance).",
            "Server t/t is UP/READY (leaving maintenance).",
        ]
    );
}

#[test]
fn a_result_that_comes_during_maintenance_changes_nothing() {
    let world = World::new(TWO);
    world.shared.command_server(A, AdminCommand::Maintenance);
    world.lines();
    world.ends(A, CheckStatus::L4Ok);
    assert_eq!(world.server(A).running(), Running::Stopped);
    assert!(world.lines().is_empty());
}

#[test]
fn an_operator_forces_health_until_the_next_checks_say_otherwise() {
    let world = World::new(TWO);
    world.shared.force_health(A, Turn::Down, Operator::Cli);
    assert_eq!(world.server(A).check.lock().health, 0);
    let lines = world.lines();
    assert!(
        lines[0].starts_with("Server web/a is DOWN, changed from CLI. 1 active and 0 backup servers left."),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("Server t/t is DOWN via web/a."), "{lines:?}");
    world.ends(A, CheckStatus::L4Ok);
    assert_eq!(world.server(A).running(), Running::Stopped, "rise is 2");
    world.ends(A, CheckStatus::L4Ok);
    assert_eq!(world.server(A).running(), Running::Up);
    assert_eq!(world.server(T).running(), Running::Up);
}

// row: 201
#[test]
fn drain_leaves_persistence_and_survives_checks() {
    let world = World::new(TWO);
    world.shared.command_server(A, AdminCommand::Drain);
    assert!(world.server(A).is_usable() && !world.server(A).is_eligible());
    world.lines();
    world.ends(A, CheckStatus::L4Ok);
    world.ends(A, CheckStatus::L4Connection);
    world.ends(A, CheckStatus::L4Connection);
    world.ends(A, CheckStatus::L4Connection);
    let lines = world.lines();
    assert!(lines[0].starts_with("Server web/a is DOWN, reason: Layer4 connection problem"), "{lines:?}");
    assert_eq!(lines[1], "Server web/a remains in forced drain mode.");
    assert_eq!(world.server(A).failed_checks.load(Ordering::Relaxed), 3);
    assert_eq!(world.server(A).down_transitions.load(Ordering::Relaxed), 1);
}

// row: 111
#[test]
fn a_server_that_returns_starts_slowly() {
    let world = World::new("backend web\n    server a 127.0.0.1:9 check weight 16 slowstart 10s\n");
    let server = world.server(A);
    assert_eq!(server.effective_weight.load(Ordering::Relaxed), 256, "not at the start of the process");
    world.shared.turn_server(A, Turn::Down, Cause::Plain);
    world.shared.turn_server(A, Turn::Up, Cause::Plain);
    assert_eq!(server.running(), Running::Starting);
    assert_eq!(server.effective_weight.load(Ordering::Relaxed), 16, "one sixteenth");
}

#[test]
fn resolution_trouble_and_an_operators_maintenance_are_two_things() {
    let world = World::new(TWO);
    world.shared.command_server(A, AdminCommand::Maintenance);
    world.shared.lose_server_address(A, "DNS NX status");
    world.shared.find_server_address(A, "h.test");
    assert!(world.server(A).admin().is_maintenance(), "the operator's maintenance stays");
    world.shared.command_server(A, AdminCommand::Ready);
    assert!(world.server(A).is_usable());
    world.shared.lose_server_address(A, "DNS NX status");
    world.shared.command_server(A, AdminCommand::Ready);
    assert!(world.server(A).admin().contains(Admin::RESOLUTION_MAINT), "an operator cannot resolve a name");
}
