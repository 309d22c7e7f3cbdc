//! Definitions of tables: what the updates after them are about.

use crate::wire::{Reader, WireError, put_number};
use rules::StickTable;
use rules::stick_table::{DATA_TYPES, DataShape, DataType, KeyType};
use std::sync::Arc;

/// Most bytes of a table's name that is taken.
const NAME_LEN_MAX: usize = 1024;

/// A table that peers share, and the name it has among them: a proxy's, or `/table` of their own section.
#[derive(Clone)]
pub struct SharedTable {
    pub name: String,
    pub table: Arc<StickTable>,
}

/// The number of a key type in definitions.
fn key_code(key: KeyType) -> u64 {
    match key {
        KeyType::Integer => 2,
        KeyType::Ip => 4,
        KeyType::Ipv6 => 5,
        KeyType::String { .. } => 6,
        KeyType::Binary { .. } => 7,
    }
}

/// Bytes of a key as definitions tell them: those of strings count a final NUL.
pub fn key_len(key: KeyType) -> usize {
    match key {
        KeyType::Integer | KeyType::Ip => 4,
        KeyType::Ipv6 => 16,
        KeyType::String { len_max } => len_max as usize + 1,
        KeyType::Binary { len } => len as usize,
    }
}

/// Appends the content of a definition message.
pub fn put(number: u64, shared: &SharedTable, out: &mut Vec<u8>) {
    let config = shared.table.config();
    put_number(number, out);
    put_number(shared.name.len() as u64, out);
    out.extend_from_slice(shared.name.as_bytes());
    put_number(key_code(config.key), out);
    put_number(key_len(config.key) as u64, out);
    let types = config.store.iter().fold(0, |bits, item| bits | 1u64 << item.data as u8);
    put_number(types, out);
    put_number(config.expire.map_or(0, |time| time.as_millis() as u64), out);
    for item in &config.store {
        let shape = item.data.shape();
        let is_array = matches!(shape, DataShape::Array | DataShape::RateArray);
        let is_rate = matches!(shape, DataShape::Rate | DataShape::RateArray);
        if is_array || is_rate {
            put_number(item.data as u64, out);
        }
        if is_array {
            put_number(u64::from(item.count), out);
        }
        if is_rate {
            put_number(item.period.as_millis() as u64, out);
        }
    }
}

/// What another instance says of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its number there.
    pub number: u64,
    pub name: String,
    key_code: u64,
    key_len: u64,
    /// The data types by bit.
    pub types: u64,
    /// Whether its entries expire there.
    pub expires: bool,
    /// The types that we know, in the order of updates, with how many elements they have.
    pub stored: Vec<(DataType, u32)>,
}

/// Most elements of an array that is taken.
const ELEMENTS_MAX: u64 = 100;

impl Definition {
    /// Reads the content of a definition message.
    ///
    /// # Errors
    /// It ends too early, or has numbers that no table can have.
    pub fn parse(content: &[u8]) -> Result<Definition, WireError> {
        let mut reader = Reader::new(content);
        let number = reader.number()?;
        let name = reader.counted_block()?;
        if name.len() > NAME_LEN_MAX {
            return Err(WireError::TooLarge);
        }
        let name = String::from_utf8_lossy(name).into_owned();
        let (key_code, key_len, types) = (reader.number()?, reader.number()?, reader.number()?);
        let mut stored: Vec<(DataType, u32)> = DATA_TYPES
            .iter()
            .filter(|(data, _, _)| types & 1 << *data as u8 != 0)
            .map(|&(data, _, _)| (data, 1))
            .collect();
        let mut expires = true;
        // 2.0 ends here. The periods are not compared: HAProxy takes rates as they are, too.
        if reader.remaining() > 0 {
            expires = reader.number()? > 0;
            for (data, count) in &mut stored {
                let shape = data.shape();
                let is_array = matches!(shape, DataShape::Array | DataShape::RateArray);
                let is_rate = matches!(shape, DataShape::Rate | DataShape::RateArray);
                if !is_array && !is_rate {
                    continue;
                }
                if reader.number()? != *data as u64 {
                    return Err(WireError::TooLarge);
                }
                if is_array {
                    let elements = reader.number()?;
                    if elements > ELEMENTS_MAX {
                        return Err(WireError::TooLarge);
                    }
                    *count = elements as u32;
                }
                if is_rate {
                    let _period = reader.number()?;
                }
            }
        }
        Ok(Definition { number, name, key_code, key_len, types, expires, stored })
    }

    /// Whether its keys are those of that table.
    pub fn has_keys_of(&self, table: &StickTable) -> bool {
        let key = table.config().key;
        self.key_code == key_code(key) && self.key_len == key_len(key) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::StickTableConfig;
    use std::time::Instant;

    fn shared(name: &str, line: &str) -> SharedTable {
        let words: Vec<&str> = line.split(' ').collect();
        let config = StickTableConfig::parse(&words, &mut Vec::new()).expect("valid line");
        SharedTable { name: name.into(), table: Arc::new(StickTable::new(config, Instant::now())) }
    }

    /// Captured between two instances of 2.6.12: the number there, the name and line of the table, the content.
    const CAPTURED: &[(u64, &str, &str, &[u8])] = &[
        (
            5,
            "t_bin",
            "type binary len 5 size 10k expire 60s store server_id,gpc0,server_key",
            b"\x05\x05t_bin\x07\x05\xf5\xf1\xfe\x00\xf0\x97\x1c",
        ),
        (
            3,
            "t_str",
            "type string len 20 size 10k store gpt(3),gpc(4),gpc_rate(2,5s)",
            b"\x03\x05t_str\x06\x15\xf0\xf1\xfe\x6e\x00\x16\x03\x17\x04\x18\x02\xf8\xa9\x01",
        ),
        (
            1,
            "/tt",
            "type ip size 10k expire 5m store gpc0,conn_cnt,http_req_rate(10s)",
            b"\x01\x03/tt\x04\x04\xf4\x32\xf0\xaf\x91\x00\x0a\xf0\xe2\x03",
        ),
        (
            4,
            "t_int",
            "type integer size 10k expire 60s store server_id,gpc0,server_key",
            b"\x04\x05t_int\x02\x04\xf5\xf1\xfe\x00\xf0\x97\x1c",
        ),
    ];

    #[test]
    fn definitions_are_haproxys() {
        for &(number, name, line, captured) in CAPTURED {
            let shared = shared(name, line);
            let mut out = Vec::new();
            put(number, &shared, &mut out);
            assert_eq!(out, captured, "{name}");
            let definition = Definition::parse(captured).expect("a definition");
            assert_eq!((definition.number, &*definition.name), (number, name));
            assert!(definition.has_keys_of(&shared.table));
            let ours: Vec<_> =
                shared.table.config().store.iter().map(|item| (item.data, item.count)).collect();
            assert_eq!(definition.stored, ours);
        }
    }

    #[test]
    fn keys_of_another_length_are_another_table() {
        let definition = Definition::parse(CAPTURED[1].3).expect("a definition");
        assert!(!definition.has_keys_of(&shared("t_str", "type string len 19 size 10 store gpc0").table));
        assert!(!definition.has_keys_of(&shared("t_str", "type binary len 21 size 10 store gpc0").table));
    }
}
