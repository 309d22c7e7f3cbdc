//! What a virtual router makes of an advert.

use super::{Action, HAND_OVER_SPREAD, Notice, Notification, NotifyEvent, Preempt, Rival, Router, State};
use crate::packet::Advert;
use crate::statistics::Counter;
use crate::types::{PRIORITY_OWNER, PRIORITY_RESIGN, master_down_interval};
use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// Least time between two answers to lesser masters: a flood of adverts is not answered with one of ours.
const ANSWER_GAP: Duration = Duration::from_millis(5);

impl Router {
    /// An advert for this virtual router came, and [`crate::Wire::receive`] found it valid.
    pub fn handle_advert(&mut self, now: Instant, advert: &Advert) {
        self.statistics.count(Counter::AdvertsReceived);
        if advert.priority == PRIORITY_RESIGN {
            self.statistics.count(Counter::PriorityZeroReceived);
        }
        if self.config.is_owner() && self.config.owner_ignore_adverts {
            return;
        }
        match (self.state, advert.priority) {
            (State::Initialize | State::Fault, _) => {}
            (State::Backup, PRIORITY_RESIGN) => self.backup_hears_resignation(now, advert),
            (State::Backup, _) => self.backup_hears(now, advert),
            (State::Master, PRIORITY_RESIGN) => self.master_hears_resignation(now, advert),
            (State::Master, _) => self.master_hears(now, advert),
        }
    }

    fn backup_hears_resignation(&mut self, now: Instant, advert: &Advert) {
        self.peers.left(advert.source);
        self.preempt_at = None;
        if self.is_ready {
            // Only the group is waited for, and it goes on being so.
            return;
        }
        let is_second = self.resigned == Some(advert.source);
        if is_second && self.config.fast_hand_over && !self.peers.any_above(self.rank()) {
            let wait = HAND_OVER_SPREAD * (256 - u32::from(self.priority)) / 256;
            let at = now + wait;
            if self.down_at.is_none_or(|planned| at < planned) {
                self.log(Notice::FastHandOver);
                self.down_at = Some(at);
            }
            return;
        }
        if !is_second {
            self.log(Notice::BackupPriorityZero);
            self.resigned = Some(advert.source);
            self.silent_from = None;
            self.down_at = Some(now + self.skew());
        }
    }

    fn backup_hears(&mut self, now: Instant, advert: &Advert) {
        self.peers.heard(advert.source, advert.priority);
        if advert.priority < self.priority && self.may_preempt(now) {
            let sender = (advert.source, advert.priority);
            if self.discarded != Some(sender) {
                self.discarded = Some(sender);
                self.log(Notice::DiscardLowerPriority { from: advert.source, priority: advert.priority });
            }
            return;
        }
        if advert.priority >= self.priority && self.preempt_at.take().is_some() {
            self.log(Notice::PreemptDelayStopped);
        }
        self.discarded = None;
        self.learn_interval(advert.interval);
        self.wait_for_master(now);
    }

    /// Whether a lesser master is let go, so that our timer runs out.
    fn may_preempt(&mut self, now: Instant) -> bool {
        match self.config.preempt {
            Preempt::Never => false,
            Preempt::After(_) if self.has_yielded => false,
            Preempt::After(delay) if delay.is_zero() => true,
            Preempt::After(delay) => match self.preempt_at {
                Some(at) => at <= now,
                None => {
                    self.log(Notice::PreemptDelayStarted { delay });
                    self.preempt_at = Some(now + delay);
                    false
                }
            },
        }
    }

    fn master_hears_resignation(&mut self, now: Instant, advert: &Advert) {
        self.peers.left(advert.source);
        self.log(Notice::MasterPriorityZero);
        if self.is_listening {
            self.is_listening = false;
            self.claim(now);
        } else if self.may_answer(now) {
            self.send_advert(now, self.priority);
        }
    }

    fn master_hears(&mut self, now: Instant, advert: &Advert) {
        self.peers.heard(advert.source, advert.priority);
        if advert.priority == PRIORITY_OWNER && self.config.is_owner() {
            self.warn_once(Notice::TwoOwners);
        }
        let yields_to_anyone = self.is_listening && self.config.preempt == Preempt::Never;
        match (advert.priority, Some(advert.source)).cmp(&self.rank()) {
            Ordering::Equal => self.warn_once(Notice::SameAddress),
            Ordering::Greater => self.yield_to(now, advert),
            Ordering::Less if yields_to_anyone => {
                self.learn_interval(advert.interval);
                self.enter(now, State::Backup, false);
            }
            Ordering::Less => self.master_hears_lesser(now, advert),
        }
    }

    fn yield_to(&mut self, now: Instant, advert: &Advert) {
        let from = advert.source;
        self.log(if advert.priority > self.priority {
            Notice::HigherPriority { from, priority: advert.priority, ours: self.priority }
        } else {
            Notice::SamePriorityHigherAddress { from, priority: advert.priority }
        });
        let was_silent = self.config.last_word_after_silence && self.missed_better;
        if (self.config.higher_prio_send_advert || was_silent) && !self.is_listening {
            self.send_advert(now, self.priority);
        }
        self.learn_interval(advert.interval);
        self.enter(now, State::Backup, false);
    }

    fn master_hears_lesser(&mut self, now: Instant, advert: &Advert) {
        self.note_rival(now, advert);
        if !self.may_answer(now) {
            return;
        }
        // Who only listened so far claims its place now: the other has not heard it for long.
        let answered = !self.config.lower_prio_no_advert || self.is_listening;
        let (from, priority, ours) = (advert.source, advert.priority, self.priority);
        self.log(Notice::LowerPriority { from, priority, ours, answered });
        self.is_listening = false;
        if answered {
            self.send_advert(now, self.priority);
        }
        let rounds = self.announcements.lesser_master(now, &self.config.announce);
        self.announce(rounds);
        let event = NotifyEvent::MasterRxLowerPriority;
        self.push(Action::Notify(Notification { event, priority: self.priority }));
    }

    /// Who was master for an interval and hears another one is in a split: the other did not hear us.
    fn note_rival(&mut self, now: Instant, advert: &Advert) {
        let interval = self.config.interval.duration();
        if self.master_since.is_none_or(|since| now < since + interval) {
            return;
        }
        let patience = master_down_interval(
            self.config.version,
            self.priority,
            advert.interval,
            self.config.down_timer_adverts,
        );
        let source = advert.source;
        if self.rival.is_none_or(|rival| rival.source != source) {
            self.statistics.count(Counter::SplitBrains);
            self.log(Notice::SplitBrain { with: source, priority: advert.priority });
        }
        self.rival = Some(Rival { source, until: now + patience });
    }

    fn may_answer(&mut self, now: Instant) -> bool {
        if self.last_answer.is_some_and(|last| now < last + ANSWER_GAP) {
            return false;
        }
        self.last_answer = Some(now);
        true
    }

    fn warn_once(&mut self, notice: Notice) {
        if !self.warned_same_address {
            self.warned_same_address = true;
            self.log(notice);
        }
    }

    /// Our place among those that want to be master.
    fn rank(&self) -> super::peers::Rank {
        (self.priority, self.config.source)
    }
}
