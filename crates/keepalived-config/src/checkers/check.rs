//! The checkers of a real server: a table of their names, and one reader each.

use super::common::{self, CONNECT, TIMING, TimingDefaults, TimingDraft};
use super::http::{HTTP, HttpDraft};
use super::real_server::RealServerDraft;
use crate::arguments::Arguments;
use crate::command::{command_words, find_user};
use crate::context::{Context, Outcome, fail};
use crate::keywords::Status::{Old, Works};
use crate::keywords::{Keyword, Listed, Status, block, line, list, read_block};
use crate::language::{Node, Word};
use crate::model::{ConnectOptions, DnsType, FileWeight, HttpProtocol, HttpUrl, RunAs};
use diag::Span;
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

/// A checker before inherited values and names are applied.
pub(crate) struct CheckDraft {
    pub span: Span,
    pub kind: KindDraft,
    pub connect: ConnectOptions,
    pub timing: TimingDraft,
    pub defaults: TimingDefaults,
}

/// [`crate::model::CheckKind`] with names in place of ids.
pub(crate) enum KindDraft {
    Tcp,
    Http {
        tls: bool,
        sni: bool,
        sni_name: Option<String>,
        protocol: HttpProtocol,
        fast_recovery: bool,
        virtual_host: Option<String>,
        urls: Vec<HttpUrl>,
    },
    Smtp {
        helo_name: Option<String>,
    },
    Dns {
        question: DnsType,
        name: String,
    },
    Misc {
        words: Vec<String>,
        span: Span,
        run_as: RunAs,
        timeout: Option<Duration>,
        dynamic: bool,
    },
    Udp {
        payload: Option<Vec<u8>>,
        require_reply: Option<Vec<Option<u8>>>,
        reply_length: (u16, u16),
    },
    Ping,
    File {
        file: Word,
        weight: Option<FileWeight>,
    },
    Bfd {
        session: Word,
    },
}

/// Until the next try, for most checkers.
const USUAL: TimingDefaults = TimingDefaults { retry: 1, delay_before_retry: Some(Duration::from_secs(1)) };

pub(crate) static CHECKERS: &[Keyword<RealServerDraft>] = &[
    block("TCP_CHECK", Works, tcp, "connect"),
    block(
        "HTTP_GET",
        Works,
        |draft, arguments, context| http(draft, arguments, context, false),
        "HTTP request",
    ),
    block(
        "SSL_GET",
        Works,
        |draft, arguments, context| http(draft, arguments, context, true),
        "HTTP request over TLS",
    ),
    block("SMTP_CHECK", Works, smtp, "SMTP greeting and HELO"),
    block("DNS_CHECK", Works, dns, "DNS question"),
    block("MISC_CHECK", Works, misc, "program"),
    block("UDP_CHECK", Works, udp, "datagram"),
    block("PING_CHECK", Works, ping, "ICMP echo"),
    block("FILE_CHECK", Works, file, "number in a file"),
    block("BFD_CHECK", Works, bfd, "BFD session"),
];

pub(crate) fn listed() -> impl Iterator<Item = Listed> {
    list("SMTP_CHECK", SMTP)
        .chain(list("DNS_CHECK", DNS))
        .chain(list("MISC_CHECK", MISC))
        .chain(list("UDP_CHECK", UDP))
        .chain(list("FILE_CHECK", FILE))
        .chain(list("BFD_CHECK", BFD))
}

/// What a checker's own table and the common ones share.
struct Common<'d, D> {
    own: &'d mut D,
    connect: &'d mut ConnectOptions,
    timing: &'d mut TimingDraft,
}

