//! Groups, tracking and reloads of several virtual routers on one machine. The order of what happens is keepalived
//! 2.2.7's, recorded from its log and its pipe, but for one thing: members that follow others say priority 0 too.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use vrrp::tracking::{Effect, Status};
use vrrp::{
    Action, Advert, GroupConfig, GroupId, Node, NodeAction, NodeConfig, NodeError, RouterConfig, RouterId,
    Start, State, Track, TrackedRouter, TrackerConfig, TrackerId, Version, Vrid,
};

static T0: LazyLock<Instant> = LazyLock::new(Instant::now);

const FIRST: RouterId = RouterId(0);
const SECOND: RouterId = RouterId(1);
const GROUP: GroupId = GroupId(0);

fn at(millis: u64) -> Instant {
    *T0 + Duration::from_millis(millis)
}

fn router(name: &str, vrid: u8, priority: u8) -> TrackedRouter {
    let vrid = Vrid::new(vrid).expect("not 0");
    let router =
        RouterConfig { fast_hand_over: false, ..RouterConfig::new(name, Version::V2, vrid, priority) };
    TrackedRouter { router, tracks: Vec::new() }
}

fn track(tracker: usize, weight: i32) -> Track {
    Track { tracker: TrackerId(tracker), effect: Effect { weight, reverse: false } }
}

fn trackers(initial: &[Status]) -> Vec<TrackerConfig> {
    let one = |(number, initial): (usize, &Status)| TrackerConfig {
        name: format!("script {number}"),
        initial: *initial,
    };
    initial.iter().enumerate().map(one).collect()
}

fn group(tracks: Vec<Track>, tracking_weight: bool) -> GroupConfig {
    GroupConfig { name: "G1".to_owned(), members: vec![FIRST, SECOND], tracks, tracking_weight }
}

/// Two routers in a group; the second one's interface is tracker 0.
fn grouped() -> NodeConfig {
    let mut second = router("VI_2", 52, 150);
    second.tracks.push(track(0, 0));
    NodeConfig {
        routers: vec![router("VI_1", 51, 150), second],
        groups: vec![group(Vec::new(), false)],
        trackers: trackers(&[Status::Up]),
    }
}

fn started(config: NodeConfig) -> Node {
    let mut node = Node::new(config).expect("it is in order");
    node.start(at(0), |_| Start::Fresh);
    node
}

fn run_until(node: &mut Node, until: Instant) {
    while let Some(now) = node.poll_timeout().filter(|now| *now <= until) {
        node.handle_timeout(now);
    }
}

/// What happened, as a sysadmin would read it.
fn story(node: &mut Node) -> Vec<String> {
    let mut story = Vec::new();
    while let Some(action) = node.poll_action() {
        match action {
            NodeAction::Router(id, action) => {
                let name = node.router(id).config().name.clone();
                match action {
                    Action::SendAdvert { priority, .. } => story.push(format!("{name} advert {priority}")),
                    Action::AddAddresses { .. } => story.push(format!("{name} add")),
                    Action::RemoveAddresses => story.push(format!("{name} remove")),
                    Action::Notify(notification) => story.push(format!(
                        "INSTANCE {name} {} {}",
                        notification.event.word(),
                        notification.priority
                    )),
                    Action::Log(notice) => story.push(format!("({name}) {notice}")),
                    Action::Announce { .. } | Action::CancelAnnouncements => {}
                }
            }
            NodeAction::GroupNotify(_, notification) => {
                story.push(format!("GROUP G1 {} {}", notification.event.word(), notification.priority));
            }
            NodeAction::GroupLog(_, notice) => story.push(format!("VRRP_Group(G1) {notice}")),
        }
    }
    story
}

fn heard(last: u8, priority: u8) -> Advert {
    let interval = vrrp::Interval::seconds(1).expect("in range");
    Advert { source: IpAddr::V4(Ipv4Addr::new(10, 9, 0, last)), priority, interval }
}

