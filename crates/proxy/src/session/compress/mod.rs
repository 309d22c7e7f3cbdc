//! Compression of bodies: which messages, by which algorithm, what their heads say then, and what is counted. The formats
//! are the encoder's; the framing is the flow's.

mod encoder;
mod fast;
mod fast_stream;

pub use encoder::EncoderFailed;

use super::client::Client;
use super::flow::push_chunk;
use super::transaction::Transaction;
use crate::net::buffers::Pending;
use crate::worker::Worker;
use encoder::Encoder;
use haproxy_config::model::{CompressedSide, Compression, CompressionAlgorithm, Proxy};
use http::{FieldKind, Framing, Head, Method, Version};
use rules::ProxyId;
use std::rc::Rc;

/// Coded bytes that go out before the source pauses are at least this many.
const CHUNK_MIN: usize = 8 * 1024;

/// A body being compressed, and whose it is.
pub struct Compressor {
    encoder: Encoder,
    /// What came of it and does not fill a chunk yet.
    coded: Pending,
    /// Something was written since the last flush.
    dirty: bool,
    /// What comes out is framed in chunks.
    chunked: bool,
    worker: Rc<Worker>,
    frontend: ProxyId,
    backend: ProxyId,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Compressor").field("dirty", &self.dirty).finish_non_exhaustive()
    }
}

impl Compressor {
    fn new(
        worker: &Rc<Worker>,
        frontend: ProxyId,
        backend: ProxyId,
        chosen: CompressionAlgorithm,
    ) -> Option<Self> {
        let level = worker.plan().model.global.tune.comp_maxlevel;
        // Without memory for it the message goes as it is.
        let encoder = Encoder::new(chosen, level).ok()?;
        Some(Compressor {
            encoder,
            coded: Pending::new(),
            dirty: false,
            chunked: true,
            worker: Rc::clone(worker),
            frontend,
            backend,
        })
    }

    /// Says whether coded bytes go out in chunks, as they do by default, or as they are.
    pub fn frame(&mut self, chunked: bool) {
        self.chunked = chunked;
    }

    /// Whether bytes wait inside that [`flush`](Compressor::flush) would bring out.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Takes a piece of the body; coded bytes that are worth a chunk of their own go to `pending`.
    ///
    /// # Errors
    /// The encoder failed.
    pub fn write(&mut self, data: &[u8], pending: &mut Pending) -> Result<(), EncoderFailed> {
        self.dirty |= !data.is_empty();
        let before = self.coded.len();
        self.encoder.write(data, self.coded.buffer())?;
        self.count(data.len(), self.coded.len() - before);
        if self.coded.len() >= CHUNK_MIN {
            self.give(pending);
        }
        Ok(())
    }

    /// Brings out what was written so far.
    ///
    /// # Errors
    /// The encoder failed.
    pub fn flush(&mut self, pending: &mut Pending) -> Result<(), EncoderFailed> {
        self.dirty = false;
        let before = self.coded.len();
        self.encoder.flush(self.coded.buffer())?;
        self.count(0, self.coded.len() - before);
        self.give(pending);
        Ok(())
    }

    /// Ends the body; what ends the message is the caller's.
    ///
    /// # Errors
    /// The encoder failed.
    pub fn finish(&mut self, pending: &mut Pending) -> Result<(), EncoderFailed> {
        self.dirty = false;
        let before = self.coded.len();
        self.encoder.finish(self.coded.buffer())?;
        self.count(0, self.coded.len() - before);
        self.give(pending);
        Ok(())
    }

    /// A whole body, and the last chunk where there are chunks, for messages that are there at once.
    ///
    /// # Errors
    /// The encoder failed.
    pub fn write_whole(mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), EncoderFailed> {
        let mut pending = Pending::new();
        self.write(body, &mut pending)?;
        self.finish(&mut pending)?;
        out.extend_from_slice(pending.bytes());
        if self.chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        Ok(())
    }

