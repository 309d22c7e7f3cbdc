use super::*;
use haproxy_config::model::{self, Address, LogFormatKind, LogTarget, LogTargetAddress};
use rules::WallTime;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// 2026-11-02 17:41:51.942743 UTC.
const NOW: WallTime = WallTime(Duration::from_micros(1_793_641_311_942_743));
const INFO: u8 = 6;

fn line(address: LogTargetAddress, format: LogFormatKind) -> LogTarget {
    LogTarget { address, max_length: 1024, format, sample: None, facility: 16, max_level: 7, min_level: 0 }
}

fn udp_sink() -> (UdpSocket, LogTargetAddress) {
    let sink = UdpSocket::bind("127.0.0.1:0").expect("a port");
    sink.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
    let address = sink.local_addr().expect("bound");
    (sink, LogTargetAddress::Datagram(Address::Inet { ip: address.ip(), port: address.port() }))
}

fn received(sink: &UdpSocket) -> String {
    let mut buffer = [0; 70_000];
    let length = sink.recv(&mut buffer).expect("a message");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn open(lines: &[LogTarget], hostname: Option<&str>, chroot: bool) -> (Targets, Scratch) {
    let mut outlets = OutletsBuilder::new(&[]);
    let identity = Identity { tag: "haproxy", hostname, pid: 20354 };
    let targets = Targets::open(lines, &identity, &mut outlets).expect("opens");
    let scratch = outlets.finish(chroot).expect("finishes").scratch().expect("sockets");
    (targets, scratch)
}

fn framed(format: LogFormatKind, hostname: Option<&str>, structured_data: &[u8]) -> String {
    let (sink, address) = udp_sink();
    let (targets, mut scratch) = open(&[line(address, format)], hostname, false);
    targets.send_structured(INFO, structured_data, b"hello 127.0.0.1", NOW, &mut scratch);
    received(&sink)
}

/// The date in the zone of this machine, which the recorded messages had in UTC.
fn local_dates() -> (String, String) {
    let time = sys::clock::local_time(1_793_641_311);
    let clock = format!("{:02}:{:02}:{:02}", time.hour, time.minute, time.second);
    let (sign, offset) =
        (if time.offset_minutes < 0 { '-' } else { '+' }, time.offset_minutes.unsigned_abs());
    let zone = format!("{sign}{:02}:{:02}", offset / 60, offset % 60);
    (format!("Nov {:2} {clock}", time.day), format!("2026-11-{:02}T{clock}.942743{zone}", time.day))
}

// row: 64
#[test]
fn every_format_is_framed_as_haproxy_frames_it() {
    let (short, iso) = local_dates();
    let cases = [
        (LogFormatKind::Local, format!("<134>{short} haproxy[20354]: ")),
        (LogFormatKind::Rfc3164, format!("<134>{short} localhost haproxy[20354]: ")),
        (LogFormatKind::Rfc5424, format!("<134>1 {iso} - haproxy 20354 - - ")),
        (LogFormatKind::Priority, "<134>".to_owned()),
        (LogFormatKind::Short, "<6>".to_owned()),
        (LogFormatKind::Timed, format!("<6>{iso} ")),
        (LogFormatKind::Iso, format!("{iso} ")),
        (LogFormatKind::Raw, String::new()),
    ];
    for (format, header) in cases {
        assert_eq!(framed(format, None, b""), format!("{header}hello 127.0.0.1\n"), "{format:?}");
    }
}

#[test]
fn hostname_and_structured_data_take_their_places() {
    let (short, iso) = local_dates();
    let rfc3164 = framed(LogFormatKind::Rfc3164, Some("my.host"), b"[ignored]");
    assert_eq!(rfc3164, format!("<134>{short} my.host haproxy[20354]: hello 127.0.0.1\n"));
    let rfc5424 = framed(LogFormatKind::Rfc5424, Some("my.host"), b"[ex@1 a=\"1\"]");
    assert_eq!(rfc5424, format!("<134>1 {iso} my.host haproxy 20354 - [ex@1 a=\"1\"] hello 127.0.0.1\n"));
}

#[test]
fn a_message_is_cut_to_len_header_included_and_newline_not() {
    let (sink, address) = udp_sink();
    let target = LogTarget { max_length: 80, ..line(address, LogFormatKind::Rfc3164) };
    let (targets, mut scratch) = open(&[target], None, false);
    targets.send(INFO, &[b'x'; 2000], NOW, &mut scratch);
    let message = received(&sink);
    assert_eq!(message.len(), 81);
    assert!(message.ends_with("x\n"));
}

// row: 64
#[test]
fn levels_above_the_maximum_are_dropped_and_those_below_the_minimum_are_lowered() {
    let (sink, address) = udp_sink();
    let target = LogTarget { max_level: 6, min_level: 5, ..line(address, LogFormatKind::Priority) };
    let (targets, mut scratch) = open(&[target], None, false);
    assert!(!targets.wants(7));
    targets.send(7, b"debug", NOW, &mut scratch);
    targets.send(0, b"emergency", NOW, &mut scratch);
    targets.send(6, b"information", NOW, &mut scratch);
    assert_eq!(received(&sink), "<133>emergency\n");
    assert_eq!(received(&sink), "<134>information\n");
}

// row: 65
#[test]
fn any_number_of_targets_gets_the_message() {
    let sinks: Vec<_> = (0..5).map(|_| udp_sink()).collect();
    let lines: Vec<_> = sinks.iter().map(|(_, address)| line(address.clone(), LogFormatKind::Raw)).collect();
    let (targets, mut scratch) = open(&lines, None, false);
    targets.send(INFO, b"to all\n", NOW, &mut scratch);
    for (sink, _) in &sinks {
        assert_eq!(received(sink), "to all\n");
    }
}

fn unix_path(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("hawser-syslog-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    (0..100).any(|_| {
        let met = condition();
        if !met {
            std::thread::sleep(Duration::from_millis(20));
        }
        met
    })
}

