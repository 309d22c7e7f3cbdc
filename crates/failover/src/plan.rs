//! keepalived's model → what the engine runs: the core's configuration, and for each instance what belongs to it on the
//! host. Pure.

use keepalived_config::model::{self, Model, Transport};
use std::net::IpAddr;
use std::time::Duration;
use vrrp::node::{GroupConfig, NodeConfig, Track, TrackedRouter, TrackerConfig};
use vrrp::packet::{
    AddressCheck, Audience, Authentication, HmacConfig, HmacKey, HmacMode, Peer, V3Checksum, WireConfig,
};
use vrrp::router::{AnnounceConfig, InitialState, Preempt, RouterConfig};
use vrrp::tracking::{Effect, Status};
use vrrp::{Family, Interval, RouterId, TrackerId, Version, Vrid};

/// One configuration, ready to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Told apart by number: orders that were made for another plan are not carried out.
    pub generation: u64,
    pub node: NodeConfig,
    pub instances: Vec<InstancePlan>,
    pub groups: Vec<String>,
    /// Interfaces that are watched: name, tracker.
    pub interfaces: Vec<(String, TrackerId)>,
    /// Trackers of the model's scripts, files and processes, by their place there.
    pub scripts: Vec<TrackerId>,
    pub files: Vec<TrackerId>,
    pub processes: Vec<TrackerId>,
    /// Trackers of its groups of statics, by their place there, and how many statics each has.
    pub track_groups: Vec<(TrackerId, usize)>,
    /// Sessions of BFD, by their place there.
    pub bfd: Vec<BfdPlan>,
    /// Proxies of the same program: `frontend web`, tracker.
    pub proxies: Vec<(String, TrackerId)>,
    pub arp_interval: Duration,
    pub advertisement_interval: Duration,
    /// Paces of interfaces' own: name, ARP, NA.
    pub paces: Vec<(String, Duration, Duration)>,
    /// So late a timer is told to the office, which may raise our priority; `None`: never.
    pub late: Option<Duration>,
    pub log_unknown_vrids: bool,
    /// Table of the filters for addresses that are not to be answered on, and their hooks' priority.
    pub filter_table: String,
    pub filter_priority: i32,
    /// Whether the host forwards IPv6.
    pub is_router: bool,
}

/// One instance.
#[derive(Debug, Clone)]
pub struct InstancePlan {
    pub model: model::Instance,
    pub wire: WireConfig,
    /// The macvlan of its own.
    pub macvlan: Option<crate::vmac::Macvlan>,
    /// At fault while it has no address to send from.
    pub source_tracker: TrackerId,
    pub group: Option<String>,
}

/// A session of BFD, and who wants to know of it.
#[derive(Debug, Clone)]
pub struct BfdPlan {
    pub model: model::BfdSession,
    pub tracker: TrackerId,
    /// As the log calls them: `VRRP_Instance(VI_1)`.
    pub watchers: Vec<String>,
}

/// Why a model cannot run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError(pub String);

impl std::fmt::Display for PlanError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for PlanError {}

/// The list of trackers while it is made.
#[derive(Default)]
struct Trackers(Vec<TrackerConfig>);

impl Trackers {
    fn find(&mut self, name: String, initial: Status) -> TrackerId {
        if let Some(found) = self.0.iter().position(|tracker| tracker.name == name) {
            return TrackerId(found);
        }
        self.0.push(TrackerConfig { name, initial });
        TrackerId(self.0.len() - 1)
    }
}

fn script_tracker(trackers: &mut Trackers, script: &model::Script) -> TrackerId {
    let initial = if script.init_fail { Status::Down } else { Status::Unknown };
    trackers.find(format!("script {}", script.name), initial)
}

