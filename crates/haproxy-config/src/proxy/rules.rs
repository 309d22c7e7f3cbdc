//! ACLs, rules and everything else with a condition.

use super::Draft;
use crate::parse::{Arguments, Context, Outcome, fail};

/// `stats admin if …`.
pub(super) fn stats_admin(_: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    fail(arguments.span(), "rules are not read yet")
}

/// `stats http-request …`.
pub(super) fn stats_http_request(
    _: &mut Draft,
    arguments: &mut Arguments<'_>,
    _: &mut Context<'_>,
) -> Outcome {
    fail(arguments.span(), "rules are not read yet")
}
