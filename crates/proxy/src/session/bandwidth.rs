//! Bandwidth limits of a flow (`set-bandwidth-limit`): how many bytes may go on now, and when to look again.

use super::client::Client;
use super::transaction::Transaction;
use haproxy_config::model::{self, BandwidthLimit as Limit, Filter};
use rules::Direction;
use rules::action::{BandwidthLimit, Quantity};
use rules::stick_table::{DataType, Tracked};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Looks per period while bytes wait: each brings a part of what the period allows.
const LOOKS: u32 = 50;

/// The shortest and the longest time between looks.
const LOOK_MIN: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(250);

/// Limits that one stream may have in one direction.
const LIMITS_MAX: usize = 8;

/// One limit of one flow.
pub struct Bandwidth {
    name: Box<str>,
    min_size: u64,
    pace: Pace,
    timer: Option<Pin<Box<Sleep>>>,
}

impl std::fmt::Debug for Bandwidth {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Bandwidth").field("name", &self.name).finish_non_exhaustive()
    }
}

enum Pace {
    /// The stream's own. Bytes of the current period, and of the one before it.
    Own { limit: u64, period: Duration, since: Instant, current: u64, previous: u64 },
    /// An entry counts for all streams that hold it.
    Shared { limit: u64, period: Duration, tracked: Tracked, rate: DataType },
}

impl Bandwidth {
    /// Bytes that may go on at once; waits until there are some. `left`: what is still to come at most.
    pub fn poll_room(&mut self, context: &mut Context<'_>, left: u64) -> Poll<u64> {
        loop {
            let now = Instant::now();
            let room = self.pace.room(now);
            if room >= self.min_size.min(left).max(1) {
                self.timer = None;
                return Poll::Ready(room);
            }
            let wait = (self.pace.period() / LOOKS).clamp(LOOK_MIN, LOOK_MAX);
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
    }

    /// Bytes have gone on.
    pub fn note(&mut self, bytes: u64) {
        match &mut self.pace {
            Pace::Own { current, .. } => *current += bytes,
            Pace::Shared { tracked, rate, .. } => {
                tracked.update(Instant::now(), |entry| entry.add(*rate, 0, bytes));
            }
        }
    }
}

impl Pace {
    fn period(&self) -> Duration {
        match self {
            Pace::Own { period, .. } | Pace::Shared { period, .. } => *period,
        }
    }

    /// What is left of the limit over the last period, as it slides.
    fn room(&mut self, now: Instant) -> u64 {
        match self {
            Pace::Own { limit, period, since, current, previous } => {
                let elapsed = now.saturating_duration_since(*since);
                if elapsed >= *period {
                    let periods = elapsed.as_nanos() / period.as_nanos();
                    *previous = if periods == 1 { *current } else { 0 };
                    *current = 0;
                    // What is beyond whole periods belongs to the new one.
                    *since = now - Duration::from_nanos((elapsed.as_nanos() % period.as_nanos()) as u64);
                }
                let over = now.saturating_duration_since(*since);
                let share = period.saturating_sub(over).as_secs_f64() / period.as_secs_f64();
                let used = *current + (*previous as f64 * share) as u64;
                limit.saturating_sub(used)
            }
            Pace::Shared { limit, tracked, rate, .. } => {
                let used = tracked.read(now, |entry| entry.get(*rate, 0)).unwrap_or(0);
                limit.saturating_sub(used)
            }
        }
    }
}

/// Carries out `set-bandwidth-limit`: turns the filter of that name on for this stream.
pub fn set(client: &Client, transaction: &mut Transaction, wanted: &BandwidthLimit, direction: Direction) {
    let plan = client.worker.plan();
    let sections = [Some(client.frontend), transaction.facts.backend];
    let filters = sections.into_iter().flatten().flat_map(|proxy| &plan.settings(proxy).filters);
    let mut named = filters.filter_map(|filter| match filter {
        Filter::Bandwidth(bandwidth) if *bandwidth.name == *wanted.filter => Some(bandwidth),
        Filter::Bandwidth(_) | Filter::Compression | Filter::Cache(_) | Filter::Trace(_) => None,
    });
    let Some(filter) = named.next() else { return };
    let Some(made) = make(client, transaction, filter, wanted, direction) else { return };
    let limits =
        if filter.uploads { &mut transaction.upload_limits } else { &mut transaction.download_limits };
    // The last rule counts.
    limits.retain(|limit| *limit.name != *made.name);
    if limits.len() < LIMITS_MAX {
        limits.push(made);
    }
}

fn make(
    client: &Client,
    transaction: &Transaction,
    filter: &model::Bandwidth,
    wanted: &BandwidthLimit,
    direction: Direction,
) -> Option<Bandwidth> {
    let number = |quantity: &Option<Quantity>| match quantity {
        Some(Quantity::Fixed(number)) => Some(*number),
        Some(Quantity::Expr(expr)) => {
            let value = super::rules::int(client, transaction, expr, direction)?;
            u64::try_from(value).ok().filter(|number| *number > 0)
        }
        None => None,
    };
    let pace = match &filter.limit {
        Limit::Stream { limit, period } => Pace::Own {
            limit: number(&wanted.limit).unwrap_or(*limit),
            period: number(&wanted.period).map_or(*period, Duration::from_millis).max(LOOK_MIN),
            since: Instant::now(),
            current: 0,
            previous: 0,
        },
        Limit::Shared { limit, key, table } => {
            let table = Arc::clone(client.worker.state().tables.get(table.0 as usize)?);
            let rate = if filter.uploads { DataType::BytesInRate } else { DataType::BytesOutRate };
            let period = table.config().store.iter().find(|stored| stored.data == rate)?.period;
            let scope = client.scope(transaction, direction);
            let value = key.eval(&scope)?;
            let tracked = table.track(&table.key(&value)?, Instant::now())?;
            Pace::Shared { limit: *limit, period, tracked, rate }
        }
    };
    Some(Bandwidth { name: filter.name.as_str().into(), min_size: filter.min_size, pace, timer: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(limit: u64, since: Instant) -> Pace {
        Pace::Own { limit, period: Duration::from_secs(1), since, current: 0, previous: 0 }
    }

    fn use_up(pace: &mut Pace, bytes: u64) {
        if let Pace::Own { current, .. } = pace {
            *current += bytes;
        }
    }

    #[test]
    fn no_second_ever_carries_more_than_the_limit() {
        let start = Instant::now();
        let mut pace = own(1_000, start);
        let mut sent: Vec<(u64, u64)> = Vec::new();
        for at in (0..4_000).step_by(10) {
            let room = pace.room(start + Duration::from_millis(at));
            use_up(&mut pace, room);
            sent.push((at, room));
            let within: u64 =
                sent.iter().filter(|(then, _)| *then + 1_000 > at).map(|(_, bytes)| bytes).sum();
            assert!(within <= 1_100, "{within} within the second before {at} ms");
        }
        let total: u64 = sent.iter().map(|(_, bytes)| bytes).sum();
        assert!((3_500..=4_500).contains(&total), "{total}");
    }

    #[test]
    fn after_a_pause_the_whole_limit_is_there_again() {
        let start = Instant::now();
        let mut pace = own(1_000, start);
        assert_eq!(pace.room(start), 1_000);
        use_up(&mut pace, 1_000);
        assert_eq!(pace.room(start + Duration::from_millis(999)), 0);
        assert_eq!(pace.room(start + Duration::from_millis(1_500)), 500);
        assert_eq!(pace.room(start + Duration::from_secs(60)), 1_000);
    }
}
