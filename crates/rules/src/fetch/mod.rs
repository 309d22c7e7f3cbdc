//! The table of sample fetches: one row a keyword, one small function each.
//! Owns what rules can read of connections, messages and the proxy; never changes any of it.

mod auth;
mod blocks;
mod body;
mod certificate;
mod connection;
mod constant;
mod cookie;
mod counter;
mod distcc;
mod header;
mod hello;
mod payload;
mod quality;
mod start_line;
mod state;
mod task;
mod tls;
mod tls_suites;
mod url;

pub use certificate::{key_words, one_line, words};
pub(crate) use constant::parse_hex;
pub use payload::internal_length;

use crate::args::{Arg, ArgList, Param};
use crate::context::{ParseContext, Uses};
use crate::place::{Place, PlaceSet};
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a fetch found.
#[derive(Debug, Clone, PartialEq)]
pub enum Fetched<'a> {
    Ready(Value<'a>),
    /// A value that may still change while more bytes come in (`req.len`): a match counts, a mismatch does not yet.
    Early(Value<'a>),
    /// There is nothing, for good.
    Missing,
    /// There is nothing yet: evaluate again when more bytes came.
    Wait,
}

impl<'a> Fetched<'a> {
    fn of(value: Option<Value<'a>>) -> Fetched<'a> {
        match value {
            Some(value) => Fetched::Ready(value),
            None => Fetched::Missing,
        }
    }

    fn int(number: i64) -> Fetched<'a> {
        Fetched::Ready(Value::Int(number))
    }

    fn bool(truth: bool) -> Fetched<'a> {
        Fetched::Ready(Value::Bool(truth))
    }

    /// The value there is now, whether or not it may change.
    pub fn value(self) -> Option<Value<'a>> {
        match self {
            Fetched::Ready(value) | Fetched::Early(value) => Some(value),
            Fetched::Missing | Fetched::Wait => None,
        }
    }
}

/// How a walk over several values ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// All values were given, or the visitor had enough.
    Done,
    /// More may come with more bytes.
    Wait,
}

/// Gets each value in turn; returns false when it has seen enough.
pub type Visitor<'v, 'a> = &'v mut dyn FnMut(Value<'a>) -> bool;

/// Reads one value.
pub type Eval = for<'a> fn(&'a [Arg], &Scope<'a>) -> Fetched<'a>;

/// Reads all values, for ACLs.
pub type Each = for<'a> fn(&'a [Arg], &Scope<'a>, Visitor<'_, 'a>) -> Walk;

/// Completes the arguments at load: texts that have a closer meaning get it.
pub type Check = fn(&mut ArgList, &mut ParseContext<'_>) -> Result<(), String>;

/// One sample fetch.
pub struct Fetch {
    pub name: &'static str,
    /// Older spellings.
    pub aliases: &'static [&'static str],
    pub params: &'static [Param],
    /// How many of `params` must be given.
    pub required: usize,
    pub output: ValueType,
    /// Where it has something to read.
    pub places: PlaceSet,
    /// Reads a parsed HTTP message.
    pub is_http: bool,
    /// What must be there for it.
    pub uses: Uses,
    /// One line for the generated documentation.
    pub doc: &'static str,
    pub(crate) check: Option<Check>,
    pub(crate) eval: Eval,
    pub(crate) each: Option<Each>,
}

impl Fetch {
    const fn new(
        name: &'static str,
        output: ValueType,
        places: PlaceSet,
        eval: Eval,
        doc: &'static str,
    ) -> Fetch {
        Fetch {
            name,
            aliases: &[],
            params: &[],
            required: 0,
            output,
            places,
            is_http: false,
            uses: Uses::NOTHING,
            doc,
            check: None,
            eval,
            each: None,
        }
    }

    const fn takes(mut self, params: &'static [Param], required: usize) -> Fetch {
        self.params = params;
        self.required = required;
        self
    }

    const fn also(mut self, aliases: &'static [&'static str]) -> Fetch {
        self.aliases = aliases;
        self
    }

    const fn http(mut self) -> Fetch {
        self.is_http = true;
        self
    }

    const fn response_body(mut self) -> Fetch {
        self.uses.response_body = true;
        self
    }

    const fn task_cost(mut self) -> Fetch {
        self.uses.task_cost = true;
        self
    }

    const fn each(mut self, each: Each) -> Fetch {
        self.each = Some(each);
        self
    }

    const fn check(mut self, check: Check) -> Fetch {
        self.check = Some(check);
        self
    }
}

/// Known at any time.
const ANYWHERE: PlaceSet = PlaceSet::ALL;
/// Internal state: everywhere but in the configuration parser.
const INTERNAL: PlaceSet = PlaceSet::ALL.without(Place::ConfigurationParser.only());
/// The client's connection.
const CLIENT: PlaceSet = PlaceSet::range(Place::FrontendConnection, Place::Check);
/// The frontend: wherever a client is.
const FRONTEND: PlaceSet = PlaceSet::range(Place::FrontendConnection, Place::Log);
/// Request bytes, while they are there.
const REQUEST: PlaceSet = PlaceSet::range(Place::FrontendRequestContent, Place::ServerSource);
/// Kept of the request for its whole life.
const KEPT: PlaceSet = PlaceSet::range(Place::FrontendRequestContent, Place::Log);
/// A backend was chosen.
const BACKEND: PlaceSet = PlaceSet::range(Place::BackendRequestContent, Place::Check);
/// A server was chosen.
const SERVER: PlaceSet = PlaceSet::range(Place::ServerSource, Place::Check);
/// The server's connection.
const SERVER_CONNECTION: PlaceSet = PlaceSet::range(Place::BackendResponseContent, Place::Check);
/// Response bytes, while they are there.
const RESPONSE: PlaceSet =
    PlaceSet::range(Place::BackendResponseContent, Place::FrontendResponseBody).with(Place::Check.only());
/// Either message, by the direction of the rule.
const MESSAGE: PlaceSet = REQUEST.with(RESPONSE);

/// All rows, group by group.
pub fn all() -> impl Iterator<Item = &'static Fetch> {
    [
        constant::ROWS,
        connection::ROWS,
        state::ROWS,
        task::ROWS,
        start_line::ROWS,
        header::ROWS,
        cookie::ROWS,
        url::ROWS,
        blocks::ROWS,
        body::ROWS,
        distcc::ROWS,
        auth::ROWS,
        payload::ROWS,
        hello::ROWS,
        tls::ROWS,
        certificate::ROWS,
        certificate::CLIENT_ROWS,
        certificate::OWN_ROWS,
        certificate::SERVER_ROWS,
        quality::ROWS,
    ]
    .into_iter()
    .chain(counter::GROUPS)
    .flatten()
}

/// The row of that name or alias.
pub fn find(name: &[u8]) -> Option<&'static Fetch> {
    static BY_NAME: LazyLock<HashMap<&'static [u8], &'static Fetch>> = LazyLock::new(|| {
        let mut by_name = HashMap::new();
        for fetch in all() {
            for name in std::iter::once(&fetch.name).chain(fetch.aliases) {
                by_name.insert(name.as_bytes(), fetch);
            }
        }
        by_name
    });
    BY_NAME.get(name).copied()
}

/// All names and aliases.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().flat_map(|fetch| std::iter::once(fetch.name).chain(fetch.aliases.iter().copied()))
}