    fn give(&mut self, pending: &mut Pending) {
        if self.chunked {
            push_chunk(pending, self.coded.bytes());
        } else {
            pending.push(self.coded.bytes());
        }
        self.coded.clear();
    }

    fn count(&self, taken: usize, given: usize) {
        let front = self.worker.frontend_counters(self.frontend);
        let back = self.worker.backend_counters(self.backend);
        let (taken, given) = (taken as u64, given as u64);
        if self.encoder.is_identity() {
            front.compressed_bypass.add(taken);
            back.compressed_bypass.add(taken);
            return;
        }
        front.compressed_in.add(taken);
        back.compressed_in.add(taken);
        front.compressed_out.add(given);
        back.compressed_out.add(given);
        let process = &self.worker.state().process;
        let now_ms = self.worker.millis(crate::net::clock::now());
        process.compressed_in_rate.add_many(now_ms, taken);
        process.compressed_out_rate.add_many(now_ms, given);
    }
}

/// What the two sections of a stream say: the backend comes first.
struct Sections<'a> {
    back: Option<&'a Compression>,
    front: Option<&'a Compression>,
}

impl<'a> Sections<'a> {
    fn of(front: &'a Proxy, back: &'a Proxy) -> Option<Sections<'a>> {
        let sections = Sections { back: back.compression.as_ref(), front: front.compression.as_ref() };
        (sections.back.is_some() || sections.front.is_some()).then_some(sections)
    }

    fn each(&self) -> impl Iterator<Item = &'a Compression> {
        self.back.into_iter().chain(self.front)
    }

    fn response_algorithms(&self) -> &'a [CompressionAlgorithm] {
        let mut lists = self.each().filter(|settings| settings.compresses_response);
        let list = lists.find(|settings| !settings.response.algorithms.is_empty());
        list.map_or(&[], |settings| &settings.response.algorithms)
    }

    fn types(&self, side: fn(&Compression) -> &CompressedSide) -> &'a [String] {
        self.each().map(|settings| &side(settings).types[..]).find(|types| !types.is_empty()).unwrap_or(&[])
    }

    fn min_size(&self, side: fn(&Compression) -> &CompressedSide) -> u64 {
        self.each().map(|settings| side(settings).min_size).find(|size| *size > 0).unwrap_or(0)
    }
}

fn responses(settings: &Compression) -> &CompressedSide {
    &settings.response
}

fn requests(settings: &Compression) -> &CompressedSide {
    &settings.request
}

/// Decides by the request how its response may be compressed, and hides from the server what the client accepts where
/// `offload` says so. After all request rules.
pub fn prepare(transaction: &mut Transaction, front: &Proxy, back: &Proxy) {
    transaction.compression = None;
    let Some(sections) = Sections::of(front, back) else { return };
    let algorithms = sections.response_algorithms();
    if algorithms.is_empty() || is_old_browser(&transaction.request) {
        return;
    }
    match accepted(&transaction.request, algorithms) {
        Some(algorithm) => {
            transaction.compression = Some(algorithm);
            if sections.each().any(|settings| settings.offload) {
                transaction.request.remove(b"accept-encoding");
            }
        }
        // Needs nobody's consent.
        None if algorithms.contains(&CompressionAlgorithm::Identity) => {
            transaction.compression = Some(CompressionAlgorithm::Identity);
        }
        None => {}
    }
}

/// Browsers that call themselves Mozilla/4 ask for what they cannot read, but for Internet Explorer 6 of Windows XP SP2
/// and later ones.
fn is_old_browser(request: &Head) -> bool {
    let Some(agent) = request.get(b"user-agent") else { return false };
    if !agent.starts_with(b"Mozilla/4") {
        return false;
    }
    let Some(explorer) = agent.get(25..31).and_then(|part| part.strip_prefix(b"MSIE ")) else { return true };
    match explorer.first() {
        Some(b'6') => agent.get(51..54) != Some(b"SV1"),
        Some(digit) => *digit < b'6',
        None => true,
    }
}

