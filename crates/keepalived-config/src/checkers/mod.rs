//! `virtual_server_group`, `virtual_server`, `real_server` and the checkers.

mod check;
mod common;
mod finish;
mod forwarding;
mod group;
mod http;
mod real_server;
mod virtual_server;

pub(crate) use finish::finish;
pub(crate) use group::read_server_group;
pub(crate) use virtual_server::read_virtual_server;

use crate::keywords::{Listed, list};
use crate::language::Word;
use crate::model::PortRange;
use virtual_server::VirtualServerDraft;

/// The part of the file about servers before names are known.
#[derive(Default)]
pub(crate) struct CheckersDraft {
    pub groups: Vec<GroupDraft>,
    pub servers: Vec<VirtualServerDraft>,
}

/// A `virtual_server_group`.
pub(crate) struct GroupDraft {
    pub name: Word,
    pub addresses: Vec<PortRange>,
    pub marks: Vec<(u32, Option<crate::model::Family>)>,
}

pub(crate) fn listed() -> impl Iterator<Item = Listed> {
    list("virtual_server", virtual_server::VIRTUAL_SERVER)
        .chain(list("virtual_server", virtual_server::SERVER_DEFAULTS))
        .chain(list("real_server", real_server::REAL_SERVER))
        .chain(list("real_server", real_server::SERVER_DEFAULTS))
        .chain(list("real_server", check::CHECKERS))
        .chain(list("checker common", common::TIMING))
        .chain(list("checker common", common::CONNECT))
        .chain(list("HTTP_GET / SSL_GET", http::HTTP))
        .chain(list("HTTP_GET / SSL_GET url", http::URL))
        .chain(check::listed())
}
