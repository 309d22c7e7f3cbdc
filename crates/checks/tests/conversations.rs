//! Every recorded conversation of haproxy 2.6.12 with a scripted server, carried out by ours: same bytes sent, same
//! status, code and report. `tests/vectors/checks/README.md` says how the vectors were made.

use checks::{
    Action, Connect, Conversation, Expect, FieldMatch, FieldPattern, HttpSend, LegacyHttpRequest,
    LiteralOnly, Match, Outcome, Pattern, PortSource, Recipe, RecipeKind, Ruleset, Send, SendField, Settings,
    StatusSet, Step, Text,
};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Port that nothing listens on in the recordings.
const CLOSED_PORT: u16 = 7002;

struct Vector {
    name: String,
    rules: Vec<String>,
    server: Vec<String>,
    status: String,
    code: i64,
    info: String,
    sent: Option<Vec<u8>>,
}

fn vectors() -> Vec<Vector> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/checks/conversations.jsonl");
    let text = std::fs::read_to_string(path).expect("the vectors are in the repository");
    let strings = |value: &Value| match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        Value::String(one) => vec![format!("%{one}")],
        other => panic!("not a script: {other}"),
    };
    text.lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).unwrap();
            Vector {
                name: value["name"].as_str().unwrap().to_owned(),
                rules: strings(&value["rules"]),
                server: strings(&value["server"]),
                status: value["status"].as_str().unwrap().to_owned(),
                code: value["code"].as_i64().unwrap(),
                info: value["info"].as_str().unwrap().to_owned(),
                sent: value["sent"].as_str().map(latin1),
            }
        })
        .collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("vectors hold bytes")).collect()
}

/// Words of a rule line; `\` escapes, `"` and `'` quote.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let escaped = characters.next().unwrap();
                words.last_mut().unwrap().push(match escaped {
                    'r' => '\r',
                    'n' => '\n',
                    other => other,
                });
            }
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.push(String::new()),
            (c, _) => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// The recipe of these lines; `None` when they need the rule engine, or an option that is not a plain ruleset.
fn recipe(rules: &[String]) -> Option<(Recipe, bool)> {
    let mut ruleset: Option<Ruleset> = None;
    let mut disable_on_404 = false;
    for line in rules {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["option", "tcp-check"] => ruleset = Some(Ruleset::new(RecipeKind::Tcp)),
            ["option", "httpchk", ref rest @ ..] => {
                let mut http = Ruleset::new(RecipeKind::Http);
                http.set_http_request(LegacyHttpRequest::from_words(rest).request);
                ruleset = Some(http);
            }
            ["http-check", "disable-on-404"] => disable_on_404 = true,
            ["http-check", "send-state"] => return None,
            ["tcp-check" | "http-check", ref rest @ ..] => {
                ruleset.as_mut()?.push(step(rest)?).unwrap();
            }
            _ => return None,
        }
    }
    Some((ruleset.map_or_else(Recipe::connect_only, Ruleset::finish), disable_on_404))
}

fn step(words: &[&str]) -> Option<Step> {
    let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
    let has_format = words.iter().any(|word| word.contains("%[") || word.ends_with("-lf"));
    if has_format || words.contains(&"status-code") || words[0].starts_with("set-var") {
        return None;
    }
    Some(match words[0] {
        "comment" => Step::Comment(words[1].to_owned()),
        "connect" => {
            let mut connect = Connect::default();
            for pair in words[1..].chunks(2) {
                match *pair {
                    ["port", port] => connect.port = Some(PortSource::Fixed(port.parse().unwrap())),
                    ["comment", text] => connect.comment = Some(text.to_owned()),
                    _ => panic!("{pair:?}"),
                }
            }
            Step::Connect(Box::new(connect))
        }
        "send" if words.len() == 2 => {
            Step::Send(Send { data: Text::literal(words[1].as_bytes()), comment: None })
        }
        "send" => Step::HttpSend(Box::new(http_send(&words[1..]))),
        "expect" => Step::Expect(Box::new(expect(&words[1..]))),
        other => panic!("{other}"),
    })
}

fn http_send(words: &[&str]) -> HttpSend {
    let mut send = HttpSend::default();
    let mut rest = words;
    while let Some((&keyword, after)) = rest.split_first() {
        let (value, after) = after.split_first().unwrap();
        rest = after;
        match keyword {
            "meth" => send.method = Some((*value).to_owned()),
            "uri" => send.uri = Some(Text::literal(value.as_bytes())),
            "ver" => send.version = Some((*value).to_owned()),
            "body" => send.body = Some(Text::literal(value.as_bytes())),
            "hdr" => {
                let (text, after) = rest.split_first().unwrap();
                rest = after;
                let value = SendField { name: (*value).to_owned(), value: Text::literal(text.as_bytes()) };
                send.fields.push(value);
            }
            other => panic!("{other}"),
        }
    }
    send
}

