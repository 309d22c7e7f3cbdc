//! Cuts what a client sends into commands: `;` and newline, escapes, payloads. Owns no socket.

/// Words of one command at most; the rest is dropped, as HAProxy does.
const WORDS_MAX: usize = 64;

/// What ends a command that a payload follows.
const PAYLOAD_MARK: &str = "<<";

/// A command as received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    pub words: Vec<String>,
    /// The lines behind `<<`, without the empty one that ends them.
    pub payload: Option<String>,
}

/// Bytes received and not yet run.
#[derive(Debug)]
pub struct Input {
    bytes: Vec<u8>,
    /// A command whose payload is being received.
    waiting: Option<Line>,
    /// `tune.bufsize`: a command with its payload is shorter than this.
    size_max: usize,
}

/// What [`Input::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Command(Line),
    /// One more line of a payload; a client in prompt mode is asked for the next.
    PayloadLine,
    /// More bytes are needed.
    Incomplete,
    /// The command will never fit.
    TooLong,
}

impl Input {
    pub fn new(size_max: usize) -> Input {
        Input { bytes: Vec::new(), waiting: None, size_max }
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Nothing was received that waits for its end.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.waiting.is_none()
    }

    /// The next complete command. What an end of input leaves unfinished is never run: half a command may name another
    /// server than the whole one.
    pub fn next(&mut self) -> Next {
        let in_payload = self.waiting.is_some();
        let Some(end) = end_of_piece(&self.bytes, in_payload) else {
            let held = self.waiting.as_ref().and_then(|line| line.payload.as_ref()).map_or(0, String::len);
            return if self.bytes.len() + held >= self.size_max { Next::TooLong } else { Next::Incomplete };
        };
        let piece: Vec<u8> = self.bytes.drain(..=end).collect();
        let piece = &piece[..end];
        let piece = String::from_utf8_lossy(piece.strip_suffix(b"\r").unwrap_or(piece)).into_owned();
        if let Some(mut line) = self.waiting.take() {
            if piece.is_empty() {
                return Next::Command(line);
            }
            let payload = line.payload.get_or_insert_default();
            payload.push_str(&piece);
            payload.push('\n');
            let too_long = payload.len() >= self.size_max;
            self.waiting = Some(line);
            return if too_long { Next::TooLong } else { Next::PayloadLine };
        }
        match piece.trim_end().strip_suffix(PAYLOAD_MARK) {
            Some(command) => {
                self.waiting = Some(Line { words: words(command), payload: Some(String::new()) });
                Next::PayloadLine
            }
            None => Next::Command(Line { words: words(&piece), payload: None }),
        }
    }
}

// Where the command or payload line ends: at a newline, or a `;` that is not escaped.
fn end_of_piece(bytes: &[u8], in_payload: bool) -> Option<usize> {
    let mut escaped = false;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' => return Some(at),
            b';' if !in_payload && !escaped => return Some(at),
            b'\\' if !in_payload => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

// Blanks separate words, a backslash makes the next character part of one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(letters.next()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words.truncate(WORDS_MAX);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &str) -> Vec<Vec<String>> {
        let mut input = Input::new(16_384);
        input.receive(text.as_bytes());
        let mut found = Vec::new();
        loop {
            match input.next() {
                Next::Command(line) => found.push(line.words),
                Next::PayloadLine => {}
                Next::Incomplete | Next::TooLong => return found,
            }
        }
    }

    #[test]
    fn semicolons_and_newlines_separate_commands() {
        // row: 205
        assert_eq!(
            commands("show info;show  stat\r\nhelp\n"),
            [vec!["show", "info"], vec!["show", "stat"], vec!["help"]]
        );
        assert_eq!(commands("a\\;b c\\ d\n"), [["a;b", "c d"]]);
        assert_eq!(commands("\n;\n"), [Vec::<String>::new(), vec![], vec![]]);
    }

    #[test]
    fn an_unfinished_command_is_never_run() {
        assert_eq!(commands("show info\ndisable server a/b"), [["show", "info"]]);
    }

    #[test]
    fn a_payload_runs_to_an_empty_line() {
        let mut input = Input::new(100);
        input.receive(b"add map x <<\nk1 v;1\nk2 v2\n\nhelp\n");
        assert_eq!(input.next(), Next::PayloadLine);
        assert_eq!(input.next(), Next::PayloadLine);
        assert_eq!(input.next(), Next::PayloadLine);
        let line = Line {
            words: vec!["add".into(), "map".into(), "x".into()],
            payload: Some("k1 v;1\nk2 v2\n".into()),
        };
        assert_eq!(input.next(), Next::Command(line));
        assert_eq!(input.next(), Next::Command(Line { words: vec!["help".into()], payload: None }));
    }

    #[test]
    fn a_command_is_bounded_by_the_buffer_size() {
        let mut input = Input::new(10);
        input.receive(b"0123456789");
        assert_eq!(input.next(), Next::TooLong);
    }
}
