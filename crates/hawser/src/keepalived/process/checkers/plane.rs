//! The kernel's IPVS, or our own plane where it has none, as a whole: in which namespace it is, its timeouts, and what is flushed when.

use director::dataplane::{Dataplane, Ipvs};
use director::kernel::{Kernel, Refusal};
use failover::log::{Level, Log};
use keepalived_config::Model;
use keepalived_config::model::{LvsFlush, LvsTimeouts};
use netlink::ipvs::{Reply, Request, Timeouts};
use std::time::Duration;
use sys::namespace::Namespace;

/// What is asked of IPVS beside services.
pub(super) struct Services {
    kernel: Kernel,
    namespace: Option<String>,
    /// As they were before we changed them.
    before: Option<Timeouts>,
}

impl Services {
    /// # Errors
    /// The kernel has no IPVS, or the namespace cannot be entered.
    pub fn open(model: &Model) -> Result<Self, String> {
        let namespace = model.global.net_namespace_ipvs.clone();
        let kernel = within(namespace.as_deref(), Kernel::any)?;
        Ok(Self { kernel, namespace, before: None })
    }

    /// The plane for the director.
    ///
    /// # Errors
    /// As [`Services::open`].
    pub fn plane(&self) -> Result<Box<dyn Dataplane>, String> {
        let ipvs = within(self.namespace.as_deref(), Ipvs::any)?;
        Ok(Box::new(ipvs))
    }

    /// A child that was started again takes over what its predecessor has left, and flushes nothing.
    pub fn start(&mut self, model: &Model, was_restarted: bool, log: &mut Log) {
        if model.global.lvs_flush && !was_restarted {
            self.ask("lvs_flush", &Request::Flush, log);
        }
        self.set_timeouts(model.global.lvs_timeouts, log);
    }

    pub fn reload(&mut self, model: &Model, log: &mut Log) {
        if model.global.net_namespace_ipvs != self.namespace {
            log.line(Level::Warning, "net_namespace_ipvs has changed: that takes a restart");
        }
        self.set_timeouts(model.global.lvs_timeouts, log);
    }

    pub fn stop(&mut self, model: &Model, log: &mut Log) {
        if model.global.lvs_flush_on_stop == LvsFlush::All {
            self.ask("lvs_flush_on_stop", &Request::Flush, log);
        }
        self.set_timeouts(LvsTimeouts::default(), log);
    }

    /// What is not asked for is as it was when we started.
    fn set_timeouts(&mut self, wanted: LvsTimeouts, log: &mut Log) {
        if wanted == LvsTimeouts::default() {
            if let Some(before) = self.before.take() {
                self.ask("lvs_timeouts", &Request::SetTimeouts(before), log);
            }
            return;
        }
        if self.before.is_none() {
            let replies = self.kernel.ask(&Request::Timeouts).unwrap_or_default();
            self.before = replies.into_iter().find_map(|reply| match reply {
                Reply::Timeouts(timeouts) => Some(timeouts),
                Reply::Service(_) | Reply::Destination(_) | Reply::Daemon(_) | Reply::Information(_) => None,
            });
        }
        // 0 leaves what is there.
        let before = self.before.unwrap_or(Timeouts { tcp: 0, tcp_fin: 0, udp: 0 });
        let seconds = |wanted: Option<Duration>, before: u32| {
            wanted.map_or(before, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
        };
        let timeouts = Timeouts {
            tcp: seconds(wanted.tcp, before.tcp),
            tcp_fin: seconds(wanted.tcp_fin, before.tcp_fin),
            udp: seconds(wanted.udp, before.udp),
        };
        self.ask("lvs_timeouts", &Request::SetTimeouts(timeouts), log);
    }

    fn ask(&mut self, what: &str, request: &Request<'_>, log: &mut Log) {
        if let Err(refusal) = self.kernel.ask(request) {
            log.line(Level::Error, &format!("{what}: IPVS: {refusal}"));
        }
    }
}

/// Opens something in the network namespace of that name; `None` is ours.
fn within<T>(namespace: Option<&str>, open: impl FnOnce() -> Result<T, Refusal>) -> Result<T, String> {
    let opened = match namespace {
        None => open(),
        Some(name) => Namespace::open(name)
            .and_then(|namespace| namespace.within(|| Ok(open())))
            .map_err(|error| format!("net_namespace_ipvs {name}: {error}"))?,
    };
    opened.map_err(|refusal| refusal.to_string())
}
