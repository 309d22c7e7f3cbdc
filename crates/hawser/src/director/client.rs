//! `hawser director show|drain|ready|weight`: asks the virtual servers that run. Owns the words of the command line; what
//! they name is known at the socket.

use crate::runtime_socket;
use director::runner::REFUSED;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const COMMANDS: [&str; 4] = ["show", "drain", "ready", "weight"];
/// An answer that does not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// `None`: the words are none of these commands.
pub fn run(arguments: &[OsString]) -> Option<ExitCode> {
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if !words.first().is_some_and(|word| COMMANDS.contains(&word.as_str())) {
        return None;
    }
    let (socket, line) = match line(&words, super::status_socket()) {
        Ok(both) => both,
        Err(text) => {
            eprintln!("hawser director: {text}");
            return Some(ExitCode::FAILURE);
        }
    };
    Some(match runtime_socket::ask(&socket, &line, PATIENCE) {
        Ok(answer) => match answer.strip_prefix(REFUSED) {
            Some(refusal) => {
                eprint!("hawser director: {refusal}");
                ExitCode::FAILURE
            }
            None => {
                print!("{answer}");
                ExitCode::SUCCESS
            }
        },
        Err(error) => {
            eprintln!("hawser director: {}: {error}: no virtual servers run here", socket.display());
            ExitCode::FAILURE
        }
    })
}

/// The socket, and the line for it.
fn line(words: &[String], socket: PathBuf) -> Result<(PathBuf, String), String> {
    let (mut socket, mut is_json, mut parts) = (socket, false, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--json" => is_json = true,
            "--status" => socket = PathBuf::from(value()?),
            "--of" => parts.extend(["of", value()?]),
            "--within" => parts.extend(["within", value()?]),
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            other => parts.push(other),
        }
    }
    // Options may stand before the names that they follow in the line.
    let is_word = |at: &usize| matches!(parts[*at], "of" | "within");
    let options: Vec<usize> = (0..parts.len()).filter(is_word).flat_map(|at| [at, at + 1]).collect();
    let plain = (0..parts.len()).filter(|at| !options.contains(at));
    let ordered: Vec<&str> = plain.chain(options.iter().copied()).map(|at| parts[at]).collect();
    // A group's name may have a blank for a colon, as `FWM 7`.
    let ordered: Vec<String> = ordered.iter().map(|part| part.replace(' ', ":")).collect();
    let json = if is_json { "json " } else { "" };
    Ok((socket, format!("{json}{}", ordered.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<String, String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        line(&words, PathBuf::from("/s")).map(|(_, line)| line)
    }

    #[test]
    fn options_stand_anywhere() {
        let expected = "json drain 10.0.0.11:80 of 10.0.0.1:80 within 30s";
        assert_eq!(
            of("drain --within 30s 10.0.0.11:80 --json --of 10.0.0.1:80").as_deref(),
            Ok("json drain 10.0.0.11:80 within 30s of 10.0.0.1:80")
        );
        assert_eq!(of("drain 10.0.0.11:80 --of 10.0.0.1:80 --within 30s --json").as_deref(), Ok(expected));
        assert_eq!(of("weight 10.0.0.11 7").as_deref(), Ok("weight 10.0.0.11 7"));
        assert_eq!(of("show --within"), Err("--within needs a value".to_owned()));
        assert_eq!(of("show --all"), Err("unknown option --all".to_owned()));
    }
}
