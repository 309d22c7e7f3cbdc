//! What two honest runs may differ in: owns the rewriting of ports, dates, pids and timers, never of meaning.

/// A syslog datagram in parts: `<PRI>date tag[pid]: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Facility and severity as sent.
    pub priority: u16,
    pub tag: String,
    pub message: String,
}

/// Splits an RFC 3164 datagram, drops date and pid; `None` if it is not of that form.
pub fn rfc3164(datagram: &str) -> Option<LogLine> {
    let (priority, rest) = datagram.strip_prefix('<')?.split_once('>')?;
    // "Nov 22 17:22:33 " has a fixed width.
    let rest = rest.get(16..)?;
    let (tag, message) = rest.split_once("]: ")?;
    let (tag, pid) = tag.split_once('[')?;
    pid.parse::<u32>().ok()?;
    let message = message.trim_end_matches('\n').to_owned();
    Some(LogLine { priority: priority.parse().ok()?, tag: tag.to_owned(), message })
}

/// A line of `option httplog` or `option tcplog` without what changes from run to run: the client's port, the
/// accept date, and timers, of which only their sign stays (`T`, or `-1` for a phase not reached).
pub fn traffic(message: &str) -> String {
    let words: Vec<String> = message
        .split(' ')
        .enumerate()
        .map(|(position, word)| match position {
            0 => client_port(word),
            1 => "[DATE]".to_owned(),
            4 => timers(word),
            _ => word.to_owned(),
        })
        .collect();
    words.join(" ")
}

/// The timers of such a line in milliseconds, in its order.
pub fn timers_of(message: &str) -> Vec<i64> {
    let word = message.split(' ').nth(4).unwrap_or_default();
    word.split('/').map(|timer| timer.trim_start_matches('+').parse().unwrap_or(i64::MIN)).collect()
}

fn client_port(word: &str) -> String {
    word.rsplit_once(':').map_or(word.to_owned(), |(address, _)| format!("{address}:PORT"))
}

fn timers(word: &str) -> String {
    let sign = |timer: &str| {
        let plus = if timer.starts_with('+') { "+" } else { "" };
        if timer.starts_with('-') { timer.to_owned() } else { format!("{plus}T") }
    };
    word.split('/').map(sign).collect::<Vec<_>>().join("/")
}

/// Replaces every run of digits by `N`.
pub fn numbers(text: &str) -> String {
    let mut result = String::new();
    let mut in_number = false;
    for character in text.chars() {
        if character.is_ascii_digit() {
            if !in_number {
                result.push('N');
            }
            in_number = true;
        } else {
            in_number = false;
            result.push(character);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_splits_into_its_parts() {
        let line =
            rfc3164("<134>Nov 22 17:22:33 haproxy[4711]: 127.0.0.1:4242 hello\n").expect("it is well-formed");
        assert_eq!(line.priority, 134);
        assert_eq!(line.tag, "haproxy");
        assert_eq!(line.message, "127.0.0.1:4242 hello");
        assert_eq!(rfc3164("no priority"), None);
    }

    #[test]
    fn a_traffic_line_keeps_all_but_port_date_and_timers() {
        let line =
            "127.0.0.1:43346 [22/Nov/2026:11:27:49.923] fe be/s1 0/0/-1/1/+12 503 230 - - sC-- 1/1/0/0/0 0/0";
        let expected = "127.0.0.1:PORT [DATE] fe be/s1 T/T/-1/T/+T 503 230 - - sC-- 1/1/0/0/0 0/0";
        assert_eq!(traffic(line), expected);
        assert_eq!(timers_of(line), [0, 0, -1, 1, 12]);
    }

    #[test]
    fn numbers_become_one_letter() {
        assert_eq!(numbers("duration: 12ms. 3 left"), "duration: Nms. N left");
    }
}
