//! (skeleton)
use crate::{Scope, Value};
/// A fetch with its arguments and converters.
#[derive(Debug, Clone)]
pub struct Expr {}
impl Expr {
    pub fn eval<'a>(&'a self, _: &Scope<'a>) -> Option<Value<'a>> {
        None
    }
}