/// Reads a checker's block: own keywords, then those for connections, then those for timing.
fn read<D: 'static>(
    nodes: &[Node],
    own: &'static [Keyword<D>],
    place: &str,
    connects: bool,
    draft: Common<'_, D>,
    context: &mut Context<'_>,
) {
    for node in nodes {
        let words = node.words();
        let Some(first) = words.first() else {
            continue;
        };
        let name = first.value.as_str();
        let one = std::slice::from_ref(node);
        if own.iter().any(|row| row.name == name) {
            read_block(one, || own.iter(), place, draft.own, context);
        } else if connects && CONNECT.iter().any(|row| row.name == name) {
            read_block(one, || CONNECT.iter(), place, draft.connect, context);
        } else if TIMING.iter().any(|row| row.name == name && (connects || name != "connect_timeout")) {
            read_block(one, || TIMING.iter(), place, draft.timing, context);
        } else if name == "nb_get_retry" {
            old_retry(node, draft.timing, context);
        } else {
            let known = own
                .iter()
                .map(|row| row.name)
                .chain(CONNECT.iter().filter(|_| connects).map(|row| row.name))
                .chain(TIMING.iter().map(|row| row.name));
            context.push_alert(*crate::keywords::unknown("keyword", first, place, known));
        }
    }
}

/// `nb_get_retry` outside of HTTP checks: widely copied, and unknown to keepalived. row: 271
fn old_retry(node: &Node, timing: &mut TimingDraft, context: &mut Context<'_>) {
    let mut arguments = Arguments::new(node);
    arguments.next();
    context.keyword = "nb_get_retry";
    match common::retry(timing, &mut arguments, context) {
        Ok(()) => context.problem(
            diag::Diagnostic::warning(node.span(), "`nb_get_retry` is taken for `retry` here")
                .with_note(None, "keepalived knows it in HTTP_GET and SSL_GET only, and would retry once")
                .with_help("write `retry`"),
        ),
        Err(error) => context.push_alert(*error),
    }
}

/// A checker that has no keywords of its own.
fn plain(
    server: &mut RealServerDraft,
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
    place: &str,
    kind: KindDraft,
) -> Outcome {
    static NONE: &[Keyword<()>] = &[];
    let (mut connect, mut timing) = (ConnectOptions::default(), TimingDraft::default());
    let draft = Common { own: &mut (), connect: &mut connect, timing: &mut timing };
    read(arguments.block(), NONE, place, true, draft, context);
    server.checks.push(CheckDraft { span: arguments.node.span(), kind, connect, timing, defaults: USUAL });
    Ok(())
}

fn tcp(server: &mut RealServerDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    // row: 270, 272, 273, 274
    plain(server, arguments, context, "TCP_CHECK", KindDraft::Tcp)
}

fn ping(server: &mut RealServerDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    plain(server, arguments, context, "PING_CHECK", KindDraft::Ping)
}

fn http(
    server: &mut RealServerDraft,
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
    tls: bool,
) -> Outcome {
    // row: 275, 276
    let place = if tls { "SSL_GET" } else { "HTTP_GET" };
    let mut http = HttpDraft {
        timing: TimingDraft::default(),
        protocol: HttpProtocol::Http10,
        virtual_host: None,
        fast_recovery: false,
        sni: false,
        sni_name: None,
        urls: Vec::new(),
    };
    let (mut connect, mut timing) = (ConnectOptions::default(), TimingDraft::default());
    let alerts = context.report.alerts();
    let draft = Common { own: &mut http, connect: &mut connect, timing: &mut timing };
    read(arguments.block(), HTTP, place, true, draft, context);
    if http.urls.is_empty() {
        return if context.report.alerts() > alerts {
            Ok(())
        } else {
            fail(arguments.node.span(), format!("{place} has no `url`"))
        };
    }
    let kind = KindDraft::Http {
        tls,
        sni: http.sni,
        sni_name: http.sni_name,
        protocol: http.protocol,
        fast_recovery: http.fast_recovery,
        virtual_host: http.virtual_host,
        urls: http.urls,
    };
    server.checks.push(CheckDraft {
        span: arguments.node.span(),
        kind,
        connect,
        // `nb_get_retry` of its own table.
        timing: timing.or(&http.timing),
        defaults: TimingDefaults { retry: 1, delay_before_retry: Some(Duration::from_secs(3)) },
    });
    Ok(())
}