impl Plan {
    /// # Errors
    /// An instance that the core cannot run: an interval that its version cannot say.
    pub fn new(model: &Model, generation: u64, is_router: bool) -> Result<Self, PlanError> {
        let mut trackers = Trackers::default();
        let scripts: Vec<_> =
            model.scripts.iter().map(|script| script_tracker(&mut trackers, script)).collect();
        let files: Vec<_> = model
            .track_files
            .iter()
            .map(|file| trackers.find(format!("file {}", file.name), Status::Value(0)))
            .collect();
        let processes: Vec<_> = model
            .track_processes
            .iter()
            .map(|process| trackers.find(format!("process {}", process.name), Status::Unknown))
            .collect();
        // Who was not heard of yet is not there: as keepalived has it.
        let bfd: Vec<_> = model
            .bfd_sessions
            .iter()
            .map(|session| trackers.find(format!("bfd {}", session.name), Status::Down))
            .collect();
        let mut interfaces = Vec::new();
        let mut proxies = Vec::new();
        let mut tracks_of = |trackers: &mut Trackers, tracking: &model::Tracking| {
            let effect = |weight, reverse| Effect { weight, reverse };
            let mut tracks = Vec::new();
            for one in &tracking.interfaces {
                let tracker = interface_tracker(trackers, &mut interfaces, &one.what);
                tracks.push(Track { tracker, effect: effect(one.weight, one.reverse) });
            }
            for one in &tracking.scripts {
                let tracker = scripts[one.what.index()];
                tracks.push(Track { tracker, effect: effect(one.weight, one.reverse) });
            }
            for one in &tracking.files {
                let tracker = files[one.what.index()];
                tracks.push(Track { tracker, effect: effect(one.weight, one.reverse) });
            }
            for one in &tracking.processes {
                let tracker = processes[one.what.index()];
                tracks.push(Track { tracker, effect: effect(one.weight, one.reverse) });
            }
            for one in &tracking.bfd {
                let tracker = bfd[one.what.index()];
                tracks.push(Track { tracker, effect: effect(one.weight, one.reverse) });
            }
            for one in &tracking.proxies {
                let tracker = proxy_tracker(trackers, &mut proxies, &one.what);
                tracks.push(Track { tracker, effect: effect(one.weight, one.reverse) });
            }
            tracks
        };
        let mut routers = Vec::new();
        let mut instances = Vec::new();
        for instance in &model.instances {
            let mut tracks = tracks_of(&mut trackers, &instance.tracking);
            let fault = Effect { weight: 0, reverse: false };
            let source_tracker = trackers.find(format!("source of {}", instance.name), Status::Unknown);
            tracks.push(Track { tracker: source_tracker, effect: fault });
            routers.push(TrackedRouter { router: router_config(model, instance)?, tracks });
            instances.push(InstancePlan {
                wire: wire_config(model, instance)?,
                macvlan: crate::vmac::wanted(instance, &model.global.vmac_prefix),
                source_tracker,
                group: instance.sync_group.map(|group| model.sync_groups[group.index()].name.clone()),
                model: instance.clone(),
            });
        }
        let mut groups = Vec::new();
        for group in &model.sync_groups {
            groups.push(GroupConfig {
                name: group.name.clone(),
                members: group.members.iter().map(|member| RouterId(member.index())).collect(),
                tracks: tracks_of(&mut trackers, &group.tracking),
                tracking_weight: group.tracking_weight,
            });
        }
        for (router, instance) in routers.iter_mut().zip(&model.instances) {
            if let (true, Some(name)) = (instance.track_primary, &instance.interface) {
                let tracker = interface_tracker(&mut trackers, &mut interfaces, name);
                let known = router.tracks.iter().any(|track| track.tracker == tracker);
                if !known {
                    router.tracks.push(Track { tracker, effect: Effect { weight: 0, reverse: false } });
                }
            }
        }
        let mut track_groups = Vec::new();
        for (place, group) in model.track_groups.iter().enumerate() {
            let tracker = trackers.find(format!("track_group {}", group.name), Status::Up);
            let (links, count) = statics_of(model, place);
            let mut watched = vec![tracker];
            for name in links {
                watched.push(interface_tracker(&mut trackers, &mut interfaces, name));
            }
            for instance in &group.instances {
                let tracks = &mut routers[instance.index()].tracks;
                for tracker in &watched {
                    if !tracks.iter().any(|track| track.tracker == *tracker) {
                        tracks
                            .push(Track { tracker: *tracker, effect: Effect { weight: 0, reverse: false } });
                    }
                }
            }
            track_groups.push((tracker, count));
        }
        let paces = model.garp_groups.iter().flat_map(|group| {
            group.interfaces.iter().map(|name| {
                let arp = group.garp_interval.unwrap_or(model.global.garp_interval);
                (name.clone(), arp, group.gna_interval.unwrap_or(model.global.gna_interval))
            })
        });
        let filter = model.global.nftables.as_ref();
        Ok(Self {
            generation,
            groups: groups.iter().map(|group| group.name.clone()).collect(),
            node: NodeConfig { routers, groups, trackers: trackers.0 },
            instances,
            interfaces,
            scripts,
            files,
            processes,
            track_groups,
            bfd: bfd_plans(model, &bfd),
            proxies,
            arp_interval: model.global.garp_interval,
            advertisement_interval: model.global.gna_interval,
            paces: paces.collect(),
            late: (model.global.max_auto_priority > 0)
                .then(|| Duration::from_micros(model.global.min_auto_priority_delay.into())),
            log_unknown_vrids: model.global.log_unknown_vrids,
            filter_table: filter.map_or_else(|| "keepalived".to_owned(), |filter| filter.table.clone()),
            filter_priority: filter.map_or(-1, |filter| filter.priority),
            is_router,
        })
    }

