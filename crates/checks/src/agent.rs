//! The reply line of an auxiliary agent (configuration manual §5.2, `agent-check`): words, and what they ask for.

/// Longest reply line that is read, in bytes.
pub const AGENT_LINE_MAX: usize = 4096;

/// What an agent asked for. Nothing it does not mention changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentReply {
    pub admin: Option<AgentAdmin>,
    pub state: Option<AgentState>,
    pub weight: Option<AgentWeight>,
    pub maxconn: Option<u32>,
    /// What the report says: `via agent : up`, `agent reports an error : …`; may be empty.
    pub description: String,
}

/// Administrative state that the agent sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentAdmin {
    Ready,
    Drain,
    Maintenance,
}

/// Operational state that the agent reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    Up,
    /// `down`, `fail` or `stopped`.
    Down,
}

/// `75%`: of the initial weight, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentWeight {
    pub percent: u32,
}

impl AgentReply {
    /// Reads one line, without its end. Later words win over earlier ones of the same kind.
    pub fn parse(line: &[u8]) -> AgentReply {
        let mut reply = AgentReply::default();
        let text = String::from_utf8_lossy(line);
        let mut rest: &str = &text;
        let mut status_word = "";
        let mut error: Option<&str> = None;
        let mut warning: Option<&str> = None;
        let mut comment = "";
        loop {
            rest = rest.trim_start_matches(is_separator);
            if let Some(after) = rest.strip_prefix('#') {
                comment = after.trim_start_matches(is_separator);
                break;
            }
            if rest.is_empty() {
                break;
            }
            let (word, after) = rest.split_at(rest.find(is_separator).unwrap_or(rest.len()));
            rest = after;
            let lower = word.to_ascii_lowercase();
            if lower.contains('%') {
                match parse_percent(&lower) {
                    Ok(weight) => reply.weight = Some(weight),
                    Err(text) => warning = Some(text),
                }
            } else if let Some(number) = lower.strip_prefix("maxconn:") {
                match parse_maxconn(number) {
                    Ok(maxconn) => reply.maxconn = Some(maxconn),
                    Err(text) => warning = Some(text),
                }
            } else {
                match lower.as_str() {
                    "up" => (reply.state, status_word) = (Some(AgentState::Up), word),
                    "down" | "fail" | "stopped" => {
                        (reply.state, status_word) = (Some(AgentState::Down), word);
                    }
                    "ready" => reply.admin = Some(AgentAdmin::Ready),
                    "drain" => reply.admin = Some(AgentAdmin::Drain),
                    "maint" => reply.admin = Some(AgentAdmin::Maintenance),
                    _ => error = error.or(Some(word)),
                }
            }
        }
        // One remark fits in the report: a word nobody knows hides a bad number, which hides the agent's own comment.
        let remark = error.or(warning).unwrap_or(comment);
        reply.description = match (reply.state, error, warning) {
            (Some(_), _, _) if remark.is_empty() => format!("via agent : {status_word}"),
            (Some(_), _, _) => format!("via agent : {status_word} ({remark})"),
            (None, Some(error), _) => format!("agent reports an error : {error}"),
            (None, None, Some(warning)) => format!("agent warns : {warning}"),
            (None, None, None) => String::new(),
        };
        reply
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '\t' | ',')
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn parse_percent(word: &str) -> Result<AgentWeight, &'static str> {
    match split_digits(word) {
        ("", _) => Err("Empty weight string empty or preceded by garbage"),
        // More than a u32 holds is far beyond the greatest weight, which is where it is capped anyway.
        (digits, "%") => Ok(AgentWeight { percent: digits.parse().unwrap_or(u32::MAX) }),
        (_, _) => Err("Trailing garbage in weight string"),
    }
}

fn parse_maxconn(text: &str) -> Result<u32, &'static str> {
    match split_digits(text) {
        ("", "") => Err("Require <maxconn>.\n"),
        ("", _) => Err("maxconn string empty or preceded by garbage"),
        (digits, "") => Ok(digits.parse().unwrap_or(u32::MAX)),
        (_, _) => Err("Trailing garbage in maxconn string"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(line: &[u8]) -> String {
        AgentReply::parse(line).description
    }

    #[test]
    fn an_agent_sets_several_things_in_one_line() {
        let reply = AgentReply::parse(b"ready,up\t75% maxconn:30 # all fine");
        assert_eq!(reply.admin, Some(AgentAdmin::Ready));
        assert_eq!(reply.state, Some(AgentState::Up));
        assert_eq!(reply.weight, Some(AgentWeight { percent: 75 }));
        assert_eq!(reply.maxconn, Some(30));
        assert_eq!(reply.description, "via agent : up (all fine)");
    }

    // Recorded from haproxy 2.6.12 (`last_agt` of `show stat`).
    #[test]
    fn reports_are_worded_as_in_haproxy() {
        let recorded: &[(&[u8], &str)] = &[
            (b"up", "via agent : up"),
            (b"UP", "via agent : UP"),
            (b"75%", ""),
            (b"stopped #my reason here", "via agent : stopped (my reason here)"),
            (b"fail # a b c d", "via agent : fail (a b c d)"),
            (b"failed", "agent reports an error : failed"),
            (b"down#x", "agent reports an error : down#x"),
            (b"up garbage", "via agent : up (garbage)"),
            (b"up x # y", "via agent : up (x)"),
            (b"x y z", "agent reports an error : x"),
            (b"x up", "via agent : up (x)"),
            (b"up x down", "via agent : down (x)"),
            (b"5.5%", "agent warns : Trailing garbage in weight string"),
            (b"5.5% x", "agent reports an error : x"),
            (b"up 5.5% # c", "via agent : up (Trailing garbage in weight string)"),
            (b"50", "agent reports an error : 50"),
            (b"maxconn:abc", "agent warns : maxconn string empty or preceded by garbage"),
            (b"maxconn:", "agent warns : Require <maxconn>.\n"),
            (b"maxconn:5x", "agent warns : Trailing garbage in maxconn string"),
            (b"# y", ""),
            (b"", ""),
        ];
        for (line, expected) in recorded {
            assert_eq!(described(line), *expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn the_last_word_about_the_state_wins() {
        assert_eq!(AgentReply::parse(b"down up").state, Some(AgentState::Up));
        assert_eq!(AgentReply::parse(b"up,down").state, Some(AgentState::Down));
    }
}
