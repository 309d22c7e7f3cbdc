//! Against the messages of a real ipvsadm and kernel.

use super::*;
use crate::wire::{Attributes, Control, Messages, Received};

const SESSION: &str = include_str!("../../../../tests/vectors/ipvs/session.tsv");
const FAMILY: u16 = 0x20;

/// Command line, whether it is a request, payload.
fn session() -> Vec<(&'static str, bool, Vec<u8>)> {
    let rows = SESSION.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let mut cells = line.split('\t');
        let (command, direction) = (cells.next().expect("a command"), cells.next().expect("a direction"));
        (command, direction == "request", bytes(cells.next().expect("a payload")))
    })
    .collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex")).collect()
}

fn read(payload: &[u8], is_ipv6: bool) -> Reply {
    let message = Received { kind: FAMILY, flags: 0, sequence: 0, payload };
    Reply::read(message, is_ipv6).expect("whole").expect("a known command")
}

fn payload(request: &Request<'_>) -> Vec<u8> {
    request.write(FAMILY, 7)[crate::wire::HEADER_LENGTH..].to_vec()
}

fn nested(payload: &[u8], wanted: u16) -> Vec<u8> {
    let found = Attributes::new(&payload[4..]).filter_map(Result::ok).find(|(kind, _)| *kind == wanted);
    found.expect("it is there").1.to_vec()
}

#[test]
fn services_are_written_as_ipvsadm_writes_them() {
    let mut count = 0;
    for (command, is_request, recorded) in session() {
        if is_request && (command.starts_with("-A") || command.starts_with("-E")) {
            // A new service travels in the same shape in both directions.
            let mut as_reply = recorded.clone();
            as_reply[0] = 1;
            let Reply::Service(service) = read(&as_reply, false) else { panic!("{command}") };
            let request = if command.starts_with("-A") {
                Request::AddService(&service)
            } else {
                Request::EditService(&service)
            };
            assert_eq!(payload(&request), recorded, "{command}");
            count += 1;
        }
    }
    assert!(count >= 6, "{count} services recorded");
}

#[test]
fn destinations_are_written_as_ipvsadm_writes_them() {
    let mut count = 0;
    for (command, is_request, recorded) in session() {
        if is_request && (command.starts_with("-a") || command.starts_with("-e")) {
            let mut as_reply = recorded.clone();
            as_reply[0] = 5;
            let Reply::Destination(destination) = read(&as_reply, false) else { panic!("{command}") };
            let key = Key::Mark { mark: 1, is_ipv6: false };
            let ours = payload(&Request::AddDestination(&key, &destination));
            assert_eq!(nested(&ours, 2), nested(&recorded, 2), "{command}");
            count += 1;
        }
    }
    assert!(count >= 5, "{count} real servers recorded");
}

#[test]
fn simple_requests_are_written_as_ipvsadm_writes_them() {
    let find =
        |command: &str| session().into_iter().find(|row| row.0 == command && row.1).expect("recorded").2;
    let set = Timeouts { tcp: 100, tcp_fin: 20, udp: 30 };
    assert_eq!(payload(&Request::SetTimeouts(set)), find("--set 100 20 30"));
    assert_eq!(payload(&Request::Timeouts), find("-L --timeout"));
    assert_eq!(payload(&Request::Flush), find("-C"));
    assert_eq!(payload(&Request::Zero(None)), find("-Z"));
    assert_eq!(payload(&Request::Daemons), find("-L --daemon"));
    assert_eq!(payload(&Request::Services), find("-L -n --nosort"));
    assert_eq!(payload(&Request::StopDaemon(Role::Backup)), find("--stop-daemon backup"));
    let mut daemon = Daemon::new(Role::Master);
    daemon.interface = "lo".to_owned();
    daemon.sync_id = 7;
    let command = "--start-daemon master --mcast-interface lo --syncid 7";
    assert_eq!(payload(&Request::StartDaemon(&daemon)), find(command));
    daemon = Daemon { role: Role::Backup, sync_id: 0, length_max: 1400, port: 9999, hops: 3, ..daemon };
    daemon.group = Some("ff02::5".parse().expect("an address"));
    let command = "--start-daemon backup --mcast-interface lo --mcast-group ff02::5 --mcast-port 9999 \
                   --mcast-ttl 3 --sync-maxlen 1400";
    let (ours, theirs) = (payload(&Request::StartDaemon(&daemon)), find(command));
    let Reply::Daemon(read_back) = read(&theirs, false) else { panic!("a daemon") };
    assert_eq!(read_back, daemon);
    assert_eq!(ours, theirs);
}