#[test]
fn a_group_becomes_master_when_the_last_of_its_members_is_ready() {
    let mut node = started(grouped());
    story(&mut node);
    node.handle_advert(at(500), SECOND, &heard(1, 200));
    run_until(&mut node, at(3_600));
    assert_eq!(story(&mut node), ["(VI_1) Receive advertisement timeout"], "the other hears a master");
    assert!(node.router(FIRST).is_ready());
    run_until(&mut node, at(4_000));
    let expected = [
        "(VI_2) Receive advertisement timeout",
        "VI_2 advert 150",
        "(VI_2) Entering MASTER STATE",
        "VI_2 add",
        "INSTANCE VI_2 MASTER 150",
        "VRRP_Group(G1) Syncing instances to MASTER state",
        "VI_1 advert 150",
        "(VI_1) Entering MASTER STATE",
        "VI_1 add",
        "INSTANCE VI_1 MASTER 150",
        "GROUP G1 MASTER 0",
    ];
    assert_eq!(story(&mut node), expected);
    assert_eq!(node.group_state(GROUP), State::Master);
}

#[test]
fn a_member_that_is_ready_is_so_no_longer_when_a_better_master_speaks() {
    let mut node = started(grouped());
    node.handle_advert(at(500), SECOND, &heard(1, 200));
    run_until(&mut node, at(3_600));
    node.handle_advert(at(3_700), FIRST, &heard(1, 200));
    assert!(!node.router(FIRST).is_ready());
    run_until(&mut node, at(5_000));
    assert_eq!(node.router(SECOND).state(), State::Backup);
    run_until(&mut node, at(8_000));
    assert_eq!(node.group_state(GROUP), State::Master);
}

#[test]
fn a_group_fails_and_rises_as_one() {
    let mut node = started(grouped());
    run_until(&mut node, at(4_000));
    story(&mut node);
    node.set_tracker(at(4_000), TrackerId(0), Status::Down);
    let expected = [
        "VI_2 advert 0",
        "(VI_2) Entering FAULT STATE",
        "(VI_2) sent 0 priority",
        "VI_2 remove",
        "INSTANCE VI_2 FAULT 150",
        "VRRP_Group(G1) Syncing instances to FAULT state",
        "VI_1 advert 0",
        "(VI_1) Entering FAULT STATE",
        "(VI_1) sent 0 priority",
        "VI_1 remove",
        "INSTANCE VI_1 FAULT 150",
        "GROUP G1 FAULT 0",
    ];
    assert_eq!(story(&mut node), expected);
    node.set_tracker(at(6_000), TrackerId(0), Status::Up);
    let expected = [
        "(VI_2) Entering BACKUP STATE",
        "INSTANCE VI_2 BACKUP 150",
        "VRRP_Group(G1) Syncing instances to BACKUP state",
        "(VI_1) Entering BACKUP STATE",
        "INSTANCE VI_1 BACKUP 150",
        "GROUP G1 BACKUP 0",
    ];
    assert_eq!(story(&mut node), expected);
    run_until(&mut node, at(9_500));
    assert_eq!(node.group_state(GROUP), State::Master);
}

#[test]
fn a_group_yields_as_one() {
    let mut node = started(grouped());
    run_until(&mut node, at(4_000));
    story(&mut node);
    node.handle_advert(at(4_100), FIRST, &heard(1, 200));
    let expected = [
        "(VI_1) Master received advert from 10.9.0.1 with higher priority 200, ours 150",
        "(VI_1) Entering BACKUP STATE",
        "VI_1 remove",
        "INSTANCE VI_1 BACKUP 150",
        "VRRP_Group(G1) Syncing instances to BACKUP state",
        "(VI_2) Entering BACKUP STATE",
        "VI_2 remove",
        "INSTANCE VI_2 BACKUP 150",
        "GROUP G1 BACKUP 0",
    ];
    assert_eq!(story(&mut node), expected);
}

