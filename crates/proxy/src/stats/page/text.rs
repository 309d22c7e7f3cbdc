//! Small texts of the page: escaping, numbers and times for people. Owns no layout.

use std::fmt::Write;

/// Numbers below this are written out; larger ones get a unit.
const EXACT_MAX: u64 = 9_999;

/// Appends `text` so that it is text in an element or in a quoted attribute.
pub fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
}

/// `text` escaped.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, &mut out);
    out
}

/// All digits, in groups of three: `12,345,678`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Three significant digits and a unit of `units`, each `step` times the one before.
fn scaled(number: u64, step: u64, units: &[&str]) -> String {
    let (mut size, mut unit) = (1_u64, 0);
    // 999.5 of a unit would round to 1000 of it: it is 1.00 of the next.
    while unit + 1 < units.len() && number / size >= step - step / 2000 - 1 {
        match size.checked_mul(step) {
            Some(next) if number as f64 / size as f64 >= 999.5 => {
                size = next;
                unit += 1;
            }
            Some(_) | None => break,
        }
    }
    let value = number as f64 / size as f64;
    let decimals = match value {
        // Round numbers are shown as such: `20k`, `1 GiB`.
        _ if number.is_multiple_of(size) => 0,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{}", units[unit])
}

/// A count for people: exact and grouped while short, else `1.23M`.
pub fn count(number: u64) -> String {
    if number <= EXACT_MAX {
        grouped(number)
    } else {
        scaled(number, 1000, &["", "k", "M", "G", "T", "P", "E"])
    }
}

/// Bytes for people, in powers of 1024: `1.21 MiB`.
pub fn bytes(number: u64) -> String {
    scaled(number, 1024, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
}

/// Seconds in the two largest units: `3d4h`, `2m5s`, `17s`.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

/// Seconds in full, as the header of the page shows the uptime: `3d 4h05m06s`.
pub fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days}d {hours}h{minutes:02}m{:02}s", seconds % 60)
}

/// Appends formatted text; a `String` takes everything.
pub fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_html_gives_a_meaning_is_escaped() {
        assert_eq!(escaped(r#"<a href='x'>"&"#), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }

    #[test]
    fn counts_are_exact_while_short_and_get_units_then() {
        let shown =
            [0, 999, 1000, 9_999, 20_000, 99_999, 999_499, 999_500, 1_234_567, 98_765_432_100, u64::MAX];
        assert_eq!(
            shown.map(count),
            ["0", "999", "1,000", "9,999", "20k", "100k", "999k", "1.00M", "1.23M", "98.8G", "18.4E"]
        );
    }

    #[test]
    fn bytes_count_in_powers_of_1024() {
        let shown = [0, 999, 1023, 1024, 1536, 10_485_760, 1 << 40, u64::MAX];
        assert_eq!(
            shown.map(bytes),
            ["0 B", "999 B", "1.00 KiB", "1 KiB", "1.50 KiB", "10 MiB", "1 TiB", "16.0 EiB"]
        );
    }

    #[test]
    fn times_show_their_two_largest_units() {
        assert_eq!(
            [0, 59, 60, 3599, 3600, 86_399, 86_400, 200_000].map(duration),
            ["0s", "59s", "1m0s", "59m59s", "1h0m", "23h59m", "1d0h", "2d7h"]
        );
        assert_eq!(uptime(93_784), "1d 2h03m04s");
    }
}