/// The algorithm that the client likes best; among those that it likes alike, the one it named first.
fn accepted(request: &Head, algorithms: &[CompressionAlgorithm]) -> Option<CompressionAlgorithm> {
    let mut best = (0, None);
    for element in request.values(b"accept-encoding") {
        let length = element.iter().position(|byte| !is_token(*byte)).unwrap_or(element.len());
        let (token, parameters) = element.split_at(length);
        let quality = quality(parameters);
        if quality <= best.0 {
            continue;
        }
        let known = |algorithm: &&CompressionAlgorithm| {
            token.starts_with(b"*") || token.eq_ignore_ascii_case(algorithm.token().as_bytes())
        };
        // Of several that the same word allows, HAProxy takes the one that the configuration names last.
        if let Some(algorithm) = algorithms.iter().rfind(known) {
            best = (quality, Some(*algorithm));
        }
    }
    best.1
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The first `q` among `;`-separated parameters, in thousandths; 1000 when there is none or it is no number.
fn quality(parameters: &[u8]) -> u32 {
    let mut parameters = parameters.split(|byte| *byte == b';');
    // What stands before the first semicolon is no parameter, and hides all of them.
    if parameters.next().is_none_or(|before| !before.trim_ascii().is_empty()) {
        return 1000;
    }
    let value = parameters.find_map(|parameter| parameter.trim_ascii_start().strip_prefix(b"q="));
    let Some(value) = value else { return 1000 };
    let digit =
        |at: usize| value.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'));
    let Some(ones) = digit(0) else { return 1000 };
    let mut sum = ones * 1000;
    if value.get(1) == Some(&b'.') {
        for (at, weight) in [(2, 100), (3, 10), (4, 1)] {
            let Some(digit) = digit(at) else { break };
            sum += digit * weight;
        }
    }
    sum.min(1000)
}

/// Decides whether the response is compressed, and rewrites its head for it. After all response rules.
pub fn response(
    client: &Client,
    transaction: &mut Transaction,
    framing: Framing,
    back: &Proxy,
) -> Option<Compressor> {
    let algorithm = transaction.compression?;
    let worker = &client.worker;
    let front = worker.plan().settings(client.frontend);
    let sections = Sections::of(front, back)?;
    let head = &transaction.response;
    let is_new = head.version() >= Version::Http11 && transaction.request.version() >= Version::Http11;
    let fits = is_new
        && transaction.request.method_kind() != Method::Head
        && matches!(head.status(), 200..=203)
        && is_delimited(framing, sections.min_size(responses))
        && !head.has(FieldKind::ContentEncoding)
        && !head.values(b"cache-control").any(|value| value.eq_ignore_ascii_case(b"no-transform"))
        && is_unambiguous(head)
        && has_type(head, sections.types(responses));
    if !fits || is_overloaded(worker) {
        return None;
    }
    let compressor = Compressor::new(worker, client.frontend, back.id, algorithm)?;
    let head = &mut transaction.response;
    make_chunked(head, framing);
    if head.get(b"etag").is_some_and(|tag| tag.starts_with(b"\"")) {
        // The bytes are others than those that the strong tag stands for (RFC 9110 §8.8.1).
        head.replace_lines(b"etag", &mut |tag, out| {
            out.extend_from_slice(b"W/");
            out.extend_from_slice(tag);
            true
        });
    }
    head.add(b"vary", b"Accept-Encoding");
    if algorithm != CompressionAlgorithm::Identity {
        head.add(b"content-encoding", algorithm.token().as_bytes());
    }
    transaction.facts.compression = Some(algorithm.name());
    worker.frontend_counters(client.frontend).compressed_responses.add(1);
    worker.backend_counters(back.id).compressed_responses.add(1);
    Some(compressor)
}

/// Decides whether the request is compressed on its way to a server (`compression direction request`), and by what.
pub fn request(client: &Client, head: &Head, framing: Framing, back: &Proxy) -> Option<CompressionAlgorithm> {
    let worker = &client.worker;
    let front = worker.plan().settings(client.frontend);
    let sections = Sections::of(front, back)?;
    let mut lists = sections.each().filter(|settings| settings.compresses_request);
    let algorithm = *lists.find_map(|settings| settings.request.algorithms.first())?;
    let fits = is_delimited(framing, sections.min_size(requests))
        && !head.has(FieldKind::ContentEncoding)
        && !head.values(b"cache-control").any(|value| value.eq_ignore_ascii_case(b"no-transform"))
        && has_type(head, sections.types(requests));
    (fits && !is_overloaded(worker)).then_some(algorithm)
}

/// The compressor of a request, and the head that goes with it. The head of the client stays as it came: it tells how
/// the client's bytes are framed.
pub fn begin_request(
    client: &Client,
    head: &Head,
    framing: Framing,
    back: &Proxy,
    algorithm: CompressionAlgorithm,
) -> Option<(Head, Compressor)> {
    let compressor = Compressor::new(&client.worker, client.frontend, back.id, algorithm)?;
    let mut head = head.clone();
    make_chunked(&mut head, framing);
    if algorithm != CompressionAlgorithm::Identity {
        head.add(b"content-encoding", algorithm.token().as_bytes());
    }
    Some((head, compressor))
}

/// Whether there is a body whose end is known without a close of the connection.
fn is_delimited(framing: Framing, min_size: u64) -> bool {
    match framing {
        Framing::Length(length) => length > 0 && length >= min_size,
        Framing::Chunked => true,
        Framing::None | Framing::UntilClose => false,
    }
}

fn make_chunked(head: &mut Head, framing: Framing) {
    head.remove_kind(FieldKind::ContentLength);
    // What came over HTTP/2 says so only where it goes out over HTTP/1.
    if framing != Framing::Chunked && head.version() != Version::Http2 {
        head.add(b"transfer-encoding", b"chunked");
    }
}

/// Whether there is no `etag`, or one that can be weakened.
fn is_unambiguous(head: &Head) -> bool {
    let mut tags = head.lines(b"etag");
    match (tags.next(), tags.next()) {
        (None, _) => true,
        (Some(tag), None) => {
            let quoted = tag.strip_prefix(b"W/").unwrap_or(tag);
            quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).is_some()
        }
        (Some(_), Some(_)) => false,
    }
}

