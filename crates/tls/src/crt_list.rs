//! Lines of a crt-list: a certificate, settings of its own, and the names it is for.

use haproxy_config::model::TlsOptions;
use haproxy_config::tls;

/// Lines of one list.
const LINES_MAX: usize = 1_000_000;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Path of the certificate.
    pub certificate: String,
    /// The settings as they were written, for the runtime API; and what they mean.
    pub written: String,
    pub options: TlsOptions,
    pub filters: Vec<Filter>,
    /// Its place in the file, from 1.
    pub number: usize,
}

/// A name a certificate is for, or (negated) not for. Lower case; may begin with `*.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub name: String,
    pub negated: bool,
}

impl Line {
    /// A certificate that is for its own names.
    pub fn plain(certificate: &str) -> Line {
        Line {
            certificate: certificate.to_owned(),
            written: String::new(),
            options: TlsOptions::default(),
            filters: Vec::new(),
            number: 0,
        }
    }

    /// A warning for each word of the line that is known and does nothing here.
    pub fn without_effect(&self, file: &str) -> Vec<String> {
        let words = self.written.split_whitespace().filter(|word| WITHOUT_EFFECT.contains(word));
        let told =
            |word| format!("'{file}', line {}: `{word}` has no effect: it is not implemented", self.number);
        words.map(told).collect()
    }
}

/// Words that are read over.
const WITHOUT_EFFECT: &[&str] = &["allow-0rtt", "npn", "ocsp-update"];

/// Reads a list.
///
/// # Errors
/// The line, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = parse_line(text).map_err(|message| format!("line {}: {message}", index + 1))?;
        lines.extend(line.map(|line| Line { number: index + 1, ..line }));
        if lines.len() > LINES_MAX {
            return Err(format!("line {}: more than {LINES_MAX} lines", index + 1));
        }
    }
    Ok(lines)
}

/// Reads one line; `None` where it says nothing.
///
/// # Errors
/// What is wrong with it.
pub fn parse_line(text: &str) -> Result<Option<Line>, String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (certificate, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    // `file[options]` without a blank is known too.
    let (certificate, rest) = match certificate.find('[') {
        Some(at) => text.split_at(at),
        None => (certificate, rest),
    };
    let mut line = Line::plain(certificate.trim());
    let mut names = rest.trim();
    if let Some(inner) = names.strip_prefix('[') {
        let Some((options, rest)) = inner.split_once(']') else {
            return Err("`[` is not closed by `]`".to_owned());
        };
        line.written = options.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut words = options.split_whitespace();
        while let Some(word) = words.next() {
            match tls::takes_argument(word) {
                None if matches!(word, "npn" | "ocsp-update") => drop(words.next()),
                None if word == "allow-0rtt" => {}
                None => return Err(format!("unknown ssl keyword `{word}`")),
                Some(false) => tls::set(&mut line.options, word, "")?,
                Some(true) => {
                    let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
                    tls::set(&mut line.options, word, value)?;
                }
            }
        }
        names = rest.trim();
    }
    for name in names.split_whitespace() {
        let (negated, name) = match name.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, name),
        };
        line.filters.push(Filter { name: name.to_ascii_lowercase(), negated });
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use haproxy_config::model::{TlsVersion, Verify};

    #[test]
    fn words_that_do_nothing_are_named_with_their_line() {
        let lines = parse("/a.pem [allow-0rtt npn h2 ocsp-update on alpn h2]\n/b.pem\n").unwrap();
        let told: Vec<String> = lines.iter().flat_map(|line| line.without_effect("list")).collect();
        assert_eq!(told.len(), 3);
        assert_eq!(told[0], "'list', line 1: `allow-0rtt` has no effect: it is not implemented");
    }

    #[test]
    fn a_line_has_a_file_settings_and_names() {
        let text = "# comment\n\n/a.pem [alpn h2,http/1.1 ssl-min-ver TLSv1.3 verify none] *.Example.org !x.example.org\nb.pem\n";
        let lines = parse(text).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].certificate, "/a.pem");
        assert_eq!(lines[0].options.min_version, Some(TlsVersion::Tls13));
        assert_eq!(lines[0].options.verify, Some(Verify::None));
        assert_eq!(lines[0].filters[0], Filter { name: "*.example.org".into(), negated: false });
        assert_eq!(lines[0].filters[1], Filter { name: "x.example.org".into(), negated: true });
        assert_eq!((lines[1].certificate.as_str(), lines[1].number), ("b.pem", 4));
    }

    #[test]
    fn mistakes_name_their_line() {
        assert_eq!(parse("a.pem\nb.pem [alpn h2").unwrap_err(), "line 2: `[` is not closed by `]`");
        assert_eq!(parse("b.pem [alpm h2]").unwrap_err(), "line 1: unknown ssl keyword `alpm`");
    }
}
