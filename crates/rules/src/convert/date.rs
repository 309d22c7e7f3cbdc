//! Dates: numbers since the epoch as HTTP dates or by a format of strftime(3) in the C locale.

use super::Converter;
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::cast;
use crate::context::ParseContext;
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use std::fmt::Write as _;

const DATE: &[Param] = &[Param::Str, Param::Int];

pub(super) const ROWS: &[Converter] = &[
    Converter::new("http_date", ValueType::Int, ValueType::Str, http_date, "A date as HTTP headers have it.")
        .takes(&[Param::Int, Param::Str], 0)
        .check(check_unit),
    Converter::new("utime", ValueType::Int, ValueType::Str, utime, "A date in GMT, by a format of strftime.")
        .takes(DATE, 1),
    Converter::new(
        "ltime",
        ValueType::Int,
        ValueType::Str,
        ltime,
        "A date in local time, by a format of strftime.",
    )
    .takes(DATE, 1),
];

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment in parts of the Gregorian calendar.
struct Calendar {
    year: i64,
    /// From 0.
    month: usize,
    /// From 1.
    day: i64,
    /// Day of the year, from 0.
    year_day: i64,
    /// From Sunday, 0.
    week_day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// Seconds since the epoch, and the offset of local time that is in the parts above.
    epoch: i64,
    offset: i64,
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

impl Calendar {
    fn new(epoch: i64, offset: i64) -> Calendar {
        let local = epoch.saturating_add(offset);
        let (days, time) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        // Days counted from 1 March of year 0, so that leap days end a cycle of 400 years.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * from_march + 2) / 153;
        let day = from_march - (153 * march_month + 2) / 5 + 1;
        let month = ((march_month + 2) % 12) as usize;
        let year = era * 400 + year_of_era + i64::from(month < 2);
        const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        Calendar {
            year,
            month,
            day,
            year_day: BEFORE[month] + day - 1 + i64::from(month > 1 && is_leap(year)),
            week_day: (days + 4).rem_euclid(7),
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
            epoch,
            offset,
        }
    }

    fn hour12(&self) -> i64 {
        match self.hour % 12 {
            0 => 12,
            hour => hour,
        }
    }

    /// Year and week by ISO 8601: weeks start on Monday, week 1 has the year's first Thursday.
    fn iso_week(&self) -> (i64, i64) {
        let from_monday = (self.week_day + 6) % 7;
        let week = (self.year_day - from_monday + 10) / 7;
        let weeks_of = |year: i64| {
            let new_year = |year: i64| (year + year / 4 - year / 100 + year / 400).rem_euclid(7);
            if new_year(year) == 4 || new_year(year - 1) == 3 { 53 } else { 52 }
        };
        match week {
            0 => (self.year - 1, weeks_of(self.year - 1)),
            week if week > weeks_of(self.year) => (self.year + 1, 1),
            week => (self.year, week),
        }
    }