#[derive(Default)]
struct SmtpDraft {
    helo_name: Option<String>,
    hosts: Vec<ConnectOptions>,
}

static SMTP: &[Keyword<SmtpDraft>] = &[
    line(
        "helo_name",
        Works,
        |draft, arguments, _| {
            draft.helo_name = Some(arguments.string("a name")?);
            Ok(())
        },
        "name in HELO",
    ),
    block(
        "host",
        Old("one SMTP_CHECK for each host"),
        |draft, arguments, context| {
            let mut connect = ConnectOptions::default();
            read_block(arguments.block(), || CONNECT.iter(), "host", &mut connect, context);
            draft.hosts.push(connect);
            Ok(())
        },
        "one more target",
    ),
];

fn smtp(server: &mut RealServerDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let mut own = SmtpDraft::default();
    let (mut connect, mut timing) = (ConnectOptions::default(), TimingDraft::default());
    let draft = Common { own: &mut own, connect: &mut connect, timing: &mut timing };
    read(arguments.block(), SMTP, "SMTP_CHECK", true, draft, context);
    // Each `host` is one more check beside the one of the server itself, as in keepalived.
    for connect in std::iter::once(connect).chain(own.hosts) {
        let kind = KindDraft::Smtp { helo_name: own.helo_name.clone() };
        let timing = timing.clone();
        server.checks.push(CheckDraft {
            span: arguments.node.span(),
            kind,
            connect,
            timing,
            defaults: USUAL,
        });
    }
    Ok(())
}

struct DnsDraft {
    question: DnsType,
    name: String,
}

static DNS: &[Keyword<DnsDraft>] = &[
    line(
        "type",
        Works,
        |draft, arguments, _| {
            let word = arguments.word("a record type")?;
            draft.question = match word.value.to_ascii_uppercase().as_str() {
                "A" => DnsType::A,
                "NS" => DnsType::Ns,
                "CNAME" => DnsType::Cname,
                "SOA" => DnsType::Soa,
                "MX" => DnsType::Mx,
                "TXT" => DnsType::Txt,
                "AAAA" => DnsType::Aaaa,
                _ => {
                    let known = ["A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA"];
                    return Err(crate::keywords::unknown("record type", &word, "DNS_CHECK", known));
                }
            };
            Ok(())
        },
        "record type (SOA)",
    ),
    line(
        "name",
        Works,
        |draft, arguments, _| {
            draft.name = arguments.string("a name")?;
            Ok(())
        },
        "name to ask for (.)",
    ),
];

fn dns(server: &mut RealServerDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let mut own = DnsDraft { question: DnsType::Soa, name: String::new() };
    let (mut connect, mut timing) = (ConnectOptions::default(), TimingDraft::default());
    let draft = Common { own: &mut own, connect: &mut connect, timing: &mut timing };
    read(arguments.block(), DNS, "DNS_CHECK", true, draft, context);
    server.checks.push(CheckDraft {
        span: arguments.node.span(),
        kind: KindDraft::Dns { question: own.question, name: own.name },
        connect,
        timing,
        defaults: TimingDefaults { retry: 3, delay_before_retry: None },
    });
    Ok(())
}

#[derive(Default)]
struct MiscDraft {
    words: Option<(Vec<String>, Span)>,
    timeout: Option<Duration>,
    dynamic: bool,
    user: Option<RunAs>,
}

