//! The command line of `hawser run`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

pub const HELP: &str = "Usage: hawser run [-f haproxy.cfg]… [-k keepalived.conf] [--run-directory DIR]
                  [--dashboard ADDRESS:PORT [--dashboard-option WORD]…]

Runs the proxy and the virtual addresses under one supervisor, in the foreground. Each is a process of its own; one that ends
is started again and takes nothing else down. `track_proxy { frontend web; backend app; }` in a vrrp_instance follows the
proxy's health without a script. Each gives up the rights that its configuration does not use, with or without `user`: a worker
starts no program and writes no file (but with external-check), failover keeps CAP_NET_ADMIN and CAP_NET_RAW.

  -f FILE               a haproxy.cfg, several are one configuration
  -k FILE               a keepalived.conf
  --run-directory DIR   sockets and process ids (/run/hawser)
  --dashboard ADDRESS   a web page about everything and /metrics there; off unless asked for
  --dashboard-option W  one more word for it, such as --token-file=FILE: see `hawser dashboard --help`

SIGHUP, SIGUSR2   read both files anew; a mistake in either changes nothing
SIGTERM, SIGINT   give the addresses away, then end
SIGUSR1           give the addresses away, then end when the last connection has ended";

/// Where sockets are when nobody says.
pub const RUN_DIRECTORY: &str = "/run/hawser";
const FILES_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    pub proxy: Vec<PathBuf>,
    pub keepalived: Option<PathBuf>,
    pub run_directory: PathBuf,
    pub dashboard: Option<SocketAddr>,
    pub dashboard_options: Vec<String>,
}

/// `None`: help is asked for.
///
/// # Errors
/// What is wrong with the command line.
pub fn parse(words: &[OsString]) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments {
        proxy: Vec::new(),
        keepalived: None,
        run_directory: PathBuf::from(RUN_DIRECTORY),
        dashboard: None,
        dashboard_options: Vec::new(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let mut value = || words.next().map(PathBuf::from).ok_or_else(|| format!("{text} needs a value"));
        match &*text {
            "-h" | "--help" => return Ok(None),
            "-f" => arguments.proxy.push(absolute(value()?)?),
            "-k" | "--keepalived" => {
                let file = absolute(value()?)?;
                if arguments.keepalived.replace(file).is_some() {
                    return Err("one keepalived.conf only: use `include`".to_owned());
                }
            }
            "--run-directory" => arguments.run_directory = absolute(value()?)?,
            "--dashboard" => {
                let text = value()?.display().to_string();
                let address =
                    text.parse().map_err(|_| format!("--dashboard: '{text}' is not ADDRESS:PORT"))?;
                arguments.dashboard = Some(address);
            }
            "--dashboard-option" => {
                let text = value()?.display().to_string();
                // `--name=value` is two words for it.
                arguments.dashboard_options.extend(text.splitn(2, '=').map(str::to_owned));
            }
            other => return Err(format!("unknown word {other}")),
        }
    }
    if arguments.proxy.is_empty() && arguments.keepalived.is_none() {
        return Err("neither -f nor -k is given".to_owned());
    }
    if arguments.dashboard.is_none() && !arguments.dashboard_options.is_empty() {
        return Err("--dashboard-option needs --dashboard".to_owned());
    }
    if arguments.proxy.len() > FILES_MAX {
        return Err(format!("more than {FILES_MAX} files"));
    }
    Ok(Some(arguments))
}

/// A reload must find the same file, whatever directory a strand works in.
fn absolute(path: PathBuf) -> Result<PathBuf, String> {
    std::path::absolute(&path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<Arguments>, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn both_files_are_read_and_what_is_missing_is_told() {
        let arguments = parsed(&["-f", "/a", "-f", "/b", "-k", "/c"]).expect("valid").expect("no help");
        assert_eq!(arguments.proxy, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(arguments.keepalived, Some(PathBuf::from("/c")));
        assert_eq!(arguments.run_directory, PathBuf::from("/run/hawser"));
        for (words, expected) in [
            (&[][..], "neither -f nor -k"),
            (&["-f"], "needs a value"),
            (&["-k", "a", "-k", "b"], "one keepalived.conf only"),
            (&["-x"], "unknown word -x"),
        ] {
            assert!(parsed(words).expect_err("refused").contains(expected), "{words:?}");
        }
        assert_eq!(parsed(&["--help"]), Ok(None));
        let words = ["-f", "/a", "--dashboard", "[::1]:80", "--dashboard-option", "--users=a.cfg:staff"];
        let arguments = parsed(&words).expect("valid").expect("no help");
        assert_eq!(arguments.dashboard.map(|address| address.port()), Some(80));
        assert_eq!(arguments.dashboard_options, ["--users", "a.cfg:staff"]);
    }
}
