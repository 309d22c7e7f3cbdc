//! What the fuzz targets do with bytes: one function for each reader of what others send or write. Each asserts what
//! must hold whatever comes in. Owns no grammar and no fuzzing engine: the targets in `fuzz/` give these functions to
//! one, and the test `fuzz_corpus_replays` gives them every file of the corpus.

mod agentx_session;
mod client_hello;
mod config;
mod http2_frames;
mod keepalived_config;
mod peers_session;
mod proxy_header;
mod rule_text;
mod runtime_api;
mod virtual_router;
mod world;

/// A target: the folder of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name that `fuzz/fuzz_targets` and `fuzz/corpus` use.
pub const TARGETS: &[Target] = &[
    ("advert", virtual_router::advert),
    ("agentx", agentx_session::agentx),
    ("cli", runtime_api::cli),
    ("client_hello", client_hello::client_hello),
    ("config", config::config),
    ("expression", rule_text::expression),
    ("http2_frames", http2_frames::http2_frames),
    ("http_chunks", http::fuzz::chunks),
    ("http_request", http_request),
    ("http_response", http_response),
    ("keepalived_config", keepalived_config::keepalived_config),
    ("log_format", rule_text::log_format),
    ("patterns", rule_text::patterns),
    ("peers", peers_session::peers),
    ("proxy_header", proxy_header::proxy_header),
    ("virtual_router", virtual_router::virtual_router),
];

/// Gives bytes to the target of that name.
///
/// # Panics
/// There is no such target, or the bytes found a bug.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of TARGETS");
    target(bytes);
}

/// A request head, and what is read out of heads: cookies, dates, credentials, parameters, URLs.
fn http_request(bytes: &[u8]) {
    http::fuzz::request(bytes);
    http::fuzz::cookies(bytes);
    http::fuzz::small(bytes);
}

/// A response head, and its cookies.
fn http_response(bytes: &[u8]) {
    http::fuzz::response(bytes);
    http::fuzz::cookies(bytes);
}