/// Whether `content-type` is one of those that are compressed; with no list all are, but those of several parts.
fn has_type(head: &Head, types: &[String]) -> bool {
    let starts = |value: &[u8], with: &[u8]| {
        value.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    match head.get(b"content-type") {
        Some(found) if starts(found, b"multipart") => false,
        Some(found) => types.is_empty() || types.iter().any(|wanted| starts(found, wanted.as_bytes())),
        None => types.is_empty(),
    }
}

/// `maxcomprate` and `maxcompcpuusage`: no more than that is compressed.
fn is_overloaded(worker: &Worker) -> bool {
    let process = &worker.state().process;
    let limit = process.max_compression_rate.load(std::sync::atomic::Ordering::Relaxed);
    if limit > 0 {
        let now_ms = worker.millis(crate::net::clock::now());
        if u64::from(process.compressed_in_rate.get(now_ms)) > u64::from(limit) * 1024 {
            return true;
        }
    }
    match worker.plan().model.global.max_compression_cpu {
        Some(busy_max) if busy_max < 100 => worker.busy_percent() > busy_max,
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualities_are_thousandths() {
        let cases: [(&[u8], u32); 9] = [
            (b"", 1000),
            (b";q=0", 0),
            (b" ; q=0.5", 500),
            (b";q=0.001", 1),
            (b";level=9;q=0.25", 250),
            (b";q=7", 1000),
            (b";q=x", 1000),
            (b";Q=0", 1000),
            (b" trailing;q=0", 1000),
        ];
        for (parameters, wanted) in cases {
            assert_eq!(quality(parameters), wanted, "{:?}", String::from_utf8_lossy(parameters));
        }
    }
}