#[test]
fn dumps_are_read() {
    let mut services = Vec::new();
    let mut destinations = Vec::new();
    for (command, is_request, recorded) in session() {
        if !is_request && command == "-L -n --nosort" {
            match read(&recorded, false) {
                Reply::Service(service) => services.push(service),
                Reply::Destination(destination) => destinations.push(destination),
                other => panic!("{other:?}"),
            }
        }
    }
    let web = services.iter().find(|service| service.scheduler == "wrr").expect("there");
    let address = "10.9.9.9".parse().expect("an address");
    assert_eq!(web.key, Key::Address { protocol: TCP, address, port: 80 });
    assert_eq!(web.netmask, Netmask::Ipv4([255, 255, 255, 0].into()));
    assert_eq!((web.timeout, web.flags), (300, Flags(Flags::PERSISTENT | Flags::HASHED)));
    let sip = services.iter().find(|service| service.engine == "sip").expect("there");
    assert!(sip.flags.has(Flags::ONE_PACKET));
    let secure = services.iter().find(|service| service.scheduler == "mh").expect("there");
    assert_eq!((secure.netmask, secure.timeout), (Netmask::Ipv6(64), 60));
    assert!(services.iter().any(|service| service.key == Key::Mark { mark: 6, is_ipv6: true }));
    let forwards: Vec<Forward> = destinations.iter().map(|destination| destination.forward).collect();
    let gue = Tunnel::Gue { port: 5555, checksum: ChecksumMode::Remote };
    assert!(forwards.contains(&Forward::Tunnel(gue)));
    assert!(forwards.contains(&Forward::Tunnel(Tunnel::Gre { checksum: ChecksumMode::Checksum })));
    let masqueraded = destinations.iter().find(|one| one.forward == Forward::Masquerade).expect("there");
    assert_eq!((masqueraded.port, masqueraded.weight), (8080, 0));
}

#[test]
fn the_kernel_tells_its_version_and_daemons() {
    let find =
        |command: &str| session().into_iter().find(|row| row.0 == command && !row.1).expect("recorded").2;
    let information = Information { version: 0x0001_0201, table_size: 4096 };
    assert_eq!(read(&find("-L"), false), Reply::Information(information));
    let Reply::Daemon(daemon) = read(&find("-L --daemon"), false) else { panic!("a daemon") };
    assert_eq!((daemon.role, daemon.interface.as_str(), daemon.sync_id), (Role::Master, "lo", 7));
    assert_eq!((daemon.length_max, daemon.port, daemon.hops), (1472, 8848, 1));
    assert_eq!(daemon.group, Some([224, 0, 0, 81].into()));
}

#[test]
fn no_cut_of_a_reply_panics() {
    for (_, is_request, recorded) in session() {
        for cut in 0..if is_request { 0 } else { recorded.len() } {
            let message = Received { kind: FAMILY, flags: 0, sequence: 0, payload: &recorded[..cut] };
            // A cut between attributes of an answer leaves a shorter answer, which may be whole.
            let _ = Reply::read(message, false);
        }
    }
}

#[test]
fn the_family_is_asked_for_by_name() {
    let request = resolve(5);
    let Some(Ok(Control::Data(sent))) = Messages::new(&request).next() else { panic!("a message") };
    assert_eq!(sent.payload, bytes("03010000090002004950565300000000"));
    let answer = bytes("0102000009000200495056530000000006000100200000000800030001000000");
    let message = Received { kind: 0x10, flags: 0, sequence: 5, payload: &answer };
    assert_eq!(family_number(message), Ok(Some(0x20)));
}
