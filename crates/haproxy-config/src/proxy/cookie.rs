//! `cookie` and `dynamic-cookie-key`: persistence by cookie.

use super::Draft;
use super::table::InDefaults::Yes;
use super::table::Side::Backend;
use super::table::{ProxyKeyword, entry};
use crate::keywords::Status::Works;
use crate::keywords::unknown;
use crate::model::{CookieMode, CookiePersistence};
use crate::parse::{Arguments, Context, Outcome, fail};
use crate::units::TimeUnit;

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry("cookie", Backend, Yes, Works, cookie, "cookie that keeps a client on its server"),
    entry("dynamic-cookie-key", Backend, Yes, Works, key, "secret of dynamic cookies"),
];

const WORDS: [&str; 15] = [
    "rewrite", "insert", "prefix", "indirect", "nocache", "postonly", "preserve", "httponly", "secure",
    "domain", "maxidle", "maxlife", "dynamic", "attr", "SameSite",
];

fn cookie(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    draft.spans.cookie = Some(arguments.span());
    let name = arguments.expect("a cookie name")?.value.clone();
    let mut cookie = CookiePersistence {
        name,
        mode: CookieMode::Passive,
        indirect: false,
        nocache: false,
        postonly: false,
        preserve: false,
        httponly: false,
        secure: false,
        domains: Vec::new(),
        max_idle: None,
        max_life: None,
        dynamic: false,
        attributes: Vec::new(),
    };
    while let Some(word) = arguments.next() {
        let mode = match word.value.as_str() {
            "rewrite" => Some(CookieMode::Rewrite),
            "insert" => Some(CookieMode::Insert),
            "prefix" => Some(CookieMode::Prefix),
            _ => None,
        };
        if let Some(mode) = mode {
            if cookie.mode != CookieMode::Passive && cookie.mode != mode {
                return fail(word.span, "`rewrite`, `insert` and `prefix` exclude each other");
            }
            cookie.mode = mode;
            continue;
        }
        match word.value.as_str() {
            "indirect" => cookie.indirect = true,
            "nocache" => cookie.nocache = true,
            "postonly" => cookie.postonly = true,
            "preserve" => cookie.preserve = true,
            "httponly" => cookie.httponly = true,
            "secure" => cookie.secure = true,
            "dynamic" => cookie.dynamic = true,
            "domain" => {
                let domain = arguments.expect("a domain")?;
                if !domain.value.trim_start_matches('.').contains('.') && domain.value != ".localhost" {
                    let message =
                        format!("domain `{}` has no dot inside: browsers may refuse it", domain.value);
                    context.warn(domain.span, message);
                }
                cookie.domains.push(domain.value.clone());
            }
            "maxidle" => cookie.max_idle = Some(arguments.time(TimeUnit::Seconds)?),
            "maxlife" => cookie.max_life = Some(arguments.time(TimeUnit::Seconds)?),
            "attr" => {
                let attribute = arguments.expect("an attribute")?;
                if attribute.value.bytes().any(|byte| byte.is_ascii_control() || byte == b';') {
                    return fail(attribute.span, "an attribute must not have `;` or control characters");
                }
                cookie.attributes.push(attribute.value.clone());
            }
            _ => return Err(unknown("word", word, "after `cookie NAME`", WORDS)),
        }
    }
    draft.proxy.cookie = Some(cookie);
    Ok(())
}

fn key(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.proxy.dynamic_cookie_key = Some(arguments.string()?);
    Ok(())
}
