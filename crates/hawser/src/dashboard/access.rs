//! Who may see the page and who may change something: credentials, the names it may be called by, and the token against
//! requests that other pages make in a user's name. Owns no socket.

use super::arguments::{Arguments, Credentials};
use haproxy_config::LoadOptions;
use haproxy_config::model::{Password, Userlist};
use std::net::IpAddr;

/// Bytes of a token in a file at least.
const TOKEN_LENGTH_MIN: usize = 16;
/// Who may change servers, of a userlist.
const ADMIN_GROUP: &str = "admin";

/// What a request may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Nothing,
    See,
    Change,
}

enum Known {
    Token(String),
    Users(Userlist),
}

pub struct Access {
    known: Known,
    admin: bool,
    hosts: Vec<String>,
    /// What a page that we served sends back with an order.
    pub csrf: String,
}

/// 256 bits of chance in hexadecimal.
fn chance() -> Result<String, String> {
    let mut bytes = [0; 32];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    filled.map_err(|error| format!("no random numbers: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Equal, in a time that does not tell how far.
fn same(one: &str, other: &str) -> bool {
    let difference = one.bytes().zip(other.bytes()).fold(0, |sum, (one, other)| sum | (one ^ other));
    one.len() == other.len() && difference == 0
}

impl Access {
    /// Reads what the arguments name. A token that is made up is returned too, to be told.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn open(arguments: &Arguments) -> Result<(Access, Option<String>), String> {
        let mut told = None;
        let known = match &arguments.credentials {
            Credentials::Generated => {
                let token = chance()?;
                told = Some(token.clone());
                Known::Token(token)
            }
            Credentials::TokenFile(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                let token = text.trim().to_owned();
                if token.len() < TOKEN_LENGTH_MIN {
                    return Err(format!("{}: a token has {TOKEN_LENGTH_MIN} bytes or more", path.display()));
                }
                Known::Token(token)
            }
            Credentials::Userlist { file, list } => {
                let loaded = haproxy_config::load(&LoadOptions::new(vec![file.clone()]));
                let Some(model) = loaded.model else {
                    return Err(diag::render(&loaded.report, &loaded.sources, diag::Severity::Alert));
                };
                let found = model.userlists.into_iter().find(|known| known.name == *list);
                Known::Users(
                    found.ok_or_else(|| format!("{}: there is no userlist '{list}'", file.display()))?,
                )
            }
        };
        let hosts = arguments.hosts.clone();
        Ok((Access { known, admin: arguments.admin, hosts, csrf: chance()? }, told))
    }

    /// What the `Authorization` field of a request gives.
    pub fn right(&self, authorization: Option<&[u8]>) -> Right {
        let Some(whole) = authorization else { return Right::Nothing };
        let Ok(text) = std::str::from_utf8(whole) else { return Right::Nothing };
        let Some((scheme, value)) = text.split_once(' ') else { return Right::Nothing };
        let (user, password) = if scheme.eq_ignore_ascii_case("bearer") {
            (String::new(), value.trim().to_owned())
        } else if scheme.eq_ignore_ascii_case("basic") {
            let mut decoded = Vec::new();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            match http::base64::basic_credentials(whole, &mut decoded) {
                Some((user, password)) => (text(user), text(password)),
                None => return Right::Nothing,
            }
        } else {
            return Right::Nothing;
        };
        match &self.known {
            Known::Token(token) if same(token, &password) => self.at_most(true),
            Known::Token(_) => Right::Nothing,
            Known::Users(list) => {
                let Some(known) = list.users.iter().find(|known| known.name == user) else {
                    return Right::Nothing;
                };
                let valid = match &known.password {
                    Some(Password::Plain(wanted)) => same(wanted, &password),
                    Some(Password::Crypt(hash)) => pwhash::unix::verify(password.as_bytes(), hash),
                    None => false,
                };
                if !valid {
                    return Right::Nothing;
                }
                self.at_most(known.groups.iter().any(|group| group == ADMIN_GROUP))
            }
        }
    }

    fn at_most(&self, may_change: bool) -> Right {
        if self.admin && may_change { Right::Change } else { Right::See }
    }

    /// Whether the `Host` field is a name of ours: a page elsewhere must not reach us by a name that it made point here.
    pub fn is_ours(&self, host: Option<&[u8]>) -> bool {
        let Some(host) = host.and_then(|host| std::str::from_utf8(host).ok()) else { return false };
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let name = name.to_ascii_lowercase();
        name.parse::<IpAddr>().is_ok() || name == "localhost" || self.hosts.contains(&name)
    }

    /// Whether an order comes from a page that we served.
    pub fn is_own_order(&self, token: Option<&[u8]>) -> bool {
        token.and_then(|token| std::str::from_utf8(token).ok()).is_some_and(|token| same(token, &self.csrf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_token(admin: bool) -> Access {
        Access {
            known: Known::Token("0123456789abcdef".to_owned()),
            admin,
            hosts: vec!["lb.example".to_owned()],
            csrf: "c".to_owned(),
        }
    }

    fn basic(text: &str) -> Vec<u8> {
        let mut bytes = b"Basic ".to_vec();
        http::base64::encode(text.as_bytes(), http::base64::Alphabet::Standard, &mut bytes);
        bytes
    }

    #[test]
    fn a_token_opens_as_bearer_and_as_password() {
        let access = with_token(false);
        assert_eq!(access.right(Some(b"Bearer 0123456789abcdef")), Right::See);
        assert_eq!(access.right(Some(&basic("me:0123456789abcdef"))), Right::See);
        for wrong in [&b"Bearer 0123456789abcdeg"[..], b"Bearer ", b"Basic !", b"", b"Digest x"] {
            assert_eq!(access.right(Some(wrong)), Right::Nothing);
        }
        assert_eq!(access.right(None), Right::Nothing);
        assert_eq!(with_token(true).right(Some(b"bearer 0123456789abcdef")), Right::Change);
    }

    #[test]
    fn of_a_userlist_only_the_group_may_change() {
        let file = std::env::temp_dir().join(format!("hawser-users-{}.cfg", std::process::id()));
        let text = "userlist staff\n  group admin users root\n  user root insecure-password secret\n  \
                    user eve password $5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.\n";
        std::fs::write(&file, text).expect("writes");
        let credentials = Credentials::Userlist { file: file.clone(), list: "staff".to_owned() };
        let arguments = Arguments { credentials, admin: true, ..Arguments::default() };
        let (access, told) = Access::open(&arguments).expect("opens");
        std::fs::remove_file(file).expect("removes");
        assert_eq!(told, None);
        assert_eq!(access.right(Some(&basic("root:secret"))), Right::Change);
        assert_eq!(access.right(Some(&basic("eve:secret"))), Right::See);
        assert_eq!(access.right(Some(&basic("eve:wrong"))), Right::Nothing);
        assert_eq!(access.right(Some(&basic("nobody:secret"))), Right::Nothing);
        assert_eq!(access.right(Some(b"Bearer secret")), Right::Nothing);
    }

    #[test]
    fn only_names_of_ours_are_answered() {
        let access = with_token(false);
        for host in ["127.0.0.1:8405", "[::1]:8405", "localhost", "LB.example:80"] {
            assert!(access.is_ours(Some(host.as_bytes())), "{host}");
        }
        assert!(!access.is_ours(Some(b"evil.example:8405")) && !access.is_ours(None));
        assert!(
            access.is_own_order(Some(b"c")) && !access.is_own_order(Some(b"d")) && !access.is_own_order(None)
        );
    }
}
