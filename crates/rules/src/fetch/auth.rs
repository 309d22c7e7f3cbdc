//! Credentials of the `Authorization` header, or of `Proxy-Authorization` in a request to a proxy: Basic against user lists, Bearer tokens.

use super::start_line::request;
use super::{Fetch, Fetched, REQUEST};
use crate::args::{Arg, Arguments, Param};
use crate::convert::codec::decode_padded;
use crate::scope::Scope;
use crate::value::{Value, ValueType};

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new("http_auth", ValueType::Bool, REQUEST, valid, "Whether user and password are in a user list.")
        .takes(&[Param::Userlist], 1)
        .http(),
    Fetch::new(
        "http_auth_group",
        ValueType::Str,
        REQUEST,
        user_if_valid,
        "The user, if the password is right.",
    )
    .takes(&[Param::Userlist], 1)
    .http(),
    Fetch::new("http_auth_user", ValueType::Str, REQUEST, user, "The user of Basic credentials.").http(),
    Fetch::new("http_auth_pass", ValueType::Str, REQUEST, password, "The password of Basic credentials.")
        .http(),
    Fetch::new("http_auth_type", ValueType::Str, REQUEST, scheme, "The scheme: Basic, Bearer.").http(),
    Fetch::new("http_auth_bearer", ValueType::Str, REQUEST, bearer, "The token of Bearer credentials.")
        .takes(&[Param::Str], 0)
        .http(),
];

/// Scheme and what follows it.
fn credentials(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = memchr::memchr(b' ', line)?;
    Some((&line[..blank], http::trim(&line[blank..])))
}

fn authorization<'a>(scope: &Scope<'a>) -> Result<(&'a [u8], &'a [u8]), Fetched<'a>> {
    let name: &[u8] = if scope.stream.via_proxy { b"proxy-authorization" } else { b"authorization" };
    let line = request(scope)?.get(name).ok_or(Fetched::Missing)?;
    credentials(line).ok_or(Fetched::Missing)
}

/// User and password; only known schemes have them.
fn basic(scope: &Scope<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, text) = authorization(scope).ok()?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let mut user = decode_padded(text)?;
    let colon = memchr::memchr(b':', &user)?;
    let password = user.split_off(colon + 1);
    user.pop();
    Some((user, password))
}

fn checked(args: &[Arg], scope: &Scope<'_>) -> Option<(Vec<u8>, bool)> {
    let Some(Arg::Userlist(list)) = args.first() else { return None };
    let (user, password) = basic(scope)?;
    let is_valid = scope.host.user_is_valid(*list, &user, &password);
    Some((user, is_valid))
}

fn valid<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(checked(args, scope).map(|(_, is_valid)| Value::Bool(is_valid)))
}

fn user_if_valid<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let user = checked(args, scope).filter(|(_, is_valid)| *is_valid).map(|(user, _)| user);
    Fetched::of(user.map(Value::string))
}

fn user<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(basic(scope).map(|(user, _)| Value::string(user)))
}

fn password<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(basic(scope).map(|(_, password)| Value::string(password)))
}

fn scheme<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    match authorization(scope) {
        Ok((scheme, _)) if scheme.eq_ignore_ascii_case(b"basic") => Fetched::Ready(Value::str(b"Basic")),
        Ok((scheme, _)) if scheme.eq_ignore_ascii_case(b"bearer") => Fetched::Ready(Value::str(b"Bearer")),
        Ok(_) => Fetched::Missing,
        Err(nothing) => nothing,
    }
}

/// From another header than `Authorization` when one is named; without that header the token is empty.
fn bearer<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let found = match args.text(0) {
        None | Some(b"") => match authorization(scope) {
            Ok(found) => found,
            Err(nothing) => return nothing,
        },
        Some(name) => match request(scope) {
            Ok(head) => match head.get(name).and_then(credentials) {
                Some(found) => found,
                None => return Fetched::Ready(Value::str(b"")),
            },
            Err(nothing) => return nothing,
        },
    };
    match found {
        (scheme, token) if scheme.eq_ignore_ascii_case(b"bearer") => Fetched::Ready(Value::str(token)),
        // As HAProxy: an empty token in a header that was named.
        _other_scheme if args.text(0).is_some_and(|name| !name.is_empty()) => Fetched::Ready(Value::str(b"")),
        _other_scheme => Fetched::Missing,
    }
}
