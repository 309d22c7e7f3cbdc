//! The proxy's statistics as its runtime API tells them (`show stat`, `show info`), read into rows by name.

use std::collections::HashMap;

/// One line of `show stat`.
#[derive(Debug, Clone, Default)]
pub struct Row(HashMap<String, String>);

impl Row {
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// 0 where there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    pub fn proxy(&self) -> &str {
        self.text("pxname")
    }

    pub fn name(&self) -> &str {
        self.text("svname")
    }
}

/// Reads the table: names in its first line, behind `# `.
pub fn table(text: &str) -> Vec<Row> {
    let mut lines = text.lines();
    let Some(names) = lines.next().and_then(|line| line.strip_prefix("# ")) else { return Vec::new() };
    let names = fields(names);
    let row = |line: &str| {
        let values = fields(line);
        Row(names.iter().cloned().zip(values).filter(|(name, _)| !name.is_empty()).collect())
    };
    lines.filter(|line| !line.is_empty()).map(row).collect()
}

/// Values between commas; those in quotes may have commas, and quotes twice.
fn fields(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let last = found.last_mut().expect("never empty");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                last.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(String::new()),
            other => last.push(other),
        }
    }
    found
}

/// `Name: value` lines.
pub fn information(text: &str) -> HashMap<String, String> {
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_by_the_names_of_the_first_line() {
        let rows = table("# pxname,svname,scur,last_chk,\nweb,FRONTEND,3,,\napp,s1,0,\"a, \"\"b\"\"\",\n\n");
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].proxy(), rows[0].name(), rows[0].number("scur")), ("web", "FRONTEND", 3));
        assert_eq!(rows[1].text("last_chk"), "a, \"b\"");
        assert_eq!(rows[1].number("nothing"), 0);
        assert!(table("Unknown command").is_empty());
    }
}
