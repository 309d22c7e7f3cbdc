//! `show table`, `set table` and `clear table` of the runtime API: their arguments, their texts, their effect on one
//! table. Finding the table by name, levels and the empty line after a reply belong to the caller.

use super::config::{DataShape, DataType};
use super::{Access, StickTable};
use std::fmt::Write as _;
use std::time::Instant;

/// Most `data.…` conditions of one command, as HAProxy is built.
const FILTERS_MAX: usize = 4;

/// Which of the three commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableAction {
    Show,
    Set,
    Clear,
}

/// A refusal: the text to print, without a final newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError(pub String);

/// A comparison of `data.<type> <operator> <value>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
}

impl Operator {
    fn parse(word: &str) -> Option<Operator> {
        Some(match word {
            "eq" => Operator::Equal,
            "ne" => Operator::NotEqual,
            "le" => Operator::LessOrEqual,
            "ge" => Operator::GreaterOrEqual,
            "lt" => Operator::Less,
            "gt" => Operator::Greater,
            _ => return None,
        })
    }

    fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Operator::Equal => left == right,
            Operator::NotEqual => left != right,
            Operator::LessOrEqual => left <= right,
            Operator::GreaterOrEqual => left >= right,
            Operator::Less => left < right,
            Operator::Greater => left > right,
        }
    }
}

/// One condition on an entry's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    pub data: DataType,
    pub operator: Operator,
    pub value: i64,
}

/// What entries a command is about.
enum Selection {
    All,
    Filters(Vec<Filter>),
    Key(super::Key<'static>),
}

impl StickTable {
    /// The line that `show table` prints for a table called `name`, newline included.
    pub fn header(&self, name: &str) -> String {
        let used = self.used();
        format!(
            "# table: {name}, type: {}, size:{}, used:{used}\n",
            self.config().key.name(),
            self.config().size
        )
    }

    /// Runs a command on this table. `words` follow the table's name. What it prints is appended to `out`.
    ///
    /// # Errors
    /// The text that HAProxy prints for wrong arguments; nothing was changed, except that `set table` creates its
    /// entry before it reads the values.
    pub fn run_command(
        &self,
        action: TableAction,
        name: &str,
        words: &[&str],
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        self.expire(now);
        match (action, self.selection(action, words)?) {
            (TableAction::Show, Selection::Key(key)) => {
                if self.access(&key, now, Access::Peek, |_| ()).is_some() {
                    out.extend_from_slice(self.header(name).as_bytes());
                    self.dump(now, out, |_, bytes| bytes == key.as_bytes());
                }
            }
            (TableAction::Show, Selection::Filters(filters)) => {
                out.extend_from_slice(self.header(name).as_bytes());
                self.dump(now, out, |entry, _| matches_all(&filters, entry));
            }
            (TableAction::Show, Selection::All) => {
                out.extend_from_slice(self.header(name).as_bytes());
                self.dump(now, out, |_, _| true);
            }
            (TableAction::Clear, Selection::Key(key)) => {
                if !self.clear(now, |_, bytes| bytes == key.as_bytes()) {
                    return Err(CommandError("Entry currently in use, cannot remove".into()));
                }
            }
            (TableAction::Clear, Selection::Filters(filters)) => {
                self.clear(now, |entry, _| matches_all(&filters, entry));
            }
            (TableAction::Clear, Selection::All) => {
                self.clear(now, |_, _| true);
            }
            (TableAction::Set, Selection::Key(key)) => {
                return self
                    .access(&key, now, Access::Create, |entry| set_values(entry, &words[2..]))
                    .unwrap_or_else(|| Err(CommandError("Unable to allocate a new entry".into())));
            }
            (TableAction::Set, Selection::All | Selection::Filters(_)) => {}
        }
        Ok(())
    }

    fn selection(&self, action: TableAction, words: &[&str]) -> Result<Selection, CommandError> {
        let error = |text: &str| Err(CommandError(text.to_owned()));
        match (words.first(), action) {
            (None, _) => Ok(Selection::All),
            (Some(&"key"), _) => self.selected_key(action, words.get(1).copied()).map(Selection::Key),
            (Some(word), TableAction::Show | TableAction::Clear) if word.starts_with("data.") => {
                self.filters(words).map(Selection::Filters)
            }
            (Some(_), TableAction::Set) => {
                error("Required arguments: <table> key <key> [data.<store_data_type> <value>]*")
            }
            (Some(_), TableAction::Clear) => error(
                "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or <table> key <key>",
            ),
            (Some(_), TableAction::Show) => error(
                "Optional argument only supports \"data.<store_data_type>\" <operator> <value> and key <key>",
            ),
        }
    }

    fn selected_key(
        &self,
        action: TableAction,
        text: Option<&str>,
    ) -> Result<super::Key<'static>, CommandError> {
        let text =
            text.filter(|text| !text.is_empty()).ok_or_else(|| CommandError("Key value expected".into()))?;
        if matches!(self.config().key, super::KeyType::Binary { .. }) {
            let doing = match action {
                TableAction::Show => "Showing keys from tables",
                TableAction::Set => "Inserting keys into tables",
                TableAction::Clear => "Removing keys from tables",
            };
            return Err(CommandError(format!(
                "{doing} of type other than ip, ipv6, string and integer is not supported"
            )));
        }
        self.config().key.parse(text).ok_or_else(|| CommandError("Invalid key".into()))
    }

