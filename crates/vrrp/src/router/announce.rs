//! When neighbours are told again where the addresses live. Owns the deadlines, never the frames.

use super::config::AnnounceConfig;
use std::time::{Duration, Instant};

/// The schedule of a master; empty otherwise.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    /// The second burst, and its rounds.
    second: Option<(Instant, u32)>,
    refresh: Option<Instant>,
}

impl Announcements {
    /// We became master: rounds to send now.
    pub(super) fn start(&mut self, now: Instant, config: &AnnounceConfig) -> u32 {
        self.second = later(now, config.delay, config.repeat);
        self.refresh = (!config.refresh.is_zero()).then(|| now + config.refresh);
        config.repeat
    }

    /// A lesser master was heard: rounds to send now.
    pub(super) fn lesser_master(&mut self, now: Instant, config: &AnnounceConfig) -> u32 {
        if let Some(second) = later(now, config.lower_priority_delay, config.lower_priority_repeat) {
            self.second = Some(second);
        }
        config.lower_priority_repeat
    }

    /// We are master no longer.
    pub(super) fn stop(&mut self) {
        *self = Announcements::default();
    }

    /// Another schedule while we are master.
    pub(super) fn reconfigure(&mut self, now: Instant, config: &AnnounceConfig) {
        self.refresh = (!config.refresh.is_zero()).then(|| {
            let next = now + config.refresh;
            self.refresh.map_or(next, |planned| planned.min(next))
        });
    }

    /// The next moment at which rounds are due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.second.map(|(at, _)| at).into_iter().chain(self.refresh).min()
    }

    /// Rounds that are due; 0: none.
    pub(super) fn due(&mut self, now: Instant, config: &AnnounceConfig) -> u32 {
        let mut rounds = 0;
        if let Some((_, repeat)) = self.second.take_if(|(at, _)| *at <= now) {
            rounds = repeat;
        }
        if self.refresh.is_some_and(|at| at <= now) {
            self.refresh = Some(now + config.refresh);
            rounds = rounds.max(config.refresh_repeat);
        }
        rounds
    }
}

fn later(now: Instant, delay: Duration, rounds: u32) -> Option<(Instant, u32)> {
    (!delay.is_zero() && rounds > 0).then(|| (now + delay, rounds))
}