#[test]
fn a_group_stops_its_members_and_then_tells_its_own_scripts() {
    let mut node = started(grouped());
    run_until(&mut node, at(4_000));
    story(&mut node);
    node.stop(at(4_100));
    let expected = [
        "VI_1 advert 0",
        "(VI_1) sent 0 priority",
        "VI_1 remove",
        "INSTANCE VI_1 STOP 150",
        "VI_2 advert 0",
        "(VI_2) sent 0 priority",
        "VI_2 remove",
        "INSTANCE VI_2 STOP 150",
        "GROUP G1 STOP 0",
    ];
    assert_eq!(story(&mut node), expected);
    assert_eq!(node.poll_timeout(), None);
}

#[test]
fn a_group_hands_over_as_one_and_every_member_says_so() {
    let mut node = started(grouped());
    run_until(&mut node, at(4_000));
    story(&mut node);
    node.hand_over(at(4_100), SECOND);
    let story = story(&mut node);
    for line in ["VI_1 advert 0", "VI_2 advert 0", "GROUP G1 BACKUP 0"] {
        assert!(story.iter().any(|said| said == line), "{line} in {story:?}");
    }
    assert_eq!(node.group_state(GROUP), State::Backup);
}

#[test]
fn what_a_group_tracks_counts_for_all_its_members() {
    let mut config = grouped();
    config.trackers = trackers(&[Status::Up, Status::Up, Status::Up]);
    config.groups[0].tracks = vec![track(1, -30), track(2, 0)];
    let mut node = started(config);
    node.set_tracker(at(1), TrackerId(1), Status::Down);
    assert_eq!([FIRST, SECOND].map(|id| node.router(id).priority()), [120, 120]);
    node.set_tracker(at(2), TrackerId(2), Status::Down);
    assert_eq!(node.group_state(GROUP), State::Fault);
    node.set_tracker(at(3), TrackerId(2), Status::Up);
    assert_eq!(node.group_state(GROUP), State::Backup);
}

#[test]
fn weights_of_single_members_count_only_with_sync_group_tracking_weight() {
    for (tracking_weight, expected) in [(false, [150, 150]), (true, [150, 110])] {
        let mut config = grouped();
        config.routers[1].tracks = vec![track(0, -40)];
        config.groups = vec![group(Vec::new(), tracking_weight)];
        let mut node = started(config);
        node.set_tracker(at(1), TrackerId(0), Status::Down);
        assert_eq!([FIRST, SECOND].map(|id| node.router(id).priority()), expected);
    }
}

// row: 253
#[test]
fn weights_add_up_and_faults_last_until_the_last_one_is_gone() {
    let mut one = router("VI_1", 51, 100);
    one.tracks = vec![track(0, 20), track(1, -50), track(2, 0), track(3, 0)];
    let config = NodeConfig { routers: vec![one], groups: Vec::new(), trackers: trackers(&[Status::Up; 4]) };
    let mut node = started(config);
    assert_eq!(node.router(FIRST).priority(), 120);
    node.set_tracker(at(1), TrackerId(1), Status::Down);
    assert_eq!(node.router(FIRST).priority(), 70);
    node.set_tracker(at(2), TrackerId(0), Status::Down);
    assert_eq!(node.router(FIRST).priority(), 50);
    node.set_tracker(at(3), TrackerId(2), Status::Down);
    node.set_tracker(at(4), TrackerId(3), Status::Down);
    assert_eq!(node.router(FIRST).state(), State::Fault);
    node.set_tracker(at(5), TrackerId(2), Status::Up);
    assert_eq!(node.router(FIRST).state(), State::Fault);
    node.set_tracker(at(6), TrackerId(3), Status::Up);
    assert_eq!(node.router(FIRST).state(), State::Backup);
}

