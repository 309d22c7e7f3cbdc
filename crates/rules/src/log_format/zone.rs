//! Local time: the offset from GMT at any moment, read from the bytes of a TZif file (RFC 9636) or a POSIX `TZ` rule.
//! Owns the parsing; the caller reads `/etc/localtime` and the environment.

use super::date::{civil_from_days, days_from_civil};

/// Most transitions that a file may have; the largest real ones have about 240.
const TRANSITIONS_MAX: usize = 4096;
const HEADER_LEN: usize = 44;

/// Offsets from GMT over time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Zone {
    /// From that second on, that many seconds east of GMT; ascending.
    transitions: Vec<(i64, i32)>,
    /// Before the first transition.
    first: i32,
    /// After the last one.
    rule: Option<Rule>,
}

/// `CET-1CEST,M3.5.0,M10.5.0/3`: seconds east, and summer time if there is any.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    standard: i32,
    summer: Option<Summer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Summer {
    offset: i32,
    start: Day,
    end: Day,
}

/// A day of the year and seconds from its midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day {
    kind: DayKind,
    seconds: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayKind {
    /// `Mm.w.d`: the w-th (5: last) weekday d (0: Sunday) of month m.
    Weekday { month: u32, week: u32, weekday: u32 },
    /// `Jn`: 1..=365, February 29 never counted.
    Julian(u32),
    /// `n`: 0..=365, February 29 counted.
    Zero(u32),
}

impl Zone {
    /// GMT.
    pub fn utc() -> Zone {
        Zone::default()
    }

    /// Reads a TZif file; `None`: it is not one.
    pub fn from_tzif(bytes: &[u8]) -> Option<Zone> {
        let header = Header::read(bytes)?;
        if header.version == 0 {
            return header.read_data(bytes, HEADER_LEN, 4);
        }
        let second = HEADER_LEN + header.data_len(4);
        let header = Header::read(bytes.get(second..)?)?;
        let mut zone = header.read_data(bytes, second + HEADER_LEN, 8)?;
        let footer = bytes.get(second + HEADER_LEN + header.data_len(8)..)?;
        let text = footer.strip_prefix(b"\n").and_then(|rest| rest.split(|&byte| byte == b'\n').next());
        zone.rule = text.and_then(|text| Rule::parse(std::str::from_utf8(text).ok()?));
        Some(zone)
    }

    /// Reads a rule as in `TZ=CET-1CEST,M3.5.0,M10.5.0/3`; `None`: it is not one.
    pub fn from_posix(text: &str) -> Option<Zone> {
        let rule = Rule::parse(text)?;
        Some(Zone { transitions: Vec::new(), first: rule.standard, rule: Some(rule) })
    }

    /// Seconds east of GMT at a moment, in seconds since the epoch.
    pub fn offset(&self, second: i64) -> i32 {
        let after = self.transitions.partition_point(|&(from, _)| from <= second);
        match (&self.rule, after) {
            (Some(rule), after) if after == self.transitions.len() => rule.offset(second),
            (_, 0) => self.first,
            (_, after) => self.transitions[after - 1].1,
        }
    }
}

struct Header {
    version: u8,
    /// isutc, isstd, leap seconds, transitions, types, characters.
    counts: [usize; 6],
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        let header = bytes.get(..HEADER_LEN)?;
        if !header.starts_with(b"TZif") {
            return None;
        }
        let mut counts = [0; 6];
        for (index, count) in counts.iter_mut().enumerate() {
            *count = u32::from_be_bytes(header[20 + 4 * index..][..4].try_into().ok()?) as usize;
            if *count > TRANSITIONS_MAX {
                return None;
            }
        }
        Some(Header { version: header[4], counts })
    }

    fn data_len(&self, time_len: usize) -> usize {
        let [is_utc, is_standard, leaps, times, types, characters] = self.counts;
        times * (time_len + 1) + types * 6 + characters + leaps * (time_len + 4) + is_standard + is_utc
    }

    fn read_data(&self, bytes: &[u8], start: usize, time_len: usize) -> Option<Zone> {
        let [_, _, _, times, types, _] = self.counts;
        let data = bytes.get(start..start + self.data_len(time_len))?;
        let (time_bytes, rest) = data.split_at(times * time_len);
        let (indices, rest) = rest.split_at(times);
        let offset_of = |index: usize| -> Option<i32> {
            if index >= types {
                return None;
            }
            Some(i32::from_be_bytes(rest.get(index * 6..index * 6 + 4)?.try_into().ok()?))
        };
        let mut transitions = Vec::with_capacity(times);
        for (time, &index) in time_bytes.chunks_exact(time_len).zip(indices) {
            let at = match time_len {
                4 => i64::from(i32::from_be_bytes(time.try_into().ok()?)),
                _ => i64::from_be_bytes(time.try_into().ok()?),
            };
            transitions.push((at, offset_of(usize::from(index))?));
        }
        Some(Zone { transitions, first: offset_of(0)?, rule: None })
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let rest = skip_name(text)?;
        let (west, rest) = parse_hms(rest)?;
        let standard = -west;
        if rest.is_empty() {
            return Some(Rule { standard, summer: None });
        }
        let rest = skip_name(rest)?;
        let (offset, rest) = match rest.starts_with(',') || rest.is_empty() {
            true => (standard + 3600, rest),
            false => parse_hms(rest).map(|(west, rest)| (-west, rest))?,
        };
        let (start, end) = match rest.strip_prefix(',') {
            Some(days) => days.split_once(',')?,
            // POSIX leaves the default open; these are the rules of the United States.
            None => ("M3.2.0", "M11.1.0"),
        };
        Some(Rule {
            standard,
            summer: Some(Summer { offset, start: Day::parse(start)?, end: Day::parse(end)? }),
        })
    }

    fn offset(&self, second: i64) -> i32 {
        let Some(summer) = &self.summer else { return self.standard };
        let (year, _, _) = civil_from_days((second + i64::from(self.standard)).div_euclid(86_400));
        let start = summer.start.second(year) - i64::from(self.standard);
        let end = summer.end.second(year) - i64::from(summer.offset);
        let in_summer = match start <= end {
            true => (start..end).contains(&second),
            // South of the equator summer spans the new year.
            false => !(end..start).contains(&second),
        };
        if in_summer { summer.offset } else { self.standard }
    }
}

