//! `virtual_server_group`, `virtual_server` and what they hold.

use crate::arguments::Arguments;
use crate::context::{Context, Outcome};
use crate::keywords::Listed;
use crate::model::Model;

#[derive(Default)]
pub(crate) struct CheckersDraft {}

pub(crate) fn read_server_group(
    _: &mut CheckersDraft,
    _: &mut Arguments<'_>,
    _: &mut Context<'_>,
) -> Outcome {
    Ok(())
}

pub(crate) fn read_virtual_server(
    _: &mut CheckersDraft,
    _: &mut Arguments<'_>,
    _: &mut Context<'_>,
) -> Outcome {
    Ok(())
}

pub(crate) fn finish(_: CheckersDraft, _: &mut Model, _: &mut Context<'_>) {}

pub(crate) fn listed() -> impl Iterator<Item = Listed> {
    std::iter::empty()
}
