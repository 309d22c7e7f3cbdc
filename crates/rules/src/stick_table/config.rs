//! A `stick-table` line as written: key type, size, expiry and what each entry stores. Owns the table of data types
//! (name, argument, width); knows nothing of entries.

use crate::units::{UnitError, parse_size, parse_time};
use std::time::Duration;

/// Characters kept of a string key when the line gives no `len`: HAProxy reserves one of its 32 bytes for a NUL.
const STRING_LEN_DEFAULT: u32 = 31;
/// Bytes of a binary key when the line gives no `len`.
const BINARY_LEN_DEFAULT: u32 = 32;
/// Most elements of `gpc(n)`, `gpt(n)` and `gpc_rate(n,…)`.
pub const ARRAY_LEN_MAX: u32 = 100;
/// Longest key of a string or binary table, in bytes.
pub const KEY_LEN_MAX: u32 = 16_384;

/// What a table's keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    Ip,
    Ipv6,
    /// 32 bits, unsigned.
    Integer,
    /// Longer text is cut.
    String {
        len_max: u32,
    },
    /// Longer blocks are cut, shorter ones padded with zeros.
    Binary {
        len: u32,
    },
}

impl KeyType {
    /// The word that `show table` prints.
    pub fn name(self) -> &'static str {
        match self {
            KeyType::Ip => "ip",
            KeyType::Ipv6 => "ipv6",
            KeyType::Integer => "integer",
            KeyType::String { .. } => "string",
            KeyType::Binary { .. } => "binary",
        }
    }
}

/// How a data type is written in `store` and kept in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataShape {
    /// A 32-bit number.
    Counter,
    /// A 64-bit number.
    Counter64,
    /// Events over a sliding period: `name(period)`.
    Rate,
    /// An array of 32-bit numbers: `name(count)`.
    Array,
    /// An array of rates: `name(count,period)`.
    RateArray,
    /// The key of a server, a text: `server_key`.
    ServerKey,
}

/// One row per data type: variant, name in `store` and `data.…`, shape. In the order of `show table`.
macro_rules! data_types {
    ($($variant:ident $name:literal $shape:ident,)+) => {
        /// What an entry can store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DataType { $($variant),+ }

        /// Every data type with its name and shape, in the order of `show table`.
        pub const DATA_TYPES: &[(DataType, &str, DataShape)] =
            &[$((DataType::$variant, $name, DataShape::$shape)),+];
    };
}

data_types! {
    ServerId "server_id" Counter,
    Gpt0 "gpt0" Counter,
    Gpc0 "gpc0" Counter,
    Gpc0Rate "gpc0_rate" Rate,
    ConnCnt "conn_cnt" Counter,
    ConnRate "conn_rate" Rate,
    ConnCur "conn_cur" Counter,
    SessCnt "sess_cnt" Counter,
    SessRate "sess_rate" Rate,
    HttpReqCnt "http_req_cnt" Counter,
    HttpReqRate "http_req_rate" Rate,
    HttpErrCnt "http_err_cnt" Counter,
    HttpErrRate "http_err_rate" Rate,
    BytesInCnt "bytes_in_cnt" Counter64,
    BytesInRate "bytes_in_rate" Rate,
    BytesOutCnt "bytes_out_cnt" Counter64,
    BytesOutRate "bytes_out_rate" Rate,
    Gpc1 "gpc1" Counter,
    Gpc1Rate "gpc1_rate" Rate,
    ServerKey "server_key" ServerKey,
    HttpFailCnt "http_fail_cnt" Counter,
    HttpFailRate "http_fail_rate" Rate,
    Gpt "gpt" Array,
    Gpc "gpc" Array,
    GpcRate "gpc_rate" RateArray,
}

impl DataType {
    /// The name in `store` lists and in `data.…` of the runtime API.
    pub fn name(self) -> &'static str {
        DATA_TYPES[self as usize].1
    }

    /// How it is written and kept.
    pub fn shape(self) -> DataShape {
        DATA_TYPES[self as usize].2
    }

    /// Finds a data type by name.
    pub fn from_name(name: &str) -> Option<DataType> {
        DATA_TYPES.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

/// One item of a `store` list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub data: DataType,
    /// Elements: 1 but for the arrays.
    pub count: u32,
    /// Rates only, else zero.
    pub period: Duration,
}

