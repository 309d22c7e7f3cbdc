//! What the nodes of one pair disagree about, when their files are judged together.

use super::across::NodeModel;
use diag::{Diagnostic, Report};
use keepalived_config::model::{VirtualAddress, VirtualServer};

/// Compares each node with the first.
pub fn judge(nodes: &[NodeModel<'_>], report: &mut Report) {
    let Some(((first_path, first, _), rest)) = nodes.split_first() else { return };
    for (path, node, _) in rest {
        let between = format!("{} and {}", first_path.display(), path.display());
        for text in keepalived_config::compare_nodes(first, node) {
            report.push(Diagnostic::warning(None, format!("{between}: {text}")));
        }
        for server in &first.virtual_servers {
            let same = node.virtual_servers.iter().find(|other| is_same(server, other));
            match same {
                // A group's addresses have no name that both files share.
                None if matches!(server.address, VirtualAddress::Group(_)) => {}
                None => report.push(Diagnostic::warning(
                    None,
                    format!("{between}: virtual_server {} is on the first node only", name(server)),
                )),
                Some(other) => compare(&between, server, other, report),
            }
        }
    }
}

fn is_same(one: &VirtualServer, other: &VirtualServer) -> bool {
    one.address == other.address && one.protocol == other.protocol
}

fn name(server: &VirtualServer) -> String {
    match server.address {
        VirtualAddress::Socket(address) => address.to_string(),
        VirtualAddress::Mark { mark, .. } => format!("fwmark {mark}"),
        VirtualAddress::Group(_) => "group".to_owned(),
    }
}

fn compare(between: &str, one: &VirtualServer, other: &VirtualServer, report: &mut Report) {
    let name = name(one);
    let mut differ = |what: &str, first: String, second: String| {
        if first != second {
            report.push(
                Diagnostic::warning(
                    None,
                    format!("{between}: virtual_server {name} has {what} {first} on one node and {second} on the other"),
                )
                .with_help("after a failover clients are spread differently: write the same on both"),
            );
        }
    };
    differ("lb_algo", one.scheduler.name().to_owned(), other.scheduler.name().to_owned());
    differ("lb_kind", format!("{:?}", one.forwarding), format!("{:?}", other.forwarding));
    let persistence = |server: &VirtualServer| {
        server.persistence_timeout.map_or_else(|| "none".to_owned(), |seconds| seconds.to_string())
    };
    differ("persistence_timeout", persistence(one), persistence(other));
    let reals = |server: &VirtualServer| {
        let mut list: Vec<String> =
            server.real_servers.iter().map(|real| format!("{}*{}", real.address, real.weight)).collect();
        list.sort();
        list.join(" ")
    };
    differ("real servers", reals(one), reals(other));
}
