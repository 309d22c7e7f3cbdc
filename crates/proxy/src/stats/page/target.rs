//! What the URI of the page asks for: the words behind the configured prefix. Owns their spelling, in both directions.

use haproxy_config::model::Stats;
use http::{Head, Method};
use memchr::memmem::find;

/// Longest scope that is looked at, in bytes.
const SCOPE_LENGTH_MAX: usize = 20;

/// Whether the request is one for the page: by method, and by the start of its URI.
pub fn matches(request: &Head, settings: &Stats) -> bool {
    let asks = matches!(request.method_kind(), Method::Get | Method::Head | Method::Post);
    asks && behind_prefix(request, settings).is_some()
}

/// The URI behind the configured prefix. An absolute URI is compared without scheme and authority.
fn behind_prefix<'a>(request: &'a Head, settings: &Stats) -> Option<&'a [u8]> {
    let uri = if settings.uri.starts_with(b"/") { request.path_and_query() } else { request.uri() };
    uri.strip_prefix(&settings.uri[..])
}

/// In which form the numbers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Html,
    Csv,
    Typed,
    Json,
    JsonSchema,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Html => "text/html",
            Format::Csv | Format::Typed => "text/plain",
            Format::Json | Format::JsonSchema => "application/json",
        }
    }
}

/// How a posted action ended: the code in the URI that the client is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Some of the servers are unknown.
    Partial,
    Nothing,
    /// Unknown action, backend or servers.
    BadParameters,
    /// The form is longer than a buffer.
    TooLong,
    Denied,
    /// Kept for links: the page explains it, nothing here sends it.
    Invalid,
    Unknown,
}

const CODES: [(Outcome, &str); 8] = [
    (Outcome::Done, "DONE"),
    (Outcome::Partial, "PART"),
    (Outcome::Nothing, "NONE"),
    (Outcome::BadParameters, "ERRP"),
    (Outcome::TooLong, "EXCD"),
    (Outcome::Denied, "DENY"),
    (Outcome::Invalid, "IVAL"),
    (Outcome::Unknown, "UNKN"),
];

impl Outcome {
    /// The four letters of the URI.
    pub fn code(self) -> &'static str {
        CODES.iter().find(|(outcome, _)| *outcome == self).map_or("UNKN", |(_, code)| code)
    }

    fn from_code(code: &[u8]) -> Outcome {
        CODES
            .iter()
            .find(|(_, known)| known.as_bytes() == code)
            .map_or(Outcome::Unknown, |(outcome, _)| *outcome)
    }
}

/// What is shown, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub format: Format,
    /// `;norefresh` turns it off.
    pub refresh: bool,
    /// `;up`: no servers that are down.
    pub only_up: bool,
    /// `;no-maint`: no servers in maintenance.
    pub hide_maintenance: bool,
    /// `scope=`: only proxies with this in their name, letter case aside; empty: all.
    pub scope: String,
    /// `;st=`: how the last action ended.
    pub outcome: Option<Outcome>,
}

impl View {
    /// Reads the words behind the prefix; unknown ones mean nothing, and order does not matter.
    pub fn of(request: &Head, settings: &Stats) -> View {
        let rest = behind_prefix(request, settings).unwrap_or_default();
        let has = |word: &str| find(rest, word.as_bytes()).is_some();
        // In the order of precedence; `;json` starts `;json-schema` too.
        let format = [
            (";json-schema", Format::JsonSchema),
            (";json", Format::Json),
            (";typed", Format::Typed),
            (";csv", Format::Csv),
        ];
        let format =
            format.into_iter().find(|(word, _)| has(word)).map_or(Format::Html, |(_, format)| format);
        let outcome = find(rest, b";st=").and_then(|at| rest.get(at + 4..at + 8));
        View {
            format,
            // Where nothing refreshes there is nothing to turn off, nor to carry along in links.
            refresh: settings.refresh.is_none() || !has(";norefresh"),
            only_up: has(";up"),
            hide_maintenance: has(";no-maint"),
            scope: scope(rest),
            outcome: outcome.map(Outcome::from_code),
        }
    }

    /// Where the client is sent after an action.
    pub fn after_action(&self, settings: &Stats, outcome: Outcome) -> String {
        let mut link = self.link_start(settings);
        link.push_str(";st=");
        link.push_str(outcome.code());
        self.finish(link, Link { hide_maintenance: false, ..Link::of(self) })
    }

    /// A link to the same page with other switches.
    pub fn link(&self, settings: &Stats, link: Link) -> String {
        let start = self.link_start(settings);
        self.finish(start, link)
    }

    fn link_start(&self, settings: &Stats) -> String {
        String::from_utf8_lossy(&settings.uri).into_owned()
    }

