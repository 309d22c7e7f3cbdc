//! All keywords as lists, for the docs.

use crate::keywords::{Listed, Status, list};
use crate::{checkers, global, network, root, track, vrrp};

/// Every keyword of the configuration with its block, status and one line about it.
pub fn all() -> Vec<Listed> {
    let mut listed: Vec<Listed> = root::listed().collect();
    listed.extend(global::listed());
    listed.extend(list("vrrp_script", track::SCRIPT));
    listed.extend(list("track_file", track::FILE));
    listed.extend(list("vrrp_track_process", track::PROCESS));
    listed.extend(list("bfd_instance", track::BFD));
    listed.extend(vrrp::listed());
    listed.extend(words("address line", network::address::names()));
    listed.extend(words("route line", network::route::names()));
    listed.extend(words("rule line", network::rule::names()));
    listed.extend(checkers::listed());
    listed
}

/// Words that are refused although they are known.
const REFUSED_WORDS: [(&str, &str, &str); 3] = [
    ("route line", "as", "labels of MPLS are not translated"),
    ("route line", "encap", "routes into lightweight tunnels are set by `ip route`"),
    ("route line", "vrf", "name the VRF's table by `table`"),
];

fn words(
    block: &'static str,
    names: impl Iterator<Item = &'static str> + 'static,
) -> impl Iterator<Item = Listed> + 'static {
    names.map(move |name| {
        let refused = REFUSED_WORDS.iter().find(|row| row.0 == block && row.1 == name);
        let lack = crate::unfinished::lack(block, name);
        let works = lack.map_or(Status::Works, Status::ParsedOnly);
        let status = refused.map_or(works, |row| Status::Refused(row.2));
        Listed { block, name, status, summary: "as iproute2 has it" }
    })
}
