//! "Did you mean …?": the known word closest to an unknown one.

/// Words longer than this are not compared: nobody mistypes a keyword of that length.
const WORD_LENGTH_MAX: usize = 64;

/// The candidate closest to `word`, if one is close enough to be a typing error.
///
/// Counts inserted, deleted, replaced and swapped letters, without regard to case or to `-` against `_`; up to a third
/// of the letters may differ. A glued word (`loglocal0`) is near to its first keyword when nothing else is. Of equally
/// near candidates the first in the list wins.
pub fn nearest<'k>(word: &str, candidates: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.is_empty() || word.len() > WORD_LENGTH_MAX {
        return None;
    }
    let word = fold(word);
    let limit = word.len().div_ceil(3).min(4);
    let mut best: Option<(usize, &'k str)> = None;
    let mut longest_prefix: Option<&'k str> = None;
    for candidate in candidates {
        if candidate.len() > WORD_LENGTH_MAX {
            continue;
        }
        let folded = fold(candidate);
        if folded.len() >= 3
            && word.starts_with(&folded)
            && longest_prefix.is_none_or(|known| known.len() < candidate.len())
        {
            longest_prefix = Some(candidate);
        }
        if word.len().abs_diff(folded.len()) > limit {
            continue;
        }
        let distance = distance(&word, &folded);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate).or(longest_prefix)
}

fn fold(word: &str) -> Vec<u8> {
    word.bytes().map(|byte| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }).collect()
}

/// Edit distance with swaps of neighbours (optimal string alignment), three rows at a time.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before_previous = vec![0; b.len() + 1];
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    let mut current = vec![0; b.len() + 1];
    for i in 1..=a.len() {
        current[0] = i;
        for j in 1..=b.len() {
            let replaced = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(previous[j] + 1).min(current[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before_previous[j - 2] + 1);
            }
            current[j] = least;
        }
        std::mem::swap(&mut before_previous, &mut previous);
        std::mem::swap(&mut previous, &mut current);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYWORDS: [&str; 7] = ["daemon", "listen", "http-request", "redir", "log", "maxconn", "mode"];

    #[test]
    fn typing_errors_find_their_keyword() {
        // row: 48, 68, 104, 162
        assert_eq!(nearest("deamon", KEYWORDS), Some("daemon"));
        assert_eq!(nearest("lsiten", KEYWORDS), Some("listen"));
        assert_eq!(nearest("http_request", KEYWORDS), Some("http-request"));
        assert_eq!(nearest("redirect", KEYWORDS), Some("redir"));
    }

    #[test]
    fn glued_words_find_their_first_keyword() {
        // row: 210
        assert_eq!(nearest("loglocal0", KEYWORDS), Some("log"));
        assert_eq!(nearest("modehttp", KEYWORDS), Some("mode"));
    }

    #[test]
    fn unrelated_words_find_nothing() {
        assert_eq!(nearest("zebra", KEYWORDS), None);
        assert_eq!(nearest("", KEYWORDS), None);
    }

    #[test]
    fn a_swap_counts_once() {
        assert_eq!(distance(b"ab", b"ba"), 1);
        assert_eq!(distance(b"kitten", b"sitting"), 3);
    }
}
