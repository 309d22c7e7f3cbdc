//! The resolution of one name, over and over: when to ask for what, when to give up, and what is known now. Pure: time
//! and replies come in, queries and events go out.

use super::message::{QueryType, Reply, Service};
use haproxy_config::model::{Hold, Resolvers};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Records kept of one name.
const RECORDS_MAX: usize = 1024;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Address {
        prefer_ipv6: bool,
    },
    /// The name starts with an underscore: an SRV label.
    Service,
}

/// Timing of a `resolvers` section.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub resolve: Duration,
    pub retry: Duration,
    pub retries: u32,
    pub hold: Hold,
    /// All are asked at once.
    pub nameservers: usize,
}

impl Timing {
    pub fn of(section: &Resolvers, nameservers: usize) -> Timing {
        Timing {
            resolve: section.timeout_resolve,
            retry: section.timeout_retry,
            retries: section.resolve_retries.max(1),
            hold: section.hold,
            nameservers,
        }
    }
}

/// Why a name has no valid answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    NoSuchName,
    Refused,
    Timeout,
    Other,
}

impl Failure {
    /// The words of the log.
    pub fn reason(self) -> &'static str {
        match self {
            Failure::NoSuchName => "DNS NX status",
            Failure::Refused => "DNS refused status",
            Failure::Timeout => "DNS timeout status",
            Failure::Other => "unspecified DNS error",
        }
    }

    fn hold(self, hold: &Hold) -> Duration {
        match self {
            Failure::NoSuchName => hold.nx,
            Failure::Refused => hold.refused,
            Failure::Timeout => hold.timeout,
            Failure::Other => hold.other,
        }
    }
}

/// What the owner of a resolution hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A valid answer came; look at [`Resolution::addresses`] or [`Resolution::services`].
    Answered,
    /// No valid answer for longer than `hold` allows: nothing is known any more.
    Lost(Failure),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cached<T> {
    record: T,
    seen: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle { until: Instant },
    Asking { query: QueryType, until: Instant, tries_left: u32, pending: usize, fell_back: bool },
}

/// The resolution of one name.
#[derive(Debug)]
pub struct Resolution {
    kind: Kind,
    timing: Timing,
    phase: Phase,
    last_valid: Instant,
    is_lost: bool,
    /// Family that answered last: asked first the next time.
    family: QueryType,
    addresses: Vec<Cached<IpAddr>>,
    services: Vec<Cached<Service>>,
    to_send: Option<QueryType>,
}

impl Resolution {
    /// Asks first at `now`.
    pub fn new(kind: Kind, timing: Timing, now: Instant) -> Resolution {
        Resolution {
            kind,
            timing,
            phase: Phase::Idle { until: now },
            last_valid: now,
            is_lost: false,
            family: preferred(kind),
            addresses: Vec::new(),
            services: Vec::new(),
            to_send: None,
        }
    }

    /// Asks soon: a check of the server timed out, its address may have changed.
    pub fn hasten(&mut self, now: Instant) {
        if let Phase::Idle { until } = &mut self.phase {
            *until = (*until).min(now);
        }
    }