    fn finish(&self, mut text: String, link: Link) -> String {
        match link.format {
            Format::Html => {}
            Format::Csv => text.push_str(";csv"),
            Format::Typed => text.push_str(";typed"),
            Format::Json => text.push_str(";json"),
            Format::JsonSchema => text.push_str(";json-schema"),
        }
        for (wanted, word) in
            [(link.only_up, ";up"), (link.hide_maintenance, ";no-maint"), (!link.refresh, ";norefresh")]
        {
            if wanted {
                text.push_str(word);
            }
        }
        if link.scoped && !self.scope.is_empty() {
            // A prefix with a query of its own takes it as one more parameter.
            let mark = if text.contains('?') { '&' } else { '?' };
            text.push(mark);
            text.push_str("scope=");
            text.push_str(&self.scope);
        }
        text
    }
}

/// The switches of a link; start from [`Link::of`] and change what the link is for.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    pub format: Format,
    pub refresh: bool,
    pub only_up: bool,
    pub hide_maintenance: bool,
    /// Whether the scope stays.
    pub scoped: bool,
}

impl Link {
    /// The page as it is now.
    pub fn of(view: &View) -> Link {
        Link {
            format: Format::Html,
            refresh: view.refresh,
            only_up: view.only_up,
            hide_maintenance: view.hide_maintenance,
            scoped: true,
        }
    }
}

/// The text behind `scope=`, up to `;` or `&`. One with other letters than names have is no scope at all.
fn scope(rest: &[u8]) -> String {
    let Some(at) = find(rest, b"scope=") else { return String::new() };
    let value = &rest[at + 6..];
    let end = value.iter().position(|byte| matches!(byte, b';' | b'&')).unwrap_or(value.len());
    let value = &value[..end.min(SCOPE_LENGTH_MAX)];
    let named = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    if value.iter().all(named) { String::from_utf8_lossy(value).into_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::page::testing::{request, settings};

    fn view(uri: &str) -> View {
        View::of(&request("GET", uri, &[]), &settings("stats uri /s\n stats refresh 30s"))
    }

    // row: 145
    #[test]
    fn the_page_is_where_its_prefix_says() {
        let here = |method: &str, uri: &str| matches(&request(method, uri, &[]), &settings("stats uri /s"));
        assert!(["/s", "/sx", "/s;csv", "/s?a", "/s/b", "http://h/s"].iter().all(|uri| here("GET", uri)));
        assert!(["/", "/S", "//s", "/%73", "*", "/a/s"].iter().all(|uri| !here("GET", uri)));
        assert!(here("HEAD", "/s") && here("POST", "/s"));
        assert!(["PUT", "DELETE", "OPTIONS", "PATCH"].iter().all(|method| !here(method, "/s")));
        let default = settings("stats enable");
        assert!(matches(&request("GET", "/haproxy?stats;up", &[]), &default));
        assert!(!matches(&request("GET", "/haproxy", &[]), &default));
    }

    // row: 152, 153
    #[test]
    fn words_behind_the_prefix_choose_the_form() {
        let formats = ["/s", "/s;csv", "/s;typed", "/s;json", "/s;json-schema", "/s;norefresh;csv"];
        assert_eq!(
            formats.map(|uri| view(uri).format),
            [Format::Html, Format::Csv, Format::Typed, Format::Json, Format::JsonSchema, Format::Csv]
        );
        let all = view("/s;up;norefresh;no-maint;st=PART");
        assert!(all.only_up && !all.refresh && all.hide_maintenance);
        assert_eq!(all.outcome, Some(Outcome::Partial));
        let codes = ["/s;st=DONEX", "/s;st=done", "/s;st=DON", "/s;NOREFRESH"].map(|uri| view(uri).outcome);
        assert_eq!(codes, [Some(Outcome::Done), Some(Outcome::Unknown), None, None]);
    }

    #[test]
    fn a_scope_ends_at_its_delimiter_and_has_only_letters_of_names() {
        let scopes =
            ["/s?scope=web", "/s;up;scope=web;x", "/s?scope=web&z=1", "/s?scope=%77eb", "/s?scope=", "/s"];
        assert_eq!(scopes.map(|uri| view(uri).scope), ["web", "web", "web", "", "", ""]);
        assert_eq!(view(&format!("/s?scope={}", "a".repeat(90))).scope, "a".repeat(20));
    }

    // row: 148
    #[test]
    fn an_action_leads_back_to_the_page_as_it_was() {
        let settings = settings("stats uri /s");
        let after = |uri: &str| view(uri).after_action(&settings, Outcome::Done);
        assert_eq!(after("/s"), "/s;st=DONE");
        assert_eq!(after("/s;csv;norefresh"), "/s;st=DONE;norefresh");
        assert_eq!(after("/s;up;norefresh;scope=web;no-maint"), "/s;st=DONE;up;norefresh?scope=web");
    }
}
