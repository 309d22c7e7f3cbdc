//! One session on the host: its socket, which datagrams are its own, what the log says of it.

use super::{is_up, port};
use crate::plan::BfdPlan;
use bfd::{Action, Config, Packet, SOURCE_PORTS, Session, State};
use keepalived_config::model::BfdSession;
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use sys::datagram::DatagramSocket;
use sys::raw;

/// Internetwork control, as all routing has it.
const TRAFFIC_CLASS: u8 = 0xc0;
/// `TC_PRIO_CONTROL`.
const PRIORITY_CONTROL: i32 = 7;
/// `max_hops` that switches the check off.
const ANY_HOPS: u8 = 255;
/// Source ports that are tried: each may be another program's.
const PORTS_TRIED_MAX: u32 = 256;

pub(super) struct Live {
    pub plan: BfdPlan,
    pub session: Session,
    /// The engine was not told yet whether it is up.
    pub untold: Option<bool>,
    /// The checkers were not told yet.
    pub unheard: Option<bool>,
    pub ear_failed: bool,
    mouth: Option<DatagramSocket>,
    send_failed: bool,
}

fn config(model: &BfdSession) -> Config {
    Config {
        send_interval: model.send_interval,
        receive_interval: model.receive_interval,
        idle_interval: model.idle_interval,
        multiplier: model.multiplier,
        passive: model.passive,
    }
}

impl Live {
    pub fn new(now: Instant, plan: BfdPlan, discriminator: u32, seed: u64) -> Self {
        let session = Session::new(now, config(&plan.model), discriminator, seed);
        Self {
            plan,
            session,
            untold: Some(false),
            unheard: Some(false),
            ear_failed: false,
            mouth: None,
            send_failed: false,
        }
    }

    pub fn name(&self) -> &str {
        &self.plan.model.name
    }

    /// The family and port that it listens to: IPv6?
    pub fn place(&self) -> (bool, u16) {
        (self.plan.model.neighbor.is_ipv6(), port(self.plan.model.multihop))
    }

    /// Whether the session goes on under another configuration.
    pub fn is_same(&self, other: &BfdSession) -> bool {
        let model = &self.plan.model;
        model.name == other.name
            && model.neighbor == other.neighbor
            && model.source == other.source
            && model.multihop == other.multihop
    }

    pub fn reconfigure(&mut self, now: Instant, plan: BfdPlan) {
        if plan.model.ttl != self.plan.model.ttl {
            self.mouth = None;
        }
        self.session.reconfigure(now, config(&plan.model));
        self.plan = plan;
        // The engine has another plan.
        self.untold = Some(is_up(self.session.state()));
        // They may have another check of it.
        self.unheard = self.untold;
    }

    /// Whether a packet belongs to this session: from its neighbour, over no more hops than it may.
    pub fn is_for(&self, datagram: &raw::Packet, packet: &Packet) -> bool {
        let model = &self.plan.model;
        let least = model.ttl.saturating_sub(model.hops_max);
        // RFC 5881, section 5: who is farther away than he says cannot reach us with such a TTL.
        let is_near = model.hops_max == ANY_HOPS || datagram.hop_limit.is_some_and(|hops| hops >= least);
        let is_here = model.source.is_none() || datagram.to.is_none() || datagram.to == model.source;
        let known = packet.your_discriminator;
        datagram.from == model.neighbor
            && is_here
            && is_near
            && (known == 0 || known == self.session.discriminator())
    }

    /// Sends what is to be sent. Lines for the log.
    pub fn carry_out(&mut self, _now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(action) = self.session.poll_action() {
            let name = &self.plan.model.name;
            match action {
                Action::Send(packet) => {
                    let result = self.send(&packet);
                    // One line when it begins, not one a packet.
                    if let (Err(error), false) = (&result, self.send_failed) {
                        lines.push(format!("({}) Error sending packet: {error}", self.name()));
                    }
                    self.send_failed = result.is_err();
                }
                Action::Expired { after, overdue } => {
                    let (after, overdue) = (after.as_millis(), overdue.as_micros());
                    lines.push(format!("({name}) Expired after {after} ms ({overdue} usec overdue)"));
                }
                Action::Entered(State::Init) => {}
                Action::Entered(State::Up) => {
                    lines.push(format!("({name}) Entering Up state"));
                    self.tell(true, &mut lines);
                }
                Action::Entered(state @ (State::Down | State::AdminDown)) => {
                    let (local, remote) = (self.session.diagnostic(), self.session.remote_diagnostic());
                    lines.push(format!(
                        "({name}) Entering {state} state (Local diagnostic - {local}, Remote diagnostic - {remote})"
                    ));
                    // The neighbour's operator took the session away: that says nothing of the path (RFC 5882, section 3.2).
                    if self.session.remote_state() != State::AdminDown {
                        self.tell(false, &mut lines);
                    }
                }
            }
        }
        lines
    }

