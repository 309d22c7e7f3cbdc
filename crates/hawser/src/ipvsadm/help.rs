//! The help text, made from the table of options.

use super::option::OPTIONS;

/// What scripts look for: the version that we behave as.
pub fn version() -> String {
    format!("ipvsadm v1.31 (hawser {}, IPVS v1.2.1)", crate::version::HAWSER)
}

pub fn text() -> String {
    let mut text = version();
    text.push_str(
        "\nUsage: ipvsadm COMMAND [SERVICE] [OPTIONS]\n\n\
         Commands: -A -E -D -C -R -S -a -e -d -L -Z --set --start-daemon --stop-daemon -h\n\
         Services: -t -u --sctp-service -f [-6]\n\n",
    );
    for row in OPTIONS.iter().filter(|row| !row.long.is_empty()) {
        let short = row.short.map(|letter| format!("-{letter},")).unwrap_or_default();
        let name = format!("--{} {}", row.long, row.help.0.trim_start());
        text.push_str(&format!("  {short:<4}{name:<30} {}\n", row.help.1));
    }
    text
}
