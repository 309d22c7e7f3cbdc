//! Check results: the words of the statistics (`check_status`), of the logs, and what they count as.

/// What a result means for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckResult {
    /// Not finished, or says nothing about the server (an agent that cannot be reached).
    Unknown,
    /// Neither a success nor a failure: only the text changes.
    Neutral,
    Failed,
    Passed,
    /// Passed, but the server asks for no new sessions (404 with `disable-on-404`).
    Conditional,
}

/// Status of the latest check of a server (management manual §9.1, column `check_status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckStatus {
    /// Never checked, nor will be.
    Unknown,
    /// Checks are configured; none ended yet.
    Initializing,
    /// A check is running.
    Started,
    /// Valid, but says nothing about being up or down (an agent that only gave a weight).
    Checked,
    /// Health analysis of real traffic (`observe`) found errors.
    Analyzed,
    /// No connection could be attempted: a problem on our side.
    SocketError,
    L4Ok,
    L4Timeout,
    L4Connection,
    L6Ok,
    L6Timeout,
    L6Response,
    L7Ok,
    L7OkConditional,
    L7Timeout,
    L7Response,
    L7Status,
    /// The external program could not be run, or ended badly.
    ProcessError,
    ProcessTimeout,
    ProcessOk,
}

struct Row {
    status: CheckStatus,
    word: &'static str,
    description: &'static str,
    result: CheckResult,
    number: u8,
}

const fn row(
    number: u8,
    status: CheckStatus,
    word: &'static str,
    description: &'static str,
    result: CheckResult,
) -> Row {
    Row { status, word, description, result, number }
}

/// One row per status, in the order of the enum.
static TABLE: &[Row] = &[
    row(0, CheckStatus::Unknown, "UNK", "Unknown", CheckResult::Unknown),
    row(1, CheckStatus::Initializing, "INI", "Initializing", CheckResult::Unknown),
    row(2, CheckStatus::Started, "START", "Health check started", CheckResult::Unknown),
    row(3, CheckStatus::Checked, "CHECKED", "No status change", CheckResult::Neutral),
    row(4, CheckStatus::Analyzed, "HANA", "Health analyze", CheckResult::Failed),
    row(5, CheckStatus::SocketError, "SOCKERR", "Socket error", CheckResult::Failed),
    row(6, CheckStatus::L4Ok, "L4OK", "Layer4 check passed", CheckResult::Passed),
    row(7, CheckStatus::L4Timeout, "L4TOUT", "Layer4 timeout", CheckResult::Failed),
    row(8, CheckStatus::L4Connection, "L4CON", "Layer4 connection problem", CheckResult::Failed),
    row(9, CheckStatus::L6Ok, "L6OK", "Layer6 check passed", CheckResult::Passed),
    row(10, CheckStatus::L6Timeout, "L6TOUT", "Layer6 timeout", CheckResult::Failed),
    row(11, CheckStatus::L6Response, "L6RSP", "Layer6 invalid response", CheckResult::Failed),
    row(15, CheckStatus::L7Ok, "L7OK", "Layer7 check passed", CheckResult::Passed),
    row(
        16,
        CheckStatus::L7OkConditional,
        "L7OKC",
        "Layer7 check conditionally passed",
        CheckResult::Conditional,
    ),
    row(12, CheckStatus::L7Timeout, "L7TOUT", "Layer7 timeout", CheckResult::Failed),
    row(13, CheckStatus::L7Response, "L7RSP", "Layer7 invalid response", CheckResult::Failed),
    row(17, CheckStatus::L7Status, "L7STS", "Layer7 wrong status", CheckResult::Failed),
    row(18, CheckStatus::ProcessError, "PROCERR", "External check error", CheckResult::Failed),
    row(19, CheckStatus::ProcessTimeout, "PROCTOUT", "External check timeout", CheckResult::Failed),
    row(20, CheckStatus::ProcessOk, "PROCOK", "External check passed", CheckResult::Passed),
];

impl CheckStatus {
    /// The word of the statistics: `L4OK`, `L7STS` …
    pub fn word(self) -> &'static str {
        self.row().word
    }

    /// The words of the logs: `Layer4 check passed` …
    pub fn description(self) -> &'static str {
        self.row().description
    }

    /// What the status counts as.
    pub fn result(self) -> CheckResult {
        self.row().result
    }

    /// A status by its word, case-sensitive; `None` for other words.
    pub fn from_word(word: &str) -> Option<CheckStatus> {
        TABLE.iter().find(|row| row.word == word).map(|row| row.status)
    }

    /// Whether a check that ends so has a layer 5-7 code worth printing.
    pub fn has_code(self) -> bool {
        matches!(
            self,
            CheckStatus::L7Ok
                | CheckStatus::L7OkConditional
                | CheckStatus::L7Status
                | CheckStatus::ProcessError
                | CheckStatus::ProcessTimeout
                | CheckStatus::ProcessOk
        )
    }

    /// The number of `show servers state` (`srv_check_status`).
    pub fn number(self) -> u8 {
        self.row().number
    }

    /// A status by its number in a state file; `None` for other numbers.
    pub fn from_number(number: u8) -> Option<CheckStatus> {
        TABLE.iter().find(|row| row.number == number).map(|row| row.status)
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_the_table_sits_at_its_status() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.status as usize, index, "{}", row.word);
            assert_eq!(CheckStatus::from_word(row.word), Some(row.status));
            assert_eq!(CheckStatus::from_number(row.number), Some(row.status));
        }
    }
}
