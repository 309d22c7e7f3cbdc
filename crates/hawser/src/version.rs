//! Versions: our own, and the HAProxy version whose behaviour we keep.

/// hawser's version.
pub const HAWSER: &str = env!("CARGO_PKG_VERSION");

/// What `show version`, `show info`, statistics and `-v` call the version: HAProxy's numbers first, so that scripts
/// compare them, then who we really are. See docs/decisions/0002-version-text.md.
pub const COMPATIBLE: &str = haproxy_config::VERSION_TEXT;

/// The release date in HAProxy's form.
pub const RELEASE_DATE: &str = haproxy_config::RELEASE_DATE;

/// The first line of `haproxy -v`.
pub fn haproxy_line() -> String {
    format!(
        "HAProxy version {COMPATIBLE} {RELEASE_DATE} - this is hawser {HAWSER}, compatible with HAProxy 2.6"
    )
}

/// All of `haproxy -v`.
pub fn haproxy_text() -> String {
    format!(
        "{}\nStatus: not HAProxy, but a replacement that takes its configuration\n{}",
        haproxy_line(),
        running_on()
    )
}

fn running_on() -> String {
    let system = rustix::system::uname();
    format!(
        "Running on: {} {} {} {}\n",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.version().to_string_lossy(),
        system.machine().to_string_lossy()
    )
}

/// What is built in, under HAProxy's names: `+` is there, `-` is not.
const FEATURES: &[(&str, bool)] = &[
    ("ACCEPT4", true),
    ("CPU_AFFINITY", true),
    ("EPOLL", true),
    ("EVPORTS", false),
    ("GETADDRINFO", true),
    ("KQUEUE", false),
    ("LINUX_SPLICE", true),
    ("LINUX_TPROXY", true),
    ("LUA", false),
    ("NETFILTER", true),
    ("NS", false),
    ("OPENSSL", false),
    ("PCRE2", true),
    ("POLL", false),
    ("QUIC", false),
    ("SYSTEMD", true),
    ("TFO", true),
    ("THREAD", true),
    ("TPROXY", true),
];

/// The rest of `haproxy -vv`.
pub fn haproxy_build_text() -> String {
    let features: Vec<String> =
        FEATURES.iter().map(|(name, there)| format!("{}{name}", if *there { '+' } else { '-' })).collect();
    format!(
        "Build options :\n  TARGET  = linux-glibc\n  OPTIONS = \n\nFeature list : {}\n\nDefault settings :\n  bufsize = 16384, \
         maxrewrite = 1024, maxpollevents = 200\n\nBuilt with multi-threading support (MAX_THREADS=64, default={}).\n\
         Available polling systems :\n      epoll : pref=300,  test result OK\nTotal: 1 (1 usable), will use epoll.\n",
        features.join(" "),
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_reads_as_haproxys_to_scripts_and_says_who_we_are() {
        let line = haproxy_line();
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(&words[..2], ["HAProxy", "version"]);
        assert!(words[2].starts_with("2.6.12-"));
        assert!(line.contains("this is hawser"));
    }
}
