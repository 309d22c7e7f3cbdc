//! One line of a state file: what `show servers state` wrote of a server, checked before any of it is used.

use crate::state::{Admin, Running};
use checks::CheckStatus;
use std::net::IpAddr;

/// Fields of a line: the first version wrote fewer than later ones do.
const FIELDS_MIN: usize = 20;
const FIELDS_MAX: usize = 25;

/// All bits of an administrative state.
const ADMIN_MASK: u32 = 0x7f;

/// All bits of the state of a check.
const CHECK_MASK: u32 = 0x1f;

const WEIGHT_MAX: u32 = 256;

/// The words of a line, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(Vec<String>);

/// What a line says of its server.
#[derive(Debug, PartialEq, Eq)]
pub struct Saved {
    pub address: Option<IpAddr>,
    pub running: Running,
    pub admin: Admin,
    pub weight: u32,
    pub configured_weight: u32,
    pub seconds_since_change: u64,
    pub check_status: CheckStatus,
    pub health: u32,
    pub check: u32,
    pub agent: u32,
    pub fqdn: Option<String>,
    /// 0: none.
    pub port: u16,
    pub check_port: Option<u16>,
    pub check_address: Option<IpAddr>,
    pub agent_address: Option<IpAddr>,
    pub agent_port: Option<u16>,
}

impl Line {
    /// `None`: too few words or too many, the file is damaged.
    pub fn split(text: &str) -> Option<Line> {
        let words: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
        (FIELDS_MIN..=FIELDS_MAX).contains(&words.len()).then_some(Line(words))
    }

    pub fn backend(&self) -> &str {
        &self.0[1]
    }

    pub fn server(&self) -> &str {
        &self.0[3]
    }

    fn word(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(String::as_str).filter(|word| *word != "-")
    }

    fn number<T: TryFrom<i64>>(
        &self,
        index: usize,
        name: &str,
        valid: impl Fn(&T) -> bool,
    ) -> Result<T, String> {
        let word = &self.0[index];
        let number = word.parse::<i64>().ok().and_then(|number| T::try_from(number).ok()).filter(valid);
        number.ok_or_else(|| format!("invalid {name} value '{word}'"))
    }

    fn address(&self, index: usize) -> Option<IpAddr> {
        self.word(index)?.parse().ok()
    }

    fn port(&self, index: usize) -> Option<u16> {
        self.word(index)?.parse().ok().filter(|port| *port > 0)
    }

    /// Reads all values.
    ///
    /// # Errors
    /// Names the first value that cannot be; then none of the line is used.
    pub fn read(&self) -> Result<Saved, String> {
        let running = match self.number(5, "srv_op_state", |state: &u8| *state <= 3)? {
            0 => Running::Stopped,
            1 => Running::Starting,
            2 => Running::Up,
            _ => Running::Stopping,
        };
        let admin = self.number(6, "srv_admin_state", |bits: &u32| bits & !ADMIN_MASK == 0)?;
        let weight = self.number(7, "srv_uweight", |weight: &u32| *weight <= WEIGHT_MAX)?;
        let configured_weight = self.number(8, "srv_iweight", |weight: &u32| *weight <= WEIGHT_MAX)?;
        let seconds_since_change = self.number(9, "srv_last_time_change", |_: &u64| true)?;
        let status =
            self.number(10, "srv_check_status", |status| CheckStatus::from_number(*status).is_some())?;
        self.number(11, "srv_check_result", |result: &u8| *result <= 4)?;
        let health = self.number(12, "srv_check_health", |_: &u32| true)?;
        let check = self.number(13, "srv_check_state", |bits: &u32| bits & !CHECK_MASK == 0)?;
        let agent = self.number(14, "srv_agent_state", |bits: &u32| bits & !CHECK_MASK == 0)?;
        // A port that follows the client's is written as its offset and stays the configuration's.
        let port =
            if self.0[18].starts_with(['+', '-']) { 0 } else { self.number(18, "srv_port", |_: &u16| true)? };
        Ok(Saved {
            address: self.address(4),
            running,
            admin: Admin(admin),
            weight,
            configured_weight,
            seconds_since_change,
            check_status: CheckStatus::from_number(status).unwrap_or(CheckStatus::Initializing),
            health,
            check,
            agent,
            fqdn: self.word(17).map(str::to_owned),
            port,
            check_port: self.port(21),
            check_address: self.address(22),
            agent_address: self.address(23),
            agent_port: self.port(24),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "2 app 1 s1 10.0.0.9 2 8 5 10 100 6 3 4 6 0 0 0 - 8081 - 0 8090 10.1.1.1 - 0";

    #[test]
    fn a_line_tells_all_of_its_server() {
        let line = Line::split(WHOLE).expect("25 words");
        assert_eq!((line.backend(), line.server()), ("app", "s1"));
        let saved = line.read().expect("all values can be");
        assert_eq!((saved.running, saved.admin, saved.weight, saved.port), (Running::Up, Admin(8), 5, 8081));
        assert_eq!((saved.check_port, saved.agent_port, saved.fqdn), (Some(8090), None, None));
    }

    #[test]
    fn damaged_lines_are_refused_by_name() {
        assert_eq!(Line::split("2 app 1 s1 10.0.0.9 2 8"), None);
        let wrong = Line::split(&WHOLE.replace(" 2 8 5 ", " 9 8 5 ")).expect("25 words");
        assert_eq!(wrong.read(), Err("invalid srv_op_state value '9'".to_owned()));
        let wrong = Line::split(&WHOLE.replace(" 8081 ", " 81000 ")).expect("25 words");
        assert_eq!(wrong.read(), Err("invalid srv_port value '81000'".to_owned()));
    }
}
