//! Counters of stick tables: of tracked keys (`sc_…`), of the client's address (`src_…`), and of tables as a whole.

use super::{Fetch, Fetched, INTERNAL};
use crate::args::{Arg, Param};
use crate::scope::{Peer, Scope};
use crate::stick_table::{Access, DATA_TYPES, DataType, Entry, StickTable};
use crate::value::{Value, ValueType};
use std::sync::Arc;

/// Where the key comes from: `sc0_` to `sc2_`, `sc_` with a number as argument, `src_`.
const NUMBERED: u8 = 3;
const SOURCE: u8 = 4;

/// What is done with the counter.
const READ: u8 = 0;
const READ_KILOBYTES: u8 = 1;
const INCREMENT: u8 = 2;
const CLEAR: u8 = 3;
/// The same for arrays, whose index is the first argument.
const READ_AT: u8 = 4;
const INCREMENT_AT: u8 = 5;
const CLEAR_AT: u8 = 6;

const NUMBER_TABLE: &[Param] = &[Param::Int, Param::Table];
const INDEX_NUMBER_TABLE: &[Param] = &[Param::Int, Param::Int, Param::Table];
const INDEX_TABLE: &[Param] = &[Param::Int, Param::Table];
const TABLE: &[Param] = &[Param::Table];

const fn row(name: &'static str, eval: super::Eval, doc: &'static str) -> Fetch {
    Fetch::new(name, ValueType::Int, INTERNAL, eval, doc)
}

/// The five spellings of one counter.
macro_rules! counters {
    ($($name:literal $do:ident $data:ident $doc:literal;)+) => {
        [$(
            row(concat!("sc0_", $name), counter::<0, $do, { DataType::$data as u8 }>, $doc).takes(TABLE, 0),
            row(concat!("sc1_", $name), counter::<1, $do, { DataType::$data as u8 }>, $doc).takes(TABLE, 0),
            row(concat!("sc2_", $name), counter::<2, $do, { DataType::$data as u8 }>, $doc).takes(TABLE, 0),
            row(concat!("sc_", $name), counter::<NUMBERED, $do, { DataType::$data as u8 }>, $doc)
                .takes(NUMBER_TABLE, 1),
            row(concat!("src_", $name), counter::<SOURCE, $do, { DataType::$data as u8 }>, $doc).takes(TABLE, 1),
        )+]
    };
}

/// The spellings of a counter in an array.
macro_rules! arrays {
    ($($name:literal $do:ident $data:ident $doc:literal;)+) => {
        [$(
            row(concat!("sc_", $name), counter::<NUMBERED, $do, { DataType::$data as u8 }>, $doc)
                .takes(INDEX_NUMBER_TABLE, 2),
            row(concat!("src_", $name), counter::<SOURCE, $do, { DataType::$data as u8 }>, $doc)
                .takes(INDEX_TABLE, 2),
        )+]
    };
}

const COUNTERS: &[Fetch] = &counters! {
    "bytes_in_rate" READ BytesInRate "Bytes from clients over the period.";
    "bytes_out_rate" READ BytesOutRate "Bytes to clients over the period.";
    "clr_gpc0" CLEAR Gpc0 "Clears the first general counter; what it was.";
    "clr_gpc1" CLEAR Gpc1 "Clears the second general counter; what it was.";
    "conn_cnt" READ ConnCnt "Connections.";
    "conn_cur" READ ConnCur "Connections now.";
    "conn_rate" READ ConnRate "Connections over the period.";
    "get_gpc0" READ Gpc0 "The first general counter.";
    "get_gpc1" READ Gpc1 "The second general counter.";
    "get_gpt0" READ Gpt0 "The first general tag.";
    "gpc0_rate" READ Gpc0Rate "Increments of the first general counter over the period.";
    "gpc1_rate" READ Gpc1Rate "Increments of the second general counter over the period.";
    "http_err_cnt" READ HttpErrCnt "HTTP errors of clients.";
    "http_err_rate" READ HttpErrRate "HTTP errors of clients over the period.";
    "http_fail_cnt" READ HttpFailCnt "HTTP failures of servers.";
    "http_fail_rate" READ HttpFailRate "HTTP failures of servers over the period.";
    "http_req_cnt" READ HttpReqCnt "HTTP requests.";
    "http_req_rate" READ HttpReqRate "HTTP requests over the period.";
    "inc_gpc0" INCREMENT Gpc0 "Counts on the first general counter; what it is then.";
    "inc_gpc1" INCREMENT Gpc1 "Counts on the second general counter; what it is then.";
    "kbytes_in" READ_KILOBYTES BytesInCnt "Kilobytes from clients.";
    "kbytes_out" READ_KILOBYTES BytesOutCnt "Kilobytes to clients.";
    "sess_cnt" READ SessCnt "Sessions.";
    "sess_rate" READ SessRate "Sessions over the period.";
};

