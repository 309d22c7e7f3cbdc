//! What proxies are to each other: ids that nobody else has, modes that fit, tracks that end somewhere.

use crate::model::{BackendTarget, Mode, Proxy};
use crate::parse::Context;
use diag::{Diagnostic, Span};
use std::collections::{BTreeSet, HashMap};

/// Gives ids to proxies, listeners and servers that were given none: the lowest free one, in order.
pub(super) fn number(proxies: &mut [Proxy], context: &mut Context<'_>) {
    let mut taken: HashMap<u32, Span> = HashMap::new();
    for proxy in proxies.iter().filter(|proxy| proxy.uuid > 0) {
        if let Some(other) = taken.insert(proxy.uuid, proxy.span) {
            let message = format!("id {} of `{}` is taken", proxy.uuid, proxy.name);
            context.report.push(Diagnostic::alert(proxy.span, message).with_note(other, "it is used here"));
        }
    }
    // HAProxy counts a proxy of its own first, and counts on at every proxy, whether or not it takes the number.
    let mut free = Free::new(2, taken.into_keys());
    for proxy in proxies.iter_mut() {
        free.give(&mut proxy.uuid);
        let mut binds = Free::new(1, proxy.binds.iter().map(|bind| bind.id));
        for bind in &mut proxy.binds {
            binds.give(&mut bind.id);
        }
        let mut servers = Free::new(1, proxy.servers.iter().map(|server| server.puid));
        for server in &mut proxy.servers {
            servers.give(&mut server.puid);
        }
    }
}

/// Numbers that are not taken, counted up.
struct Free {
    taken: BTreeSet<u32>,
    next: u32,
}

impl Free {
    fn new(first: u32, taken: impl Iterator<Item = u32>) -> Self {
        Free { taken: taken.collect(), next: first }
    }

    /// Fills in an id that is 0, and counts.
    fn give(&mut self, id: &mut u32) {
        if *id == 0 {
            while self.taken.contains(&self.next) {
                self.next += 1;
            }
            *id = self.next;
        }
        self.next += 1;
    }
}

/// A frontend and the backends it names must speak the same way.
pub(super) fn check_modes(proxies: &[Proxy], context: &mut Context<'_>) {
    for proxy in proxies.iter().filter(|proxy| proxy.is_frontend) {
        let named = proxy.use_backend.iter().filter_map(|line| match &line.target {
            BackendTarget::Static(id) => Some((*id, line.span)),
            BackendTarget::Dynamic(_) => None,
        });
        for (id, span) in proxy.default_backend.map(|id| (id, proxy.span)).into_iter().chain(named) {
            let target = &proxies[id.index()];
            if id == proxy.id {
                let message = format!("requests of `{}` would go round in it for ever", proxy.name);
                context.report.push(Diagnostic::alert(span, message));
            }
            if let Some(problem) = mode_mismatch(proxy, target) {
                context
                    .report
                    .push(Diagnostic::alert(span, problem).with_note(target.span, "the backend is here"));
            }
        }
    }
}

/// Why a frontend cannot use a backend. A TCP frontend may hand over to an HTTP backend (the stream is upgraded).
fn mode_mismatch(frontend: &Proxy, backend: &Proxy) -> Option<String> {
    match (frontend.mode, backend.mode) {
        (Mode::Http, Mode::Tcp) => Some(format!(
            "frontend `{}` is in HTTP mode and its backend `{}` in TCP mode",
            frontend.name, backend.name
        )),
        (Mode::Http | Mode::Tcp | Mode::Health, Mode::Http | Mode::Tcp | Mode::Health) => None,
    }
}

pub(super) fn check_track_cycles(proxies: &[Proxy], context: &mut Context<'_>) {
    for proxy in proxies {
        for server in proxy.servers.iter().filter(|server| server.track.is_some()) {
            let mut seen = BTreeSet::new();
            let mut at = server.track;
            while let Some(id) = at {
                let Some(next) = proxies.get(id.proxy.index()).and_then(|p| p.servers.get(id.index as usize))
                else {
                    break;
                };
                if !seen.insert(id) || std::ptr::eq(next, server) {
                    let message = format!("server `{}` tracks itself in the end", server.name);
                    context.report.push(Diagnostic::alert(server.span, message));
                    break;
                }
                if next.track.is_none() && next.check.is_none() && next.agent.is_none() {
                    let message = format!(
                        "server `{}` tracks `{}`, which is neither checked nor tracks another",
                        server.name, next.name
                    );
                    context
                        .report
                        .push(Diagnostic::alert(server.span, message).with_help("add `check` there"));
                    break;
                }
                at = next.track;
            }
        }
    }
}
