//! Updates: a key and its values, in the order of the definition before them.

use crate::definition::{Definition, key_len};
use crate::dictionary::{Received, Sent};
use crate::message::{self, Kind};
use crate::wire::{Reader, WireError, put_number};
use rules::StickTable;
use rules::stick_table::{DataShape, DataType, Entry, KeyType, RateState, Shared, StickTableConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How an update is sent.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub number: u32,
    /// The number is not the one after that of the update before.
    pub numbered: bool,
    pub timed: bool,
}

/// Appends one update message. `scratch` is only a buffer.
pub fn put(
    shared: &Shared<'_>,
    config: &StickTableConfig,
    form: Form,
    dictionary: &mut Sent,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    scratch.clear();
    if form.numbered {
        scratch.extend_from_slice(&form.number.to_be_bytes());
    }
    if form.timed {
        let left = u32::try_from(shared.remaining_ms.unwrap_or(0)).unwrap_or(u32::MAX);
        scratch.extend_from_slice(&left.to_be_bytes());
    }
    match config.key {
        KeyType::String { .. } => {
            put_number(shared.key.len() as u64, scratch);
            scratch.extend_from_slice(shared.key);
        }
        KeyType::Integer => scratch.extend(shared.key.iter().rev()),
        KeyType::Ip | KeyType::Ipv6 | KeyType::Binary { .. } => scratch.extend_from_slice(shared.key),
    }
    for item in &config.store {
        for index in 0..item.count {
            put_value(&shared.entry, item.data, index, dictionary, scratch);
        }
    }
    message::put_message(Kind::Update { numbered: form.numbered, timed: form.timed }, scratch, out);
}

fn put_value(entry: &Entry<'_>, data: DataType, index: u32, dictionary: &mut Sent, out: &mut Vec<u8>) {
    match data.shape() {
        DataShape::Counter | DataShape::Counter64 | DataShape::Array => {
            put_number(entry.number(data, index).unwrap_or(0), out);
        }
        DataShape::Rate | DataShape::RateArray => {
            let state = entry.rate(data, index).unwrap_or(RateState { age_ms: 0, running: 0, before: 0 });
            for part in [state.age_ms, state.running, state.before] {
                put_number(u64::from(part), out);
            }
        }
        DataShape::ServerKey => dictionary.put(entry.server_key().as_ref(), out),
    }
}

/// One value of an update.
#[derive(Debug)]
enum Told {
    Number(DataType, u32, u64),
    Rate(DataType, u32, RateState),
    ServerKey(Arc<str>),
}

/// Reads updates; keeps its buffers between them.
#[derive(Debug, Default)]
pub struct Learner {
    told: Vec<Told>,
    key: Vec<u8>,
}

impl Learner {
    /// Reads one update, and has `table` learn it if we have that table. Returns its number, when it has one of its own.
    ///
    /// # Errors
    /// The bytes are not what the definition promised; nothing was learned.
    pub fn learn(
        &mut self,
        content: &[u8],
        (numbered, timed): (bool, bool),
        definition: &Definition,
        table: Option<&StickTable>,
        dictionary: &mut Received,
        now: Instant,
    ) -> Result<Option<u32>, WireError> {
        let mut reader = Reader::new(content);
        let number = if numbered { Some(reader.word()?) } else { None };
        let left = if timed { Some(reader.word()?) } else { None };
        // Without the table we cannot tell where the key ends, and need not.
        let Some(table) = table else { return Ok(number) };
        self.read_key(&mut reader, table.config().key)?;
        self.told.clear();
        for &(data, count) in &definition.stored {
            for index in 0..count {
                self.read_value(&mut reader, data, index, dictionary)?;
            }
        }
        let left = left.filter(|_| definition.expires).map(|ms| Duration::from_millis(u64::from(ms)));
        let told = &self.told;
        // Without room in a table with `nopurge` the entry is not for us.
        let _has_room = table.learn(&self.key, left, now, |entry| {
            for told in told {
                match told {
                    Told::Number(data, index, value) => entry.set_number(*data, *index, *value),
                    Told::Rate(data, index, state) => entry.set_rate(*data, *index, *state),
                    Told::ServerKey(key) => entry.set_server_key(key),
                }
            }
        });
        Ok(number)
    }

