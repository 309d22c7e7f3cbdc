//! What runs for minutes: owns the command line, never the load.

use crate::command::{cargo, must};

/// The ignored test of a thousand reloads, optimized.
///
/// # Errors
/// A request failed, or memory grew.
pub fn reload(_: &[String]) -> Result<(), String> {
    let test = "reload::a_thousand_reloads_under_load_lose_nothing";
    let build = ["test", "--profile", "quick", "-p", "hawser", "--test", "process", "--"];
    must(&mut cargo(&[&build[..], &["--ignored", "--exact", "--nocapture", test]].concat()))
}
