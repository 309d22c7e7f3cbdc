//! Every sample fetch, converter and action over at least three inputs (a normal one, one where it is empty or missing,
//! a hostile one), evaluated by both programs: owns the labs and their counts.
//!
//! What a recorded message can tell is in `tests/vectors/rules` (`crates/rules/src/tests/vectors.rs`); the labs here have
//! what needs a running proxy: tables, handshakes, states, connections. One process of each program runs all labs.

mod actions;
mod connection;
mod count;
mod handshake;
mod hello;
mod misc;
mod state;
mod tables;

use differential::{Backend, Instance, Program, both};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What must be equal of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Equal {
    Bytes,
    /// All but digits: each run of them counts as one letter. Times and ports.
    Digits,
    /// The number of bytes: random values, keys, identifiers.
    Length,
    /// Whether there is one: what the kernel measures.
    Presence,
}

/// One expression of a lab.
#[derive(Clone, Debug)]
struct Question {
    expression: String,
    equal: Equal,
}

/// One frontend or several with rules that evaluate every expression for each input; each input leaves one log line.
struct Lab {
    name: &'static str,
    /// `{rules}` is where the expressions are evaluated, `{log}` where the log line is made.
    config: &'static str,
    /// Words before `set-var`, scope, words behind the expression.
    rule: (&'static str, &'static str, &'static str),
    questions: Vec<Question>,
    /// Names of the inputs, in order: normal, empty or missing, hostile and what else there is.
    inputs: &'static [&'static str],
    /// Plays the input of that name and returns when it is over. Some come with files or servers that live as long.
    play: fn(&Instance, &str),
}

/// What is ours by decision (docs/decisions/0016-answers-of-our-own.md): expression, the inputs where it differs.
const DECIDED: &[(&str, &[&str])] = &[
    ("handshake ssl_fc_session_key", &["ordinary", "self-signed", "expired"]),
    (
        "handshake ssl_fc_unique_id",
        &["ordinary", "bare", "self-signed", "old, with a certificate", "expired"],
    ),
    ("towards ssl_bc_cipher", &["to_wrong"]),
    ("towards ssl_bc_err_str", &["to_wrong"]),
    ("towards ssl_bc_protocol", &["to_wrong"]),
    ("towards ssl_bc_server_random", &["to_wrong"]),
    ("towards ssl_bc_session_key", &["to_tls13"]),
    ("towards ssl_bc_unique_id", &["to_tls13", "to_tls12"]),
];

fn exactly<T: AsRef<str>>(expressions: impl IntoIterator<Item = T>) -> Vec<Question> {
    compared(Equal::Bytes, expressions)
}

fn compared<T: AsRef<str>>(equal: Equal, expressions: impl IntoIterator<Item = T>) -> Vec<Question> {
    let question = |expression: T| Question { expression: expression.as_ref().to_owned(), equal };
    expressions.into_iter().map(question).collect()
}