    fn read_key(&mut self, reader: &mut Reader<'_>, kind: KeyType) -> Result<(), WireError> {
        self.key.clear();
        match kind {
            KeyType::String { .. } => self.key.extend_from_slice(reader.counted_block()?),
            KeyType::Integer => self.key.extend(reader.block(4)?.iter().rev()),
            KeyType::Ip | KeyType::Ipv6 | KeyType::Binary { .. } => {
                self.key.extend_from_slice(reader.block(key_len(kind))?);
            }
        }
        Ok(())
    }

    fn read_value(
        &mut self,
        reader: &mut Reader<'_>,
        data: DataType,
        index: u32,
        dictionary: &mut Received,
    ) -> Result<(), WireError> {
        match data.shape() {
            DataShape::Counter | DataShape::Counter64 | DataShape::Array => {
                let value = reader.number()?;
                // Connections at present are each instance's own.
                if data != DataType::ConnCur {
                    self.told.push(Told::Number(data, index, value));
                }
            }
            DataShape::Rate | DataShape::RateArray => {
                let mut part = || reader.number().map(|number| number as u32);
                let state = RateState { age_ms: part()?, running: part()?, before: part()? };
                self.told.push(Told::Rate(data, index, state));
            }
            DataShape::ServerKey => {
                if let Some(key) = dictionary.take(reader)? {
                    self.told.push(Told::ServerKey(key));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{self, SharedTable};
    use rules::stick_table::TableAction;

    fn shared(line: &str, now: Instant) -> SharedTable {
        let words: Vec<&str> = line.split(' ').collect();
        let config = StickTableConfig::parse(&words, &mut Vec::new()).expect("valid line");
        SharedTable { name: "t".into(), table: Arc::new(StickTable::new(config, now)) }
    }

    fn shown(table: &StickTable, now: Instant) -> String {
        let mut out = Vec::new();
        table.run_command(TableAction::Show, "t", &[], now, &mut out).expect("a table is shown");
        String::from_utf8(out).expect("ASCII")
    }

    /// A definition and an update captured between two instances of 2.6.12, and what the receiver showed of it.
    #[test]
    fn captured_updates_are_learned() {
        let now = Instant::now();
        for (line, content, timed, text) in [
            (
                "type string len 20 size 10k store gpt(3),gpc(4),gpc_rate(2,5s)",
                &b"\0\0\0\x02\0\0\0\0\x03/r1\0\0\0\0\x01\0\0\xf4\xbe\x8c\xe7\x01\0\0\xf8\x13\x01\0"[..],
                true,
                "key=/r1 use=0 exp=0 gpt0=0 gpt1=0 gpt2=0 gpc0=0 gpc1=1 gpc2=0 gpc3=0 gpc0_rate(5000)=0 \
                 gpc1_rate(5000)=1\n",
            ),
            (
                "type binary len 5 size 10k expire 60s store server_id,gpc0,server_key",
                b"\0\0\0\x03\0\0\xe8\x52/stic\x01\0\x04\x01\x02w1",
                true,
                "key=2F73746963 use=0 exp=59474 server_id=1 gpc0=0 server_key=w1\n",
            ),
            (
                "type integer size 10k expire 60s store server_id,gpc0,server_key",
                b"\0\0\0\x06\0\0\0\x63\0\x05\0",
                false,
                "key=99 use=0 exp=60000 server_id=0 gpc0=5 server_key=-\n",
            ),
        ] {
            let shared = shared(line, now);
            let mut bytes = Vec::new();
            definition::put(1, &shared, &mut bytes);
            let definition = Definition::parse(&bytes).expect("our own definition");
            let mut dictionary = Received::default();
            let mut learner = Learner::default();
            let table = Some(&*shared.table);
            let number = learner.learn(content, (true, timed), &definition, table, &mut dictionary, now);
            assert!(matches!(number, Ok(Some(2 | 3 | 6))));
            let shown = shown(&shared.table, now);
            assert!(shown.ends_with(text), "{shown}");
            for cut in 0..content.len() {
                let result = Learner::default().learn(
                    &content[..cut],
                    (true, timed),
                    &definition,
                    table,
                    &mut Received::default(),
                    now,
                );
                assert_eq!(result, Err(WireError::Short), "{line} cut at {cut}");
            }
        }
    }
}
