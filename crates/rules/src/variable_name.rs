//! Names of variables: `txn.user`. Owns their syntax; the values live in the stream's variable store.

/// How long a variable lives and who sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VariableScope {
    Process,
    Session,
    /// Request and response.
    Transaction,
    Request,
    Response,
    /// One run of a health check.
    Check,
}

impl VariableScope {
    /// The prefix in configurations.
    pub fn prefix(self) -> &'static str {
        match self {
            VariableScope::Process => "proc",
            VariableScope::Session => "sess",
            VariableScope::Transaction => "txn",
            VariableScope::Request => "req",
            VariableScope::Response => "res",
            VariableScope::Check => "check",
        }
    }
}

/// A variable: scope and name without the prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableName {
    pub scope: VariableScope,
    pub name: Box<[u8]>,
}

impl VariableName {
    /// Parses `scope.name`. The name has letters, digits, `.` and `_` only.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn parse(text: &[u8]) -> Result<VariableName, String> {
        let shown = String::from_utf8_lossy(text);
        let dot = memchr::memchr(b'.', text).ok_or_else(|| {
            format!(
                "invalid variable name '{shown}': it must start with proc., sess., txn., req., res. or check."
            )
        })?;
        let scope = match &text[..dot] {
            b"proc" => VariableScope::Process,
            b"sess" => VariableScope::Session,
            b"txn" => VariableScope::Transaction,
            b"req" => VariableScope::Request,
            b"res" => VariableScope::Response,
            b"check" => VariableScope::Check,
            other => {
                return Err(format!(
                    "invalid variable name '{shown}': unknown scope '{}', it must be proc, sess, txn, req, res or check",
                    String::from_utf8_lossy(other)
                ));
            }
        };
        let name = &text[dot + 1..];
        if name.is_empty() {
            return Err(format!("invalid variable name '{shown}': nothing follows the scope"));
        }
        match name.iter().find(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'_')) {
            None => Ok(VariableName { scope, name: name.into() }),
            Some(&byte) => Err(format!(
                "invalid variable name '{shown}': '{}' is not allowed, only letters, digits, '.' and '_'",
                char::from(byte)
            )),
        }
    }
}
