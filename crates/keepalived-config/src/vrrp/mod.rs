//! `vrrp_instance` and `vrrp_sync_group`: keyword tables, drafts, and what makes of drafts valid instances.

mod authentication;
mod finish;
mod group;
mod instance;
mod lint;
mod notify;
mod travel;
mod witness;

pub(crate) use finish::finish;
pub(crate) use group::{GroupDraft, SYNC_GROUP, read_group};
pub(crate) use instance::{INSTANCE, InstanceDraft, read_instance};
pub use lint::compare_nodes;
pub(crate) use lint::lint;
pub(crate) use witness::read as read_witness;

use crate::keywords::{Listed, list};
use crate::model::ProxyTrack;
use crate::track::TrackedDraft;
use diag::Span;

/// All lists of an instance or a group before names are known.
#[derive(Debug, Default)]
pub(crate) struct TrackingDraft {
    pub interfaces: Vec<TrackedDraft>,
    pub scripts: Vec<TrackedDraft>,
    pub files: Vec<TrackedDraft>,
    pub processes: Vec<TrackedDraft>,
    pub bfd: Vec<TrackedDraft>,
    pub proxies: Vec<(ProxyTrack, i32, bool, Span)>,
}

pub(crate) fn listed() -> impl Iterator<Item = Listed> {
    list("vrrp_instance", INSTANCE)
        .chain(list("vrrp_instance", authentication::AUTHENTICATION))
        .chain(list("vrrp_instance", authentication::HMAC))
        .chain(list("witness", witness::WITNESS))
        .chain(list("vrrp_sync_group", SYNC_GROUP))
}
