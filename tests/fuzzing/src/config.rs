//! Configurations.

use haproxy_config::language::Environment;
use haproxy_config::{LoadOptions, load_text};

/// Lines of an input that are tried as conditions of `-cc`.
const CONDITIONS_MAX: usize = 4;

/// A configuration loads or is reported, and every report can be shown. The environment is empty, so that a finding is
/// the same on every machine.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let options = LoadOptions { environment: Environment::default(), ..LoadOptions::new(Vec::new()) };
    let loaded = load_text(&options, "any.cfg", &text);
    assert_eq!(loaded.model.is_some(), !loaded.report.has_alerts());
    let _shown = loaded.report.render(&loaded.sources, diag::Severity::Diag);
    for line in text.lines().take(CONDITIONS_MAX) {
        let _holds = haproxy_config::evaluate_condition(line, &options);
    }
}
