//! Times and sizes as HAProxy's configuration writes them: `30m`, `5000`, `200k`. Pure text to number; decides no
//! default and knows no keyword.

use std::time::Duration;

/// Longest time that HAProxy's 32-bit millisecond timers hold.
pub const TIME_MS_MAX: u64 = i32::MAX as u64;

/// Why a time or size was refused. `Display` ends the sentence "…: ".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitError {
    Empty,
    /// The first character that cannot be part of it.
    Unexpected(char),
    /// Too large for what it counts.
    Overflow,
}

impl std::fmt::Display for UnitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UnitError::Empty => write!(f, "missing value"),
            UnitError::Unexpected(found) => write!(f, "unexpected character '{found}'"),
            UnitError::Overflow => write!(f, "value too large"),
        }
    }
}

fn split_digits(text: &str) -> Result<(u64, &str), UnitError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(text.chars().next().map_or(UnitError::Empty, UnitError::Unexpected));
    }
    let number = text[..digits].parse().map_err(|_| UnitError::Overflow)?;
    Ok((number, &text[digits..]))
}

/// A time with an optional unit (`us ms s m h d`); without one it counts `unit`.
///
/// # Errors
/// An unknown unit, trailing characters, or more than [`TIME_MS_MAX`] milliseconds.
pub fn parse_time(text: &str, unit: Duration) -> Result<Duration, UnitError> {
    let (number, suffix) = split_digits(text)?;
    let micros = match suffix {
        "" => unit.as_micros() as u64,
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        other => return Err(other.chars().next().map_or(UnitError::Empty, UnitError::Unexpected)),
    };
    let total = number.checked_mul(micros).ok_or(UnitError::Overflow)?;
    if total / 1_000 > TIME_MS_MAX {
        return Err(UnitError::Overflow);
    }
    Ok(Duration::from_micros(total))
}

/// A size with an optional `k`, `m` or `g` (powers of 1024, either case).
///
/// # Errors
/// An unknown suffix, trailing characters, or more than 32 bits.
pub fn parse_size(text: &str) -> Result<u32, UnitError> {
    let (number, suffix) = split_digits(text)?;
    let factor: u64 = match suffix {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        other => return Err(other.chars().next().map_or(UnitError::Empty, UnitError::Unexpected)),
    };
    let total = number.checked_mul(factor).ok_or(UnitError::Overflow)?;
    u32::try_from(total).map_err(|_| UnitError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_take_every_unit_and_the_callers_default() {
        assert_eq!(parse_time("30m", Duration::from_millis(1)), Ok(Duration::from_secs(1800)));
        assert_eq!(parse_time("5000", Duration::from_millis(1)), Ok(Duration::from_secs(5)));
        assert_eq!(parse_time("2", Duration::from_secs(1)), Ok(Duration::from_secs(2)));
        assert_eq!(parse_time("250us", Duration::from_millis(1)), Ok(Duration::from_micros(250)));
    }

    #[test]
    fn bad_times_and_sizes_name_the_character() {
        assert_eq!(parse_time("abc", Duration::from_millis(1)), Err(UnitError::Unexpected('a')));
        assert_eq!(parse_time("5x", Duration::from_millis(1)), Err(UnitError::Unexpected('x')));
        assert_eq!(parse_time("25d", Duration::from_millis(1)), Err(UnitError::Overflow));
        assert_eq!(parse_size("5x"), Err(UnitError::Unexpected('x')));
        assert_eq!(parse_size("4294967296"), Err(UnitError::Overflow));
        assert_eq!(parse_size("200k"), Ok(204_800));
    }
}