    fn filters(&self, words: &[&str]) -> Result<Vec<Filter>, CommandError> {
        let mut filters = Vec::new();
        for (index, condition) in words.chunks(3).enumerate() {
            let number = index + 1;
            let error = |text: &str| Err(CommandError(format!("Filter entry #{number}: {text}")));
            if index >= FILTERS_MAX || !condition[0].starts_with("data.") {
                // "show table <name>" comes before the words.
                let at = 3 + index * 3 + 1;
                return Err(CommandError(format!(
                    "Detected extra data in filter, {}{} word of input, after '{}'",
                    at,
                    ordinal_suffix(at),
                    words[index * 3 - 1]
                )));
            }
            let Some(data) = DataType::from_name(&condition[0][5..]) else {
                return error("Unknown data type");
            };
            if !self.stores(data) {
                return error("Data type not stored in this table");
            }
            let Some(operator) = condition.get(1).and_then(|word| Operator::parse(word)) else {
                return error(r#"Require and operator among "eq", "ne", "le", "ge", "lt", "gt""#);
            };
            let Some(value) = condition.get(2).and_then(|word| word.parse().ok()) else {
                return error("Require a valid integer value to compare against");
            };
            filters.push(Filter { data, operator, value });
        }
        Ok(filters)
    }

    /// Appends the entries that are `wanted`, in the order of their keys.
    fn dump(&self, now: Instant, out: &mut Vec<u8>, wanted: impl Fn(&super::Entry<'_>, &[u8]) -> bool) {
        let now_ms = self.now_ms(now);
        let mut lines: Vec<(Box<[u8]>, Vec<u8>)> = Vec::new();
        for number in 0..self.shards.len() {
            let mut shard = self.lock(number);
            let slots: Vec<u32> = shard.slots_in_use().collect();
            // What peers told may end before entries that were used earlier, and so wait to be taken out.
            for slot in slots.into_iter().filter(|&slot| !shard.is_expired(slot, now_ms)).collect::<Vec<_>>()
            {
                let key: Box<[u8]> = shard.key(slot).into();
                let (uses, expires) = (shard.references(slot), shard.expires_at(slot));
                let entry = shard.entry(slot, &self.layout, now_ms);
                if !wanted(&entry, &key) {
                    continue;
                }
                let mut line = Vec::with_capacity(96);
                // HAProxy prints the entry's address; ours has a number, unique in the table.
                line.extend_from_slice(
                    format!("{:#x}: key=", (number as u64) << 32 | u64::from(slot)).as_bytes(),
                );
                self.config().key.print(&key, &mut line);
                let exp = expires.map_or(0, |at| at.saturating_sub(now_ms));
                line.extend_from_slice(format!(" use={uses} exp={exp}").as_bytes());
                self.print_data(&entry, &mut line);
                line.push(b'\n');
                lines.push((key, line));
            }
        }
        lines.sort_by(|one, other| one.0.cmp(&other.0));
        for (_, line) in lines {
            out.extend_from_slice(&line);
        }
    }

    fn print_data(&self, entry: &super::Entry<'_>, line: &mut Vec<u8>) {
        let mut text = String::new();
        for item in &self.config().store {
            let name = item.data.name();
            let period = item.period.as_millis();
            for index in 0..item.count {
                let value = entry.get(item.data, index).unwrap_or(0);
                // Writing to a `String` cannot fail.
                let _ = match item.data.shape() {
                    DataShape::Counter | DataShape::Counter64 => write!(text, " {name}={value}"),
                    DataShape::Rate => write!(text, " {name}({period})={value}"),
                    DataShape::Array => write!(text, " {name}{index}={value}"),
                    DataShape::RateArray => write!(text, " gpc{index}_rate({period})={value}"),
                    DataShape::ServerKey => {
                        write!(text, " {name}={}", entry.server_key().as_deref().unwrap_or("-"))
                    }
                };
            }
        }
        line.extend_from_slice(text.as_bytes());
    }

    /// Removes the entries that are `wanted` and not tracked. Returns whether none was tracked.
    fn clear(&self, now: Instant, wanted: impl Fn(&super::Entry<'_>, &[u8]) -> bool) -> bool {
        let now_ms = self.now_ms(now);
        let mut all = true;
        for place in 0..self.shards.len() {
            let mut shard = self.lock(place);
            let slots: Vec<u32> = shard.slots_in_use().collect();
            for slot in slots {
                let key: Box<[u8]> = shard.key(slot).into();
                if !wanted(&shard.entry(slot, &self.layout, now_ms), &key) {
                    continue;
                }
                if shard.references(slot) > 0 {
                    all = false;
                } else {
                    self.remove_slot(&mut shard, slot);
                }
            }
        }
        all
    }
}

fn matches_all(filters: &[Filter], entry: &super::Entry<'_>) -> bool {
    filters.iter().all(|filter| {
        let value = entry.get(filter.data, 0).unwrap_or(0);
        filter.operator.holds(value as i64, filter.value)
    })
}

fn set_values(entry: &mut super::Entry<'_>, words: &[&str]) -> Result<(), CommandError> {
    let error = |text: &str| Err(CommandError(text.to_owned()));
    for pair in words.chunks(2) {
        let Some(name) = pair[0].strip_prefix("data.") else {
            return error("\"data.<type>\" followed by a value expected");
        };
        let Some(data) = DataType::from_name(name) else { return error("Unknown data type") };
        if entry.layout.element_count(data) != 1
            || matches!(data.shape(), DataShape::Array | DataShape::RateArray)
        {
            return error("Data type not stored in this table");
        }
        let Some(value) = pair.get(1).and_then(|word| word.parse::<i64>().ok()) else {
            return error("Require a valid integer value to store");
        };
        entry.set_exact(data, value as u64);
    }
    Ok(())
}

fn ordinal_suffix(number: usize) -> &'static str {
    match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}
