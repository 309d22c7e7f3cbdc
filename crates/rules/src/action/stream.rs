//! Actions that work on a connection or a stream rather than on a message: shared by TCP and HTTP rules. Plain data
//! for the engine, except that variables are set here.

use crate::log_format::LogContext;
use crate::{Expr, LogFormat, Scope, TableId, Value, VariableName};
use std::borrow::Cow;
use std::time::Duration;

/// What a rule does to its stream or connection.
#[derive(Debug, Clone)]
pub enum StreamAction {
    /// `set-var`, `set-var-fmt`: see [`VariableWrite::run`].
    SetVariable(VariableWrite),
    UnsetVariable(VariableName),
    /// `set-src`, `set-src-port`, `set-dst`, `set-dst-port`.
    SetAddress {
        part: AddressPart,
        value: Expr,
    },
    /// Syslog level of the log line, 0 (emerg) ..= 7 (debug); `None`: no line.
    SetLogLevel(Option<u8>),
    /// Scheduling priority, -1024..=1024.
    SetNice(i32),
    /// The TOS byte of packets to the client.
    SetTos(u8),
    /// The netfilter mark of packets to the client.
    SetMark(u32),
    SetTimeout {
        which: TimeoutWhich,
        value: TimeoutValue,
    },
    /// Queue priority: the class counts first; -2047..=2047.
    SetPriorityClass(Expr),
    /// Queue priority inside the class, milliseconds; -524287..=524287.
    SetPriorityOffset(Expr),
    Capture(Capture),
    Track(Track),
    /// `sc-inc-gpc`, `sc-set-gpt` and their like: on a tracked entry.
    Counter(CounterChange),
    /// `add-acl`, `del-acl`, `set-map`, `del-map`.
    List(ListChange),
    Resolve(Box<Resolve>),
    UseService(Service),
    SetBandwidthLimit(Box<BandwidthLimit>),
    /// Forgets the connection without telling the client.
    SilentDrop,
}

impl StreamAction {
    /// The expression that it evaluates, where it has one of its own.
    pub fn expression(&self) -> Option<&Expr> {
        match self {
            StreamAction::SetVariable(write) => match &write.source {
                VariableSource::Expr(expression) => Some(expression),
                VariableSource::Format(_) => None,
            },
            StreamAction::SetAddress { value, .. } => Some(value),
            StreamAction::SetPriorityClass(value) | StreamAction::SetPriorityOffset(value) => Some(value),
            StreamAction::Capture(capture) => Some(&capture.sample),
            StreamAction::Track(track) => Some(&track.key),
            StreamAction::Resolve(resolve) => Some(&resolve.name),
            StreamAction::UnsetVariable(_)
            | StreamAction::SetLogLevel(_)
            | StreamAction::SetNice(_)
            | StreamAction::SetTos(_)
            | StreamAction::SetMark(_)
            | StreamAction::SetTimeout { .. }
            | StreamAction::Counter(_)
            | StreamAction::List(_)
            | StreamAction::UseService(_)
            | StreamAction::SetBandwidthLimit(_)
            | StreamAction::SilentDrop => None,
        }
    }
}

/// Which part of which address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPart {
    Source,
    SourcePort,
    Destination,
    DestinationPort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutWhich {
    Client,
    Server,
    Tunnel,
}

#[derive(Debug, Clone)]
pub enum TimeoutValue {
    Fixed(Duration),
    /// Milliseconds.
    Expr(Expr),
}

/// `capture <sample> …`.
#[derive(Debug, Clone)]
pub struct Capture {
    pub sample: Expr,
    pub slot: CaptureSlot,
}

/// Where a capture goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureSlot {
    /// `len`: a slot of its own behind the declared ones; the configuration gives out `index` once all of the
    /// section is read.
    Own { length: u32, index: u32 },
    /// `id`: the slot of a `declare capture` or `capture … header` line, from 0.
    Declared(u32),
}

/// `track-sc0` …: counters of an entry for the rest of the stream (or connection).
#[derive(Debug, Clone)]
pub struct Track {
    /// 0..=2 in HAProxy as it is built.
    pub counter: u8,
    pub key: Expr,
    /// `None`: the table of the rule's own section.
    pub table: Option<TableId>,
}

/// Changes an entry that is tracked.
#[derive(Debug, Clone)]
pub enum CounterChange {
    /// `sc-inc-gpc(index,counter)`, `sc-inc-gpc0(counter)`, `sc-inc-gpc1(counter)`: counts the rate as well.
    Increment { index: u32, counter: u8 },
    /// `sc-add-gpc(index,counter)`.
    Add { index: u32, counter: u8, value: TagValue },
    /// `sc-set-gpt(index,counter)`, `sc-set-gpt0(counter)`.
    SetTag { index: u32, counter: u8, value: TagValue },
}