// row: 255
// As recorded: keepalived starts when the script without weight is known, whatever the others do.
#[test]
fn a_router_starts_when_all_that_may_put_it_to_fault_is_known() {
    let mut one = router("VI_1", 51, 128);
    one.tracks = vec![track(0, 0), track(1, 10), track(2, -10)];
    let statuses = [Status::Unknown, Status::Unknown, Status::Down];
    let config = NodeConfig { routers: vec![one], groups: Vec::new(), trackers: trackers(&statuses) };
    let mut node = started(config.clone());
    assert_eq!((node.router(FIRST).state(), node.poll_timeout()), (State::Initialize, None));
    assert_eq!(story(&mut node), ["VI_1 remove"], "what an earlier life left does not wait");
    node.set_tracker(at(3_000), TrackerId(0), Status::Up);
    assert_eq!((node.router(FIRST).state(), node.router(FIRST).priority()), (State::Backup, 118));
    node.set_tracker(at(4_000), TrackerId(1), Status::Up);
    assert_eq!(node.router(FIRST).priority(), 128);

    let mut failing = started(config.clone());
    failing.set_tracker(at(3_000), TrackerId(0), Status::Down);
    assert_eq!(failing.router(FIRST).state(), State::Fault);

    let mut adopting = Node::new(config).expect("in order");
    adopting.start(at(0), |_| Start::Adopt { silent_for: Some(Duration::ZERO) });
    assert_eq!(adopting.router(FIRST).state(), State::Master, "who goes on as master waits for nothing");
}

#[test]
fn maintenance_is_a_fault_that_the_operator_made() {
    let mut node = started(grouped());
    run_until(&mut node, at(4_000));
    node.set_maintenance(at(4_100), FIRST, true);
    assert!(node.is_in_maintenance(FIRST));
    assert_eq!(node.group_state(GROUP), State::Fault);
    node.set_maintenance(at(4_200), FIRST, false);
    assert_eq!(node.group_state(GROUP), State::Backup);
}

#[test]
fn the_operator_sets_another_priority_and_takes_it_back() {
    let mut one = router("VI_1", 51, 100);
    one.tracks.push(track(0, 20));
    let owner = router("VI_2", 52, 255);
    let config =
        NodeConfig { routers: vec![one, owner], groups: Vec::new(), trackers: trackers(&[Status::Up]) };
    let mut node = started(config);
    node.set_priority(at(1), FIRST, Some(50));
    node.set_priority(at(1), SECOND, Some(50));
    assert_eq!([FIRST, SECOND].map(|id| node.router(id).priority()), [70, 255]);
    node.set_priority(at(2), FIRST, None);
    assert_eq!(node.router(FIRST).priority(), 120);
}

#[test]
fn a_group_of_owners_is_master_at_once_and_together() {
    let mut config = grouped();
    for router in &mut config.routers {
        router.router.priority = 255;
    }
    let mut node = started(config);
    run_until(&mut node, at(0));
    assert_eq!(node.group_state(GROUP), State::Master);
}

// Found by the simulation: they stayed backups for ever.
#[test]
fn a_group_of_owners_that_starts_late_is_master_then() {
    let mut config = grouped();
    for router in &mut config.routers {
        router.router.priority = 255;
        router.router.start_delay = Duration::from_secs(5);
    }
    let mut node = started(config);
    run_until(&mut node, at(5_000));
    assert_eq!(node.group_state(GROUP), State::Master);
}

#[test]
fn a_group_is_adopted_as_a_whole_or_not_at_all() {
    let adopt = Start::Adopt { silent_for: Some(Duration::ZERO) };
    let mut whole = Node::new(grouped()).expect("in order");
    whole.start(at(0), |_| adopt);
    assert_eq!(whole.group_state(GROUP), State::Master);
    let mut half = Node::new(grouped()).expect("in order");
    half.start(at(0), |id| if id == FIRST { adopt } else { Start::Fresh });
    assert_eq!(half.group_state(GROUP), State::Backup);
}

