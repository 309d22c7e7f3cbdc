//! The tutorial's own haproxy.cfg, as it is: mistakes of its time included.

use haproxy_config::model::{Address, ErrorContent, Level, Mode};
use haproxy_config::{LoadOptions, Loaded, load_text};
use std::time::Duration;

/// The file with its users and error pages moved to ones that every machine has.
fn tutorial() -> Loaded {
    let directory = std::env::temp_dir().join(format!("hawser-tutorial-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for error pages can be made");
    let mut text = include_str!("data/tutorial.cfg")
        .replace("user haproxy", "user root")
        .replace("group haproxy", "group root");
    for status in [400, 403, 408, 500, 502, 503, 504] {
        let path = directory.join(format!("{status}.http"));
        std::fs::write(&path, format!("HTTP/1.0 {status} X\r\n\r\nbody {status}\n"))
            .expect("a page can be written");
        text = text.replace(&format!("/etc/haproxy/errors/{status}.http"), path.to_str().expect("UTF-8"));
    }
    load_text(&LoadOptions::new(Vec::new()), "tutorial.cfg", &text)
}

#[test]
fn the_tutorial_loads_with_at_most_five_warnings() {
    // row: 207
    let loaded = tutorial();
    let rendered = loaded.report.render(&loaded.sources, diag::Severity::Notice);
    assert!(loaded.model.is_some(), "{rendered}");
    assert!(loaded.report.warnings() <= 5, "{rendered}");
    for (line, word) in [(5, "nbproc 2"), (10, "process 1"), (11, "process 2")] {
        let place = format!("tutorial.cfg:{line}:");
        assert!(
            rendered.lines().any(|shown| shown.starts_with(&place) && shown.contains(word)),
            "{rendered}"
        );
    }
}

#[test]
fn the_tutorial_means_what_it_meant() {
    // row: 49, 52, 53, 54, 55, 57, 60, 61, 81, 82, 83, 93, 97, 98, 99, 107, 151
    let model = tutorial().model.expect("the tutorial is valid");
    let global = &model.global;
    assert_eq!((global.nbproc, global.nbthread), (Some(2), Some(24)));
    assert_eq!(global.maxconn, Some(65_536));
    assert_eq!(global.stats_timeout, Some(Duration::from_secs(30)));
    assert!(global.daemon);
    let sockets: Vec<_> = global.stats_sockets.iter().map(|socket| &socket.bind).collect();
    assert_eq!(sockets.len(), 2);
    assert_eq!(sockets[1].address, Address::Unix("/run/haproxy/admin.sock2".into()));
    assert_eq!((sockets[1].unix_mode, sockets[1].level), (Some(0o660), Level::Admin));
    let maps: Vec<_> = global.cpu_maps.iter().map(|map| (map.thread, map.cpus.clone())).collect();
    assert_eq!(maps, [(0, vec![0]), (1, vec![1])]);

    let [stats, nginx] = &model.proxies[..] else { panic!("two sections") };
    let page = stats.stats.as_ref().expect("the page is on");
    assert_eq!(page.uri, b"/haproxy-status");
    assert_eq!(page.auth, [("haadmin".to_owned(), "123123".to_owned())]);
    assert_eq!(nginx.mode, Mode::Http);
    assert_eq!(nginx.timeouts.client, Some(Duration::from_secs(50)));
    assert_eq!(nginx.log_targets.len(), 2);
    assert_eq!(nginx.errors.len(), 7);
    assert!(
        matches!(&nginx.errors[0].content, ErrorContent::Raw(bytes) if bytes.starts_with(b"HTTP/1.0 400"))
    );
    assert_eq!(nginx.binds[0].address, Address::Inet { ip: "192.168.1.200".parse().unwrap(), port: 80 });
    let server = &nginx.servers[1];
    assert_eq!((server.name.as_str(), server.puid), ("192.168.1.112", 2));
    let check = server.check.as_ref().expect("checked");
    assert_eq!((check.inter, check.fall, check.rise), (Duration::from_secs(2), 3, 5));
}