#[derive(Debug, Clone)]
pub enum TagValue {
    Fixed(u32),
    Expr(Expr),
}

/// A change of a pattern list while the process runs.
#[derive(Debug, Clone)]
pub struct ListChange {
    pub operation: ListOperation,
    /// The file name by which the list is known.
    pub list: Box<[u8]>,
    pub key: LogFormat,
    /// `set-map` only.
    pub value: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOperation {
    AddAcl,
    DelAcl,
    SetMap,
    DelMap,
}

/// `do-resolve`.
#[derive(Debug, Clone)]
pub struct Resolve {
    pub variable: VariableName,
    pub resolvers: Box<str>,
    /// `ipv4` or `ipv6`; `None`: as `resolve-prefer` says.
    pub prefer_ipv6: Option<bool>,
    pub name: Expr,
}

/// `use-service`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    PrometheusExporter,
}

/// `set-bandwidth-limit <name> [limit …] [period …]`.
#[derive(Debug, Clone)]
pub struct BandwidthLimit {
    pub filter: Box<str>,
    /// Bytes per period.
    pub limit: Option<Quantity>,
    /// Milliseconds.
    pub period: Option<Quantity>,
}

/// A number that is written down, or found when it is needed.
#[derive(Debug, Clone)]
pub enum Quantity {
    Fixed(u64),
    Expr(Expr),
}

/// `set-var(…)` and `set-var-fmt(…)`.
#[derive(Debug, Clone)]
pub struct VariableWrite {
    pub variable: VariableName,
    /// All must hold.
    pub conditions: Vec<VariableCondition>,
    pub source: VariableSource,
}

#[derive(Debug, Clone)]
pub enum VariableSource {
    Expr(Expr),
    Format(LogFormat),
}

/// When a variable is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableCondition {
    /// The variable was set before in its scope, even if it is empty now.
    Exists,
    NotExists,
    /// The new value is empty.
    Empty,
    NotEmpty,
    /// The variable has a value.
    Set,
    NotSet,
    /// The variable's integer is greater than the new one.
    Greater,
    /// The variable's integer is less than the new one.
    Less,
}

impl VariableCondition {
    /// The word in configurations.
    pub(super) const WORDS: [(&'static str, VariableCondition); 8] = [
        ("ifexists", VariableCondition::Exists),
        ("ifnotexists", VariableCondition::NotExists),
        ("ifempty", VariableCondition::Empty),
        ("ifnotempty", VariableCondition::NotEmpty),
        ("ifset", VariableCondition::Set),
        ("ifnotset", VariableCondition::NotSet),
        ("ifgt", VariableCondition::Greater),
        ("iflt", VariableCondition::Less),
    ];

    fn holds(self, old: Option<&Value<'_>>, new: &Value<'_>) -> bool {
        let is_empty = match new {
            Value::Str(bytes) | Value::Bin(bytes) | Value::Method(bytes) => bytes.is_empty(),
            Value::Bool(_) | Value::Int(_) | Value::Ip4(_) | Value::Ip6(_) => false,
        };
        match (self, old, new) {
            (VariableCondition::Exists | VariableCondition::Set, old, _) => old.is_some(),
            (VariableCondition::NotExists | VariableCondition::NotSet, old, _) => old.is_none(),
            (VariableCondition::Empty, _, _) => is_empty,
            (VariableCondition::NotEmpty, _, _) => !is_empty,
            (VariableCondition::Greater, Some(Value::Int(old)), Value::Int(new)) => old > new,
            (VariableCondition::Less, Some(Value::Int(old)), Value::Int(new)) => old < new,
            (VariableCondition::Greater | VariableCondition::Less, _, _) => false,
        }
    }
}

impl VariableWrite {
    /// Evaluates and sets the variable. Nothing happens when the expression gives nothing or a condition fails; an
    /// expression that gives nothing unsets nothing, as in HAProxy.
    pub fn run(&self, scope: &Scope<'_>, context: &mut LogContext) {
        let value = match &self.source {
            VariableSource::Expr(expr) => match expr.eval(scope) {
                Some(value) => value,
                None => return,
            },
            VariableSource::Format(format) => {
                let mut text = Vec::new();
                format.write(scope, context, &mut text);
                Value::Str(Cow::Owned(text))
            }
        };
        if !self.conditions.is_empty() {
            let old = scope.variables.get(&self.variable);
            if !self.conditions.iter().all(|condition| condition.holds(old.as_ref(), &value)) {
                return;
            }
        }
        scope.variables.set(&self.variable, value.into_owned());
    }
}
