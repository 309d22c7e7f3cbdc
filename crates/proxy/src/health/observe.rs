//! `observe`: errors in a server's traffic, counted where they happen, judged on the control thread.

use super::Event;
use super::outcome::Probe;
use crate::state::{Running, ServerState};
use crate::worker::Shared;
use checks::{CheckStatus, Layer, Observation, Report, observed_report};
use haproxy_config::model::{Observe, OnError};
use rules::ServerId;
use std::sync::atomic::Ordering::Relaxed;

impl Shared {
    /// Tells what a worker saw of a server. Costs a load for servers that are not observed.
    #[inline]
    pub fn observe(&self, server: &ServerState, seen: Observation) {
        if let Some(observe) = server.settings.observe {
            self.observe_slowly(server, observe, seen);
        }
    }

    fn observe_slowly(&self, server: &ServerState, observe: Observe, seen: Observation) {
        let layer = match observe {
            Observe::Layer4 => Layer::L4,
            Observe::Layer7 => Layer::L7,
        };
        if !seen.concerns(layer) || server.settings.check.is_none() {
            return;
        }
        if !seen.is_error() {
            if server.observed_errors.load(Relaxed) > 0 {
                server.observed_errors.store(0, Relaxed);
            }
            return;
        }
        let errors = server.observed_errors.fetch_add(1, Relaxed) + 1;
        if errors >= server.settings.error_limit.max(1) && !server.admin().is_maintenance() {
            server.observed_errors.store(0, Relaxed);
            server.observed_failures.fetch_add(1, Relaxed);
            self.health.tell(Event::Observed { server: server.id, errors, last: seen });
        }
    }

    /// Enough errors in a row were seen.
    pub(super) fn apply_observed(&self, id: ServerId, errors: u32, last: Observation) {
        let server = self.state.server(id);
        if server.running() == Running::Stopped || server.admin().is_maintenance() {
            return;
        }
        match server.settings.on_error {
            OnError::FastInter => return,
            OnError::FailCheck => {}
            OnError::SuddenDeath => {
                let mut view = server.check.lock();
                let mut counter = view.counter();
                counter.weaken();
                view.health = counter.health();
            }
            OnError::MarkDown => {
                let mut view = server.check.lock();
                view.health = view.health.min(view.rise);
            }
        }
        let description = observed_report(errors, last);
        let report =
            Report { status: CheckStatus::Analyzed, code: 0, description: &description, duration: None };
        self.apply_report(server, Probe::Health, report);
    }
}
