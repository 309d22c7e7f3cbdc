//! Look-ups of a value as the key of a stick table.

use super::Converter;
use crate::args::{Arg, Arguments, Param};
use crate::scope::Scope;
use crate::stick_table::{Access, DATA_TYPES, DataType, StickTable};
use crate::value::{Value, ValueType};
use std::sync::Arc;

const TABLE: &[Param] = &[Param::Table];
const INDEX_TABLE: &[Param] = &[Param::Int, Param::Table];
const TABLE_DEFAULT: &[Param] = &[Param::Table, Param::Int];

const fn row(name: &'static str, convert: super::Convert, doc: &'static str) -> Converter {
    Converter::new(name, ValueType::Any, ValueType::Int, convert, doc).takes(TABLE, 1)
}

macro_rules! data {
    ($($name:literal $shift:literal $data:ident $doc:literal;)+) => {
        &[$(row($name, read::<{ DataType::$data as u8 }, $shift>, $doc)),+]
    };
}

pub(super) const DATA: &[Converter] = data! {
    "table_bytes_in_rate" 0 BytesInRate "Bytes from clients over the period.";
    "table_bytes_out_rate" 0 BytesOutRate "Bytes to clients over the period.";
    "table_conn_cnt" 0 ConnCnt "Connections.";
    "table_conn_cur" 0 ConnCur "Connections now.";
    "table_conn_rate" 0 ConnRate "Connections over the period.";
    "table_gpc0" 0 Gpc0 "The first general counter.";
    "table_gpc0_rate" 0 Gpc0Rate "Increments of the first general counter over the period.";
    "table_gpc1" 0 Gpc1 "The second general counter.";
    "table_gpc1_rate" 0 Gpc1Rate "Increments of the second general counter over the period.";
    "table_gpt0" 0 Gpt0 "The first general tag.";
    "table_http_err_cnt" 0 HttpErrCnt "HTTP errors of clients.";
    "table_http_err_rate" 0 HttpErrRate "HTTP errors of clients over the period.";
    "table_http_fail_cnt" 0 HttpFailCnt "HTTP failures of servers.";
    "table_http_fail_rate" 0 HttpFailRate "HTTP failures of servers over the period.";
    "table_http_req_cnt" 0 HttpReqCnt "HTTP requests.";
    "table_http_req_rate" 0 HttpReqRate "HTTP requests over the period.";
    "table_kbytes_in" 10 BytesInCnt "Kilobytes from clients.";
    "table_kbytes_out" 10 BytesOutCnt "Kilobytes to clients.";
    "table_server_id" 0 ServerId "The server that the key sticks to.";
    "table_sess_cnt" 0 SessCnt "Sessions.";
    "table_sess_rate" 0 SessRate "Sessions over the period.";
};

pub(super) const ROWS: &[Converter] = &[
    Converter::new("in_table", ValueType::Any, ValueType::Bool, in_table, "Whether the table has the key.")
        .takes(TABLE, 1),
    row("table_gpc", read_at::<{ DataType::Gpc as u8 }>, "A general counter.").takes(INDEX_TABLE, 2),
    row("table_gpc_rate", read_at::<{ DataType::GpcRate as u8 }>, "Increments of a general counter.")
        .takes(INDEX_TABLE, 2),
    row("table_gpt", read_at::<{ DataType::Gpt as u8 }>, "A general tag.").takes(INDEX_TABLE, 2),
    row("table_trackers", trackers, "How many track the key."),
    row("table_expire", expire, "Milliseconds until the entry expires.").takes(TABLE_DEFAULT, 1),
    row("table_idle", idle, "Milliseconds since the entry was used.").takes(TABLE_DEFAULT, 1),
];

fn table<'a>(args: &[Arg], scope: &Scope<'a>) -> Option<&'a Arc<StickTable>> {
    args.iter().find_map(|arg| match arg {
        Arg::Table(id) => scope.host.table(*id),
        _other => None,
    })
}

/// A key that the table does not have counts 0; data that it does not store makes the sample missing.
fn look_up(value: &Value<'_>, args: &[Arg], scope: &Scope<'_>, data: DataType, index: u32) -> Option<u64> {
    let table = table(args, scope)?;
    let key = table.key(value)?;
    match table.access(&key, scope.now, Access::Peek, |entry| entry.get(data, index)) {
        None => Some(0),
        Some(stored) => stored,
    }
}

fn read<'a, const DATA: u8, const SHIFT: u8>(
    value: Value<'a>,
    args: &'a [Arg],
    scope: &Scope<'a>,
) -> Option<Value<'a>> {
    let data = DATA_TYPES[DATA as usize].0;
    let count = look_up(&value, args, scope, data, 0)?;
    if data == DataType::ServerId {
        // A signed number of 32 bits.
        return Some(Value::Int(i64::from(count as i32)));
    }
    Some(Value::Int((count >> SHIFT) as i64))
}

fn read_at<'a, const DATA: u8>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let index = u32::try_from(args.int(0)?).ok()?;
    look_up(&value, args, scope, DATA_TYPES[DATA as usize].0, index).map(|count| Value::Int(count as i64))
}

fn in_table<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let table = table(args, scope)?;
    let key = table.key(&value)?;
    Some(Value::Bool(table.access(&key, scope.now, Access::Peek, |_| ()).is_some()))
}

fn trackers<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let table = table(args, scope)?;
    let key = table.key(&value)?;
    // The look-up counts itself, as HAProxy's does.
    Some(Value::Int(table.trackers(&key, scope.now).map_or(0, |trackers| i64::from(trackers) + 1)))
}

fn expire<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let table = table(args, scope)?;
    let remaining = table.key(&value).and_then(|key| table.remaining(&key, scope.now));
    remaining.map(|time| time.as_millis() as i64).or(args.int(1)).map(Value::Int)
}

fn idle<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let table = table(args, scope)?;
    let remaining = table.key(&value).and_then(|key| table.remaining(&key, scope.now));
    let idle = remaining.and_then(|time| table.config().expire?.checked_sub(time));
    idle.map(|time| time.as_millis() as i64).or(args.int(1)).map(Value::Int)
}