/// One request for the input's name.
fn ask_for(proxy: &Instance, frontend: &str, input: &str) {
    let request = format!("GET /{input} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    proxy.client(frontend).ask(request);
}

fn labs() -> Vec<Lab> {
    let groups =
        [tables::labs(), state::labs(), connection::labs(), handshake::labs(), hello::labs(), misc::labs()];
    groups.into_iter().flatten().collect()
}

impl Lab {
    /// The part of the configuration, expressions and log format put in.
    fn text(&self) -> String {
        let (words, scope, condition) = self.rule;
        let mut rules = String::new();
        // Lines that need nothing of the end are written before the response came.
        let mut format = format!("%ts %B {}@", self.name);
        for (number, question) in self.questions.iter().enumerate() {
            // Binary values lose what is behind a zero byte when they become text.
            let hexadecimal = if question.equal == Equal::Length { ",hex" } else { "" };
            let expression = quote(&format!("{}{hexadecimal}", question.expression));
            writeln!(rules, " {words} set-var({scope}.v{number}) {expression} {condition}")
                .expect("writing to a string");
            let variable = format!("var({scope}.v{number}),concat()");
            write!(format, " %[{variable},length]:%[{variable},hex]").expect("writing to a string");
        }
        let log = format!(" log 127.0.0.1:$(log) len 65000 local0\n log-format {}\n", quote(&format));
        self.config.replace("{rules}", &rules).replace("{log}", &log)
    }

    /// What the log line of each input says about each expression.
    fn answers(&self, proxy: &Instance) -> BTreeMap<String, Vec<String>> {
        let mark = format!("{}@ ", self.name);
        let mut answers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (number, input) in self.inputs.iter().enumerate() {
            (self.play)(proxy, input);
            let lines = proxy.log().wait_for(number + 1, |line| line.contains(&mark));
            let line = lines[number].split_once(&mark).expect("the mark").1;
            let values: Vec<&str> = line.trim_end().split(' ').collect();
            assert_eq!(values.len(), self.questions.len(), "{} for {input}: {line}", self.name);
            for (question, value) in self.questions.iter().zip(values) {
                let told = format!("{input}: {}", question.answer(value));
                answers.entry(format!("{} {}", self.name, question.expression)).or_default().push(told);
            }
        }
        answers
    }
}

impl Question {
    /// The value of a log line, in the part that must be equal.
    fn answer(&self, value: &str) -> String {
        let (length, hex) = value.split_once(':').expect("length and bytes");
        if length == "-" {
            return "-".to_owned();
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
        let bytes: Vec<u8> = hex
            .trim_matches('-')
            .as_bytes()
            .chunks(2)
            .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
            .collect();
        let text = bytes.escape_ascii().to_string();
        match self.equal {
            Equal::Bytes => format!("={text}"),
            Equal::Digits => format!("={}", differential::normalise::numbers(&text)),
            Equal::Length => format!("{length} letters"),
            Equal::Presence => "something".to_owned(),
        }
    }
}

/// A word of a configuration, whatever is in it.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

/// What all labs share: the global section in front of the first frontend.
const GLOBAL: &str = "global
 tune.ssl.capture-buffer-size 400
 tune.ssl.keylog on
 ssl-default-bind-options no-tls-tickets
 hard-stop-after 2s
defaults
 mode http
 timeout connect 8s
 timeout client 8s
 timeout server 8s
";

fn start(program: Program, labs: &[Lab], echo: &Backend) -> Instance {
    let texts: String = labs.iter().map(Lab::text).collect();
    let launch = program.config(&format!("{GLOBAL}{texts}")).with("lab", crate::tls_lab::lab().display());
    let launch = launch.with("echo", echo.port()).env("COUNTED", "a value").env("EMPTY", "");
    misc::files(launch).start()
}

// row: 160
#[test]
fn every_expression_of_the_labs_is_answered_alike() {
    let only = std::env::var("HAWSER_LAB").ok();
    let both = both(|program| {
        let mut labs = labs();
        labs.retain(|lab| only.as_ref().is_none_or(|only| lab.name == only));
        let echo = Backend::tcp_echo();
        let proxy = start(program, &labs, &echo);
        labs.iter().flat_map(|lab| lab.answers(&proxy)).collect::<BTreeMap<_, _>>()
    });
    let (haproxy, hawser) = (both.haproxy, both.hawser);
    let answers = haproxy.as_ref().or(hawser.as_ref()).expect("a program to run");
    let (mut different, mut decided) = (Vec::new(), 0);
    for (question, theirs) in haproxy.iter().flatten() {
        let ours = hawser.as_ref().map(|hawser| &hawser[question]).unwrap_or(theirs);
        for (theirs, ours) in theirs.iter().zip(ours).filter(|(theirs, ours)| theirs != ours) {
            let input = theirs.split(": ").next().unwrap_or_default();
            if DECIDED.iter().any(|(known, inputs)| known == question && inputs.contains(&input)) {
                decided += 1;
                continue;
            }
            different.push(format!("{question}\n    haproxy {theirs}\n    hawser  {ours}"));
        }
    }
    assert!(different.is_empty(), "{} answers differ:\n{}", different.len(), different.join("\n"));
    let evaluated: usize = answers.values().map(Vec::len).sum();
    let decisions: usize = DECIDED.iter().map(|(_, inputs)| inputs.len()).sum();
    let compared = only.is_none() && haproxy.is_some() && hawser.is_some();
    assert!(
        !compared || decided == decisions,
        "{decided} of {decisions} decided answers differ: correct the table"
    );
    println!(
        "{} expressions of {} labs, {evaluated} answers, equal but {decided} by decision",
        answers.len(),
        labs().len()
    );
    let found = answers.values().flatten().filter(|answer| !answer.ends_with(": -")).count();
    assert!(only.is_some() || found > evaluated / 3, "the labs ask for nothing that is there: {found}");
}