fn expect(words: &[&str]) -> Expect {
    let mut expect = Expect::new(Match::AgentReply);
    let mut rest = words;
    while let Some((&keyword, after)) = rest.split_first() {
        rest = after;
        if keyword == "!" {
            expect.negated = true;
            continue;
        }
        let value = rest[0];
        let status = checks::CheckStatus::from_word(value);
        let mut taken = 1;
        match keyword {
            "comment" => expect.comment = Some(value.to_owned()),
            "min-recv" => expect.min_receive = Some(value.parse().unwrap()),
            "ok-status" => expect.ok_status = status,
            "error-status" => expect.error_status = status,
            "tout-status" => expect.timeout_status = status,
            "on-success" => expect.on_success = Some(Text::literal(value.as_bytes())),
            "on-error" => expect.on_error = Some(Text::literal(value.as_bytes())),
            "string" => expect.test = Match::String(value.as_bytes().to_vec()),
            "rstring" => expect.test = Match::Regex(Pattern::new(value).unwrap()),
            "binary" => expect.test = Match::Binary(hex(value)),
            "rbinary" => expect.test = Match::BinaryRegex(Pattern::new(value).unwrap()),
            "status" => expect.test = Match::Status(StatusSet::parse(value).unwrap()),
            "rstatus" => expect.test = Match::StatusRegex(Pattern::new(value).unwrap()),
            "hdr" | "fhdr" => {
                taken = rest.len();
                let pattern = field_pattern(rest);
                expect.test =
                    if keyword == "hdr" { Match::Field(pattern) } else { Match::FullField(pattern) };
            }
            other => panic!("{other}"),
        }
        rest = &rest[taken..];
    }
    expect
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn field_pattern(words: &[&str]) -> FieldPattern {
    let test = |words: &[&str]| {
        let (method, text) = match *words {
            ["-m", method, text, ..] => (method, text),
            [text, ..] => ("str", text),
            [] => panic!("nothing to match"),
        };
        let literal = Text::literal(text.as_bytes());
        match method {
            "str" => FieldMatch::Exact(literal),
            "beg" => FieldMatch::Prefix(literal),
            "end" => FieldMatch::Suffix(literal),
            "sub" => FieldMatch::Contains(literal),
            "reg" => FieldMatch::Regex(Pattern::new(text).unwrap()),
            other => panic!("{other}"),
        }
    };
    let value = words.iter().position(|word| *word == "value");
    FieldPattern { name: test(&words[1..]), value: value.map(|at| test(&words[at + 1..])) }
}

/// Plays the scripted server until the conversation ends. Returns the outcome and the first bytes it was sent.
fn play(recipe: Recipe, disable_on_404: bool, script: &[String]) -> (Outcome, Option<Vec<u8>>) {
    let mut now = Instant::now();
    let settings = Settings {
        interval: Duration::from_secs(1),
        connect_timeout: Some(Duration::from_millis(300)),
        check_timeout: Some(Duration::from_millis(400)),
        disable_on_404,
        receive_max: 16_384,
    };
    let mut conversation = Conversation::new(Arc::new(recipe), settings, now);
    let mut first_sent = None;
    let mut unread = 0;
    let mut at = 0;
    for _ in 0..1000 {
        match conversation.poll_action(now, &mut LiteralOnly) {
            Some(Action::Connect(to)) if to.port == Some(CLOSED_PORT) || script == ["%refuse"] => {
                conversation.handle_error(now, "Connection refused");
            }
            Some(Action::Connect(_)) if script == ["%blackhole"] => {
                now = conversation.poll_timeout().unwrap();
                conversation.handle_timeout(now);
            }
            Some(Action::Connect(_)) => {
                at = 0;
                unread = 0;
                conversation.handle_connected(now);
            }
            Some(Action::Send(bytes)) => {
                unread += 1;
                first_sent.get_or_insert(bytes);
                conversation.handle_sent(now);
            }
            Some(Action::Close { .. }) => {}
            Some(Action::Finish(outcome)) => return (outcome, first_sent),
            None => {
                let line = script.get(at).map_or("%close", String::as_str);
                at += 1;
                match line {
                    "%silent" => {
                        now = conversation.poll_timeout().unwrap();
                        conversation.handle_timeout(now);
                    }
                    "%read" => unread = 0,
                    "%wait" => {}
                    // The kernel resets a connection that is closed with unread data.
                    "%rst" => conversation.handle_error(now, "Connection reset by peer"),
                    "%close" if unread > 0 => conversation.handle_error(now, "Connection reset by peer"),
                    "%close" => conversation.handle_eof(),
                    data => conversation.handle_bytes(&latin1(data)),
                }
            }
        }
    }
    panic!("the conversation does not end");
}

// row: 94, 98
#[test]
fn recorded_conversations_end_as_haproxys_did() {
    let mut played = 0;
    let mut wrong = Vec::new();
    for vector in vectors() {
        let Some((recipe, disable_on_404)) = recipe(&vector.rules) else { continue };
        played += 1;
        let (outcome, sent) = play(recipe, disable_on_404, &vector.server);
        let info = checks::encode_info(&outcome.description);
        let code = if outcome.status.has_code() { outcome.code } else { 0 };
        if (outcome.status.word(), code, info.as_str()) != (&vector.status, vector.code, &vector.info) {
            wrong.push(format!(
                "{}: {:?}\n  haproxy {} {} {:?}\n  ours    {} {} {:?}",
                vector.name,
                vector.rules,
                vector.status,
                vector.code,
                vector.info,
                outcome.status.word(),
                code,
                info
            ));
        }
        if vector.sent.is_some() && sent != vector.sent {
            wrong.push(format!("{}: sent {sent:?}, haproxy {:?}", vector.name, vector.sent));
        }
    }
    assert!(wrong.is_empty(), "{} of {played} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(played >= 130, "only {played} vectors were understood");
}
