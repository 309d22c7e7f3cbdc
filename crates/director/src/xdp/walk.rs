//! Goes through the flows again and again, some at a time: forgets those that were silent too long, keeps clients of
//! persistent services with their real servers, and corrects the counts of connections where the kernel forgot flows
//! of a full table by itself.

use super::object::Maps;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use sys::bpf::{Cursor, Map};
use xdp_abi::state::{self, ESTABLISHED};
use xdp_abi::{Address, Flow, FlowKey, Load, Real, Template, TemplateKey, direction, elapsed, maps, ticks};

/// Entries of one look; a bucket of the kernel's tables must fit.
const ENTRIES_MAX: u32 = 4096;
/// Rounds that an excess must last before it is corrected.
const ROUNDS: usize = 3;

/// What the walk goes by.
#[derive(Debug, Default)]
pub struct Rules {
    /// Ticks of silence, by state.
    pub timeouts: [u32; state::COUNT],
    /// Of real servers in use: their record, and the persistence of their service in seconds.
    pub reals: BTreeMap<u32, (Real, u32, [u32; 4])>,
}

/// Connections of a real server, as found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Found {
    active: u32,
    inactive: u32,
    expired: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Flows4,
    Flows6,
    Templates,
}

/// The walk, wherever it is.
#[derive(Debug)]
pub struct Walk {
    stage: Stage,
    cursor: Cursor,
    found: BTreeMap<u32, Found>,
    /// What the programs had counted when this round began.
    counted: BTreeMap<u32, u32>,
    /// By real server: connections too many in the last rounds.
    excess: BTreeMap<u32, [u32; ROUNDS]>,
    templates: BTreeMap<u32, u32>,
    /// Of the last whole round.
    persistent: BTreeMap<u32, u32>,
    rounds: usize,
    numbers: BTreeSet<u32>,
}

/// What a whole round found.
#[derive(Debug, Default)]
pub struct Round {
    /// Numbers that some flow or client still has.
    pub numbers: BTreeSet<u32>,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            stage: Stage::Flows4,
            cursor: Cursor::default(),
            found: BTreeMap::new(),
            counted: BTreeMap::new(),
            excess: BTreeMap::new(),
            templates: BTreeMap::new(),
            persistent: BTreeMap::new(),
            rounds: 0,
            numbers: BTreeSet::new(),
        }
    }
}

/// A flow that was removed.
struct Gone {
    real: u32,
    state: u8,
}

/// Removes a flow that is as old as it was found, with its answers.
fn expire<A: Address>(
    maps: &Maps,
    rules: &Rules,
    name: &'static str,
    key: &[u8],
    now: u32,
) -> io::Result<Option<Gone>> {
    let map = maps.get(name);
    // Again: a packet may have come meanwhile.
    let there = map.get(key)?.and_then(|bytes| Flow::<A>::read(&bytes));
    if !there.is_some_and(|flow| is_old(&flow, rules, now)) {
        return Ok(None);
    }
    let Some(taken) = map.take(key)? else { return Ok(None) };
    let (Some(flow), Some(key)) = (Flow::<A>::read(&taken), FlowKey::<A>::read(key)) else { return Ok(None) };
    if flow.direction == direction::ANSWER {
        return Ok(None);
    }
    if let Some((real, ..)) = rules.reals.get(&flow.real) {
        let answer = FlowKey {
            source: A::narrow(real.address),
            destination: key.source,
            source_port: if real.port == 0 { key.destination_port } else { real.port },
            destination_port: key.source_port,
            protocol: key.protocol,
        };
        let mut bytes = [0; 40];
        answer.write(&mut bytes);
        map.remove(&bytes[..FlowKey::<A>::LENGTH])?;
    }
    Ok(Some(Gone { real: flow.real, state: flow.state }))
}

/// Of an answer: as old as any flow gets.
fn is_old<A>(flow: &Flow<A>, rules: &Rules, now: u32) -> bool {
    let limit = if flow.direction == direction::ANSWER {
        rules.timeouts.iter().copied().max().unwrap_or(0)
    } else {
        rules.timeouts.get(usize::from(flow.state)).copied().unwrap_or(0)
    };
    elapsed(now, flow.seen) > limit
}

pub(super) fn add(map: &Map, number: u32, change: impl FnOnce(&mut Load)) -> io::Result<()> {
    let key = number.to_ne_bytes();
    let Some(mut load) = map.get(&key)?.and_then(|bytes| Load::read(&bytes)) else { return Ok(()) };
    change(&mut load);
    map.set(&key, &load.bytes())
}

impl Walk {
    /// Clients that persistent services remember for a real server.
    pub fn persistent(&self, number: u32) -> u32 {
        self.persistent.get(&number).copied().unwrap_or(0)
    }

    /// Goes on for one look. Returns what a round found when it ends.
    ///
    /// # Errors
    /// A map cannot be read or written.
    pub fn go_on(&mut self, maps: &Maps, rules: &Rules, now: u32) -> io::Result<Option<Round>> {
        if self.stage == Stage::Flows4 && self.cursor == Cursor::default() {
            self.begin(maps, rules)?;
        }
        let is_more = match self.stage {
            Stage::Flows4 => self.flows::<u32>(maps, maps::FLOWS_4, rules, now)?,
            Stage::Flows6 => self.flows::<[u32; 4]>(maps, maps::FLOWS_6, rules, now)?,
            Stage::Templates => self.templates(maps, rules, now)?,
        };
        if is_more {
            return Ok(None);
        }
        self.cursor = Cursor::default();
        self.stage = match self.stage {
            Stage::Flows4 => Stage::Flows6,
            Stage::Flows6 => Stage::Templates,
            Stage::Templates => {
                self.stage = Stage::Flows4;
                return self.end(maps, rules).map(Some);
            }
        };
        Ok(None)
    }

