//! What carries the packets, as a whole: the kernel's IPVS; where it has none, the plane of a `hawser director` that runs,
//! or XDP programs of our own. Owns in which namespace it is, its timeouts, and what is flushed when.

use director::dataplane::{Dataplane, Ipvs};
use director::kernel::{Kernel, Refusal};
use director::plane::{self, Choice, Plane, Tended};
use failover::log::{Level, Log};
use keepalived_config::Model;
use keepalived_config::model::{LvsFlush, LvsTimeouts};
use netlink::ipvs::{Reply, Request, Timeouts};
use std::rc::Rc;
use std::time::Duration;
use sys::namespace::Namespace;

/// `ENOPROTOOPT`: the kernel has no IPVS.
const PROTOCOL_NOT_AVAILABLE: i32 = 92;

/// Nobody is there: no IPVS in the kernel, and at the socket that the environment names no file, or one that was left.
const ABSENT: [i32; 3] = [PROTOCOL_NOT_AVAILABLE, 2, 111];

/// Who is asked.
enum Asked {
    /// The kernel, or a plane of ours in another process.
    Other(Kernel),
    /// Programs of this process.
    Own(Rc<Tended>),
}

/// What is asked of the plane beside services.
pub(super) struct Services {
    asked: Asked,
    namespace: Option<String>,
    /// As they were before we changed them.
    before: Option<Timeouts>,
}

impl Services {
    /// # Errors
    /// There is no plane, or the namespace cannot be entered.
    pub fn open(model: &Model) -> Result<Self, String> {
        let namespace = model.global.net_namespace_ipvs.clone();
        let mut settings = crate::director::settings_of_environment()?;
        let is_other = match settings.choice {
            Choice::Automatic => within(namespace.as_deref(), || Kernel::any().map(Asked::Other)),
            Choice::Ipvs => within(namespace.as_deref(), || Kernel::open().map(Asked::Other)),
            Choice::Xdp => Ok(Err(Refusal::Kernel(PROTOCOL_NOT_AVAILABLE))),
        }?;
        let asked = match is_other {
            Err(refusal)
                if settings.choice != Choice::Ipvs
                    && refusal.errno().is_some_and(|errno| ABSENT.contains(&errno)) =>
            {
                if namespace.is_some() {
                    return Err(
                        "net_namespace_ipvs needs the kernel's IPVS: start in that namespace".to_owned()
                    );
                }
                settings.choice = Choice::Xdp;
                match plane::open(&settings) {
                    Ok(Plane { xdp: Some(tended), .. }) => Asked::Own(Rc::new(tended)),
                    Ok(Plane { xdp: None, .. }) => return Err(refusal.to_string()),
                    Err(of_xdp) => return Err(format!("{refusal}; XDP programs: {of_xdp}")),
                }
            }
            other => other.map_err(|refusal| refusal.to_string())?,
        };
        Ok(Self { asked, namespace, before: None })
    }

    /// The plane for the director.
    ///
    /// # Errors
    /// As [`Services::open`].
    pub fn plane(&self) -> Result<Box<dyn Dataplane>, String> {
        if let Asked::Own(tended) = &self.asked {
            return Ok(tended.dataplane());
        }
        let ipvs = within(self.namespace.as_deref(), Ipvs::any)?.map_err(|refusal| refusal.to_string())?;
        Ok(Box::new(ipvs))
    }

    /// Our own programs, which must be tended.
    pub fn own(&self) -> Option<Rc<Tended>> {
        match &self.asked {
            Asked::Own(tended) => Some(Rc::clone(tended)),
            Asked::Other(_) => None,
        }
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

    /// `stays`: services are left as they are (`-I`).
    pub fn stop(&mut self, model: &Model, stays: bool, log: &mut Log) {
        if model.global.lvs_flush_on_stop == LvsFlush::All {
            self.ask("lvs_flush_on_stop", &Request::Flush, log);
        }
        self.set_timeouts(LvsTimeouts::default(), log);
        if let Asked::Own(tended) = &self.asked
            && let Err(refusal) = tended.finish(stays)
        {
            log.line(Level::Error, &format!("XDP programs: {refusal}"));
        }
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
            let replies = self.asked.ask(&Request::Timeouts).unwrap_or_default();
            self.before = replies.into_iter().find_map(|reply| match reply {
                Reply::Timeouts(timeouts) => Some(timeouts),
                Reply::Service(_)
                | Reply::Destination(_)
                | Reply::Daemon(_)
                | Reply::Information(_)
                | Reply::Connection(_) => None,
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
        if let Err(refusal) = self.asked.ask(request) {
            log.line(Level::Error, &format!("{what}: IPVS: {refusal}"));
        }
    }
}

impl Asked {
    fn ask(&mut self, request: &Request<'_>) -> Result<Vec<Reply>, Refusal> {
        match self {
            Self::Other(kernel) => kernel.ask(request),
            Self::Own(tended) => tended.ask(request),
        }
    }
}

/// Opens something in the network namespace of that name; `None` is ours.
fn within<T>(
    namespace: Option<&str>,
    open: impl FnOnce() -> Result<T, Refusal>,
) -> Result<Result<T, Refusal>, String> {
    match namespace {
        None => Ok(open()),
        Some(name) => Namespace::open(name)
            .and_then(|namespace| namespace.within(|| Ok(open())))
            .map_err(|error| format!("net_namespace_ipvs {name}: {error}")),
    }
}
