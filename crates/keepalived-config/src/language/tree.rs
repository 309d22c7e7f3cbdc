//! Statements and blocks: braces pair, wherever on a line they stand.

use super::words::{self, Word};
use super::{Text, split_quoted};
use diag::{Diagnostic, Report, Span};

/// Blocks within blocks.
const DEPTH_MAX: usize = 64;

/// One statement: a line up to a brace, and the block after it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub text: Text,
    pub block: Option<Vec<Node>>,
}

impl Node {
    /// Where the statement was written, without its block.
    pub fn span(&self) -> Span {
        self.text.whole()
    }

    pub fn words(&self) -> Vec<Word> {
        words::split(&self.text)
    }

    /// As [`split_quoted`].
    pub fn quoted_words(&self) -> Result<Vec<Word>, Span> {
        split_quoted(&self.text)
    }
}

/// Builds the tree from lines in order.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The innermost open block last; the first is the file itself.
    open: Vec<Vec<Node>>,
    braces: Vec<Span>,
    /// Blocks that were too deep and are skipped.
    skipped: usize,
}

impl Tree {
    pub fn new() -> Tree {
        Tree { open: vec![Vec::new()], braces: Vec::new(), skipped: 0 }
    }

    /// Adds one line, cut at its braces outside of double quotes.
    pub fn push(&mut self, line: &Text, report: &mut Report) {
        let mut quoted = false;
        let mut start = 0;
        for (at, byte) in line.value.bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b'{' | b'}' if !quoted => {
                    self.statement(line, start, at);
                    start = at + 1;
                    let span = line.span(at, at + 1);
                    if byte == b'{' { self.enter(span, report) } else { self.leave(span, report) }
                }
                _ => {}
            }
        }
        self.statement(line, start, line.value.len());
    }

    fn statement(&mut self, line: &Text, from: usize, to: usize) {
        if self.skipped > 0 || line.value[from..to].trim().is_empty() {
            return;
        }
        let text = line.slice(from, to).trimmed();
        self.current().push(Node { text, block: None });
    }

    fn enter(&mut self, span: Span, report: &mut Report) {
        if self.skipped > 0 || self.open.len() > DEPTH_MAX {
            if self.skipped == 0 {
                report.push(Diagnostic::alert(span, format!("blocks are nested more than {DEPTH_MAX} deep")));
            }
            self.skipped += 1;
            return;
        }
        let opens = self.current().last().is_some_and(|node| node.block.is_none());
        if !opens {
            report.push(
                Diagnostic::alert(span, "`{` without a keyword before it")
                    .with_help("a block is written `KEYWORD [NAME] { … }`"),
            );
            // Its content still has to pair: it hangs below a statement without words.
            self.current().push(Node { text: Text::substituted(span, ""), block: None });
        }
        self.open.push(Vec::new());
        self.braces.push(span);
    }

    fn leave(&mut self, span: Span, report: &mut Report) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        if self.open.len() == 1 {
            report.push(Diagnostic::alert(span, "`}` closes nothing: there is one too many"));
            return;
        }
        self.close();
    }

    fn close(&mut self) {
        let block = self.open.pop().unwrap_or_default();
        self.braces.pop();
        if let Some(node) = self.current().last_mut() {
            node.block = Some(block);
        }
    }

    fn current(&mut self) -> &mut Vec<Node> {
        if self.open.is_empty() {
            self.open.push(Vec::new());
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    /// The statements of the outermost level; blocks left open are told and closed.
    pub fn finish(mut self, report: &mut Report) -> Vec<Node> {
        while self.open.len() > 1 {
            if let Some(span) = self.braces.last() {
                report.push(Diagnostic::alert(*span, "this block is never closed: a `}` is missing"));
            }
            self.close();
        }
        self.open.pop().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag::FileId;

    fn tree(text: &str) -> (Vec<Node>, Report) {
        let mut report = Report::default();
        let mut tree = Tree::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            tree.push(&Text::verbatim(FileId(0), at, line.trim_end_matches('\n')), &mut report);
            at += line.len();
        }
        let nodes = tree.finish(&mut report);
        (nodes, report)
    }

    fn outline(nodes: &[Node]) -> String {
        let parts: Vec<String> = nodes
            .iter()
            .map(|node| match &node.block {
                Some(block) => format!("{}[{}]", node.text.value, outline(block)),
                None => node.text.value.clone(),
            })
            .collect();
        parts.join(",")
    }

    #[test]
    fn braces_may_stand_anywhere_on_a_line() {
        for text in [
            "a b {\n c d\n e {\n f\n }\n}\ng",
            "a b\n{\nc d\ne\n{\nf\n}\n}\ng",
            "a b{c d\ne {f}}g",
            "a b { c d\n e { f\n} } g",
        ] {
            let (nodes, report) = tree(text);
            assert_eq!(outline(&nodes), "a b[c d,e[f]],g", "{text}");
            assert!(!report.has_alerts());
        }
    }

    #[test]
    fn braces_in_double_quotes_are_text() {
        assert_eq!(outline(&tree("a \"{\" {\nb\n}").0), "a \"{\"[b]");
    }

    #[test]
    fn braces_that_do_not_pair_are_told_where_they_stand() {
        assert_eq!(tree("a {\n b {\n c\n }\n").1.diagnostics()[0].span.map(|span| span.start), Some(2));
        assert_eq!(tree("a {\n}\n}\n").1.alerts(), 1);
        assert_eq!(tree("{\n a\n}\n").1.alerts(), 1);
        assert_eq!(tree(&"a {".repeat(1000)).1.alerts(), 1 + DEPTH_MAX);
    }
}
