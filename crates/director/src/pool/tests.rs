use super::*;
use diag::{FileId, Span};
use keepalived_config::model::{
    Check, CheckDefaults, CheckKind, CheckTiming, ConnectOptions, Family, RunAs, Scheduler, SchedulerFlags,
    SorryServer,
};
use netlink::ipvs::{Forward, Netmask};
use std::time::Duration;

fn span() -> Span {
    Span { file: FileId(0), start: 0, end: 0 }
}

fn command(word: &str) -> Option<Command> {
    Some(Command { words: vec![word.to_owned()], run_as: RunAs { user: 0, group: 0 } })
}

fn check() -> Check {
    let second = Duration::from_secs(1);
    let timing = CheckTiming {
        delay_loop: second,
        connect_timeout: second,
        retry: 0,
        delay_before_retry: second,
        warmup: Duration::ZERO,
        alpha: false,
        log_all_failures: false,
    };
    Check { span: span(), kind: CheckKind::Tcp, connect: ConnectOptions::default(), timing }
}

fn real(last: u8, weight: u32) -> RealServer {
    RealServer {
        span: span(),
        address: ([10, 5, 0, last], 80).into(),
        weight,
        forwarding: Forwarding::Nat,
        upper_threshold: 0,
        lower_threshold: 0,
        inhibit_on_failure: false,
        notify_up: command("rsup"),
        notify_down: command("rsdown"),
        smtp_alert: false,
        alpha: false,
        snmp_name: None,
        check_defaults: CheckDefaults::default(),
        checks: vec![check()],
    }
}

fn server(real_servers: Vec<RealServer>) -> VirtualServer {
    VirtualServer {
        span: span(),
        address: VirtualAddress::Socket(([10, 9, 0, 1], 80).into()),
        protocol: TransportProtocol::Tcp,
        scheduler: Scheduler::RoundRobin,
        flags: SchedulerFlags::default(),
        forwarding: Forwarding::Nat,
        persistence_timeout: None,
        persistence_granularity: None,
        weight: 1,
        persistence_engine: None,
        ha_suspend: false,
        alpha: false,
        omega: false,
        quorum: 1,
        hysteresis: 0,
        quorum_up: command("up"),
        quorum_down: command("down"),
        smtp_alert: false,
        snmp_name: None,
        check_defaults: CheckDefaults::default(),
        sorry_server: None,
        real_servers,
    }
}

/// Lines as they are, programs as `run NAME`.
fn actions(pool: &mut Pool) -> Vec<String> {
    let taken = std::iter::from_fn(|| pool.poll_action());
    taken
        .filter_map(|action| match action {
            Action::Log(line) => Some(line),
            Action::Run(command) => Some(format!("run {}", command.words[0])),
            Action::Tell(told) => Some(format!("tell {}", told.line())),
            Action::Show(_) => None,
        })
        .collect()
}

/// Last number of the address, and weight.
fn rows(pool: &Pool) -> Vec<(u8, u32)> {
    let mut table = Table::default();
    pool.wanted(&mut table);
    let entry = table.0.into_values().next().expect("a service");
    let last = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(_) => 0,
    };
    entry.servers.into_values().map(|one| (last(one.address), one.weight)).collect()
}

