//! What one file says that another contradicts: addresses that nobody moves, ports that two strands claim, proxies that are
//! tracked and do not exist. Pure but for one question: which addresses are this machine's.

use super::place;
use diag::{Diagnostic, Report, Sources, Span};
use haproxy_config::model::Address;
use keepalived_config::model::{
    self, Accept, Instance, PortRange, ProxyTrack, TransportProtocol, VirtualAddress, VirtualServer,
};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;

/// A keepalived.conf: its file, what it means, its texts.
pub type NodeModel<'a> = (&'a Path, &'a keepalived_config::Model, &'a Sources);

/// A `bind` line with an address.
struct Bound<'a> {
    proxy: &'a str,
    address: SocketAddr,
    span: Span,
}

/// Reports what does not fit together.
pub fn judge(
    proxy: Option<(&haproxy_config::Model, &Sources)>,
    nodes: &[NodeModel<'_>],
    report: &mut Report,
) {
    for (_, node, sources) in nodes {
        unowned_virtual_servers(node, sources, report);
    }
    let Some((model, proxy_sources)) = proxy else { return };
    let binds: Vec<Bound<'_>> = model
        .proxies
        .iter()
        .filter(|proxy| !proxy.disabled)
        .flat_map(|proxy| proxy.binds.iter().map(move |bind| (proxy, bind)))
        .filter_map(|(proxy, bind)| match bind.address {
            Address::Inet { ip, port } => {
                Some(Bound { proxy: &proxy.name, address: SocketAddr::new(ip, port), span: bind.span })
            }
            Address::Host { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => None,
        })
        .collect();
    if !nodes.is_empty() {
        unowned_binds(&binds, proxy_sources, nodes, report);
    }
    for (_, node, sources) in nodes {
        claimed_twice(&binds, proxy_sources, node, sources, report);
        silent_addresses(&binds, proxy_sources, node, sources, report);
        unknown_proxies(model, node, sources, report);
    }
}

fn addresses(instance: &Instance) -> impl Iterator<Item = IpAddr> + '_ {
    instance.addresses.iter().chain(&instance.excluded_addresses).map(|address| address.prefix.address)
}

fn moved(node: &keepalived_config::Model, wanted: IpAddr) -> bool {
    let of_instances = node.instances.iter().flat_map(addresses);
    let fixed = node.static_addresses.iter().map(|address| address.prefix.address);
    of_instances.chain(fixed).any(|address| address == wanted)
}

/// Whether the address is on an interface of this machine: to reach its own address, it sends from that address.
fn is_local(address: IpAddr) -> bool {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let Ok(socket) = UdpSocket::bind(any) else { return false };
    socket.connect((address, 9)).is_ok() && socket.local_addr().is_ok_and(|from| from.ip() == address)
}

/// row 10: a bind on an address that no instance brings and this machine does not have.
fn unowned_binds(binds: &[Bound<'_>], sources: &Sources, nodes: &[NodeModel<'_>], report: &mut Report) {
    let mut told = Vec::new();
    for bind in binds {
        let ip = bind.address.ip();
        let owned = nodes.iter().any(|(_, node, _)| moved(node, ip));
        if ip.is_unspecified() || ip.is_loopback() || owned || told.contains(&ip) || is_local(ip) {
            continue;
        }
        told.push(ip);
        report.push(
            Diagnostic::warning(
                None,
                format!(
                    "{}: `{}` binds {}, which no vrrp_instance moves and no interface of this machine has",
                    place(sources, bind.span),
                    bind.proxy,
                    bind.address
                ),
            )
            .with_help(format!("list {ip} in a virtual_ipaddress block, or bind an address of the machine")),
        );
    }
}

/// The addresses and ports that a virtual server takes.
fn taken(node: &keepalived_config::Model, server: &VirtualServer) -> Vec<PortRange> {
    match server.address {
        VirtualAddress::Socket(address) => {
            vec![PortRange { first: address.ip(), last: address.ip(), port: address.port() }]
        }
        VirtualAddress::Group(group) => node.virtual_server_groups[group.index()].addresses.clone(),
        VirtualAddress::Mark { .. } => Vec::new(),
    }
}

fn takes(range: &PortRange, address: SocketAddr) -> bool {
    let ip = address.ip();
    let same_family = range.first.is_ipv4() == ip.is_ipv4();
    same_family
        && (range.first..=range.last).contains(&ip)
        && (range.port == 0 || range.port == address.port())
}

/// The director's hook comes before sockets: what it takes the proxy never sees.
fn claimed_twice(
    binds: &[Bound<'_>],
    proxy_sources: &Sources,
    node: &keepalived_config::Model,
    sources: &Sources,
    report: &mut Report,
) {
    for server in node.virtual_servers.iter().filter(|one| one.protocol == TransportProtocol::Tcp) {
        let serves_itself = server
            .real_servers
            .iter()
            .any(|real| real.address.ip().is_loopback() || takes_ip(&taken(node, server), real.address.ip()));
        for range in taken(node, server) {
            let clash = binds.iter().find(|bind| {
                let wild = bind.address.ip().is_unspecified()
                    && (range.port == 0 || range.port == bind.address.port());
                wild || takes(&range, bind.address)
            });
            let Some(bind) = clash else { continue };
            let at = if range.port == 0 { "every port".to_owned() } else { format!("port {}", range.port) };
            let text = format!(
                "{}: the virtual_server on {} takes {at}, which `{}` binds ({}): clients there never reach the proxy",
                place(sources, server.span),
                range.first,
                bind.proxy,
                place(proxy_sources, bind.span)
            );
            let finding =
                if serves_itself { Diagnostic::notice(None, text) } else { Diagnostic::alert(None, text) };
            report.push(
                finding.with_help("give the proxy another port, or make it a real_server of the director"),
            );
        }
    }
}

fn takes_ip(ranges: &[PortRange], ip: IpAddr) -> bool {
    ranges
        .iter()
        .any(|range| range.first.is_ipv4() == ip.is_ipv4() && (range.first..=range.last).contains(&ip))
}

fn unowned_virtual_servers(node: &keepalived_config::Model, sources: &Sources, report: &mut Report) {
    if node.instances.is_empty() {
        return;
    }
    for server in &node.virtual_servers {
        for range in taken(node, server) {
            if range.first == range.last && !moved(node, range.first) && !is_local(range.first) {
                report.push(Diagnostic::warning(
                    None,
                    format!(
                        "{}: the virtual_server's address {} is moved by no vrrp_instance and on no interface of this machine",
                        place(sources, server.span),
                        range.first
                    ),
                ));
            }
        }
    }
}

/// Strict mode drops packets to the addresses; a proxy behind them is deaf.
fn silent_addresses(
    binds: &[Bound<'_>],
    proxy_sources: &Sources,
    node: &keepalived_config::Model,
    sources: &Sources,
    report: &mut Report,
) {
    for instance in node.instances.iter().filter(|one| one.accept == Accept::No && one.priority != u8::MAX) {
        let Some(bind) =
            binds.iter().find(|bind| addresses(instance).any(|address| address == bind.address.ip()))
        else {
            continue;
        };
        report.push(
            Diagnostic::warning(
                None,
                format!(
                    "{}: `{}` does not accept packets to {}, where `{}` listens ({})",
                    place(sources, instance.span),
                    instance.name,
                    bind.address,
                    bind.proxy,
                    place(proxy_sources, bind.span)
                ),
            )
            .with_help("remove vrrp_strict, or write `accept` with `version 3`"),
        );
    }
}

/// `track_proxy` of a name that haproxy.cfg does not have.
fn unknown_proxies(
    model: &haproxy_config::Model,
    node: &keepalived_config::Model,
    sources: &Sources,
    report: &mut Report,
) {
    let of_instances = node.instances.iter().map(|one| (&one.name, one.span, &one.tracking));
    let of_groups = node.sync_groups.iter().map(|one| (&one.name, one.span, &one.tracking));
    for (owner, span, tracking) in of_instances.chain(of_groups) {
        for tracked in &tracking.proxies {
            let known = model.proxies.iter().any(|proxy| is_meant(proxy, &tracked.what));
            if !known {
                let (kind, name) = words(&tracked.what);
                report.push(Diagnostic::alert(
                    None,
                    format!(
                        "{}: `{owner}` tracks {kind} `{name}`, which haproxy.cfg does not have",
                        place(sources, span)
                    ),
                ));
            }
        }
    }
}

fn is_meant(proxy: &haproxy_config::model::Proxy, track: &ProxyTrack) -> bool {
    match track {
        ProxyTrack::Frontend(name) => proxy.is_frontend && proxy.name == *name,
        ProxyTrack::Backend(name) => proxy.is_backend && proxy.name == *name,
    }
}

fn words(track: &ProxyTrack) -> (&'static str, &str) {
    match track {
        model::ProxyTrack::Frontend(name) => ("frontend", name),
        model::ProxyTrack::Backend(name) => ("backend", name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag::Severity;
    use keepalived_config::{MemoryHost, load_text};

    fn judged(proxy: &str, node: &str) -> String {
        let options = haproxy_config::LoadOptions::new(Vec::new());
        let web = haproxy_config::load_text(&options, "haproxy.cfg", proxy);
        let host = MemoryHost::default();
        let node = load_text(&host, "keepalived.conf", node);
        let model = web.model.as_ref().expect("valid");
        let nodes = [(Path::new("keepalived.conf"), node.model.as_ref().expect("valid"), &node.sources)];
        let mut report = Report::default();
        judge(Some((model, &web.sources)), &nodes, &mut report);
        diag::render(&report, &Sources::default(), Severity::Notice)
    }

    const NODE: &str = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n \
                        virtual_ipaddress {\n 192.0.2.200\n }\n}\n";

    fn web(bind: &str) -> String {
        format!(
            "listen web\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n    bind {bind}\n"
        )
    }

    #[test]
    fn an_address_that_nobody_brings_is_told_and_one_that_is_moved_is_not() {
        let text = judged(&web("192.0.2.7:80"), NODE);
        assert!(
            text.contains("haproxy.cfg:6: `web` binds 192.0.2.7:80, which no vrrp_instance moves"),
            "{text}"
        );
        assert_eq!(judged(&web("192.0.2.200:80"), NODE), "");
        assert_eq!(judged(&web("*:80"), NODE), "");
        assert_eq!(judged(&web("127.0.0.1:80"), NODE), "");
    }

    #[test]
    fn a_port_that_director_and_proxy_claim_is_an_error() {
        let director = format!(
            "{NODE}virtual_server 192.0.2.200 80 {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
             real_server 192.0.2.9 80 {{\n weight 1\n }}\n}}\n"
        );
        for bind in ["192.0.2.200:80", "*:80"] {
            let text = judged(&web(bind), &director);
            assert!(
                text.contains("error: keepalived.conf:8: the virtual_server on 192.0.2.200 takes port 80"),
                "{text}"
            );
        }
        assert_eq!(judged(&web("192.0.2.200:81"), &director), "");
    }

    #[test]
    fn a_tracked_proxy_must_exist() {
        let node = NODE.replace("virtual_router_id", "track_proxy {\n frontend webb\n }\n virtual_router_id");
        let text = judged(&web("192.0.2.200:80"), &node);
        assert!(text.contains("`VI_1` tracks frontend `webb`, which haproxy.cfg does not have"), "{text}");
        let node = node.replace("webb", "web");
        assert_eq!(judged(&web("192.0.2.200:80"), &node), "");
    }

    #[test]
    fn strict_mode_before_a_proxy_is_told() {
        let text = judged(&web("192.0.2.200:80"), &format!("global_defs {{\n vrrp_strict\n}}\n{NODE}"));
        assert!(text.contains("`VI_1` does not accept packets to 192.0.2.200:80"), "{text}");
    }
}
