//! (skeleton)

use crate::Condition;

/// One `http-request`, `http-response` or `http-after-response` rule.
#[derive(Debug, Clone)]
pub struct HttpRule {
    pub condition: Option<Condition>,
}

/// One `tcp-request` or `tcp-response` rule.
#[derive(Debug, Clone)]
pub struct TcpRule {
    pub condition: Option<Condition>,
}