    fn tell(&mut self, is_up: bool, lines: &mut Vec<String>) {
        self.untold = Some(is_up);
        self.unheard = Some(is_up);
        let (name, state) = (self.name(), if is_up { "Up" } else { "Down" });
        if self.plan.model.for_vrrp && !self.plan.watchers.is_empty() {
            lines.push(format!("Received BFD event: instance {name} is in state {state}"));
        }
        let state = state.to_uppercase();
        let told = self.plan.watchers.iter().filter(|_| self.plan.model.for_vrrp);
        lines.extend(told.map(|who| format!("{who} Tracked BFD instance {name} is {state}")));
    }

    fn send(&mut self, packet: &Packet) -> io::Result<()> {
        let to = SocketAddr::new(self.plan.model.neighbor, port(self.plan.model.multihop));
        let mouth = match &self.mouth {
            Some(mouth) => mouth,
            None => self.mouth.insert(open(&self.plan.model, self.session.discriminator())?),
        };
        mouth.send(&packet.write(), to)
    }

    /// The end: the neighbour is told, as well as it goes.
    pub fn stop(&mut self, now: Instant) {
        self.session.stop(now);
        self.carry_out(now);
    }

    /// As in keepalived's dump.
    pub fn text(&self) -> String {
        let (model, session) = (&self.plan.model, &self.session);
        let word = |is: bool| if is { "Yes" } else { "No" };
        let (remote_send, remote_receive, remote_multiplier) = session.remote_wishes();
        let config = session.config();
        let remote_interval = config.receive_interval.max(remote_send);
        let remote_detection = session.send_interval() * u32::from(config.multiplier);
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "   {name} = {value}");
        };
        line("Neighbor IP", model.neighbor.to_string());
        if let Some(source) = model.source {
            line("Source IP", source.to_string());
        }
        for (name, interval) in [
            ("Required min RX interval", config.receive_interval),
            ("Desired min TX interval", config.send_interval),
            ("Desired idle TX interval", config.idle_interval),
        ] {
            line(name, format!("{} us", interval.as_micros()));
        }
        line("Detection multiplier", config.multiplier.to_string());
        let hops = if model.neighbor.is_ipv4() { "TTL" } else { "hoplimit" };
        line(hops, model.ttl.to_string());
        line("max_hops", model.hops_max.to_string());
        line("passive", model.passive.to_string());
        line("send event to VRRP process", word(model.for_vrrp).to_owned());
        line("send event to checker process", word(model.for_checkers).to_owned());
        line("send error", self.send_failed.to_string());
        line("local state", session.state().to_string());
        line("remote state", session.remote_state().to_string());
        line("local discriminator", format!("0x{:x}", session.discriminator()));
        line("remote discriminator", format!("0x{:x}", session.remote_discriminator()));
        line("local diag", session.diagnostic().to_string());
        line("remote diag", session.remote_diagnostic().to_string());
        let met = !remote_send.is_zero();
        let known = |interval: Duration| if met { interval.as_micros() } else { 0 };
        line("remote min tx intv", format!("{} us", known(remote_send)));
        line("remote min rx intv", format!("{} us", known(remote_receive)));
        line("remote detect multiplier", remote_multiplier.to_string());
        line("local tx intv", format!("{} us", session.send_interval().as_micros()));
        line("remote tx intv", format!("{} us", known(remote_interval)));
        line("local detection time", format!("{} us", known(session.detection_time())));
        line("remote detection time", format!("{} us", known(remote_detection)));
        format!(" BFD Instance = {}\n{text}", model.name)
    }
}

/// A socket that sends from a port of the range of RFC 5881, where the discriminator says to begin.
fn open(model: &BfdSession, discriminator: u32) -> io::Result<DatagramSocket> {
    let any = match model.neighbor {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let address = model.source.unwrap_or(any);
    let (first, count) = (u32::from(*SOURCE_PORTS.start()), SOURCE_PORTS.len() as u32);
    let mut result = Err(io::ErrorKind::AddrInUse.into());
    for step in 0..PORTS_TRIED_MAX {
        let port = u16::try_from(first + discriminator.wrapping_add(step) % count).unwrap_or(u16::MAX);
        result = DatagramSocket::bind(SocketAddr::new(address, port));
        match &result {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Ok(_) | Err(_) => break,
        }
    }
    let socket = result?;
    socket.set_hops_and_class(model.ttl, TRAFFIC_CLASS)?;
    // Without the right for it packets queue as others do.
    let _ = socket.set_priority(PRIORITY_CONTROL);
    Ok(socket)
}