/// `srvkey`: what identifies a server in `server_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerKeySource {
    #[default]
    Name,
    Address,
}

/// A stick-table line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickTableConfig {
    pub key: KeyType,
    /// Most entries.
    pub size: u32,
    /// Time without use after which an entry goes; `None`: never.
    pub expire: Option<Duration>,
    /// When full: refuse new entries instead of dropping the oldest.
    pub nopurge: bool,
    /// In the order of `show table`, each type at most once.
    pub store: Vec<Stored>,
    pub peers: Option<String>,
    /// `write-to`: another table that receives every update.
    pub write_to: Option<String>,
    pub server_key: ServerKeySource,
}

/// What is wrong with a line, and which of its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLineError {
    /// Index into the words that were parsed; may be one past the last.
    pub word: usize,
    pub message: String,
}

impl StickTableConfig {
    /// Parses the words after `stick-table`. Things that are harmless go to `warnings`.
    ///
    /// # Errors
    /// The first word that is wrong, with the reason.
    pub fn parse(words: &[&str], warnings: &mut Vec<TableLineError>) -> Result<Self, TableLineError> {
        let mut line = Line { words, at: 0, warnings, store: Vec::new() };
        let mut key = None;
        let mut size = 0;
        let mut expire = None;
        let mut nopurge = false;
        let mut peers = None;
        let mut write_to = None;
        let mut server_key = ServerKeySource::Name;
        while let Some(&word) = words.get(line.at) {
            match word {
                "type" => key = Some(line.key_type()?),
                "size" => {
                    let text = line.argument("size")?;
                    size = parse_size(text).map_err(|error| line.unit_error("size", error))?;
                }
                "expire" => {
                    let text = line.argument("expire")?;
                    let time = parse_time(text, Duration::from_millis(1))
                        .map_err(|error| line.unit_error("expire", error))?;
                    expire = (!time.is_zero()).then_some(time);
                }
                "nopurge" => nopurge = true,
                "peers" => peers = Some(line.argument("peers")?.to_owned()),
                "write-to" => write_to = Some(line.argument("write-to")?.to_owned()),
                "srvkey" => server_key = line.server_key()?,
                "store" => line.store_list()?,
                _ => return Err(line.error(format!("unknown argument '{word}'"))),
            }
            line.at += 1;
        }
        let Some(key) = key else { return Err(line.error("missing type".into())) };
        if size == 0 {
            return Err(line.error("missing size".into()));
        }
        let mut store = line.store;
        store.sort_by_key(|item| item.data as u8);
        Ok(StickTableConfig { key, size, expire, nopurge, store, peers, write_to, server_key })
    }

    /// Adds a data type that a rule needs, as `stick on` needs `server_id` and `server_key`. No effect when stored.
    pub fn store_implicitly(&mut self, data: DataType) {
        if self.store.iter().all(|item| item.data != data) {
            self.store.push(Stored { data, count: 1, period: Duration::ZERO });
            self.store.sort_by_key(|item| item.data as u8);
        }
    }
}

/// The words of a line while they are read.
struct Line<'a> {
    words: &'a [&'a str],
    at: usize,
    warnings: &'a mut Vec<TableLineError>,
    store: Vec<Stored>,
}

impl<'a> Line<'a> {
    fn error(&self, message: String) -> TableLineError {
        TableLineError { word: self.at, message }
    }

    fn unit_error(&self, keyword: &str, error: UnitError) -> TableLineError {
        self.error(match error {
            UnitError::Empty => format!("missing argument after '{keyword}'"),
            UnitError::Unexpected(found) => {
                format!("unexpected character '{found}' in argument of '{keyword}'")
            }
            UnitError::Overflow => format!("argument of '{keyword}' is too large"),
        })
    }

