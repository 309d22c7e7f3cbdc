//! The command line of `hawser doctor`.

use super::role::Role;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;

pub const HELP: &str = "Usage: hawser doctor [ROLE] [OPTIONS]
       hawser doctor [--json] FILE…     (sysctl.conf, limits.conf: mistakes with file and line)

Roles: proxy (default), director-nat, director-dr, director-tun, real-server

  -f FILE            a haproxy.cfg whose addresses are looked at too
  --vip ADDRESS      real-server: the virtual address it serves
  --director ADDRESS real-server: its director, when addresses are translated
  --all              print what is good, and what is merely worth knowing, too
  --json             for programs
  --emit-sysctl      print a file of settings for the role; nothing is changed
  --emit-limits      print the limits for PAM and systemd; nothing is changed
  --apply            set the sysctls of the role now

Exit code: 0, 1 when something cannot work like this, 2 when the command line or a file cannot be read.";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    Examine,
    Lint(Vec<PathBuf>),
    EmitSysctl,
    EmitLimits,
    Apply,
    Help,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    pub task: Task,
    pub role: Role,
    pub configurations: Vec<PathBuf>,
    pub virtual_address: Option<Ipv4Addr>,
    pub director: Option<Ipv4Addr>,
    pub is_long: bool,
    pub is_json: bool,
}

/// # Errors
/// What is wrong with the command line.
pub fn parse(words: &[OsString]) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        task: Task::Examine,
        role: Role::Proxy,
        configurations: Vec::new(),
        virtual_address: None,
        director: None,
        is_long: false,
        is_json: false,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{} needs a value", word.to_string_lossy()));
        match &*word.to_string_lossy() {
            "-f" => arguments.configurations.push(value()?.into()),
            "--vip" => arguments.virtual_address = Some(address(value()?)?),
            "--director" => arguments.director = Some(address(value()?)?),
            "--all" => arguments.is_long = true,
            "--json" => arguments.is_json = true,
            "--emit-sysctl" => arguments.task = Task::EmitSysctl,
            "--emit-limits" => arguments.task = Task::EmitLimits,
            "--apply" => arguments.task = Task::Apply,
            "-h" | "--help" => arguments.task = Task::Help,
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            name => match (Role::named(name), &mut arguments.task) {
                (Some(role), _) => arguments.role = role,
                (None, Task::Lint(files)) => files.push(word.into()),
                (None, task) if name.contains(['.', '/']) => *task = Task::Lint(vec![word.into()]),
                (None, _) => return Err(format!("`{name}` is neither a role nor a file")),
            },
        }
    }
    if arguments.role != Role::RealServer
        && (arguments.virtual_address.is_some() || arguments.director.is_some())
    {
        return Err("--vip and --director go with the role real-server".to_owned());
    }
    Ok(arguments)
}

fn address(word: &OsString) -> Result<Ipv4Addr, String> {
    let word = word.to_string_lossy();
    word.parse().map_err(|_| format!("`{word}` is not an IPv4 address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Arguments, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_role_and_its_options_are_read() {
        let arguments = parsed(&["real-server", "--vip", "192.168.1.200", "--json"]).expect("valid");
        assert_eq!(arguments.role, Role::RealServer);
        assert_eq!(arguments.virtual_address, Some(Ipv4Addr::new(192, 168, 1, 200)));
        assert!(arguments.is_json);
    }

    #[test]
    fn a_file_is_read_instead_of_the_machine() {
        let arguments = parsed(&["/etc/sysctl.conf", "limits.conf"]).expect("valid");
        assert_eq!(arguments.task, Task::Lint(vec!["/etc/sysctl.conf".into(), "limits.conf".into()]));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (words, expected) in [
            (&["proxxy"][..], "neither a role nor a file"),
            (&["--vip"], "needs a value"),
            (&["--vip", "all"], "not an IPv4 address"),
            (&["--vip", "10.0.0.1"], "real-server"),
            (&["--fix"], "unknown option --fix"),
        ] {
            assert!(parsed(words).expect_err("refused").contains(expected), "{words:?}");
        }
    }
}
