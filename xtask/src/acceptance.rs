//! Ties the rows of docs/acceptance.md to tests: owns the reading of rows and tags, never what a test proves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::root;

/// The rows, each with its section.
type Rows = BTreeMap<u16, (String, String)>;

/// Prints rows without a test, by section; fails on a tag with no such row.
pub fn run(_arguments: &[String]) -> Result<(), String> {
    let path = root().join("docs/acceptance.md");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let rows = rows(&text);
    let mut proven = BTreeSet::new();
    let mut unknown = Vec::new();
    for file in sources(&root()) {
        let source = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        for (line, number) in tags(&source, is_test_file(&file)) {
            if !is_beside_a_test(&source, line) {
                unknown.push(format!("{}:{line}: row {number} is tied to nothing that runs", file.display()));
            } else if rows.contains_key(&number) {
                proven.insert(number);
            } else {
                unknown.push(format!("{}:{line}: no row {number}", file.display()));
            }
        }
    }
    report(&rows, &proven);
    if unknown.is_empty() { Ok(()) } else { Err(unknown.join("\n")) }
}

fn report(rows: &Rows, proven: &BTreeSet<u16>) {
    let mut section = "";
    for (number, (title, behaviour)) in rows {
        if proven.contains(number) {
            continue;
        }
        if section != title {
            let of_section = || rows.iter().filter(|(_, (other, _))| other == title);
            let tested = of_section().filter(|(number, _)| proven.contains(number)).count();
            println!("\n{title}: {tested} of {} rows have a test; without one:", of_section().count());
            section = title;
        }
        println!("  {number:>3}  {behaviour}");
    }
    println!("\nacceptance: {} of {} rows have a test", proven.len(), rows.len());
}

/// `| 77 | text |` under `## C. Title`.
fn rows(text: &str) -> Rows {
    let mut section = String::new();
    let mut rows = Rows::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        }
        let mut cells = line.trim_matches('|').splitn(2, '|').map(str::trim);
        if let (Some(Ok(number)), Some(behaviour)) = (cells.next().map(str::parse), cells.next()) {
            rows.insert(number, (section.clone(), behaviour.to_owned()));
        }
    }
    rows
}

/// Rust sources of the workspace, build products aside.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                // xtask's own sources speak of tags without being tests of the product.
                if !(name == "target" || name == "xtask" || name.starts_with('.')) {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Files that are tests as a whole.
fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name == "tests" || name.ends_with("_tests") || path.components().any(|part| part.as_os_str() == "tests")
}

/// Line number and row of each tag; outside of test files only after `#[cfg(test)]`.
fn tags(source: &str, mut in_tests: bool) -> Vec<(usize, u16)> {
    let mut found = Vec::new();
    for (position, line) in source.lines().enumerate() {
        in_tests |= line.trim_start().starts_with("#[cfg(test)]");
        let tag = line.trim_start().strip_prefix("//").map(str::trim_start);
        if let Some(list) = tag.and_then(|tag| tag.strip_prefix("row:")).filter(|_| in_tests) {
            found.extend(list.split(',').flat_map(numbers).map(|number| (position + 1, number)));
        }
    }
    found
}

/// Lines between a tag and the test below it: other comments, attributes, or data that the test reads.
const DISTANCE_MAX: usize = 40;

/// Whether the tag stands in a test or above one: above a `#[test]` or a macro that makes tests, or behind one whose end
/// has not come.
fn is_beside_a_test(source: &str, line: usize) -> bool {
    let begins = |text: &str| {
        let text = text.trim_start();
        text.starts_with("#[test]") || text.starts_with("#[tokio::test") || text.contains("! {")
    };
    let lines: Vec<&str> = source.lines().collect();
    let above = lines[..line].iter().rev();
    // A test's end is a brace on a line of its own, as far in as its attribute.
    let is_inside = above.take_while(|text| **text != "}" && **text != "    }").any(|text| begins(text));
    is_inside || lines[line..].iter().take(DISTANCE_MAX).any(|text| begins(text))
}

/// `77` or `115-118`; words after the number are the author's.
fn numbers(item: &str) -> Vec<u16> {
    let word = item.split_whitespace().next().unwrap_or_default();
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if last.saturating_sub(first) < 100 => (first..=last).collect(),
        // A tag that cannot be read is a row that does not exist: it fails.
        _ => vec![0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_carry_their_section() {
        let rows = rows("## C. Defaults\n\n| row | behaviour |\n|---|---|\n| 77 | adds `a|b` |\n");
        assert_eq!(rows.get(&77), Some(&("C. Defaults".to_owned(), "adds `a|b`".to_owned())));
    }

    #[test]
    fn tags_are_lists_and_ranges_inside_tests_only() {
        let source = "// row: 1\n#[cfg(test)]\n// row: 77, 115-117\n/// row: 9\n  // row: x\n";
        assert_eq!(tags(source, false), [(3, 77), (3, 115), (3, 116), (3, 117), (5, 0)]);
        assert_eq!(tags("// row: 1", true), [(1, 1)]);
    }

    #[test]
    fn the_checklist_is_complete() {
        let text = fs::read_to_string(root().join("docs/acceptance.md")).expect("it is there");
        assert_eq!(rows(&text).into_keys().collect::<Vec<_>>(), (1..=330).collect::<Vec<u16>>());
    }

    /// Names after the word `test` in docs/threat-model.md.
    #[test]
    fn tests_that_the_threat_model_names_are_there() {
        let text = fs::read_to_string(root().join("docs/threat-model.md")).expect("it is there");
        let words: Vec<&str> = text.split_whitespace().collect();
        let named: BTreeSet<&str> = words
            .windows(2)
            .filter(|pair| pair[0] == "test")
            .filter_map(|pair| pair[1].strip_prefix('`')?.split('`').next())
            .collect();
        assert!(named.len() > 30, "{}", named.len());
        let sources: Vec<String> =
            sources(&root()).iter().map(|path| fs::read_to_string(path).expect("a source")).collect();
        for name in named {
            let function = format!("fn {name}(");
            assert!(sources.iter().any(|source| source.contains(&function)), "there is no test {name}");
        }
    }
}