    fn argument(&mut self, keyword: &str) -> Result<&'a str, TableLineError> {
        self.at += 1;
        match self.words.get(self.at) {
            Some(word) => Ok(word),
            None => Err(self.error(format!("missing argument after '{keyword}'"))),
        }
    }

    fn key_type(&mut self) -> Result<KeyType, TableLineError> {
        match self.argument("type")? {
            "ip" => Ok(KeyType::Ip),
            "ipv6" => Ok(KeyType::Ipv6),
            "integer" => Ok(KeyType::Integer),
            "string" => Ok(KeyType::String { len_max: self.key_len()?.unwrap_or(STRING_LEN_DEFAULT) }),
            "binary" => Ok(KeyType::Binary { len: self.key_len()?.unwrap_or(BINARY_LEN_DEFAULT) }),
            other => Err(self.error(format!("unknown type '{other}' (ip, ipv6, integer, string or binary)"))),
        }
    }

    fn key_len(&mut self) -> Result<Option<u32>, TableLineError> {
        if self.words.get(self.at + 1) != Some(&"len") {
            return Ok(None);
        }
        self.at += 1;
        let text = self.argument("len")?;
        match text.parse::<u32>() {
            Ok(len) if (1..=KEY_LEN_MAX).contains(&len) => Ok(Some(len)),
            _ => Err(self.error(format!("'len' must be 1..={KEY_LEN_MAX}, found '{text}'"))),
        }
    }

    fn server_key(&mut self) -> Result<ServerKeySource, TableLineError> {
        match self.argument("srvkey")? {
            "name" => Ok(ServerKeySource::Name),
            "addr" => Ok(ServerKeySource::Address),
            other => Err(self.error(format!("unknown server key type '{other}' (name or addr)"))),
        }
    }

    fn store_list(&mut self) -> Result<(), TableLineError> {
        let list = self.argument("store")?;
        for item in split_outside_parentheses(list) {
            let stored = self.stored(item)?;
            if self.store.iter().any(|other| other.data == stored.data) {
                let message = format!("store option '{}' already enabled, ignored", stored.data.name());
                self.warnings.push(TableLineError { word: self.at, message });
                continue;
            }
            self.store.push(stored);
        }
        for (array, singles) in [
            (DataType::Gpc, [DataType::Gpc0, DataType::Gpc1]),
            (DataType::GpcRate, [DataType::Gpc0Rate, DataType::Gpc1Rate]),
            (DataType::Gpt, [DataType::Gpt0, DataType::Gpt0]),
        ] {
            let has = |data| self.store.iter().any(|item| item.data == data);
            if let Some(single) = singles.into_iter().find(|&single| has(array) && has(single)) {
                return Err(self.error(format!(
                    "'{}' and '{}' cannot be in the same table: the array takes its place",
                    array.name(),
                    single.name()
                )));
            }
        }
        Ok(())
    }

    fn stored(&self, item: &str) -> Result<Stored, TableLineError> {
        let (name, arguments) = match item.split_once('(') {
            None => (item, None),
            Some((name, rest)) => match rest.strip_suffix(')') {
                Some(inside) => (name, Some(inside)),
                None => {
                    return Err(
                        self.error(format!("missing closing parenthesis after store option '{name}'"))
                    );
                }
            },
        };
        let data =
            DataType::from_name(name).ok_or_else(|| self.error(format!("unknown store option '{name}'")))?;
        let missing = || self.error(format!("missing argument to store option '{name}'"));
        match data.shape() {
            DataShape::Counter | DataShape::Counter64 | DataShape::ServerKey => match arguments {
                None => Ok(Stored { data, count: 1, period: Duration::ZERO }),
                Some(_) => Err(self.error(format!("unexpected argument to store option '{name}'"))),
            },
            DataShape::Rate => {
                let period = self.period(name, arguments.ok_or_else(missing)?)?;
                Ok(Stored { data, count: 1, period })
            }
            DataShape::Array => {
                let count = self.count(name, arguments.ok_or_else(missing)?)?;
                Ok(Stored { data, count, period: Duration::ZERO })
            }
            DataShape::RateArray => {
                let (count, period) =
                    arguments.and_then(|inside| inside.split_once(',')).ok_or_else(missing)?;
                Ok(Stored { data, count: self.count(name, count)?, period: self.period(name, period)? })
            }
        }
    }

    fn count(&self, name: &str, text: &str) -> Result<u32, TableLineError> {
        match text.trim().parse::<u32>() {
            Ok(count) if (1..=ARRAY_LEN_MAX).contains(&count) => Ok(count),
            _ => Err(self.error(format!(
                "array size is out of allowed range (1-{ARRAY_LEN_MAX}) for store option '{name}'"
            ))),
        }
    }

    fn period(&self, name: &str, text: &str) -> Result<Duration, TableLineError> {
        let period = parse_time(text.trim(), Duration::from_millis(1))
            .map_err(|error| self.error(format!("bad period of store option '{name}': {error}")))?;
        // A period below one millisecond cannot be counted; HAProxy takes 0 and then divides by it.
        if period < Duration::from_millis(1) {
            return Err(self.error(format!("the period of store option '{name}' must be at least 1ms")));
        }
        Ok(period)
    }
}

