//! Numbers as configuration files write them: times, sizes, integers (configuration manual §2.5).

use std::time::Duration;

/// Longest time a timer can hold, in milliseconds: HAProxy's ticks are 31 bits wide.
pub const TIME_MILLISECONDS_MAX: u64 = i32::MAX as u64;

/// The unit of a time that is written without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    Milliseconds,
    Seconds,
}

/// A time such as `5000`, `5s` or `1500us`, rounded up to a millisecond.
///
/// # Errors
/// What is wrong, in words: an unknown unit, or more than [`TIME_MILLISECONDS_MAX`].
pub fn time(text: &str, unit: TimeUnit) -> Result<Duration, String> {
    let (digits, suffix) = split_number(text)?;
    let microseconds_per_unit: u128 = match (suffix, unit) {
        ("", TimeUnit::Milliseconds) | ("ms", _) => 1_000,
        ("", TimeUnit::Seconds) | ("s", _) => 1_000_000,
        ("us", _) => 1,
        ("m", _) => 60_000_000,
        ("h", _) => 3_600_000_000,
        ("d", _) => 86_400_000_000,
        (other, _) => return Err(format!("unknown time unit `{other}`: use us, ms, s, m, h or d")),
    };
    let value: u64 = digits.parse().map_err(|_| too_long(text))?;
    let milliseconds = (u128::from(value) * microseconds_per_unit).div_ceil(1_000);
    match u64::try_from(milliseconds) {
        Ok(milliseconds) if milliseconds <= TIME_MILLISECONDS_MAX => Ok(Duration::from_millis(milliseconds)),
        _ => Err(too_long(text)),
    }
}

fn too_long(text: &str) -> String {
    format!("`{text}` is too long for a timer: at most {TIME_MILLISECONDS_MAX} ms, about 24.8 days")
}

/// A size such as `200k`: k, m and g multiply by 1024 each time.
///
/// # Errors
/// What is wrong, in words.
pub fn size(text: &str) -> Result<u64, String> {
    let (digits, suffix) = split_number(text)?;
    let shift = match suffix {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        other => return Err(format!("unknown size unit `{other}`: use k, m or g")),
    };
    let value: u64 = digits.parse().map_err(|_| format!("`{text}` is too large"))?;
    value.checked_mul(1 << shift).ok_or_else(|| format!("`{text}` is too large"))
}

/// A whole number within a range.
///
/// # Errors
/// What is wrong, in words.
pub fn integer(text: &str, range: std::ops::RangeInclusive<i64>) -> Result<i64, String> {
    let value: i64 = text.parse().map_err(|_| format!("expected a number, found `{text}`"))?;
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(format!("must be {}..={}, found {value}", range.start(), range.end()))
    }
}

fn split_number(text: &str) -> Result<(&str, &str), String> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 {
        return Err(format!("expected a number, found `{text}`"));
    }
    Ok(text.split_at(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_take_units_and_default_to_milliseconds() {
        // row: 81, 86
        let ms = |text| time(text, TimeUnit::Milliseconds).map(|time| time.as_millis());
        assert_eq!(ms("5000"), Ok(5_000));
        assert_eq!(ms("120s"), Ok(120_000));
        assert_eq!(ms("1us"), Ok(1));
        assert_eq!(ms("1500us"), Ok(2));
        assert_eq!(ms("24d"), Ok(2_073_600_000));
        assert_eq!(time("30", TimeUnit::Seconds), Ok(Duration::from_secs(30)));
    }

    #[test]
    fn times_that_no_timer_holds_are_errors() {
        for text in ["25d", "24855d", "99999999999999999999", "5x", "-1", "", "s", "1s2", "1S"] {
            assert!(time(text, TimeUnit::Milliseconds).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_multiply_by_1024() {
        // row: 182
        assert_eq!(size("200k"), Ok(204_800));
        assert_eq!(size("1g"), Ok(1 << 30));
        assert!(size("99999999999g").is_err());
        assert!(size("1x").is_err());
    }
}