const ARRAYS: &[Fetch] = &arrays! {
    "clr_gpc" CLEAR_AT Gpc "Clears a general counter; what it was.";
    "get_gpc" READ_AT Gpc "A general counter.";
    "get_gpt" READ_AT Gpt "A general tag.";
    "gpc_rate" READ_AT GpcRate "Increments of a general counter over the period.";
    "inc_gpc" INCREMENT_AT Gpc "Counts on a general counter; what it is then.";
};

const fn boolean(name: &'static str, eval: super::Eval) -> Fetch {
    Fetch::new(name, ValueType::Bool, INTERNAL, eval, "Whether a key is tracked.")
}

const OTHERS: &[Fetch] = &[
    boolean("sc0_tracked", tracked::<0>).takes(TABLE, 0),
    boolean("sc1_tracked", tracked::<1>).takes(TABLE, 0),
    boolean("sc2_tracked", tracked::<2>).takes(TABLE, 0),
    boolean("sc_tracked", tracked::<NUMBERED>).takes(NUMBER_TABLE, 1),
    row("sc0_trackers", trackers::<0>, "How many track the same key.").takes(TABLE, 0),
    row("sc1_trackers", trackers::<1>, "How many track the same key.").takes(TABLE, 0),
    row("sc2_trackers", trackers::<2>, "How many track the same key.").takes(TABLE, 0),
    row("sc_trackers", trackers::<NUMBERED>, "How many track the same key.").takes(NUMBER_TABLE, 1),
    row(
        "sc1_clr_gpc",
        counter::<1, CLEAR_AT, { DataType::Gpc as u8 }>,
        "Clears a general counter; what it was.",
    )
    .takes(INDEX_TABLE, 1),
    row("src_updt_conn_cnt", update_connections, "Counts a connection of the client's address.")
        .takes(TABLE, 1),
    row("table_cnt", table_used, "Entries in use in a table.").takes(TABLE, 1),
    row("table_avl", table_free, "Entries free in a table.").takes(TABLE, 1),
];

pub(super) const GROUPS: [&[Fetch]; 3] = [COUNTERS, ARRAYS, OTHERS];

/// The table among the arguments.
fn table<'a>(args: &[Arg], scope: &Scope<'a>) -> Option<&'a Arc<StickTable>> {
    args.iter().find_map(|arg| match arg {
        Arg::Table(id) => scope.host.table(*id),
        _other => None,
    })
}

/// The integers among the arguments, in order.
fn number(args: &[Arg], index: usize) -> Option<usize> {
    let mut numbers = args.iter().filter_map(|arg| match arg {
        Arg::Int(number) => usize::try_from(*number).ok(),
        _other => None,
    });
    numbers.nth(index)
}