    /// A query is unanswered.
    pub fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::Asking { .. })
    }

    pub fn poll_timeout(&self) -> Instant {
        match self.phase {
            Phase::Idle { until } | Phase::Asking { until, .. } => until,
        }
    }

    /// The query to send to all name servers now, if one is due.
    pub fn poll_query(&mut self) -> Option<QueryType> {
        self.to_send.take()
    }

    /// Addresses known now, in the order they were first seen.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().map(|cached| cached.record)
    }

    /// Services known now.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().map(|cached| &cached.record)
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Option<Event> {
        if now < self.poll_timeout() {
            return None;
        }
        match self.phase {
            Phase::Idle { .. } => {
                self.ask(now, self.family, self.timing.retries, false);
                None
            }
            Phase::Asking { query, tries_left, fell_back, .. } if tries_left > 1 => {
                self.ask(now, query, tries_left - 1, fell_back);
                None
            }
            Phase::Asking { .. } => self.give_up(now, Failure::Timeout),
        }
    }

    /// A name server answered the query of `query`.
    pub fn handle_reply(&mut self, now: Instant, query: QueryType, reply: Reply) -> Option<Event> {
        let Phase::Asking { query: asked, tries_left, pending, fell_back, until } = self.phase else {
            return None;
        };
        if asked != query {
            return None;
        }
        let failure = match reply {
            Reply::Addresses(addresses) => {
                refresh(&mut self.addresses, addresses, now, self.timing.hold.obsolete);
                return Some(self.succeed(now, query));
            }
            Reply::Services(services) => {
                refresh(&mut self.services, services, now, self.timing.hold.obsolete);
                return Some(self.succeed(now, query));
            }
            Reply::NoSuchName => Failure::NoSuchName,
            Reply::Refused => Failure::Refused,
            Reply::Empty | Reply::Truncated | Reply::OtherError => Failure::Other,
        };
        // A slow server may still know better; the last error counts.
        if pending > 1 {
            self.phase = Phase::Asking { query, until, tries_left, pending: pending - 1, fell_back };
            return None;
        }
        match other_family(query) {
            Some(other) if !fell_back => {
                self.ask(now, other, tries_left, true);
                None
            }
            Some(_) | None => self.give_up(now, failure),
        }
    }

    fn ask(&mut self, now: Instant, query: QueryType, tries_left: u32, fell_back: bool) {
        self.phase = Phase::Asking {
            query,
            until: now + self.timing.retry,
            tries_left,
            pending: self.timing.nameservers.max(1),
            fell_back,
        };
        self.to_send = Some(query);
    }

    fn succeed(&mut self, now: Instant, query: QueryType) -> Event {
        self.last_valid = now;
        self.is_lost = false;
        self.family = query;
        self.phase = Phase::Idle { until: now + self.timing.resolve };
        Event::Answered
    }

    fn give_up(&mut self, now: Instant, failure: Failure) -> Option<Event> {
        self.phase = Phase::Idle { until: now + self.timing.resolve };
        self.family = preferred(self.kind);
        let held = now.saturating_duration_since(self.last_valid) <= failure.hold(&self.timing.hold);
        if self.is_lost || (held && self.knows_something()) {
            return None;
        }
        self.is_lost = true;
        self.addresses.clear();
        self.services.clear();
        Some(Event::Lost(failure))
    }

    fn knows_something(&self) -> bool {
        !self.addresses.is_empty() || !self.services.is_empty()
    }
}

fn preferred(kind: Kind) -> QueryType {
    match kind {
        Kind::Address { prefer_ipv6: true } => QueryType::Aaaa,
        Kind::Address { prefer_ipv6: false } => QueryType::A,
        Kind::Service => QueryType::Srv,
    }
}

fn other_family(query: QueryType) -> Option<QueryType> {
    match query {
        QueryType::A => Some(QueryType::Aaaa),
        QueryType::Aaaa => Some(QueryType::A),
        QueryType::Srv => None,
    }
}

