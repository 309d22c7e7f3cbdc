//! The words behind `hawser dashboard`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

pub const HELP: &str = "Usage: hawser dashboard [OPTIONS]\n\n\
One web page about the proxy, the virtual addresses and the director, and /metrics for Prometheus with the numbers of all\n\
three. Asks them over their sockets; those that do not answer are shown so.\n\n  \
    --listen ADDRESS:PORT  where to serve (127.0.0.1:8405)\n  \
    --proxy SOCKET         a stats socket of the proxy\n  \
    --master SOCKET        or the socket of its master (/run/hawser/proxy.sock)\n  \
    --vrrp SOCKET          of the virtual addresses (/run/hawser/vrrp.sock)\n  \
    --director SOCKET      of the director (/run/hawser/director.sock)\n  \
    --token-file FILE      a token of 16 bytes or more: as Bearer, or as the password of any user\n  \
    --users FILE:LIST      or the users of a userlist of this haproxy.cfg\n  \
    --admin                who comes in may drain and enable servers; of a userlist, its group `admin`\n  \
    --host NAME            another name that browsers call this by; may be repeated\n\n\
Without --token-file and --users a token is made up and told on standard error.\n";

/// Where the proxy answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxySocket {
    Stats(PathBuf),
    Master(PathBuf),
}

/// Who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A token that is made up.
    Generated,
    TokenFile(PathBuf),
    Userlist {
        file: PathBuf,
        list: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    pub listen: SocketAddr,
    pub proxy: ProxySocket,
    pub vrrp: PathBuf,
    pub director: PathBuf,
    pub credentials: Credentials,
    pub admin: bool,
    pub hosts: Vec<String>,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments {
            listen: SocketAddr::from(([127, 0, 0, 1], 8405)),
            proxy: ProxySocket::Master("/run/hawser/proxy.sock".into()),
            vrrp: crate::vrrp_client::SOCKET.into(),
            director: "/run/hawser/director.sock".into(),
            credentials: Credentials::Generated,
            admin: false,
            hosts: Vec::new(),
        }
    }
}

/// Reads the words; `None`: the help is wanted.
///
/// # Errors
/// A line that says what is wrong.
pub fn parse(words: &[OsString]) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments::default();
    let mut words = words.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} expects a value"));
        match word.as_str() {
            "-h" | "--help" => return Ok(None),
            "--listen" => {
                let text = value()?;
                arguments.listen =
                    text.parse().map_err(|_| format!("--listen: '{text}' is not ADDRESS:PORT"))?;
            }
            "--proxy" => arguments.proxy = ProxySocket::Stats(value()?.into()),
            "--master" => arguments.proxy = ProxySocket::Master(value()?.into()),
            "--vrrp" => arguments.vrrp = value()?.into(),
            "--director" => arguments.director = value()?.into(),
            "--token-file" => arguments.credentials = Credentials::TokenFile(value()?.into()),
            "--users" => {
                let text = value()?;
                let (file, list) =
                    text.rsplit_once(':').ok_or_else(|| format!("--users: '{text}' is not FILE:LIST"))?;
                arguments.credentials = Credentials::Userlist { file: file.into(), list: list.to_owned() };
            }
            "--admin" => arguments.admin = true,
            "--host" => arguments.hosts.push(value()?.to_ascii_lowercase()),
            other => return Err(format!("unknown option '{other}'")),
        }
    }
    Ok(Some(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Arguments>, String> {
        parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn it_serves_loopback_unless_told_otherwise() {
        let arguments = parsed("").expect("valid").expect("no help");
        assert!(arguments.listen.ip().is_loopback() && !arguments.admin);
        let arguments = parsed("--listen [::]:80 --proxy /s --users a.cfg:staff --admin").expect("valid");
        let arguments = arguments.expect("no help");
        assert_eq!(arguments.proxy, ProxySocket::Stats("/s".into()));
        let users = Credentials::Userlist { file: "a.cfg".into(), list: "staff".to_owned() };
        assert_eq!((arguments.credentials, arguments.admin), (users, true));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, part) in
            [("--listen x", "--listen"), ("--users x", "FILE:LIST"), ("--proxy", "--proxy"), ("-x", "'-x'")]
        {
            assert!(parsed(line).expect_err("refused").contains(part), "{line}");
        }
    }
}