static MISC: &[Keyword<MiscDraft>] = &[
    line(
        "misc_path",
        Works,
        |draft, arguments, context| {
            draft.words = Some(command_words(arguments, context)?);
            Ok(())
        },
        "the program",
    ),
    line(
        "misc_timeout",
        Works,
        |draft, arguments, _| {
            draft.timeout =
                Some(Duration::from_secs(arguments.integer(0..=4294)? as u64)).filter(|time| !time.is_zero());
            Ok(())
        },
        "its longest run (delay_loop)",
    ),
    line(
        "misc_dynamic",
        Works,
        |draft, _, _| {
            draft.dynamic = true;
            Ok(())
        },
        "the exit code sets the weight",
    ),
    line(
        "user",
        Works,
        |draft, arguments, context| {
            let user = arguments.word("a user")?;
            let group = arguments.next();
            draft.user = Some(find_user(&user, group.as_ref(), context)?);
            Ok(())
        },
        "its user and group",
    ),
];

fn misc(server: &mut RealServerDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let mut own = MiscDraft::default();
    let (mut connect, mut timing) = (ConnectOptions::default(), TimingDraft::default());
    let alerts = context.report.alerts();
    let draft = Common { own: &mut own, connect: &mut connect, timing: &mut timing };
    read(arguments.block(), MISC, "MISC_CHECK", false, draft, context);
    let Some((words, span)) = own.words else {
        return if context.report.alerts() > alerts {
            Ok(())
        } else {
            fail(arguments.node.span(), "MISC_CHECK has no `misc_path`")
        };
    };
    if own.user.is_none() && context.script_user_missing {
        context.no_script_user(span);
        return Ok(());
    }
    let run_as = own.user.unwrap_or(context.script_user);
    server.checks.push(CheckDraft {
        span: arguments.node.span(),
        kind: KindDraft::Misc { words, span, run_as, timeout: own.timeout, dynamic: own.dynamic },
        connect,
        timing,
        defaults: TimingDefaults { retry: 0, ..USUAL },
    });
    Ok(())
}

struct UdpDraft {
    payload: Option<Vec<u8>>,
    require_reply: Option<Vec<Option<u8>>>,
    reply_min: u16,
    reply_max: u16,
}

static UDP: &[Keyword<UdpDraft>] = &[
    line(
        "payload",
        Works,
        |draft, arguments, _| {
            let words = arguments.rest();
            let nibbles = nibbles(&words, false)?;
            draft.payload = Some(
                nibbles
                    .chunks(2)
                    .map(|pair| pair[0].unwrap_or(0) * 16 + pair.get(1).copied().flatten().unwrap_or(0))
                    .collect(),
            );
            Ok(())
        },
        "hexadecimal bytes to send",
    ),
    line(
        "require_reply",
        Works,
        |draft, arguments, _| {
            let words = arguments.rest();
            draft.require_reply = Some(nibbles(&words, true)?);
            Ok(())
        },
        "a reply must come; x stands for any digit",
    ),
    line(
        "min_reply_length",
        Works,
        |draft, arguments, _| {
            draft.reply_min = arguments.integer(0..=65_535)? as u16;
            Ok(())
        },
        "shortest reply (0)",
    ),
    line(
        "max_reply_length",
        Works,
        |draft, arguments, _| {
            draft.reply_max = arguments.integer(0..=65_535)? as u16;
            Ok(())
        },
        "longest reply (255)",
    ),
];

/// Bytes a datagram of a check may have.
const DATAGRAM_MAX: usize = 65_507;

/// Four bits each, two to a byte; a lone digit before a blank is a byte of its own.
fn nibbles(words: &[Word], wildcards: bool) -> Outcome<Vec<Option<u8>>> {
    let mut all = Vec::new();
    for word in words {
        let digits: Vec<char> = word.value.chars().collect();
        for pair in digits.chunks(2) {
            if pair.len() == 1 {
                all.push(Some(0));
            }
            for digit in pair {
                match (digit.to_digit(16), digit) {
                    (Some(value), _) => all.push(Some(value as u8)),
                    (None, 'x' | 'X') if wildcards => all.push(None),
                    (None, other) => return fail(word.span, format!("`{other}` is not a hexadecimal digit")),
                }
            }
        }
    }
    if all.len() > 2 * DATAGRAM_MAX {
        return fail(words[0].span, format!("a datagram has at most {DATAGRAM_MAX} bytes"));
    }
    Ok(all)
}

