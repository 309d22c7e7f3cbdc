//! Dates as logs print them, made once a second. Owns the calendar arithmetic and the cache; the offset of local time
//! comes from a [`Zone`].

use super::zone::Zone;
use crate::WallTime;

/// Length of `22/Nov/2026:11:27:49`.
const DATE_LEN: usize = 20;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Year, month (1..=12) and day of a day number since 1970-01-01 (proleptic Gregorian calendar).
pub(super) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // Years are counted from March, so that the leap day is the last of a year; an era is 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Days since 1970-01-01 of a date.
pub(super) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn put_two(number: u64, place: &mut [u8]) {
    place.copy_from_slice(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
}

fn render(seconds: i64) -> [u8; DATE_LEN] {
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400) as u64;
    let mut text = *b"00/Jan/0000:00:00:00";
    put_two(u64::from(day), &mut text[0..2]);
    text[3..6].copy_from_slice(MONTHS[month as usize - 1]);
    let year = year.clamp(0, 9999) as u64;
    put_two(year / 100, &mut text[7..9]);
    put_two(year % 100, &mut text[9..11]);
    put_two(time / 3600, &mut text[12..14]);
    put_two(time / 60 % 60, &mut text[15..17]);
    put_two(time % 60, &mut text[18..20]);
    text
}

/// A date as mails have it (RFC 5322 §3.3), in local time: `Mon, 23 Nov 2026 00:21:42 +0000 (UTC)`. The zone has a name
/// only where it is UTC.
pub fn internet_date(wall: WallTime, zone: &Zone) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let second = wall.0.as_secs() as i64;
    let offset = zone.offset(second);
    let local = second + i64::from(offset);
    let weekday = WEEKDAYS[local.div_euclid(86_400).rem_euclid(7) as usize];
    let text = render(local);
    let part = |range: std::ops::Range<usize>| String::from_utf8_lossy(&text[range]).into_owned();
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs() / 60;
    let name = if offset == 0 { " (UTC)" } else { "" };
    format!(
        "{weekday}, {} {} {} {} {sign}{:02}{:02}{name}",
        part(0..2),
        part(3..6),
        part(7..11),
        part(12..20),
        minutes / 60,
        minutes % 60
    )
}

/// One rendered second.
#[derive(Debug, Clone)]
struct Second {
    second: i64,
    date: [u8; DATE_LEN],
    /// `+0100`.
    offset: [u8; 5],
}

/// The latest second in GMT and in local time: kept by each thread, so that a line costs a comparison.
#[derive(Debug, Clone)]
pub struct DateCache {
    zone: Zone,
    gmt: Second,
    local: Second,
}

impl DateCache {
    /// A cache for dates in `zone`.
    pub fn new(zone: Zone) -> DateCache {
        let empty = Second { second: i64::MIN, date: render(0), offset: *b"+0000" };
        DateCache { zone, gmt: empty.clone(), local: empty }
    }

    fn gmt(&mut self, second: i64) -> &Second {
        if self.gmt.second != second {
            self.gmt.second = second;
            self.gmt.date = render(second);
        }
        &self.gmt
    }

    fn local(&mut self, second: i64) -> &Second {
        if self.local.second != second {
            let offset = self.zone.offset(second);
            self.local.second = second;
            self.local.date = render(second + i64::from(offset));
            self.local.offset[0] = if offset < 0 { b'-' } else { b'+' };
            let minutes = u64::from(offset.unsigned_abs()) / 60;
            put_two(minutes / 60, &mut self.local.offset[1..3]);
            put_two(minutes % 60, &mut self.local.offset[3..5]);
        }
        &self.local
    }

    /// Appends `22/Nov/2026:17:49:42 +0000`.
    pub fn put_gmt(&mut self, wall: WallTime, out: &mut Vec<u8>) {
        let second = self.gmt(wall.0.as_secs() as i64);
        out.extend_from_slice(&second.date);
        out.extend_from_slice(b" +0000");
    }

    /// Appends `22/Nov/2026:18:49:42 +0100`.
    pub fn put_local(&mut self, wall: WallTime, out: &mut Vec<u8>) {
        let second = self.local(wall.0.as_secs() as i64);
        out.extend_from_slice(&second.date);
        out.push(b' ');
        out.extend_from_slice(&second.offset);
    }

    /// Appends `22/Nov/2026:18:49:42.123`, local.
    pub fn put_local_ms(&mut self, wall: WallTime, out: &mut Vec<u8>) {
        let second = self.local(wall.0.as_secs() as i64);
        out.extend_from_slice(&second.date);
        let ms = wall.0.subsec_millis();
        out.extend_from_slice(&[
            b'.',
            b'0' + (ms / 100) as u8,
            b'0' + (ms / 10 % 10) as u8,
            b'0' + (ms % 10) as u8,
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_print_as_in_haproxys_logs() {
        // row: 89
        let mut cache = DateCache::new(Zone::utc());
        let mut out = Vec::new();
        cache.put_local_ms(WallTime(Duration::from_millis(1_795_346_869_923)), &mut out);
        assert_eq!(out, b"22/Nov/2026:11:27:49.923");
        out.clear();
        cache.put_gmt(WallTime(Duration::from_secs(1_795_369_782)), &mut out);
        assert_eq!(out, b"22/Nov/2026:17:49:42 +0000");
    }

    #[test]
    fn the_calendar_is_right_both_ways() {
        for days in (-800_000..2_000_000).step_by(367) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(civil_from_days(days_from_civil(2000, 2, 29)), (2000, 2, 29));
    }
}
