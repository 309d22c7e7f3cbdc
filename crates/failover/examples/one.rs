use failover::office::{run, signal, Options};
use keepalived_config::model::*;
use std::time::Duration;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let get = |k: &str| a.iter().position(|x| x == k).map(|i| a[i + 1].clone());
    let file = diag::Sources::default().add("x", Vec::new());
    let span = diag::Span { file, start: 0, end: 0 };
    let v3 = get("v3").is_some();
    let v6 = get("v6").is_some();
    let vip: std::net::IpAddr = get("vip").unwrap().parse().unwrap();
    let addr = Address { prefix: Prefix { address: vip, length: if v6 {128} else {32} }, interface: None, scope: 0, broadcast: None, label: None, peer: None, flags: AddressFlags::default(), preferred_lifetime: None, track: true, track_group: None, use_vmac: false };
    let pass = |s: String| { let mut b = [0; 8]; b[..s.len()].copy_from_slice(s.as_bytes()); b };
    let inst = Instance {
        name: "VI_1".into(), span, version: if v3 { Version::V3 } else { Version::V2 }, family: if v6 { Family::Ipv6 } else { Family::Ipv4 },
        state: WantedState::Backup, interface: Some("eth0".into()), vrf: None,
        own_interface: if get("vmac").is_some() { OwnInterface::Macvlan { name: None, mac: None, netlink_notify: false, group: None } } else { OwnInterface::None },
        vmac_for_addresses: false, transmit_on_base: false, track_primary: true, source: get("src").map(|s| s.parse().unwrap()), track_source: false,
        transport: match get("peer") { None => Transport::Multicast { group: if v6 { "ff02::12".parse().unwrap() } else { "224.0.0.18".parse().unwrap() } }, Some(p) => Transport::Unicast { peers: vec![Peer { address: p.parse().unwrap(), ttl_min: 0, ttl_max: 255 }], ttl: 255, check_source: false } },
        fault_without_peer: false, virtual_router_id: 51, priority: get("prio").unwrap().parse().unwrap(),
        advert_interval: Duration::from_millis(get("ms").map_or(1000, |x| x.parse().unwrap())),
        authentication: match (get("pass"), get("ah")) { (Some(p), _) => Authentication::Password(pass(p)), (_, Some(p)) => Authentication::Header(pass(p)), _ => Authentication::None },
        strict: false, accept: if get("noaccept").is_some() { Accept::No } else { Accept::Yes }, preempt: true, preempt_delay: Duration::ZERO, down_timer_adverts: 3, lower_priority_no_advert: false, higher_priority_send_advert: false,
        owner_ignore_adverts: false, timer_expired_backup: false, skip_check_advert_addresses: false, unicast_checksum: UnicastChecksum::Auto, v3_checksum_as_v2: false,
        garp: Garp { master_delay: Duration::from_secs(5), master_repeat: 5, refresh: Duration::ZERO, refresh_repeat: 1, lower_priority_delay: Duration::from_secs(5), lower_priority_repeat: 5, extra_interface: None },
        addresses: vec![addr], excluded_addresses: vec![], routes: vec![], rules: vec![], promote_secondaries: false, tracking: Tracking::default(), notify: InstanceNotify::default(),
        receive_buffer: None, sync_daemon_interface: None, sync_group: None,
    };
    let model = Model { instances: vec![inst], ..Model::default() };
    let signals = sys::signals::read_numbers_instead_of_handling(&signal::ALL).unwrap();
    let again = model.clone();
    run(Options { model, reload: Box::new(move || Ok(again.clone())), say: Box::new(|_| {}), log: failover::log::Wanted { console: true, no_syslog: true, detail: true, facility: 3, file: None, name: "x".into() }, signals,
        memory_directory: Some("/run/hawser".into()), control: get("ctl").map(Into::into), dump_directory: "/tmp/hf/dump".into(), keep_addresses: false, host_name: "ha1".into(), dump_at_start: false }).unwrap();
}
