//! The matching methods: their names, the type that they compare, integer operators.

use crate::args::parse_int;
use crate::value::ValueType;

/// How a value is compared with patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchMethod {
    /// The sample exists.
    Found,
    /// The sample is true.
    Bool,
    Int,
    Ip,
    Bin,
    /// Its length is in a range.
    Len,
    Str,
    Beg,
    Sub,
    /// A part between slashes.
    Dir,
    /// A part between `/`, `?`, `.`, `:`.
    Dom,
    End,
    Reg,
    /// A method name.
    Method,
    /// A TLS version, `3.1`.
    DottedVersion,
    /// The authenticated user is in one of the groups.
    Group,
}

impl MatchMethod {
    /// The method of that name after `-m`.
    pub fn find(name: &[u8]) -> Option<MatchMethod> {
        NAMES.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, method)| *method)
    }

    /// Its name, as in `-m`.
    pub fn name(self) -> &'static str {
        match self {
            MatchMethod::Method => "meth",
            MatchMethod::DottedVersion => "int",
            MatchMethod::Group => "auth",
            named => NAMES.iter().find(|(_, method)| *method == named).map_or("", |(name, _)| name),
        }
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The type that values are cast to before they are compared.
    pub fn input(self) -> ValueType {
        match self {
            MatchMethod::Found => ValueType::Any,
            MatchMethod::Bool | MatchMethod::Int | MatchMethod::DottedVersion => ValueType::Int,
            MatchMethod::Ip => ValueType::Address,
            MatchMethod::Bin => ValueType::Bin,
            MatchMethod::Method => ValueType::Method,
            MatchMethod::Len
            | MatchMethod::Str
            | MatchMethod::Beg
            | MatchMethod::Sub
            | MatchMethod::Dir
            | MatchMethod::Dom
            | MatchMethod::End
            | MatchMethod::Reg
            | MatchMethod::Group => ValueType::Str,
        }
    }

    /// What is used without `-m` for a sample of that type.
    pub fn default_for(sample: ValueType) -> Option<MatchMethod> {
        match sample {
            ValueType::Bool => Some(MatchMethod::Bool),
            ValueType::Int => Some(MatchMethod::Int),
            ValueType::Address | ValueType::Ip4 | ValueType::Ip6 => Some(MatchMethod::Ip),
            ValueType::Str => Some(MatchMethod::Str),
            ValueType::Method => Some(MatchMethod::Method),
            ValueType::Bin | ValueType::Any => None,
        }
    }

    /// Whether patterns are integers or ranges, to which `gt` and its like may be put.
    pub fn takes_operators(self) -> bool {
        match self {
            MatchMethod::Int | MatchMethod::Len | MatchMethod::DottedVersion => true,
            MatchMethod::Found
            | MatchMethod::Bool
            | MatchMethod::Ip
            | MatchMethod::Bin
            | MatchMethod::Str
            | MatchMethod::Beg
            | MatchMethod::Sub
            | MatchMethod::Dir
            | MatchMethod::Dom
            | MatchMethod::End
            | MatchMethod::Reg
            | MatchMethod::Method
            | MatchMethod::Group => false,
        }
    }

    /// Whether patterns mean nothing to it.
    pub fn takes_no_pattern(self) -> bool {
        matches!(self, MatchMethod::Found | MatchMethod::Bool)
    }
}

/// The names after `-m`.
const NAMES: [(&str, MatchMethod); 13] = [
    ("found", MatchMethod::Found),
    ("bool", MatchMethod::Bool),
    ("int", MatchMethod::Int),
    ("ip", MatchMethod::Ip),
    ("bin", MatchMethod::Bin),
    ("len", MatchMethod::Len),
    ("str", MatchMethod::Str),
    ("beg", MatchMethod::Beg),
    ("sub", MatchMethod::Sub),
    ("dir", MatchMethod::Dir),
    ("dom", MatchMethod::Dom),
    ("end", MatchMethod::End),
    ("reg", MatchMethod::Reg),
];

/// `gt 5` and its like as a range. `None`: `operator` is none; `Some(Err)`: the operand is no number.
pub(crate) fn operator_range(operator: &[u8], operand: &[u8]) -> Option<Result<Vec<u8>, String>> {
    let range: fn(i64) -> String = match operator {
        b"eq" => |n| n.to_string(),
        b"ge" => |n| format!("{n}:"),
        b"gt" => |n| format!("{}:", n.saturating_add(1)),
        b"le" => |n| format!(":{n}"),
        b"lt" => |n| format!(":{}", n.saturating_sub(1)),
        _other => return None,
    };
    // Of a range the first number counts.
    let first = operand.split(|byte| *byte == b':').next().unwrap_or_default();
    let number = parse_int(first).ok_or_else(|| {
        format!(
            "'{}' is not a number: an operator compares with one integer",
            String::from_utf8_lossy(operand)
        )
    });
    Some(number.map(|number| range(number).into_bytes()))
}