    fn begin(&mut self, maps: &Maps, rules: &Rules) -> io::Result<()> {
        self.found.clear();
        self.templates.clear();
        self.numbers.clear();
        self.counted.clear();
        for number in rules.reals.keys() {
            let (active, inactive) = connections(maps, *number)?;
            self.counted.insert(*number, active + inactive);
        }
        Ok(())
    }

    fn flows<A: Address>(
        &mut self,
        maps: &Maps,
        name: &'static str,
        rules: &Rules,
        now: u32,
    ) -> io::Result<bool> {
        let mut old = Vec::new();
        let mut refreshed: BTreeMap<TemplateKey, Template> = BTreeMap::new();
        let (found, numbers) = (&mut self.found, &mut self.numbers);
        let is_more = maps.get(name).walk(&mut self.cursor, ENTRIES_MAX, |key, value| {
            let Some(flow) = Flow::<A>::read(value) else { return };
            numbers.insert(flow.real);
            if is_old(&flow, rules, now) {
                old.push(key.to_vec());
            } else if flow.direction == direction::REQUEST {
                let place = found.entry(flow.real).or_default();
                if flow.state == ESTABLISHED {
                    place.active += 1
                } else {
                    place.inactive += 1
                }
                if let Some((real, persistence, netmask)) = rules.reals.get(&flow.real)
                    && *persistence > 0
                {
                    let mut address = A::read(key).wide();
                    address.iter_mut().zip(netmask).for_each(|(word, mask)| *word &= mask);
                    let client = TemplateKey { address, service: real.service };
                    refreshed.insert(client, Template { real: flow.real, seen: now });
                }
            }
        })?;
        for key in old {
            let Some(gone) = expire::<A>(maps, rules, name, &key, now)? else { continue };
            self.found.entry(gone.real).or_default().expired += 1;
            add(maps.get(maps::SETTLED), gone.real, |load| {
                let count = if gone.state == ESTABLISHED { &mut load.active } else { &mut load.inactive };
                *count = count.wrapping_add(1);
            })?;
        }
        for (client, template) in refreshed {
            let map = maps.get(maps::TEMPLATES);
            let there = map.get(&client.bytes())?.and_then(|bytes| Template::read(&bytes));
            if there.is_some_and(|there| there.real == template.real) {
                map.set(&client.bytes(), &template.bytes())?;
            }
        }
        Ok(is_more)
    }

    fn templates(&mut self, maps: &Maps, rules: &Rules, now: u32) -> io::Result<bool> {
        let mut old = Vec::new();
        let (templates, numbers) = (&mut self.templates, &mut self.numbers);
        let is_more = maps.get(maps::TEMPLATES).walk(&mut self.cursor, ENTRIES_MAX, |key, value| {
            let Some(template) = Template::read(value) else { return };
            let limit = rules.reals.get(&template.real).map_or(0, |(_, persistence, _)| *persistence);
            if elapsed(now, template.seen) > ticks(limit) {
                old.push(key.to_vec());
            } else {
                numbers.insert(template.real);
                *templates.entry(template.real).or_default() += 1;
            }
        })?;
        for key in old {
            maps.get(maps::TEMPLATES).remove(&key)?;
        }
        Ok(is_more)
    }

    /// Corrects what the programs count too many: flows that the kernel forgot. New flows make it look less than it is.
    fn end(&mut self, maps: &Maps, rules: &Rules) -> io::Result<Round> {
        for number in rules.reals.keys() {
            let found = self.found.get(number).copied().unwrap_or_default();
            let there = found.active + found.inactive + found.expired;
            let excess = self.counted.get(number).copied().unwrap_or(0).saturating_sub(there);
            let last = self.excess.entry(*number).or_default();
            last[self.rounds % ROUNDS] = excess;
            let lasting = last.iter().copied().min().unwrap_or(0);
            if lasting == 0 || self.rounds + 1 < ROUNDS {
                continue;
            }
            *last = [0; ROUNDS];
            let (active, _) = connections(maps, *number)?;
            let of_active = active.saturating_sub(found.active).min(lasting);
            add(maps.get(maps::SETTLED), *number, |load| {
                load.active = load.active.wrapping_add(of_active);
                load.inactive = load.inactive.wrapping_add(lasting - of_active);
            })?;
        }
        self.excess.retain(|number, _| rules.reals.contains_key(number));
        self.rounds += 1;
        self.persistent = std::mem::take(&mut self.templates);
        Ok(Round { numbers: std::mem::take(&mut self.numbers) })
    }
}

/// Active and inactive connections of a real server.
///
/// # Errors
/// A map cannot be read.
pub fn connections(maps: &Maps, number: u32) -> io::Result<(u32, u32)> {
    let read = |name: &'static str| -> io::Result<Load> {
        let bytes = maps.get(name).get(&number.to_ne_bytes())?;
        let none = Load { active: 0, inactive: 0, overloaded: 0 };
        Ok(bytes.and_then(|bytes| Load::read(&bytes)).unwrap_or(none))
    };
    let (settled, counted) = (read(maps::SETTLED)?, read(maps::LOADS)?);
    let rest = |counted: u32, settled: u32| {
        let rest = counted.wrapping_sub(settled);
        if rest > u32::MAX / 2 { 0 } else { rest }
    };
    Ok((rest(counted.active, settled.active), rest(counted.inactive, settled.inactive)))
}