impl Day {
    fn parse(text: &str) -> Option<Day> {
        let (day, seconds) = match text.split_once('/') {
            Some((day, time)) => (day, parse_hms(time).filter(|(_, rest)| rest.is_empty())?.0),
            None => (text, 7200),
        };
        let kind = if let Some(rest) = day.strip_prefix('M') {
            let mut parts = rest.split('.').map(|part| part.parse::<u32>().ok());
            let (month, week, weekday) = (parts.next()??, parts.next()??, parts.next()??);
            if !(1..=12).contains(&month) || !(1..=5).contains(&week) || weekday > 6 {
                return None;
            }
            DayKind::Weekday { month, week, weekday }
        } else if let Some(rest) = day.strip_prefix('J') {
            DayKind::Julian(rest.parse().ok().filter(|day| (1..=365).contains(day))?)
        } else {
            DayKind::Zero(day.parse().ok().filter(|day| *day <= 365)?)
        };
        Some(Day { kind, seconds })
    }

    /// Seconds since the epoch as if local time were GMT.
    fn second(&self, year: i64) -> i64 {
        let days = match self.kind {
            DayKind::Weekday { month, week, weekday } => {
                let first = days_from_civil(year, month, 1);
                // 1970-01-01 was a Thursday.
                let first_weekday = (first + 4).rem_euclid(7);
                let mut day =
                    first + (i64::from(weekday) - first_weekday).rem_euclid(7) + 7 * i64::from(week - 1);
                let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                while day >= days_from_civil(next_year, next_month, 1) {
                    day -= 7;
                }
                day
            }
            DayKind::Julian(day) => {
                let is_leap = days_from_civil(year + 1, 1, 1) - days_from_civil(year, 1, 1) == 366;
                days_from_civil(year, 1, 1) + i64::from(day) - 1 + i64::from(is_leap && day >= 60)
            }
            DayKind::Zero(day) => days_from_civil(year, 1, 1) + i64::from(day),
        };
        days * 86_400 + i64::from(self.seconds)
    }
}

fn skip_name(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('<') {
        return rest.split_once('>').map(|(_, rest)| rest);
    }
    let len = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    (len >= 3).then(|| &text[len..])
}

/// `[+-]h[h][h][:mm[:ss]]` in seconds, and what follows.
fn parse_hms(text: &str) -> Option<(i32, &str)> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let mut total = 0;
    for (index, unit) in [3600, 60, 1].into_iter().enumerate() {
        if index > 0 {
            match rest.strip_prefix(':') {
                Some(after) => rest = after,
                None => break,
            }
        }
        let len = rest.bytes().take_while(u8::is_ascii_digit).count();
        if len == 0 || len > 3 {
            return None;
        }
        total += rest[..len].parse::<i32>().ok()? * unit;
        rest = &rest[len..];
    }
    Some((sign * total, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summer_time_follows_the_rule() {
        let berlin = Zone::from_posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("valid");
        // 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC.
        assert_eq!(berlin.offset(1_774_745_999), 3600);
        assert_eq!(berlin.offset(1_774_746_000), 7200);
        assert_eq!(berlin.offset(1_792_889_999), 7200);
        assert_eq!(berlin.offset(1_792_890_000), 3600);
        let sydney = Zone::from_posix("AEST-10AEDT,M10.1.0,M4.1.0/3").expect("valid");
        assert_eq!(sydney.offset(1_767_225_600), 39_600);
        assert_eq!(sydney.offset(1_782_864_000), 36_000);
        assert_eq!(Zone::from_posix("<-03>3").expect("valid").offset(0), -10_800);
    }

    #[test]
    fn files_that_are_none_are_refused() {
        assert_eq!(Zone::from_tzif(b""), None);
        assert_eq!(Zone::from_tzif(b"TZif2\0\0\0"), None);
        let mut huge = b"TZif2".to_vec();
        huge.extend_from_slice(&[0; 15]);
        huge.extend_from_slice(&[0xff; 24]);
        assert_eq!(Zone::from_tzif(&huge), None);
    }

    #[test]
    fn a_file_gives_its_transitions_and_then_its_rule() {
        let mut file = b"TZif2".to_vec();
        file.extend_from_slice(&[0; 39]);
        file.extend_from_slice(b"TZif2");
        file.extend_from_slice(&[0; 15]);
        for count in [0u32, 0, 0, 1, 2, 4] {
            file.extend_from_slice(&count.to_be_bytes());
        }
        file.extend_from_slice(&1000i64.to_be_bytes());
        file.push(1);
        for (offset, is_summer) in [(600i32, 0u8), (3600, 0)] {
            file.extend_from_slice(&offset.to_be_bytes());
            file.extend_from_slice(&[is_summer, 0]);
        }
        file.extend_from_slice(b"CET\0\nCET-1\n");
        let zone = Zone::from_tzif(&file).expect("valid");
        assert_eq!(zone.offset(999), 600);
        assert_eq!(zone.offset(1000), 3600);
    }
}