// The lines and tables here are those of keepalived 2.2.7 with the same configuration.
// row: 280, 281, 283, 284, 307
#[test]
fn servers_leave_and_return_as_in_keepalived() {
    let mut inhibited = real(2, 1);
    inhibited.inhibit_on_failure = true;
    let mut proven = real(3, 1);
    proven.alpha = true;
    proven.checks[0].timing.alpha = true;
    let mut virtual_server = server(vec![real(1, 3), inhibited, proven]);
    virtual_server.quorum = 2;
    let address = ([10, 5, 0, 9], 80).into();
    virtual_server.sorry_server = Some(SorryServer { address, forwarding: Forwarding::Nat, inhibit: false });
    let mut pool = Pool::new(virtual_server, &[], &[]);
    assert_eq!(
        actions(&mut pool),
        ["Gained quorum 2+0=2 <= 4 for VS [10.9.0.1]:tcp:80", "run up", "tell VS [10.9.0.1]:tcp:80 UP"]
    );
    assert_eq!(rows(&pool), [(1, 3), (2, 1)]);

    pool.handle_verdict(2, 0, true, "");
    let adding = "Adding service [10.5.0.3]:tcp:80 to VS [10.9.0.1]:tcp:80";
    assert_eq!(actions(&mut pool), [adding, "run rsup", "tell RS [10.5.0.3]:tcp:80 [10.9.0.1]:tcp:80 UP"]);
    assert_eq!(rows(&pool), [(1, 3), (2, 1), (3, 1)]);

    pool.handle_verdict(2, 0, false, "");
    let removing = "Removing service [10.5.0.3]:tcp:80 from VS [10.9.0.1]:tcp:80";
    assert_eq!(
        actions(&mut pool),
        [removing, "run rsdown", "tell RS [10.5.0.3]:tcp:80 [10.9.0.1]:tcp:80 DOWN"]
    );
    pool.handle_verdict(1, 0, false, "");
    let disabling = "Disabling service [10.5.0.2]:tcp:80 of VS [10.9.0.1]:tcp:80";
    assert_eq!(
        actions(&mut pool),
        [disabling, "run rsdown", "tell RS [10.5.0.2]:tcp:80 [10.9.0.1]:tcp:80 DOWN"]
    );
    assert_eq!(rows(&pool), [(1, 3), (2, 0)]);

    pool.handle_verdict(0, 0, false, "");
    let expected = [
        "Removing service [10.5.0.1]:tcp:80 from VS [10.9.0.1]:tcp:80",
        "run rsdown",
        "tell RS [10.5.0.1]:tcp:80 [10.9.0.1]:tcp:80 DOWN",
        "Lost quorum 2-0=2 > 0 for VS [10.9.0.1]:tcp:80",
        "run down",
        "tell VS [10.9.0.1]:tcp:80 DOWN",
        "Adding sorry server [10.5.0.9]:tcp:80 to VS [10.9.0.1]:tcp:80",
        "Removing alive servers from the pool for VS [10.9.0.1]:tcp:80",
    ];
    assert_eq!(actions(&mut pool), expected);
    assert_eq!(rows(&pool), [(2, 0), (9, 1)]);

    pool.handle_verdict(0, 0, true, "");
    let expected = [
        "Adding service [10.5.0.1]:tcp:80 to VS [10.9.0.1]:tcp:80",
        "run rsup",
        "tell RS [10.5.0.1]:tcp:80 [10.9.0.1]:tcp:80 UP",
        "Gained quorum 2+0=2 <= 3 for VS [10.9.0.1]:tcp:80",
        "Removing sorry server [10.5.0.9]:tcp:80 from VS [10.9.0.1]:tcp:80",
        "Adding alive servers to the pool for VS [10.9.0.1]:tcp:80",
        "run up",
        "tell VS [10.9.0.1]:tcp:80 UP",
    ];
    assert_eq!(actions(&mut pool), expected);
    assert_eq!(rows(&pool), [(1, 3), (2, 0)]);
}

// row: 287
#[test]
fn the_end_is_told_and_with_omega_to_programs_too() {
    let mut virtual_server = server(vec![real(1, 1), real(2, 1)]);
    virtual_server.real_servers.iter_mut().for_each(|real| real.forwarding = Forwarding::DirectRouting);
    virtual_server.address = VirtualAddress::Mark { mark: 7, family: Family::Ipv4 };
    virtual_server.omega = true;
    let mut pool = Pool::new(virtual_server, &[], &[]);
    pool.handle_verdict(1, 0, false, "");
    actions(&mut pool);
    pool.shut_down();
    let expected = [
        "Shutting down service [10.5.0.1]:none:0 from VS FWM 7",
        "run rsdown",
        "Shutting down service [10.5.0.2]:none:0 from VS FWM 7",
        "run down",
    ];
    assert_eq!(actions(&mut pool), expected);
}

#[test]
fn weights_follow_checks_and_the_administrator() {
    let mut pool = Pool::new(server(vec![real(1, 1), real(2, 6)]), &[], &[]);
    actions(&mut pool);
    pool.handle_offset(0, 0, 49);
    let line = "Changing weight from 1 to 50 for active service [10.5.0.1]:tcp:80 of VS [10.9.0.1]:tcp:80";
    assert_eq!(actions(&mut pool), [line]);
    pool.handle_offset(1, 0, -254);
    assert_eq!(rows(&pool), [(1, 50), (2, 0)]);
    pool.set_weight(1, Some(9));
    assert_eq!(rows(&pool), [(1, 50), (2, 9)]);
    pool.set_weight(1, None);
    assert_eq!(rows(&pool), [(1, 50), (2, 0)]);
}

#[test]
fn a_drained_server_leaves_with_its_last_connection_or_at_the_deadline() {
    let now = Instant::now();
    let late = now + Duration::from_secs(30);
    let mut pool = Pool::new(server(vec![real(1, 1), real(2, 1), real(3, 1)]), &[], &[]);
    pool.drain(0, Some(late));
    pool.drain(1, None);
    assert_eq!(rows(&pool), [(1, 0), (2, 0), (3, 1)]);
    let connections = |server| if server == 0 { 5 } else { 0 };
    pool.handle_timeout(now, connections);
    assert_eq!(rows(&pool), [(1, 0), (3, 1)], "the idle one has left");
    pool.handle_timeout(late, connections);
    assert_eq!(rows(&pool), [(3, 1)], "the deadline has passed");
    pool.make_ready(0);
    assert_eq!(rows(&pool), [(1, 1), (3, 1)]);
    assert!(!pool.is_draining());
}

