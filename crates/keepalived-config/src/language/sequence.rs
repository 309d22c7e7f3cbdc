//! `~SEQ(var, start, step, end)`, `~SEQx(…)` and `~LST(var, value, …)`.

/// Steps of one sequence.
const STEPS_MAX: usize = 1 << 16;

/// Names to bind, and the values of each round.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub names: Vec<String>,
    pub rounds: Vec<Vec<String>>,
}

/// The specification at the start of a line and the byte after its `)`; `None`: the line starts with none.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(line: &str) -> Option<Result<(Sequence, usize), String>> {
    let (kind, rest) = if let Some(rest) = line.strip_prefix("~SEQx") {
        (Kind::Hexadecimal, rest)
    } else if let Some(rest) = line.strip_prefix("~SEQ") {
        (Kind::Decimal, rest)
    } else {
        (Kind::List, line.strip_prefix("~LST")?)
    };
    let Some(body) = rest.trim_start().strip_prefix('(') else {
        return Some(Err("`(` must follow".to_owned()));
    };
    let Some(close) = body.find(')') else {
        return Some(Err("`)` is missing".to_owned()));
    };
    let end = line.len() - body.len() + close + 1;
    let sequence = match kind {
        Kind::Decimal => numbers(&body[..close], false),
        Kind::Hexadecimal => numbers(&body[..close], true),
        Kind::List => list(&body[..close]),
    };
    Some(sequence.map(|sequence| (sequence, end)))
}

enum Kind {
    Decimal,
    Hexadecimal,
    List,
}

fn numbers(body: &str, hexadecimal: bool) -> Result<Sequence, String> {
    let parts: Vec<&str> = body.split(',').map(str::trim).collect();
    let numbers = parts[1..].iter().map(|part| number(part)).collect::<Result<Vec<i64>, String>>()?;
    let (start, step, end) = match numbers[..] {
        [end] => (if end > 0 { 1 } else { -1 }, None, end),
        [start, end] => (start, None, end),
        [start, step, end] => (start, Some(step), end),
        _ => return Err("write ~SEQ(variable, start, step, end)".to_owned()),
    };
    let step = step.unwrap_or(if end >= start { 1 } else { -1 });
    if step == 0 || (step > 0 && end < start) || (step < 0 && end > start) {
        return Err(format!("steps of {step} never lead from {start} to {end}"));
    }
    let count = end.abs_diff(start) / step.unsigned_abs() + 1;
    if count > STEPS_MAX as u64 {
        return Err(format!("more than {STEPS_MAX} steps"));
    }
    let rounds = (0..count as i64)
        .map(|round| start + round * step)
        .map(|value| vec![if hexadecimal { format!("{value:x}") } else { value.to_string() }])
        .collect();
    Ok(Sequence { names: vec![parts[0].to_owned()], rounds })
}

/// Decimal, hexadecimal with 0x, octal with 0.
fn number(text: &str) -> Result<i64, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = if let Some(digits) = digits.strip_prefix("0x") {
        i64::from_str_radix(digits, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    // Within 32 bits, so that no step overflows.
    match value {
        Ok(value) if value <= i64::from(u32::MAX) => Ok(if negative { -value } else { value }),
        Ok(_) | Err(_) => Err(format!("`{text}` is not a number")),
    }
}

fn list(body: &str) -> Result<Sequence, String> {
    let mut parts = tuples(body)?;
    if parts.len() < 2 {
        return Err("write ~LST(variable, value, …)".to_owned());
    }
    let names = parts.remove(0);
    for part in &mut parts {
        if part.len() > names.len() {
            return Err(format!("{} values for {} variables", part.len(), names.len()));
        }
        part.resize(names.len(), String::new());
    }
    Ok(Sequence { names, rounds: parts })
}

/// Splits at commas outside of braces; what is in braces is split once more.
fn tuples(body: &str) -> Result<Vec<Vec<String>>, String> {
    let mut parts = Vec::new();
    let mut rest = body.trim();
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            let Some(close) = inner.find('}') else {
                return Err("`}` is missing".to_owned());
            };
            parts.push(inner[..close].split(',').map(|value| value.trim().to_owned()).collect());
            rest = inner[close + 1..].trim_start();
            match rest.strip_prefix(',') {
                Some(next) => rest = next.trim_start(),
                None if rest.is_empty() => return Ok(parts),
                None => return Err(format!("`,` must follow `}}`, found `{rest}`")),
            }
        } else {
            match rest.split_once(',') {
                Some((value, next)) => {
                    parts.push(vec![value.trim().to_owned()]);
                    rest = next.trim_start();
                }
                None => {
                    parts.push(vec![rest.trim().to_owned()]);
                    return Ok(parts);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Vec<String> {
        let (sequence, _) = parse(line).expect("a sequence").expect("well formed");
        sequence.rounds.into_iter().map(|round| round.join("-")).collect()
    }

    #[test]
    fn sequences_count_up_and_down_in_both_bases() {
        assert_eq!(values("~SEQ(SUBNET, 0, 3) x"), ["0", "1", "2", "3"]);
        assert_eq!(values("~SEQ(x,-3)"), ["-1", "-2", "-3"]);
        assert_eq!(values("~SEQ(x,3,1)"), ["3", "2", "1"]);
        assert_eq!(values("~SEQ ( x , 9 , 3 , 18 )"), ["9", "12", "15", "18"]);
        assert_eq!(values("~SEQx(x, 0x90, 0x10, 0xc0)"), ["90", "a0", "b0", "c0"]);
    }

    #[test]
    fn lists_bind_one_or_several_variables() {
        assert_eq!(values("~LST(x, a, b)"), ["a", "b"]);
        assert_eq!(values("~LST({IP, IP1}, {10,1},{20,4})"), ["10-1", "20-4"]);
    }

    #[test]
    fn nonsense_is_told() {
        for line in ["~SEQ(x", "~SEQ(x)", "~SEQ x", "~SEQ(x,1,0,5)", "~SEQ(x,1,-1,5)", "~SEQ(x,a)", "~LST(x)"]
        {
            assert!(parse(line).expect("a sequence").is_err(), "{line}");
        }
        assert_eq!(parse("foo"), None);
    }
}