#[test]
fn a_reload_keeps_what_is_the_same_starts_what_is_new_and_stops_what_is_gone() {
    let mut node = started(grouped());
    run_until(&mut node, at(4_000));
    story(&mut node);
    node.set_tracker(at(4_000), TrackerId(0), Status::Up);
    let next_advert = node.poll_timeout();
    // The order is another, one is gone, one is new, one has another number.
    let mut kept = router("VI_2", 52, 170);
    kept.tracks.push(track(1, 0));
    let config = NodeConfig {
        routers: vec![router("VI_3", 53, 100), kept],
        groups: Vec::new(),
        trackers: vec![
            TrackerConfig { name: "other".to_owned(), initial: Status::Down },
            TrackerConfig { name: "script 0".to_owned(), initial: Status::Down },
        ],
    };
    let reloaded = node.reload(at(4_010), config).expect("in order");
    assert_eq!(reloaded.before, [None, Some(SECOND)]);
    assert_eq!(reloaded.gone.len(), 1);
    assert_eq!(reloaded.gone[0].was, FIRST);
    let last: Vec<_> = reloaded.gone[0].actions.iter().filter(|a| !matches!(a, Action::Log(_))).collect();
    assert!(matches!(last[0], Action::SendAdvert { priority: 0, .. }), "{last:?}");
    assert!(last.contains(&&Action::RemoveAddresses));
    assert_eq!(node.router(SECOND).state(), State::Master, "its status went along with the name");
    assert_eq!(node.router(SECOND).priority(), 170);
    assert_eq!(node.router(FIRST).state(), State::Backup);
    assert_eq!(node.poll_timeout(), next_advert, "adverts go on");
    let story = story(&mut node);
    assert!(!story.iter().any(|line| line.starts_with("INSTANCE VI_2 MASTER ")), "{story:?}");

    let bad = NodeConfig { routers: vec![router("A", 1, 1), router("A", 2, 1)], ..NodeConfig::default() };
    assert_eq!(node.reload(at(4_020), bad), Err(NodeError::SameName("A".to_owned())));
    assert_eq!(node.router(SECOND).state(), State::Master, "nothing changed");
}

#[test]
fn another_number_under_the_same_name_is_another_virtual_router() {
    let mut node = started(grouped());
    run_until(&mut node, at(4_000));
    story(&mut node);
    let mut config = grouped();
    config.routers[0].router.vrid = Vrid::new(99).expect("not 0");
    let reloaded = node.reload(at(4_010), config).expect("in order");
    assert_eq!(reloaded.before, [None, Some(SECOND)]);
    assert_eq!(reloaded.gone.len(), 1);
    assert_eq!(node.router(FIRST).state(), State::Backup);
}

#[test]
fn ten_thousand_reloads_leave_no_trace() {
    let mut node = started(grouped());
    run_until(&mut node, at(4_000));
    story(&mut node);
    for _ in 0..10_000 {
        let reloaded = node.reload(at(4_010), grouped()).expect("in order");
        assert_eq!(reloaded.before, [Some(FIRST), Some(SECOND)]);
        assert_eq!(reloaded.gone, []);
    }
    assert_eq!(story(&mut node), [""; 0]);
    assert_eq!(node.router_count(), 2);
}

#[test]
fn a_configuration_that_contradicts_itself_is_refused() {
    let refused = |change: fn(&mut NodeConfig)| {
        let mut config = grouped();
        change(&mut config);
        Node::new(config).expect_err("it contradicts itself")
    };
    assert_eq!(refused(|c| c.groups[0].members.push(FIRST)), NodeError::InTwoGroups(FIRST));
    assert_eq!(refused(|c| c.groups[0].members.push(RouterId(9))), NodeError::NoRouter(RouterId(9)));
    assert_eq!(refused(|c| c.routers[0].tracks.push(track(7, 0))), NodeError::NoTracker(TrackerId(7)));
    assert_eq!(
        refused(|c| c.trackers.push(c.trackers[0].clone())),
        NodeError::SameName("script 0".to_owned())
    );
}