// row: 263, 266, 267, 269
#[test]
fn the_service_is_as_configured() {
    let mut virtual_server = server(vec![real(1, 100)]);
    virtual_server.persistence_timeout = Some(1);
    virtual_server.persistence_granularity = Some(24);
    virtual_server.real_servers[0].forwarding = Forwarding::DirectRouting;
    let pool = Pool::new(virtual_server, &[], &[]);
    let mut table = Table::default();
    pool.wanted(&mut table);
    let entry = &table.0[&pool.keys()[0]];
    assert_eq!(entry.service.netmask, Netmask::Ipv4([255, 255, 255, 0].into()));
    assert_eq!((entry.service.timeout, entry.service.flags.0), (1, Flags::PERSISTENT));
    let one = entry.servers.values().next().expect("a real server");
    assert_eq!((one.forward, one.port, one.weight), (Forward::Route, 80, 100));
}

#[test]
fn a_group_is_as_many_services() {
    use keepalived_config::model::{PortRange, VirtualServerGroupId};
    let mut virtual_server = server(vec![real(1, 1)]);
    virtual_server.address = VirtualAddress::Group(VirtualServerGroupId(0));
    let group = VirtualServerGroup {
        name: "G1".to_owned(),
        span: span(),
        addresses: vec![PortRange { first: [10, 9, 0, 5].into(), last: [10, 9, 0, 7].into(), port: 80 }],
        marks: vec![(9, None)],
    };
    let pool = Pool::new(virtual_server, &[group], &[]);
    assert_eq!(pool.keys().len(), 4);
    assert_eq!(pool.name(), "[G1]:0");
}

#[test]
fn a_reload_keeps_what_is_known() {
    let mut before = Pool::new(server(vec![real(1, 1), real(2, 1), real(3, 1)]), &[], &[]);
    before.handle_verdict(1, 0, false, "");
    before.set_weight(0, Some(5));
    before.drain(2, None);
    actions(&mut before);
    let mut alone = server(vec![real(2, 1), real(1, 1), real(4, 1)]);
    alone.scheduler = Scheduler::WeightedRoundRobin;
    let mut pool = Pool::new(alone, &[], &[]);
    assert_eq!(pool.known_result(&before, 0, 0).map(|known| known.2), Some(false));
    assert_eq!(pool.known_result(&before, 1, 0).map(|known| known.2), Some(true));
    assert_eq!(pool.known_result(&before, 2, 0), None, "another server");
    pool.carry_over(&before);
    assert_eq!(actions(&mut pool), Vec::<String>::new(), "nothing has changed for anybody");
    assert_eq!(rows(&pool), [(1, 5), (4, 1)]);
    // Another check has its own to prove.
    let mut other = real(2, 1);
    other.checks[0].kind = CheckKind::Ping;
    let mut pool = Pool::new(server(vec![other]), &[], &[]);
    assert_eq!(pool.known_result(&before, 0, 0), None);
    pool.carry_over(&before);
    assert_eq!(rows(&pool), [(2, 1)]);
}

/// What managers hear, and nothing else.
fn shown(pool: &mut Pool) -> Vec<(Option<usize>, Phase, usize)> {
    let taken = std::iter::from_fn(|| pool.poll_action());
    taken
        .filter_map(|action| match action {
            Action::Show(changed) => Some((changed.server, changed.phase, changed.up)),
            Action::Log(_) | Action::Run(_) | Action::Tell(_) => None,
        })
        .collect()
}

// As keepalived 2.2.7 sends its traps.
#[test]
fn managers_hear_of_each_change_with_the_count_of_that_moment() {
    let mut proven = real(2, 1);
    proven.alpha = true;
    proven.checks[0].timing.alpha = true;
    let mut virtual_server = server(vec![real(1, 3), proven]);
    virtual_server.quorum = 4;
    let mut pool = Pool::new(virtual_server.clone(), &[], &[]);
    assert_eq!(shown(&mut pool), [(None, Phase::Down, 1)]);
    pool.handle_verdict(1, 0, false, "");
    assert_eq!(shown(&mut pool), [(Some(1), Phase::Down, 1)]);
    pool.handle_verdict(1, 0, true, "");
    assert_eq!(shown(&mut pool), [(Some(1), Phase::Up, 2), (None, Phase::Up, 2)]);
    pool.shut_down();
    let end = [(Some(0), Phase::Down, 1), (Some(1), Phase::Down, 0), (None, Phase::ShutDown, 0)];
    assert_eq!(shown(&mut pool), end);

    let mut pool = Pool::new(virtual_server, &[], &[]);
    assert_eq!(
        actions(&mut pool),
        ["Starting with quorum down 4-0=4 > 3 for VS [10.9.0.1]:tcp:80", "tell VS [10.9.0.1]:tcp:80 DOWN"]
    );
}

// What the log and the pipes of keepalived 2.2.7 call it.
#[test]
fn a_real_server_of_a_mark_has_its_port_with_nat_alone() {
    let mut virtual_server = server(vec![real(1, 1), real(2, 1)]);
    virtual_server.address = VirtualAddress::Mark { mark: 7, family: Family::Ipv4 };
    virtual_server.real_servers[0].forwarding = Forwarding::Nat;
    virtual_server.real_servers[1].forwarding = Forwarding::DirectRouting;
    let pool = Pool::new(virtual_server, &[], &[]);
    assert_eq!([0, 1].map(|at| pool.server_name(at)), ["[10.5.0.1]:none:80", "[10.5.0.2]:none:0"]);
}
