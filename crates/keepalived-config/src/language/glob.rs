//! Name patterns of `include`: `{a,b}` alternatives here; `*`, `?` and `[…]` are matched by the host.

/// Alternatives one pattern may have.
const ALTERNATIVES_MAX: usize = 4096;

/// Every name that the braces of a pattern stand for, in order. Braces that do not pair are text.
pub fn expand_braces(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut waiting = vec![pattern.to_owned()];
    while let Some(next) = waiting.pop() {
        if done.len() + waiting.len() > ALTERNATIVES_MAX {
            break;
        }
        match split_first_brace(&next) {
            Some((before, alternatives, after)) => {
                // The first alternative is taken from the stack first.
                waiting.extend(alternatives.iter().rev().map(|one| format!("{before}{one}{after}")));
            }
            None => done.push(next),
        }
    }
    done
}

fn split_first_brace(pattern: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = pattern.find('{')?;
    let mut depth = 0usize;
    let mut start = open + 1;
    let mut alternatives = Vec::new();
    for (at, byte) in pattern.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b',' if depth == 1 => {
                alternatives.push(&pattern[start..at]);
                start = at + 1;
            }
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    alternatives.push(&pattern[start..at]);
                    return Some((&pattern[..open], alternatives, &pattern[at + 1..]));
                }
            }
            _ => {}
        }
    }
    None
}

/// Is there something to match in this name?
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_give_every_alternative_in_order() {
        assert_eq!(expand_braces("foo/{,cat,dog},bar"), ["foo/,bar", "foo/cat,bar", "foo/dog,bar"]);
        assert_eq!(expand_braces("{a,b{c,d}}x"), ["ax", "bcx", "bdx"]);
        assert_eq!(expand_braces("a{b"), ["a{b"]);
    }

    #[test]
    fn a_bomb_of_braces_is_cut() {
        assert!(expand_braces(&"{a,b,c,d}".repeat(40)).len() <= ALTERNATIVES_MAX + 4);
    }
}