    /// Appends one conversion; an unknown one stays as written.
    fn put(&self, conversion: u8, out: &mut String) -> std::fmt::Result {
        let (day, month) = (DAYS[self.week_day as usize], MONTHS[self.month]);
        match conversion {
            b'a' => out.push_str(&day[..3]),
            b'A' => out.push_str(day),
            b'b' | b'h' => out.push_str(&month[..3]),
            b'B' => out.push_str(month),
            b'c' => self.format(b"%a %b %e %H:%M:%S %Y", out)?,
            b'C' => write!(out, "{:02}", self.year.div_euclid(100))?,
            b'd' => write!(out, "{:02}", self.day)?,
            b'D' | b'x' => self.format(b"%m/%d/%y", out)?,
            b'e' => write!(out, "{:2}", self.day)?,
            b'F' => self.format(b"%Y-%m-%d", out)?,
            b'g' => write!(out, "{:02}", self.iso_week().0.rem_euclid(100))?,
            b'G' => write!(out, "{}", self.iso_week().0)?,
            b'H' => write!(out, "{:02}", self.hour)?,
            b'I' => write!(out, "{:02}", self.hour12())?,
            b'j' => write!(out, "{:03}", self.year_day + 1)?,
            b'k' => write!(out, "{:2}", self.hour)?,
            b'l' => write!(out, "{:2}", self.hour12())?,
            b'm' => write!(out, "{:02}", self.month + 1)?,
            b'M' => write!(out, "{:02}", self.minute)?,
            b'n' => out.push('\n'),
            b'p' => out.push_str(if self.hour < 12 { "AM" } else { "PM" }),
            b'P' => out.push_str(if self.hour < 12 { "am" } else { "pm" }),
            b'r' => self.format(b"%I:%M:%S %p", out)?,
            b'R' => self.format(b"%H:%M", out)?,
            b's' => write!(out, "{}", self.epoch)?,
            b'S' => write!(out, "{:02}", self.second)?,
            b't' => out.push('\t'),
            b'T' | b'X' => self.format(b"%H:%M:%S", out)?,
            b'u' => write!(out, "{}", if self.week_day == 0 { 7 } else { self.week_day })?,
            b'U' => write!(out, "{:02}", (self.year_day + 7 - self.week_day) / 7)?,
            b'V' => write!(out, "{:02}", self.iso_week().1)?,
            b'w' => write!(out, "{}", self.week_day)?,
            b'W' => write!(out, "{:02}", (self.year_day + 7 - (self.week_day + 6) % 7) / 7)?,
            b'y' => write!(out, "{:02}", self.year.rem_euclid(100))?,
            b'Y' => write!(out, "{}", self.year)?,
            b'z' => {
                let (sign, minutes) = (if self.offset < 0 { '-' } else { '+' }, self.offset.abs() / 60);
                write!(out, "{sign}{:02}{:02}", minutes / 60, minutes % 60)?;
            }
            b'Z' => out.push_str("GMT"),
            b'%' => out.push('%'),
            other => {
                out.push('%');
                out.push(char::from(other));
            }
        }
        Ok(())
    }

    fn format(&self, format: &[u8], out: &mut String) -> std::fmt::Result {
        let mut rest = format.iter();
        while let Some(&byte) = rest.next() {
            match byte {
                b'%' => match rest.next() {
                    // The modifiers of alternative forms change nothing in the C locale.
                    Some(b'E' | b'O') => {
                        rest.next().map_or(Ok(()), |conversion| self.put(*conversion, out))?
                    }
                    Some(&conversion) => self.put(conversion, out)?,
                    None => out.push('%'),
                },
                other => out.push(char::from(other)),
            }
        }
        Ok(())
    }
}

fn check_unit(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    match args.text(1) {
        None | Some(b"s" | b"ms" | b"us") => Ok(()),
        Some(_) => Err("the unit must be s, ms or us".into()),
    }
}

/// HAProxy keeps 55 bits of a moment, so that no date is negative: moments before 1970 lie far ahead.
const MOMENT: i64 = (1 << 55) - 1;

/// With a unit below the second the fraction is printed too.
fn http_date<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let (unit, digits) = match args.text(1) {
        Some(b"ms") => (1000, 3),
        Some(b"us") => (1_000_000, 6),
        Some(_) | None => (1, 0),
    };
    let moment = cast::to_int(&value)?.saturating_add(args.int(0).unwrap_or(0));
    let (second, fraction) = ((moment / unit) & MOMENT, (moment % unit).abs());
    let mut out = String::new();
    Calendar::new(second, 0).format(b"%a, %d %b %Y %H:%M:%S", &mut out).ok()?;
    if digits > 0 {
        write!(out, ".{fraction:0digits$}").ok()?;
    }
    out.push_str(" GMT");
    Some(Value::string(out.into_bytes()))
}

fn formatted<'a>(value: &Value<'a>, args: &'a [Arg], offset: impl Fn(i64) -> i64) -> Option<Value<'a>> {
    let second = (cast::to_int(value)? & MOMENT).saturating_add(args.int(1).unwrap_or(0));
    let mut out = String::new();
    Calendar::new(second, offset(second)).format(args.text(0)?, &mut out).ok()?;
    Some(Value::string(out.into_bytes()))
}

fn utime<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    formatted(&value, args, |_| 0)
}

fn ltime<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    formatted(&value, args, |second| i64::from(scope.host.local_offset(second)))
}