/// Sends until `sink` has something, for at most two seconds.
fn delivers(targets: &Targets, scratch: &mut Scratch, sink: &UnixDatagram) -> bool {
    sink.set_nonblocking(true).expect("non-blocking");
    eventually(|| {
        targets.send(INFO, b"hello", NOW, scratch);
        sink.recv(&mut [0; 100]).is_ok()
    })
}

// row: 66
#[test]
fn a_unix_socket_is_found_again_after_syslog_restarts() {
    for with_kept_root in [false, true] {
        let path = unix_path(if with_kept_root { "kept" } else { "own" });
        let lines = [line(LogTargetAddress::Datagram(Address::Unix(path.clone())), LogFormatKind::Local)];
        // Not there yet at start.
        let (targets, mut scratch) = open(&lines, None, with_kept_root);
        targets.send(INFO, b"lost", NOW, &mut scratch);
        assert_eq!(scratch.outlets().dropped(), 1);
        let first = UnixDatagram::bind(&path).expect("binds");
        assert!(delivers(&targets, &mut scratch, &first));
        drop(first);
        std::fs::remove_file(&path).expect("removes");
        let second = UnixDatagram::bind(&path).expect("binds");
        assert!(delivers(&targets, &mut scratch, &second), "kept root: {with_kept_root}");
        std::fs::remove_file(&path).expect("removes");
    }
}

#[test]
fn a_full_pipe_drops_and_counts_instead_of_waiting() {
    use std::os::fd::AsRawFd;
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let lines = [line(LogTargetAddress::Fd(writer.as_raw_fd()), LogFormatKind::Raw)];
    let (targets, mut scratch) = open(&lines, None, false);
    for _ in 0..200 {
        targets.send(INFO, &[b'x'; 1000], NOW, &mut scratch);
    }
    assert!(scratch.outlets().dropped() > 0, "a pipe holds 64 KB");
    drop(reader);
}

fn ring(size: usize, format: LogFormatKind) -> model::Ring {
    model::Ring {
        name: "r1".to_owned(),
        description: None,
        size,
        max_length: 40,
        format,
        backing_file: None,
        servers: Vec::new(),
        timeout_connect: None,
        timeout_server: None,
    }
}

#[test]
fn a_ring_keeps_the_last_messages_in_its_own_format_and_length() {
    let lines = [line(LogTargetAddress::Ring("r1".to_owned()), LogFormatKind::Raw)];
    let identity = Identity { tag: "haproxy", hostname: None, pid: 1 };
    // Three messages of 40 bytes, and what describes them.
    let mut outlets = OutletsBuilder::new(&[ring(3 * 48, LogFormatKind::Short)]);
    let targets = Targets::open(&lines, &identity, &mut outlets).expect("a ring");
    let outlets = outlets.finish(false).expect("outlets");
    let mut scratch = outlets.scratch().expect("sockets");
    let ring = &outlets.rings()[0];
    let watch = ring.watch();
    let read = |from: u64| {
        let mut texts = Vec::new();
        let next = ring.read(from, |message| {
            texts.push(String::from_utf8_lossy(message).into_owned());
            true
        });
        (texts, next)
    };
    for number in 0..5 {
        let message = format!("{number}{}", "x".repeat(60));
        targets.send(6, message.as_bytes(), WallTime::default(), &mut scratch);
    }
    let (texts, next) = read(0);
    assert_eq!((texts.len(), next), (3, 5));
    assert_eq!(texts[0], format!("<6>2{}", "x".repeat(36)));
    assert!(watch.has_changed().expect("the ring is there"));
    assert_eq!(read(4).0.len(), 1);
    assert_eq!(read(5), (Vec::new(), 5));
    assert_eq!(outlets.dropped(), 0);
}

#[test]
fn a_ring_that_is_not_there_is_an_error_with_its_name() {
    let lines = [line(LogTargetAddress::Ring("r2".to_owned()), LogFormatKind::Raw)];
    let identity = Identity { tag: "haproxy", hostname: None, pid: 1 };
    let rings = [ring(16_384, LogFormatKind::Raw)];
    let error = Targets::open(&lines, &identity, &mut OutletsBuilder::new(&rings)).expect_err("no ring");
    assert!(error.to_string().contains("'r2'"));
}
