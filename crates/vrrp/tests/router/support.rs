//! A virtual router in a test: what it did and said, with the clock as a number.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use vrrp::router::NotifyEvent;
use vrrp::{Action, Advert, Interval, Notice, Router, RouterConfig, Start, State, Version, Vrid};

pub static T0: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What matters most of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    Advert(u8),
    Add,
    Remove,
    Announce(u32),
    Cancel,
    Notify(NotifyEvent),
}
pub use Did::{Add, Announce, Cancel, Notify, Remove};

pub fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 9, 0, last))
}

/// Priority 100 at 10.9.0.10.
pub fn config(version: Version, interval: u64) -> RouterConfig {
    let interval = Interval::new(version, Duration::from_millis(interval)).expect("an interval");
    let mut config = RouterConfig::new("VI_1", version, Vrid::new(52).expect("not 0"), 100);
    config.interval = interval;
    config.source = Some(address(10));
    config
}

pub fn v2() -> RouterConfig {
    config(Version::V2, 1000)
}

pub fn v3() -> RouterConfig {
    config(Version::V3, 1000)
}

pub fn at(micros: u64) -> Instant {
    *T0 + Duration::from_micros(micros)
}

pub fn advert(last: u8, priority: u8, millis: u64) -> Advert {
    let interval = Interval::new(Version::V3, Duration::from_millis(millis)).expect("an interval");
    Advert { source: address(last), priority, interval }
}

pub fn drain(router: &mut Router) -> (Vec<Did>, Vec<Notice>) {
    let (mut did, mut said) = (Vec::new(), Vec::new());
    while let Some(action) = router.poll_action() {
        match action {
            Action::SendAdvert { priority, .. } => did.push(Did::Advert(priority)),
            Action::AddAddresses { .. } => did.push(Add),
            Action::RemoveAddresses => did.push(Remove),
            Action::Announce { rounds } => did.push(Announce(rounds)),
            Action::CancelAnnouncements => did.push(Cancel),
            Action::Notify(notification) => did.push(Notify(notification.event)),
            Action::Log(notice) => said.push(notice),
        }
    }
    (did, said)
}

pub fn did(router: &mut Router) -> Vec<Did> {
    drain(router).0
}

pub fn said(router: &mut Router) -> Vec<String> {
    drain(router).1.iter().map(Notice::to_string).collect()
}

pub fn backup(config: RouterConfig) -> Router {
    let mut router = Router::new(config);
    router.start(at(0), Start::Fresh);
    assert_eq!(router.state(), State::Backup);
    drain(&mut router);
    router
}

/// Master since its timer ran out; returns when that was.
pub fn master(config: RouterConfig) -> (Router, Instant) {
    let mut router = backup(config);
    let now = router.poll_timeout().expect("it waits");
    router.handle_timeout(now);
    assert_eq!(router.state(), State::Master);
    drain(&mut router);
    (router, now)
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const TOOK_OVER: [Did; 4] = [Did::Advert(100), Add, Announce(5), Notify(NotifyEvent::Master)];