// A name server need not give all records each time: one counts until it has been missing for `obsolete`.
fn refresh<T: PartialEq>(known: &mut Vec<Cached<T>>, records: Vec<T>, now: Instant, obsolete: Duration) {
    let mut left = records;
    for cached in known.iter_mut() {
        if let Some(at) = left.iter().position(|record| *record == cached.record) {
            left.remove(at);
            cached.seen = now;
        }
    }
    known.retain(|cached| cached.seen == now || now.saturating_duration_since(cached.seen) < obsolete);
    for record in left {
        if known.len() < RECORDS_MAX && !known.iter().any(|cached| cached.record == record) {
            known.push(Cached { record, seen: now });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn timing(nameservers: usize) -> Timing {
        let hold = Hold { nx: ms(500), timeout: ms(500), obsolete: ms(400), ..Hold::default() };
        Timing { resolve: ms(300), retry: ms(150), retries: 3, hold, nameservers }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn addresses(list: &[&str]) -> Reply {
        Reply::Addresses(list.iter().map(|text| ip(text)).collect())
    }

    fn known(resolution: &Resolution) -> Vec<String> {
        resolution.addresses().map(|address| address.to_string()).collect()
    }

    fn answered(reply: Reply) -> (Resolution, Instant) {
        let now = Instant::now();
        let mut resolution = Resolution::new(Kind::Address { prefer_ipv6: false }, timing(1), now);
        assert_eq!(resolution.handle_timeout(now), None);
        assert_eq!(resolution.poll_query(), Some(QueryType::A));
        assert_eq!(resolution.handle_reply(now, QueryType::A, reply), Some(Event::Answered));
        (resolution, now)
    }

    #[test]
    fn an_answer_is_asked_for_again_after_timeout_resolve() {
        let (mut resolution, now) = answered(addresses(&["127.0.0.1"]));
        assert_eq!(resolution.poll_timeout(), now + ms(300));
        assert_eq!(resolution.handle_timeout(now + ms(299)), None);
        assert_eq!(resolution.poll_query(), None);
        resolution.handle_timeout(now + ms(300));
        assert_eq!(resolution.poll_query(), Some(QueryType::A));
    }

    #[test]
    fn the_other_family_is_asked_before_a_name_is_lost() {
        let (mut resolution, now) = answered(addresses(&["127.0.0.1"]));
        let at = now + ms(300);
        resolution.handle_timeout(at);
        resolution.poll_query();
        assert_eq!(resolution.handle_reply(at, QueryType::A, Reply::NoSuchName), None);
        assert_eq!(resolution.poll_query(), Some(QueryType::Aaaa));
        assert_eq!(resolution.handle_reply(at, QueryType::Aaaa, Reply::NoSuchName), None, "held for 500 ms");
        assert_eq!(known(&resolution), ["127.0.0.1"]);
        let later = now + ms(600);
        resolution.handle_timeout(later);
        resolution.handle_reply(later, QueryType::A, Reply::NoSuchName);
        assert_eq!(
            resolution.handle_reply(later, QueryType::Aaaa, Reply::NoSuchName),
            Some(Event::Lost(Failure::NoSuchName))
        );
        assert!(known(&resolution).is_empty());
    }

    #[test]
    fn silence_is_given_three_tries() {
        let now = Instant::now();
        let mut resolution = Resolution::new(Kind::Service, timing(1), now);
        let mut sent = 0;
        let mut at = now;
        let mut event = None;
        for _ in 0..4 {
            event = resolution.handle_timeout(at);
            sent += usize::from(resolution.poll_query().is_some());
            at = resolution.poll_timeout();
        }
        assert_eq!((sent, event), (3, Some(Event::Lost(Failure::Timeout))));
    }

    #[test]
    fn one_good_name_server_is_enough() {
        let now = Instant::now();
        let mut resolution = Resolution::new(Kind::Address { prefer_ipv6: false }, timing(2), now);
        resolution.handle_timeout(now);
        assert_eq!(resolution.handle_reply(now, QueryType::A, Reply::Refused), None);
        assert_eq!(
            resolution.handle_reply(now, QueryType::A, addresses(&["127.0.0.1"])),
            Some(Event::Answered)
        );
        assert_eq!(resolution.handle_reply(now, QueryType::A, Reply::Refused), None, "too late to matter");
    }

    #[test]
    fn an_address_counts_until_it_has_been_missing_for_hold_obsolete() {
        let (mut resolution, now) = answered(addresses(&["127.0.0.1"]));
        resolution.handle_timeout(now + ms(300));
        resolution.handle_reply(now + ms(300), QueryType::A, addresses(&["127.0.0.2"]));
        assert_eq!(known(&resolution), ["127.0.0.1", "127.0.0.2"]);
        resolution.handle_timeout(now + ms(600));
        resolution.handle_reply(now + ms(600), QueryType::A, addresses(&["127.0.0.2"]));
        assert_eq!(known(&resolution), ["127.0.0.2"]);
    }
}