/// Splits a `store` list at its commas, except those between parentheses.
fn split_outside_parentheses(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    list.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth <= 0
    })
    .map(str::trim)
    .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<StickTableConfig, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        StickTableConfig::parse(&words, &mut Vec::new()).map_err(|error| error.message)
    }

    #[test]
    fn the_tutorials_line_is_read() {
        // row: 181
        let table = parse("type ip size 200k expire 30m").expect("valid");
        assert_eq!(table.key, KeyType::Ip);
        assert_eq!(table.size, 204_800);
        assert_eq!(table.expire, Some(Duration::from_secs(1800)));
    }

    #[test]
    fn store_lists_are_kept_in_the_order_of_show_table() {
        let table =
            parse("type ip size 1k store http_req_rate(10s),gpc0 store gpc_rate(3,1m)").expect("valid");
        let names: Vec<_> = table.store.iter().map(|item| (item.data.name(), item.count)).collect();
        assert_eq!(names, [("gpc0", 1), ("http_req_rate", 1), ("gpc_rate", 3)]);
        assert_eq!(table.store[2].period, Duration::from_secs(60));
    }

    #[test]
    fn a_repeated_store_item_is_only_a_warning() {
        let mut warnings = Vec::new();
        let words = ["type", "ip", "size", "1k", "store", "gpc0,gpc0"];
        assert!(StickTableConfig::parse(&words, &mut warnings).is_ok());
        assert_eq!(warnings[0].message, "store option 'gpc0' already enabled, ignored");
        assert_eq!(warnings[0].word, 5);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, expected) in [
            ("type ip", "missing size"),
            ("size 1k", "missing type"),
            ("type ip size", "missing argument after 'size'"),
            ("type ip size abc", "unexpected character 'a' in argument of 'size'"),
            ("type ip size 5x", "unexpected character 'x' in argument of 'size'"),
            ("type ip size 0", "missing size"),
            ("type ip size 1k expire abc", "unexpected character 'a' in argument of 'expire'"),
            ("type ip size 1k store foo", "unknown store option 'foo'"),
            ("type ip size 1k store gpc0_rate", "missing argument to store option 'gpc0_rate'"),
            ("type ip size 1k store gpc0(3)", "unexpected argument to store option 'gpc0'"),
            ("type ip size 1k store gpc0(", "missing closing parenthesis after store option 'gpc0'"),
            ("type ip size 1k store gpc_rate(3)", "missing argument to store option 'gpc_rate'"),
            (
                "type ip size 1k store gpc(101)",
                "array size is out of allowed range (1-100) for store option 'gpc'",
            ),
            (
                "type ip size 1k store gpc(2),gpc0",
                "'gpc' and 'gpc0' cannot be in the same table: the array takes its place",
            ),
            ("type ip len 5 size 1k", "unknown argument 'len'"),
            ("type string len 0 size 1k", "'len' must be 1..=16384, found '0'"),
            ("type ip size 1k srvkey foo", "unknown server key type 'foo' (name or addr)"),
        ] {
            assert_eq!(parse(line), Err(expected.to_owned()), "{line}");
        }
    }
}