fn client(scope: &Scope<'_>) -> Option<Value<'static>> {
    match scope.stream.src {
        Some(Peer::Inet(socket)) => Some(Value::ip(socket.ip())),
        Some(Peer::Unix) | None => None,
    }
}

/// Runs `with` on the entry that `WHO` and the arguments mean. `None`: nothing is tracked, or there is no such table;
/// `Some(None)`: the key has no entry there.
fn entry<R>(
    who: u8,
    args: &[Arg],
    scope: &Scope<'_>,
    slot: usize,
    create: bool,
    with: impl FnOnce(&mut Entry<'_>) -> R,
) -> Option<Option<R>> {
    let access = if create { Access::Create } else { Access::Peek };
    if who == SOURCE {
        let (table, value) = (table(args, scope)?, client(scope)?);
        let key = table.key(&value)?;
        return Some(table.access(&key, scope.now, access, with));
    }
    let tracked = scope.tracked(slot)?;
    match args.iter().any(|arg| matches!(arg, Arg::Table(_))) {
        false => Some(Some(tracked.change(scope.now, with))),
        true => {
            let other = table(args, scope)?;
            Some(tracked.with_key(|key| other.access(key, scope.now, access, with)))
        }
    }
}

/// Which tracked counter, by name or by argument; for arrays the index comes before it.
fn slot_of(who: u8, args: &[Arg], is_array: bool) -> Option<usize> {
    match who {
        NUMBERED => number(args, usize::from(is_array)),
        SOURCE => Some(0),
        fixed => Some(usize::from(fixed)),
    }
}

fn rate_of(data: DataType) -> Option<DataType> {
    match data {
        DataType::Gpc0 => Some(DataType::Gpc0Rate),
        DataType::Gpc1 => Some(DataType::Gpc1Rate),
        DataType::Gpc => Some(DataType::GpcRate),
        _without_rate => None,
    }
}

/// A key without an entry counts 0; a table that does not store the data makes the sample missing.
fn counter<'a, const WHO: u8, const DO: u8, const DATA: u8>(
    args: &'a [Arg],
    scope: &Scope<'a>,
) -> Fetched<'a> {
    let data = DATA_TYPES[DATA as usize].0;
    let is_array = DO >= READ_AT;
    let index = if is_array { number(args, 0).and_then(|index| u32::try_from(index).ok()) } else { Some(0) };
    let (Some(slot), Some(index)) = (slot_of(WHO, args, is_array), index) else { return Fetched::Missing };
    let create = matches!(DO, INCREMENT | INCREMENT_AT);
    let found = entry(WHO, args, scope, slot, create, |entry| match DO {
        READ_KILOBYTES => entry.get(data, 0).map(|bytes| bytes >> 10),
        INCREMENT | INCREMENT_AT => {
            if let Some(rate) = rate_of(data) {
                entry.add(rate, index, 1);
            }
            entry.add(data, index, 1)
        }
        CLEAR | CLEAR_AT => {
            let was = entry.get(data, index);
            entry.set(data, index, 0);
            was
        }
        _read => entry.get(data, index),
    });
    match found {
        // Counting what is not kept counts nothing: HAProxy says 0 then.
        Some(Some(None)) if create => Fetched::int(0),
        None | Some(Some(None)) => Fetched::Missing,
        Some(None) => Fetched::int(0),
        Some(Some(Some(count))) => Fetched::int(count as i64),
    }
}

fn tracked<'a, const WHO: u8>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let Some(slot) = slot_of(WHO, args, false) else { return Fetched::Missing };
    Fetched::bool(entry(WHO, args, scope, slot, false, |_| ()).is_some_and(|found| found.is_some()))
}

fn trackers<'a, const WHO: u8>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let slot = slot_of(WHO, args, false);
    let Some(tracked) = slot.and_then(|slot| scope.tracked(slot)) else {
        return Fetched::Missing;
    };
    match table(args, scope) {
        None => Fetched::int(i64::from(tracked.trackers())),
        Some(table) => {
            Fetched::int(tracked.with_key(|key| table.trackers(key, scope.now).map_or(0, i64::from)))
        }
    }
}

fn update_connections<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    match entry(SOURCE, args, scope, 0, true, |entry| entry.add(DataType::ConnCnt, 0, 1)) {
        Some(Some(Some(count))) => Fetched::int(count as i64),
        Some(Some(None) | None) | None => Fetched::Missing,
    }
}

fn table_used<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(table(args, scope).map(|table| Value::Int(table.used() as i64)))
}

fn table_free<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let free = |table: &StickTable| i64::from(table.config().size) - table.used() as i64;
    Fetched::of(table(args, scope).map(|table| Value::Int(free(table))))
}
