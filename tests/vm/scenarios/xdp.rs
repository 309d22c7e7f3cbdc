//! The director's XDP programs on the guest's kernel, Linux 6.1: its verifier takes them, and they do what they do.

use director::dataplane::Dataplane;
use director::table::Change;
use director::xdp::{Options, Xdp, XdpMode};
use netlink::ipvs::{Destination, Forward, Key, Service, TCP, Tunnel};
use netns::packet::{ACK, SYN, network, tcp, through};
use std::net::SocketAddr;

fn inside() {
    println!("{}", netns::run("uname -r").trim());
    let lan = network();
    for (service, from, server) in [
        ("10.1.0.100:80", "10.1.0.2:4000", "10.1.0.11:8080"),
        ("[fd00:1::64]:80", "[fd00:1::2]:4000", "[fd00:1::b]:8080"),
    ] {
        let [service, from, server]: [SocketAddr; 3] =
            [service, from, server].map(|text| text.parse().expect("an address"));
        let key = Key::Address { protocol: TCP, address: service.ip(), port: service.port() };
        for scheduler in ["rr", "mh", "wlc"] {
            for forward in [Forward::Masquerade, Forward::Route, Forward::Tunnel(Tunnel::IpInIp)] {
                let mut plane = Xdp::load(&Options::default()).expect("the verifier takes the programs");
                plane.attach("lan", XdpMode::Skb).expect("attached");
                plane.apply(&Change::AddService(Service::new(key, scheduler))).expect("added");
                let port = if forward == Forward::Masquerade { server.port() } else { service.port() };
                let real = Destination::new(server.ip(), port, forward, 1);
                plane.apply(&Change::AddServer(key, real)).expect("added");
                for flags in [SYN, ACK] {
                    let out = through(&mut plane, lan, &tcp(flags, from, service));
                    assert_eq!(out.link(), 11, "{scheduler} {forward:?}");
                    if forward == Forward::Masquerade {
                        assert_eq!(out.sent().ends(), (from, server));
                    }
                }
                plane.walk().expect("walked");
                let table = plane.read().expect("readable");
                let real = table.0[&key].servers.values().next().expect("there");
                assert_eq!((real.active, real.statistics.packets_in), (1, 2));
            }
        }
    }
}

// row: 318
#[test]
fn the_programs_run_on_the_oldest_kernel_that_is_promised() {
    if vm::is_inside() {
        inside();
        return;
    }
    let outcome = vm::run_itself("xdp::the_programs_run_on_the_oldest_kernel_that_is_promised");
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    assert!(outcome.printed.contains("6.1."), "{}", outcome.printed);
}