fn udp(server: &mut RealServerDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let mut own = UdpDraft { payload: None, require_reply: None, reply_min: 0, reply_max: 255 };
    let (mut connect, mut timing) = (ConnectOptions::default(), TimingDraft::default());
    let draft = Common { own: &mut own, connect: &mut connect, timing: &mut timing };
    read(arguments.block(), UDP, "UDP_CHECK", true, draft, context);
    if own.reply_min > own.reply_max {
        return fail(
            arguments.node.span(),
            format!("min_reply_length {} is above max_reply_length {}", own.reply_min, own.reply_max),
        );
    }
    let kind = KindDraft::Udp {
        payload: own.payload,
        require_reply: own.require_reply,
        reply_length: (own.reply_min, own.reply_max),
    };
    server.checks.push(CheckDraft { span: arguments.node.span(), kind, connect, timing, defaults: USUAL });
    Ok(())
}

#[derive(Default)]
struct FileDraft {
    file: Option<Word>,
    weight: Option<FileWeight>,
}

static FILE: &[Keyword<FileDraft>] = &[
    line(
        "track_file",
        Works,
        |draft, arguments, _| {
            draft.file = Some(arguments.word("the name of a track_file")?);
            Ok(())
        },
        "the file",
    ),
    line(
        "weight",
        Works,
        |draft, arguments, _| {
            let weight = arguments.integer(-2_147_483_647..=2_147_483_647)? as i32;
            let reverse = match arguments.next() {
                None => false,
                Some(word) if word.value == "reverse" => true,
                Some(word) => return fail(word.span, format!("`{}` is not `reverse`", word.value)),
            };
            draft.weight = Some(FileWeight { weight, reverse });
            Ok(())
        },
        "factor on its number",
    ),
    line(
        "dynamic",
        Status::Refused("the number always counts: remove this line"),
        |_, _, _| Ok(()),
        "old: the number counts",
    ),
];

fn file(server: &mut RealServerDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let mut own = FileDraft::default();
    read_block(arguments.block(), || FILE.iter(), "FILE_CHECK", &mut own, context);
    let Some(file) = own.file else {
        return fail(arguments.node.span(), "FILE_CHECK has no `track_file`");
    };
    let kind = KindDraft::File { file, weight: own.weight };
    let (connect, timing) = (ConnectOptions::default(), TimingDraft::default());
    server.checks.push(CheckDraft { span: arguments.node.span(), kind, connect, timing, defaults: USUAL });
    Ok(())
}

#[derive(Default)]
struct BfdDraft {
    name: Option<Word>,
    alpha: Option<bool>,
}

static BFD: &[Keyword<BfdDraft>] = &[
    line(
        "name",
        Works,
        |draft, arguments, _| {
            draft.name = Some(arguments.word("the name of a bfd_instance")?);
            Ok(())
        },
        "the bfd_instance",
    ),
    line(
        "alpha",
        Works,
        |draft, arguments, _| {
            draft.alpha = Some(arguments.switch()?);
            Ok(())
        },
        "starts as failed",
    ),
];

fn bfd(server: &mut RealServerDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let mut own = BfdDraft::default();
    read_block(arguments.block(), || BFD.iter(), "BFD_CHECK", &mut own, context);
    let Some(session) = own.name else {
        return fail(arguments.node.span(), "BFD_CHECK has no `name`");
    };
    let timing = TimingDraft { alpha: own.alpha, ..TimingDraft::default() };
    server.checks.push(CheckDraft {
        span: arguments.node.span(),
        kind: KindDraft::Bfd { session },
        connect: ConnectOptions::default(),
        timing,
        defaults: USUAL,
    });
    Ok(())
}