    /// The macvlans that must be there.
    pub fn macvlans(&self) -> Vec<crate::vmac::Macvlan> {
        self.instances.iter().filter_map(|instance| instance.macvlan.clone()).collect()
    }
}

/// What the configuration asks for and failover does not do: a line for the log each, so that nobody relies on it.
pub fn without_effect(model: &Model) -> Vec<String> {
    let global = &model.global;
    let named = [
        ("linkbeat_use_polling", global.poll_links || !model.polled_interfaces.is_empty()),
        ("enable_dbus", global.dbus),
    ];
    let named = named.into_iter().filter(|(_, is_there)| *is_there);
    named.map(|(name, _)| format!("{name} has no effect: it is not in this build yet")).collect()
}

/// The interfaces of the statics of a `track_group`, and how many these are.
fn statics_of(model: &Model, group: usize) -> (Vec<&str>, usize) {
    let mine = |id: Option<model::TrackGroupId>| id.is_some_and(|id| id.index() == group);
    let addresses = model.static_addresses.iter().filter(|one| mine(one.track_group));
    let routes = model.static_routes.iter().filter(|one| mine(one.track_group));
    let rules = model.static_rules.iter().filter(|one| mine(one.track_group)).count();
    let count = addresses.clone().count() + routes.clone().count() + rules;
    let links = addresses.map(|one| &one.interface).chain(routes.map(|one| &one.interface));
    (links.filter_map(|name| name.as_deref()).collect(), count)
}

fn bfd_plans(model: &Model, trackers: &[TrackerId]) -> Vec<BfdPlan> {
    let plan = |(place, (session, tracker)): (usize, (&model::BfdSession, &TrackerId))| {
        let watches = |tracking: &model::Tracking| tracking.bfd.iter().any(|one| one.what.index() == place);
        let instances = model.instances.iter().filter(|one| watches(&one.tracking));
        let groups = model.sync_groups.iter().filter(|one| watches(&one.tracking));
        let watchers = instances
            .map(|one| format!("VRRP_Instance({})", one.name))
            .chain(groups.map(|one| format!("VRRP_Group({})", one.name)));
        BfdPlan { model: session.clone(), tracker: *tracker, watchers: watchers.collect() }
    };
    model.bfd_sessions.iter().zip(trackers).enumerate().map(plan).collect()
}

fn proxy_tracker(
    trackers: &mut Trackers,
    proxies: &mut Vec<(String, TrackerId)>,
    what: &model::ProxyTrack,
) -> TrackerId {
    let name = match what {
        model::ProxyTrack::Frontend(name) => format!("frontend {name}"),
        model::ProxyTrack::Backend(name) => format!("backend {name}"),
    };
    let tracker = trackers.find(format!("proxy {name}"), Status::Unknown);
    if !proxies.iter().any(|(known, _)| *known == name) {
        proxies.push((name, tracker));
    }
    tracker
}

fn interface_tracker(
    trackers: &mut Trackers,
    interfaces: &mut Vec<(String, TrackerId)>,
    name: &str,
) -> TrackerId {
    let tracker = trackers.find(format!("interface {name}"), Status::Unknown);
    if !interfaces.iter().any(|(known, _)| known == name) {
        interfaces.push((name.to_owned(), tracker));
    }
    tracker
}

fn version(instance: &model::Instance) -> Version {
    match instance.version {
        model::Version::V2 => Version::V2,
        model::Version::V3 => Version::V3,
    }
}

fn family(instance: &model::Instance) -> Family {
    match instance.family {
        model::Family::Ipv4 => Family::V4,
        model::Family::Ipv6 => Family::V6,
    }
}

