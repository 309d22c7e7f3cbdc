//! The table of converters: one row a keyword, one small function each.
//! Owns how one value becomes another; reads the scope only for variables and tables, and changes only variables.

mod capture;
mod cipher;
pub(crate) mod codec;
mod date;
mod hash;
mod json;
mod map;
mod message;
mod mqtt;
mod net;
mod number;
mod table;
mod text;

pub use map::MapUse;

use crate::args::{Arg, ArgList, Param};
use crate::context::ParseContext;
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Turns one value into another; `None` makes the sample missing.
pub type Convert = for<'a> fn(Value<'a>, &'a [Arg], &Scope<'a>) -> Option<Value<'a>>;

/// Completes the arguments at load.
pub type Check = fn(&mut ArgList, &mut ParseContext<'_>, &'static Converter) -> Result<(), String>;

/// One converter.
pub struct Converter {
    pub name: &'static str,
    pub params: &'static [Param],
    pub required: usize,
    /// What the value is cast to before.
    pub input: ValueType,
    /// `Any`: as the input was.
    pub output: ValueType,
    /// One line for the generated documentation.
    pub doc: &'static str,
    pub(crate) check: Option<Check>,
    pub(crate) convert: Convert,
}

impl Converter {
    const fn new(
        name: &'static str,
        input: ValueType,
        output: ValueType,
        convert: Convert,
        doc: &'static str,
    ) -> Converter {
        Converter { name, params: &[], required: 0, input, output, doc, check: None, convert }
    }

    const fn takes(mut self, params: &'static [Param], required: usize) -> Converter {
        self.params = params;
        self.required = required;
        self
    }

    const fn check(mut self, check: Check) -> Converter {
        self.check = Some(check);
        self
    }
}

/// No words of the language: casts that an action needs at the end of its expression.
pub(crate) static AS_ADDRESS: Converter =
    Converter::new("", ValueType::Address, ValueType::Address, |value, _, _| Some(value), "An address.");
pub(crate) static AS_NUMBER: Converter =
    Converter::new("", ValueType::Int, ValueType::Int, |value, _, _| Some(value), "A number.");

/// All rows, group by group.
pub fn all() -> impl Iterator<Item = &'static Converter> {
    [
        text::ROWS,
        number::ROWS,
        hash::ROWS,
        capture::ROWS,
        cipher::ROWS,
        codec::ROWS,
        map::ROWS,
        date::ROWS,
        net::ROWS,
        table::DATA,
        table::ROWS,
        json::ROWS,
        message::ROWS,
        mqtt::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// The row of that name.
pub fn find(name: &[u8]) -> Option<&'static Converter> {
    static BY_NAME: LazyLock<HashMap<&'static [u8], &'static Converter>> =
        LazyLock::new(|| all().map(|converter| (converter.name.as_bytes(), converter)).collect());
    BY_NAME.get(name).copied()
}
