//! Every keyword that keepalived 1.3 … 2.4 knows is in one of our tables.

use keepalived_config::listing;

const KEYWORDS: &str = include_str!("../../../tests/vectors/keepalived/keywords.tsv");

#[test]
fn every_keyword_of_keepalived_is_known() {
    let listed = listing::all();
    let missing: Vec<&str> = KEYWORDS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter(|line| {
            let mut fields = line.split('\t');
            let (block, name) = (fields.next(), fields.next());
            !listed.iter().any(|row| Some(row.block) == block && Some(row.name) == name)
        })
        .collect();
    assert!(missing.is_empty(), "{} missing:\n{}", missing.len(), missing.join("\n"));
}
