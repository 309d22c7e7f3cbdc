//! HTTP dates (RFC 9110 §5.6.7): writing the IMF form, reading all three. Owns the calendar; the time comes in.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY: u64 = 86_400;

/// Length of an IMF date: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const LEN: usize = 29;

/// Latest time written, in seconds since 1970: 9999-12-31 23:59:59. Later ones are written as this.
pub const TIME_MAX: u64 = 253_402_300_799;

/// Year, month (1–12) and day (1–31) of a day counted from 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that leap days end a year (the usual era arithmetic of 400 years = 146,097 days).
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day_of_month)
}

/// Days from 1970-01-01 to a date; None before it.
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

/// The IMF form of a time in seconds since 1970.
pub fn format(unix_time: u64) -> [u8; LEN] {
    let time = unix_time.min(TIME_MAX);
    let (days, seconds) = (time / DAY, time % DAY);
    let (year, month, day) = civil(days);
    let mut out = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let two = |number: u64| [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
    out[..3].copy_from_slice(DAYS[(days % 7) as usize].as_bytes());
    out[5..7].copy_from_slice(&two(day));
    out[8..11].copy_from_slice(MONTHS[month as usize - 1].as_bytes());
    out[12..14].copy_from_slice(&two(year / 100));
    out[14..16].copy_from_slice(&two(year % 100));
    out[17..19].copy_from_slice(&two(seconds / 3600));
    out[20..22].copy_from_slice(&two(seconds / 60 % 60));
    out[23..25].copy_from_slice(&two(seconds % 60));
    out
}

/// The IMF form of the current second, made once a second.
#[derive(Clone, Debug)]
pub struct DateCache {
    time: u64,
    text: [u8; LEN],
}

impl Default for DateCache {
    fn default() -> DateCache {
        DateCache { time: 0, text: format(0) }
    }
}

impl DateCache {
    /// The text of `unix_time` (seconds since 1970).
    pub fn get(&mut self, unix_time: u64) -> &[u8; LEN] {
        if self.time != unix_time {
            (self.time, self.text) = (unix_time, format(unix_time));
        }
        &self.text
    }
}

/// Seconds since 1970 of a date in any of the three forms; None when it is none of them or before 1970.
/// Two-digit years (RFC 850) below 70 are in this century.
pub fn parse(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let (day_name, rest) = text.split_once([',', ' '])?;
    if !DAYS.iter().any(|known| day_name.starts_with(known)) {
        return None;
    }
    let mut words = rest.split([' ', '-']).filter(|word| !word.is_empty());
    let first = words.next()?;
    let (day, month, year, clock) = if first.as_bytes()[0].is_ascii_digit() {
        let (month, year, clock) = (words.next()?, words.next()?, words.next()?);
        if words.next()? != "GMT" {
            return None;
        }
        (first, month, year, clock)
    } else {
        // asctime: `Sun Nov  6 08:49:37 1994`
        let (day, clock, year) = (words.next()?, words.next()?, words.next()?);
        (day, first, year, clock)
    };
    if words.next().is_some() {
        return None;
    }
    let number = |word: &str, max: u64| {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        word.parse().ok().filter(|&number: &u64| digits && number <= max)
    };
    let month = MONTHS.iter().position(|known| *known == month)? as u64 + 1;
    let year = match (year.len(), number(year, 9999)?) {
        (2, short) if short < 70 => short + 2000,
        (2, short) => short + 1900,
        (_, full) => full,
    };
    let day = number(day, 31).filter(|&day| day > 0)?;
    let mut clock = clock.split(':');
    let (hour, minute) = (number(clock.next()?, 23)?, number(clock.next()?, 59)?);
    let second = number(clock.next()?, 60)?;
    let whole = clock.next().is_none();
    let days = days_of(year, month, day)?;
    (whole && civil(days) == (year, month, day)).then_some(days * DAY + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_read_in_three_forms_and_written_in_one() {
        let time = 784_111_777;
        assert_eq!(&format(time), b"Sun, 06 Nov 1994 08:49:37 GMT");
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(parse(text.as_bytes()), Some(time), "{text}");
        }
    }

    #[test]
    fn every_day_of_two_centuries_survives_the_round_trip() {
        for day in 0..73_000 {
            let time = day * DAY + day % DAY;
            assert_eq!(parse(&format(time)), Some(time), "day {day}");
        }
        assert_eq!(&format(951_782_400), b"Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(&format(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "Sun",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 06 Nov 1960 08:49:37 GMT",
            "Xxx, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, +6 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_cache_follows_the_second() {
        let mut cache = DateCache::default();
        assert_eq!(cache.get(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(cache.get(1), b"Thu, 01 Jan 1970 00:00:01 GMT");
        assert_eq!(cache.get(1), b"Thu, 01 Jan 1970 00:00:01 GMT");
    }
}
