//! Which virtual server takes a packet, and which real servers it may go to.

use super::request::Asked;
use crate::inspect::{Inputs, place};
use keepalived_config::model::{
    Forwarding, PortRange, RealServer, Scheduler, TransportProtocol, VirtualAddress, VirtualServer,
};
use keepalived_config::{Model, SystemHost};
use std::fmt::Write;
use std::net::SocketAddr;

/// The explanation.
///
/// # Errors
/// A file that does not load, or no address to go to.
pub fn explain(inputs: &Inputs, asked: &Asked, is_udp: bool) -> Result<String, String> {
    let to = asked.destination.ok_or("a packet needs --to ADDRESS:PORT")?;
    let mut out = String::new();
    for path in &inputs.keepalived {
        let options = keepalived_config::LoadOptions::new(path.clone());
        let loaded = keepalived_config::load(&options, &SystemHost);
        let Some(model) = &loaded.model else {
            return Err(diag::render(&loaded.report, &loaded.sources, diag::Severity::Alert));
        };
        let protocol = if is_udp { TransportProtocol::Udp } else { TransportProtocol::Tcp };
        // Writing to a String cannot fail.
        let _ =
            writeln!(out, "packet    {} from {} to {to}", if is_udp { "UDP" } else { "TCP" }, asked.source);
        let owner = model.instances.iter().find(|instance| {
            let all = instance.addresses.iter().chain(&instance.excluded_addresses);
            all.into_iter().any(|address| address.prefix.address == to.ip())
        });
        match owner {
            Some(instance) => {
                let _ = writeln!(
                    out,
                    "address   moved by {} ({}): the node that is master of VRID {} gets it",
                    instance.name,
                    place(&loaded.sources, instance.span),
                    instance.virtual_router_id
                );
            }
            None => {
                let _ = writeln!(out, "address   moved by no vrrp_instance of {}", path.display());
            }
        }
        let found = best(model, protocol, to);
        let Some(server) = found else {
            let _ =
                writeln!(out, "virtual   no virtual_server takes it: it goes to this machine's own sockets");
            continue;
        };
        let _ = writeln!(
            out,
            "virtual   {} ({}), lb_algo {}: {}",
            name(server),
            place(&loaded.sources, server.span),
            server.scheduler.name(),
            scheduling(server.scheduler)
        );
        if let Some(seconds) = server.persistence_timeout {
            let _ = writeln!(
                out,
                "persists  a client that was here in the last {seconds} s goes to the same real server"
            );
        }
        for real in &server.real_servers {
            let checks = if real.checks.is_empty() { "never checked" } else { "while its checks succeed" };
            let _ = writeln!(
                out,
                "real      {} ({}), weight {}{}, {}: {checks}",
                address(real, to),
                place(&loaded.sources, real.span),
                real.weight,
                if real.weight == 0 { " (gets nothing new)" } else { "" },
                forwarding(real.forwarding),
            );
        }
        let number = if is_udp { netlink::ipvs::UDP } else { netlink::ipvs::TCP };
        let groups = &model.virtual_server_groups;
        if let Some(chosen) = director::xdp::placed(server, groups, number, asked.source, to) {
            let _ = writeln!(
                out,
                "hashed    to {chosen} while all are up, on the plane of XDP programs; IPVS computes another hash"
            );
        }
        if let Some(sorry) = &server.sorry_server {
            let _ =
                writeln!(out, "sorry     {} when fewer than quorum {} are up", sorry.address, server.quorum);
        }
    }
    Ok(out)
}

/// As the kernel looks: the exact address and port before an address with every port.
fn best(model: &Model, protocol: TransportProtocol, to: SocketAddr) -> Option<&VirtualServer> {
    let exact = |range: &PortRange| range.port == to.port();
    let any_port = |range: &PortRange| range.port == 0;
    let find = |wanted: &dyn Fn(&PortRange) -> bool| {
        model.virtual_servers.iter().filter(|server| server.protocol == protocol).find(|server| {
            ranges(model, server).iter().any(|range| {
                range.first.is_ipv4() == to.is_ipv4()
                    && (range.first..=range.last).contains(&to.ip())
                    && wanted(range)
            })
        })
    };
    find(&exact).or_else(|| find(&any_port))
}

fn ranges(model: &Model, server: &VirtualServer) -> Vec<PortRange> {
    match server.address {
        VirtualAddress::Socket(address) => {
            vec![PortRange { first: address.ip(), last: address.ip(), port: address.port() }]
        }
        VirtualAddress::Group(group) => model.virtual_server_groups[group.index()].addresses.clone(),
        VirtualAddress::Mark { .. } => Vec::new(),
    }
}

fn name(server: &VirtualServer) -> String {
    match server.address {
        VirtualAddress::Socket(address) => format!("virtual_server {address}"),
        VirtualAddress::Mark { mark, .. } => format!("virtual_server fwmark {mark}"),
        VirtualAddress::Group(_) => "virtual_server group".to_owned(),
    }
}

fn address(real: &RealServer, to: SocketAddr) -> SocketAddr {
    // Only NAT changes the port.
    match real.forwarding {
        Forwarding::Nat if real.address.port() != 0 => real.address,
        Forwarding::Nat | Forwarding::DirectRouting | Forwarding::Tunnel(_) => {
            SocketAddr::new(real.address.ip(), to.port())
        }
    }
}

fn forwarding(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Nat => "NAT (its answers must come back through this machine)",
        Forwarding::DirectRouting => {
            "direct routing (it has the virtual address on lo and answers the client itself)"
        }
        Forwarding::Tunnel(_) => {
            "tunnel (it has the virtual address on its tunnel and answers the client itself)"
        }
    }
}

fn scheduling(scheduler: Scheduler) -> &'static str {
    match scheduler {
        Scheduler::RoundRobin => "each new connection goes to the next one (static)",
        Scheduler::WeightedRoundRobin => "they take turns by weight (static)",
        Scheduler::LeastConnections => "the one with the fewest connections (dynamic)",
        Scheduler::WeightedLeastConnections => "the one with the fewest connections for its weight (dynamic)",
        Scheduler::LocalityLeastConnections => "by destination, else the fewest connections (dynamic)",
        Scheduler::LocalityReplicated => "by destination among a set, else the fewest connections (dynamic)",
        Scheduler::SourceHash => "by the hash of the client's address (static)",
        Scheduler::Maglev => "by the hash of the client's address over a maglev table (static)",
        Scheduler::DestinationHash => "by the hash of the destination (static)",
        Scheduler::Failover => "the one with the highest weight that is up",
        Scheduler::Overflow => "the first by weight until it has as many connections as its weight",
        Scheduler::ShortestDelay => "the one with the shortest expected delay (dynamic)",
        Scheduler::NeverQueue => "an idle one, else the shortest expected delay (dynamic)",
        Scheduler::TwoChoices => "the less loaded of two drawn ones (dynamic)",
    }
}
