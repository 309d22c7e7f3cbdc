//! The counter behind `rise` and `fall`: HAProxy's `health` number, 0 ..= rise + fall - 1; at `rise` and above it is up.

use std::fmt;

/// How many checks in a row went which way.
///
/// ```text
///  0 ─► 1 … rise-1 │ rise … rise+fall-1
///      DOWN        │        UP            success: +1, and to the top once up; failure: -1 while up, else 0
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiseFall {
    rise: u32,
    fall: u32,
    health: u32,
}

/// What a result did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The number did not move.
    Same,
    /// It moved on the same side.
    Moved,
    WentUp,
    WentDown,
}

impl RiseFall {
    /// Up, and one failure away from down: what a server starts as. Zero counts as one.
    pub fn starting(rise: u32, fall: u32) -> RiseFall {
        let (rise, fall) = (rise.max(1), fall.max(1));
        RiseFall { rise, fall, health: rise }
    }

    /// With a known number (from a state file or a view), cut to its range.
    pub fn with_health(rise: u32, fall: u32, health: u32) -> RiseFall {
        let (rise, fall) = (rise.max(1), fall.max(1));
        RiseFall { rise, fall, health: health.min(rise.saturating_add(fall) - 1) }
    }

    pub fn rise(&self) -> u32 {
        self.rise
    }

    pub fn fall(&self) -> u32 {
        self.fall
    }

    pub fn health(&self) -> u32 {
        self.health
    }

    pub fn is_up(&self) -> bool {
        self.health >= self.rise
    }

    /// Up, with no failure counted.
    pub fn is_full(&self) -> bool {
        self.health == self.top()
    }

    fn top(&self) -> u32 {
        self.rise.saturating_add(self.fall) - 1
    }

    pub fn succeed(&mut self) -> Step {
        if self.is_full() {
            return Step::Same;
        }
        let was_up = self.is_up();
        self.health += 1;
        if self.is_up() {
            self.health = self.top();
        }
        if self.is_up() && !was_up { Step::WentUp } else { Step::Moved }
    }

    pub fn fail(&mut self) -> Step {
        let before = self.health;
        if self.health > self.rise {
            self.health -= 1;
            return Step::Moved;
        }
        self.health = 0;
        match before {
            0 => Step::Same,
            before if before >= self.rise => Step::WentDown,
            _ => Step::Moved,
        }
    }

    /// To the top: `set server … health up`, an agent's `up`.
    pub fn force_up(&mut self) {
        self.health = self.top();
    }

    pub fn force_down(&mut self) {
        self.health = 0;
    }

    /// As at the start: after maintenance.
    pub fn restart(&mut self) {
        self.health = self.rise;
    }

    /// One failure from down: `on-error sudden-death`.
    pub fn weaken(&mut self) {
        self.health = self.health.min(self.rise + 1);
    }
}

/// `2/3 UP`, `1/2 DOWN`: position on its side, and the size of the side.
impl fmt::Display for RiseFall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_up() {
            write!(formatter, "{}/{} UP", self.health - self.rise + 1, self.fall)
        } else {
            write!(formatter, "{}/{} DOWN", self.health, self.rise)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // row: 98, 99, 110
    #[test]
    fn three_failures_and_two_successes_as_recorded() {
        let mut counter = RiseFall::starting(2, 3);
        let mut seen = vec![counter.to_string()];
        let mut events = Vec::new();
        for ok in [true, false, false, false, false, true, true] {
            events.push(if ok { counter.succeed() } else { counter.fail() });
            seen.push(counter.to_string());
        }
        assert_eq!(
            seen,
            ["1/3 UP", "3/3 UP", "2/3 UP", "1/3 UP", "0/2 DOWN", "0/2 DOWN", "1/2 DOWN", "3/3 UP"]
        );
        assert_eq!(
            events,
            [Step::Moved, Step::Moved, Step::Moved, Step::WentDown, Step::Same, Step::Moved, Step::WentUp]
        );
    }

    #[test]
    fn a_server_that_never_answered_goes_down_at_once() {
        let mut counter = RiseFall::starting(2, 3);
        assert_eq!(counter.fail(), Step::WentDown);
    }

    #[test]
    fn a_failure_on_the_way_up_starts_over() {
        let mut counter = RiseFall::with_health(3, 3, 2);
        assert_eq!(counter.fail(), Step::Moved);
        assert_eq!(counter.health(), 0);
    }

    #[test]
    fn sudden_death_leaves_one_failure() {
        let mut counter = RiseFall::with_health(2, 3, 4);
        counter.weaken();
        assert_eq!(counter.fail(), Step::Moved);
        assert_eq!(counter.to_string(), "1/3 UP");
        assert_eq!(counter.fail(), Step::WentDown);
    }

    proptest::proptest! {
        #[test]
        fn the_number_stays_in_range(rise in 1u32..10, fall in 1u32..10, results: Vec<bool>) {
            let mut counter = RiseFall::starting(rise, fall);
            for ok in results {
                let was_up = counter.is_up();
                let step = if ok { counter.succeed() } else { counter.fail() };
                proptest::prop_assert!(counter.health() < rise + fall);
                proptest::prop_assert_eq!(step == Step::WentUp, !was_up && counter.is_up());
                proptest::prop_assert_eq!(step == Step::WentDown, was_up && !counter.is_up());
            }
        }
    }
}
