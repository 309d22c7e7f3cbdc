//! `cpu-map`: which threads run on which CPUs.

use crate::language::Word;
use crate::model::CpuMap;
use crate::parse::{Arguments, Outcome, fail};

/// Highest thread and CPU number that is understood.
const NUMBER_MAX: u32 = 4096;

/// One line, before it is known how many threads there are.
#[derive(Debug, Clone)]
pub(crate) struct CpuMapLine {
    /// `auto:`: the first thread gets the first CPU, and so on.
    automatic: bool,
    /// The first set: thread groups (processes, in old configurations). `None`: all.
    groups: Option<Vec<u32>>,
    /// The set behind `/`, if any.
    threads: Option<Vec<u32>>,
    cpus: Vec<u32>,
}

pub(crate) fn parse(arguments: &mut Arguments<'_>) -> Outcome<CpuMapLine> {
    let word = arguments.expect("a set of threads, such as 1/1-4 or auto:1/1-4")?;
    let (automatic, text) = match word.value.strip_prefix("auto:") {
        Some(rest) => (true, rest),
        None => (false, word.value.as_str()),
    };
    let (groups, threads) = match text.split_once('/') {
        Some((groups, threads)) => (groups, Some(threads)),
        None => (text, None),
    };
    let groups = set(groups, word)?;
    let threads = threads.map(|threads| set(threads, word)).transpose()?.flatten();
    arguments_needed(arguments)?;
    let mut cpus = Vec::new();
    for word in arguments.rest() {
        for part in word.value.split(',') {
            match range(part) {
                Some((low, high)) => cpus.extend(low..=high),
                None => return fail(word.span, format!("`{part}` is no CPU number or range")),
            }
        }
    }
    let line = CpuMapLine { automatic, groups, threads, cpus };
    if automatic {
        let members = line.threads.as_ref().or(line.groups.as_ref()).map_or(line.cpus.len(), Vec::len);
        if members != line.cpus.len() {
            return fail(word.span, "`auto:` needs as many CPUs as threads");
        }
    }
    Ok(line)
}

fn arguments_needed(arguments: &Arguments<'_>) -> Outcome {
    arguments.clone().expect("CPU numbers").map(drop)
}

/// `all`, `odd`, `even`, `3` or `1-4`; `None` is all.
fn set(text: &str, word: &Word) -> Outcome<Option<Vec<u32>>> {
    match text {
        "all" => Ok(None),
        "odd" => Ok(Some((1..=64).step_by(2).collect())),
        "even" => Ok(Some((2..=64).step_by(2).collect())),
        _ => match range(text) {
            Some((low, high)) if low >= 1 => Ok(Some((low..=high).collect())),
            _ => fail(word.span, format!("`{text}` is no set of threads: expected all, odd, even, 3 or 1-4")),
        },
    }
}

fn range(text: &str) -> Option<(u32, u32)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high): (u32, u32) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high && high <= NUMBER_MAX).then_some((low, high))
}

impl CpuMapLine {
    /// One entry for each thread. `per_process`: the first set numbers processes of an old configuration, which
    /// became threads.
    pub fn expand(&self, per_process: bool, threads: Option<u32>) -> Vec<CpuMap> {
        let chosen: Vec<u32> = match (&self.threads, &self.groups) {
            (Some(threads), _) => threads.clone(),
            (None, Some(processes)) if per_process => processes.clone(),
            // One group holds all threads.
            (None, Some(groups)) if !groups.contains(&1) => Vec::new(),
            (None, _) => (1..=threads.unwrap_or(self.cpus.len() as u32).min(NUMBER_MAX)).collect(),
        };
        chosen
            .iter()
            .enumerate()
            .filter_map(|(position, thread)| {
                let cpus = if self.automatic { vec![*self.cpus.get(position)?] } else { self.cpus.clone() };
                Some(CpuMap { thread: thread - 1, cpus })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Line;
    use diag::{FileId, Span};

    fn parse_text(text: &str) -> Outcome<CpuMapLine> {
        let span = Span { file: FileId(0), start: 0, end: 1 };
        let words = text.split(' ').map(|word| Word::new(word.into(), span)).collect();
        parse(&mut Arguments::new(&Line { words, span }))
    }

    #[test]
    fn automatic_maps_pair_threads_and_cpus() {
        // row: 56
        let maps = parse_text("cpu-map auto:1/1-4 0-3").unwrap().expand(false, None);
        assert_eq!(maps.len(), 4);
        assert_eq!(maps[3], CpuMap { thread: 3, cpus: vec![3] });
        assert!(parse_text("cpu-map auto:1/1-4 0-2").is_err());
    }

    #[test]
    fn old_process_maps_become_threads() {
        // row: 55
        let maps = parse_text("cpu-map 2 1").unwrap().expand(true, Some(4));
        assert_eq!(maps, [CpuMap { thread: 1, cpus: vec![1] }]);
    }

    #[test]
    fn a_group_is_all_threads() {
        let maps = parse_text("cpu-map 1 0-1").unwrap().expand(false, Some(2));
        assert_eq!(maps, [CpuMap { thread: 0, cpus: vec![0, 1] }, CpuMap { thread: 1, cpus: vec![0, 1] }]);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["cpu-map", "cpu-map 1", "cpu-map x 1", "cpu-map 1 x", "cpu-map 1 9999999", "cpu-map 0 1"]
        {
            assert!(parse_text(text).is_err(), "{text}");
        }
    }
}