fn vrid(instance: &model::Instance) -> Result<Vrid, PlanError> {
    Vrid::new(instance.virtual_router_id)
        .ok_or_else(|| PlanError(format!("({}) has no virtual router id", instance.name)))
}

fn interval(instance: &model::Instance) -> Result<Interval, PlanError> {
    Interval::new(version(instance), instance.advert_interval).ok_or_else(|| {
        PlanError(format!(
            "({}) an advert interval of {:?} cannot be said in VRRP version {}",
            instance.name,
            instance.advert_interval,
            version(instance).number()
        ))
    })
}

fn router_config(model: &Model, instance: &model::Instance) -> Result<RouterConfig, PlanError> {
    let garp = &instance.garp;
    let mut config = RouterConfig::new(&instance.name, version(instance), vrid(instance)?, instance.priority);
    config.family = family(instance);
    config.interval = interval(instance)?;
    config.initial_state = match instance.state {
        model::WantedState::Master => InitialState::Master,
        model::WantedState::Backup => InitialState::Backup,
    };
    config.preempt = if instance.preempt { Preempt::After(instance.preempt_delay) } else { Preempt::Never };
    config.down_timer_adverts = u32::from(instance.down_timer_adverts);
    config.accept = instance.accept == model::Accept::Yes;
    config.lower_prio_no_advert = instance.lower_priority_no_advert;
    config.higher_prio_send_advert = instance.higher_priority_send_advert;
    config.last_word_after_silence = !instance.higher_priority_send_advert_is_given && !instance.strict;
    config.backup_when_late = instance.timer_expired_backup;
    config.owner_ignore_adverts = instance.owner_ignore_adverts;
    config.start_delay = model.global.vrrp_startup_delay;
    config.announce = AnnounceConfig {
        repeat: garp.master_repeat,
        delay: garp.master_delay,
        refresh: garp.refresh,
        refresh_repeat: garp.refresh_repeat,
        lower_priority_repeat: garp.lower_priority_repeat,
        lower_priority_delay: garp.lower_priority_delay,
    };
    Ok(config)
}

fn wire_config(_model: &Model, instance: &model::Instance) -> Result<WireConfig, PlanError> {
    let addresses: Vec<IpAddr> = instance.addresses.iter().map(|address| address.prefix.address).collect();
    let mut config = WireConfig::new(version(instance), vrid(instance)?, interval(instance)?, addresses);
    config.family = family(instance);
    match &instance.authentication {
        model::Authentication::None => {}
        model::Authentication::Password(password) => {
            config.authentication = Authentication::Password(*password);
        }
        model::Authentication::Header(key) => config.authentication = Authentication::Ah(*key),
        model::Authentication::Hmac { keys, active, mode, anti_replay } => {
            let (anti_replay, time_window) = match anti_replay {
                model::AntiReplay::Time { window } => (vrrp::packet::AntiReplay::Time, *window),
                model::AntiReplay::Monotonic => (vrrp::packet::AntiReplay::Monotonic, Duration::ZERO),
            };
            config.hmac = Some(HmacConfig {
                keys: keys.iter().map(|key| HmacKey { id: key.id, secret: key.secret.clone() }).collect(),
                active: *active,
                mode: match mode {
                    model::HmacMode::Enforce => HmacMode::Enforce,
                    model::HmacMode::Permissive => HmacMode::Permissive,
                    model::HmacMode::ReceiveOnly => HmacMode::ReceiveOnly,
                },
                anti_replay,
                time_window,
            });
        }
    }
    config.address_check = if instance.strict { AddressCheck::Drop } else { AddressCheck::Report };
    config.skip_same_sender = instance.skip_check_advert_addresses;
    config.audience = match &instance.transport {
        Transport::Multicast { group } => Audience::Multicast(*group),
        Transport::Unicast { peers, ttl, check_source } => Audience::Unicast {
            peers: peers
                .iter()
                .map(|peer| Peer {
                    address: peer.address,
                    min_ttl: (peer.ttl_min > 0).then_some(peer.ttl_min),
                    max_ttl: (peer.ttl_max < u8::MAX).then_some(peer.ttl_max),
                })
                .collect(),
            check_source: *check_source,
            ttl: Some(*ttl),
        },
    };
    config.v3_checksum =
        if instance.v3_checksum_as_v2 { V3Checksum::MessageOnly } else { V3Checksum::PseudoHeader };
    Ok(config)
}
