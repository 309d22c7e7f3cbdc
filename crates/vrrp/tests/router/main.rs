//! The state machine of one virtual router.

mod beyond;
mod points;
mod support;
