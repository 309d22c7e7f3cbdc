//! Tables and scalars, put together in any order.

use agentx::{Binding, Oid, Tree, Value};
use std::net::IpAddr;

/// Longest string that is shown: a script's command line may be long, an answer may not.
const TEXT_LENGTH_MAX: usize = 1024;

/// `TruthValue` (RFC 2579), and what most of keepalived's enumerations make of yes and no.
pub fn truth(is_true: bool) -> Value {
    Value::Integer(if is_true { 1 } else { 2 })
}

/// A tree in the making.
#[derive(Debug, Default)]
pub struct Build {
    objects: Vec<Oid>,
    instances: Vec<Binding>,
}

impl Build {
    /// A scalar, which may be absent now.
    pub fn scalar(&mut self, name: Oid, value: Option<Value>) {
        if let Some(value) = value {
            self.instances.push(Binding::new(name.with(&[0]), value));
        }
        self.objects.push(name);
    }

    /// A table has these columns, with rows or without.
    pub fn columns(&mut self, entry: &Oid, columns: impl IntoIterator<Item = u32>) {
        self.objects.extend(columns.into_iter().map(|column| entry.with(&[column])));
    }

    /// A row of a table.
    pub fn row<'a>(&'a mut self, entry: &'a Oid, index: &'a [u32]) -> Row<'a> {
        Row { build: self, entry, index }
    }

    pub fn finish(self) -> Tree {
        Tree::new(self.objects, self.instances)
    }
}

/// A row in the making: absent values are left out.
#[derive(Debug)]
pub struct Row<'a> {
    build: &'a mut Build,
    entry: &'a Oid,
    index: &'a [u32],
}

impl Row<'_> {
    pub fn put(&mut self, column: u32, value: Value) {
        let name = self.entry.with(&[column]).with(self.index);
        self.build.instances.push(Binding::new(name, value));
    }

    pub fn maybe(&mut self, column: u32, value: Option<Value>) {
        if let Some(value) = value {
            self.put(column, value);
        }
    }

    pub fn text(&mut self, column: u32, text: &str) {
        self.put(column, shown(text));
    }

    pub fn integer(&mut self, column: u32, number: i64) {
        self.put(column, Value::Integer(i32::try_from(number).unwrap_or(i32::MAX)));
    }

    pub fn gauge(&mut self, column: u32, number: impl TryInto<u32>) {
        self.put(column, Value::Gauge32(number.try_into().unwrap_or(u32::MAX)));
    }

    pub fn truth(&mut self, column: u32, is_true: bool) {
        self.put(column, truth(is_true));
    }

    /// `InetAddress`
    pub fn address(&mut self, column: u32, address: IpAddr) {
        self.put(column, Value::Octets(octets(address)));
    }
}

/// A text, cut to what is shown.
pub fn shown(text: &str) -> Value {
    let bytes = text.as_bytes();
    Value::Octets(bytes[..bytes.len().min(TEXT_LENGTH_MAX)].to_vec())
}

pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// `InetAddressType` (RFC 4001)
pub fn address_type(is_ipv4: bool) -> Value {
    Value::Integer(if is_ipv4 { 1 } else { 2 })
}

/// Places of rows begin at 1.
pub fn number(place: usize) -> u32 {
    u32::try_from(place).map_or(u32::MAX, |place| place.saturating_add(1))
}
