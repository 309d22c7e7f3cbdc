//! What a virtual router remembers of the others. Owns memory of bounded size, never a decision.

use std::net::IpAddr;

/// Others that are remembered. The one heard longest ago is forgotten.
const PEERS_MAX: usize = 16;

/// Place among those that want to be master: priority, then address. Who has no address comes last.
pub(super) type Rank = (u8, Option<IpAddr>);

/// The others, heard longest ago first.
#[derive(Debug)]
pub(super) struct Peers {
    heard: Vec<(IpAddr, u8)>,
}

impl Default for Peers {
    fn default() -> Peers {
        Peers { heard: Vec::with_capacity(PEERS_MAX) }
    }
}

impl Peers {
    /// An advert came.
    pub(super) fn heard(&mut self, source: IpAddr, priority: u8) {
        self.left(source);
        if self.heard.len() == PEERS_MAX {
            self.heard.remove(0);
        }
        self.heard.push((source, priority));
    }

    /// It said that it leaves.
    pub(super) fn left(&mut self, source: IpAddr) {
        self.heard.retain(|(known, _)| *known != source);
    }

    /// Whether someone may be there who comes before us.
    pub(super) fn any_above(&self, rank: Rank) -> bool {
        self.heard.iter().any(|(source, priority)| (*priority, Some(*source)) > rank)
    }
}
