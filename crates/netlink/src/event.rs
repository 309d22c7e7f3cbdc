//! rtnetlink's notifications, which are also the entries of its dumps.

use crate::wire::{Malformed, Received};
use crate::{Address, Link, Route, Rule, address, link, route, rule};

/// Multicast groups of rtnetlink, as bits of `nl_groups`.
pub mod groups {
    pub const LINK: u32 = 1 << 0;
    pub const IPV4_ADDRESS: u32 = 1 << 4;
    pub const IPV4_ROUTE: u32 = 1 << 6;
    pub const IPV4_RULE: u32 = 1 << 7;
    pub const IPV6_ADDRESS: u32 = 1 << 8;
    pub const IPV6_ROUTE: u32 = 1 << 10;
    pub const IPV6_RULE: u32 = 1 << 18;
}

/// `AF_UNSPEC`
const FAMILY_UNSPECIFIED: u8 = 0;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    LinkThere(Link),
    LinkGone(Link),
    AddressThere(Address),
    AddressGone(Address),
    RouteThere(Route),
    RouteGone(Route),
    RuleThere(Rule),
    RuleGone(Rule),
}

impl Event {
    /// `None`: a message of a kind that is none of ours, or of a bridge about its ports.
    ///
    /// # Errors
    /// A message cut short.
    pub fn read(message: Received<'_>) -> Result<Option<Self>, Malformed> {
        // A bridge tells of its ports under its own family: a port that leaves it is still there.
        let is_link = matches!(message.kind, link::NEW | link::REMOVE);
        if is_link && message.payload.first().is_some_and(|family| *family != FAMILY_UNSPECIFIED) {
            return Ok(None);
        }
        Ok(Some(match message.kind {
            link::NEW => Self::LinkThere(Link::read(message.payload)?),
            link::REMOVE => Self::LinkGone(Link::read(message.payload)?),
            address::NEW => Self::AddressThere(Address::read(message.payload)?),
            address::REMOVE => Self::AddressGone(Address::read(message.payload)?),
            route::NEW => Self::RouteThere(Route::read(message.payload)?),
            route::REMOVE => Self::RouteGone(Route::read(message.payload)?),
            rule::NEW => Self::RuleThere(Rule::read(message.payload)?),
            rule::REMOVE => Self::RuleGone(Rule::read(message.payload)?),
            _ => return Ok(None),
        }))
    }
}
