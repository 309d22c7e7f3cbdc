//! (skeleton)
use crate::Scope;
/// A parsed log-format string.
#[derive(Debug, Clone)]
pub struct LogFormat {}
impl LogFormat {
    pub fn write(&self, _: &Scope<'_>, _: &mut Vec<u8>) {}
}
