//! What a virtual router's priority and faults are made of: interfaces, scripts, processes, files. Owns the arithmetic,
//! never the watching.
//!
//! | weight | up | down | not known yet |
//! |---|---|---|---|
//! | 0 | | fault | no start |
//! | 0 reverse | fault | | no start |
//! | +w | priority + w | | |
//! | +w reverse | priority - w | | |
//! | -w | | priority - w | |
//! | -w reverse | | priority + w | |
//!
//! A file gives a number instead: it is multiplied by the weight and added; with weight 0, any number but 0 is a fault.

use crate::types::PRIORITY_OWNER;

/// Greatest amount that one tracked thing adds or takes away.
pub const WEIGHT_MAX: i64 = 253;

/// Greatest priority of a router that does not own the addresses.
const PRIORITY_MAX: i64 = 254;

/// What is known of a tracked thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing yet: a script that did not end for the first time. It does not count; what it could put to fault does not
    /// start before it is known.
    #[default]
    Unknown,
    /// It works.
    Up,
    /// It does not.
    Down,
    /// The number in a file.
    Value(i64),
}

/// How a tracked thing counts for one router or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// -253 to 253, for processes and files -254 to 254; 0: it decides about fault.
    pub weight: i32,
    /// Turns the direction around.
    pub reverse: bool,
}

/// What tracked things do to a priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It must not start yet.
    Hold,
    /// It must go to fault.
    Fault,
    /// This is added to the priority, -253 to 253.
    Weight(i64),
}

impl Effect {
    /// What a thing of that status does.
    pub fn of(self, status: Status) -> Outcome {
        let sign = if self.reverse { -1 } else { 1 };
        let weight = i64::from(self.weight) * sign;
        match (status, self.weight) {
            (Status::Unknown, 0) => Outcome::Hold,
            (Status::Unknown, _) => Outcome::Weight(0),
            (Status::Value(value), 0) if (value != 0) != self.reverse => Outcome::Fault,
            (Status::Value(_), 0) => Outcome::Weight(0),
            (Status::Value(value), _) => match value.saturating_mul(weight) {
                // Below what a weight can be, a file says that nothing works.
                amount if amount < -WEIGHT_MAX => Outcome::Fault,
                amount => Outcome::Weight(amount.min(WEIGHT_MAX)),
            },
            (Status::Up, 0) if self.reverse => Outcome::Fault,
            (Status::Down, 0) if !self.reverse => Outcome::Fault,
            (Status::Up | Status::Down, 0) => Outcome::Weight(0),
            (Status::Up, own) if own > 0 => Outcome::Weight(weight),
            (Status::Down, own) if own < 0 => Outcome::Weight(weight),
            (Status::Up | Status::Down, _) => Outcome::Weight(0),
        }
    }
}

/// The priority that weights make of the configured one: 1 to 254, and 255 stays 255.
pub fn effective_priority(configured: u8, weights: i64) -> u8 {
    if configured == PRIORITY_OWNER {
        return PRIORITY_OWNER;
    }
    let sum = (i64::from(configured) + weights).clamp(1, PRIORITY_MAX);
    u8::try_from(sum).expect("clamped to 1..=254")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(weight: i32) -> Effect {
        Effect { weight, reverse: false }
    }

    fn reversed(weight: i32) -> Effect {
        Effect { weight, reverse: true }
    }

    // row: 253
    #[test]
    fn without_a_weight_what_is_down_is_a_fault() {
        assert_eq!(effect(0).of(Status::Down), Outcome::Fault);
        assert_eq!(effect(0).of(Status::Up), Outcome::Weight(0));
        assert_eq!(effect(0).of(Status::Unknown), Outcome::Hold);
        assert_eq!(reversed(0).of(Status::Up), Outcome::Fault);
        assert_eq!(reversed(0).of(Status::Down), Outcome::Weight(0));
    }

    // row: 253
    #[test]
    fn a_positive_weight_counts_while_up_a_negative_one_while_down() {
        let all =
            |effect: Effect| [effect.of(Status::Up), effect.of(Status::Down), effect.of(Status::Unknown)];
        let [none, plus, minus] = [0, 30, -30].map(Outcome::Weight);
        assert_eq!(all(effect(30)), [plus, none, none]);
        assert_eq!(all(effect(-30)), [none, minus, none]);
        assert_eq!(all(reversed(30)), [minus, none, none]);
        assert_eq!(all(reversed(-30)), [none, plus, none]);
    }

    #[test]
    fn a_file_multiplies() {
        assert_eq!(effect(2).of(Status::Value(-10)), Outcome::Weight(-20));
        assert_eq!(reversed(2).of(Status::Value(-10)), Outcome::Weight(20));
        assert_eq!(effect(1).of(Status::Value(1000)), Outcome::Weight(253));
        assert_eq!(effect(1).of(Status::Value(-253)), Outcome::Weight(-253));
        assert_eq!(effect(1).of(Status::Value(-254)), Outcome::Fault);
        assert_eq!(effect(254).of(Status::Value(i64::MIN)), Outcome::Fault);
        assert_eq!(effect(0).of(Status::Value(0)), Outcome::Weight(0));
        assert_eq!(effect(0).of(Status::Value(-3)), Outcome::Fault);
        assert_eq!(reversed(0).of(Status::Value(0)), Outcome::Fault);
    }

    #[test]
    fn the_priority_stays_between_1_and_254_and_the_owner_at_255() {
        assert_eq!(effective_priority(100, -30), 70);
        assert_eq!(effective_priority(100, -200), 1);
        assert_eq!(effective_priority(200, 253), 254);
        assert_eq!(effective_priority(255, -200), 255);
    }
}
