//! The content of an error file: checked, and brought into the form that responses have on the wire.

/// Why a file is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// It does not even start like one: it may be a bare page.
    NotAResponse,
    /// It starts like one; the text says what is wrong.
    Broken(String),
}

/// Header fields that the proxy decides about when it answers.
const HOP_BY_HOP: [&str; 4] = ["connection", "keep-alive", "proxy-connection", "upgrade"];

/// Status line, fields in lower case without blanks around the values, an empty line, the body as it is.
pub(super) fn normalize(file: &[u8]) -> Result<Vec<u8>, Problem> {
    // An empty file closes the connection without a word.
    if file.is_empty() {
        return Ok(Vec::new());
    }
    if !file.starts_with(b"HTTP/") {
        return Err(Problem::NotAResponse);
    }
    let broken = |message: &str| Problem::Broken(message.to_owned());
    let mut rest = file;
    let status_line = take_line(&mut rest).ok_or_else(|| broken("the status line has no end"))?;
    check_status_line(status_line)?;
    let mut out = status_line.to_vec();
    out.extend_from_slice(b"\r\n");
    let mut content_length = None;
    loop {
        let line =
            take_line(&mut rest).ok_or_else(|| broken("the empty line after the headers is missing"))?;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
        let (name, value) = line.split_at(colon);
        if !http::is_token_bytes(name) || name.is_empty() {
            let shown = String::from_utf8_lossy(line);
            return Err(Problem::Broken(format!("`{shown}` is no header line")));
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let value = http::trim(&value[1..]);
        match name.as_str() {
            "content-length" => {
                let length = std::str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok());
                content_length = Some(length.ok_or_else(|| broken("content-length is no number"))?);
            }
            "transfer-encoding" => return Err(broken("a chunked body is not possible here")),
            _ => {}
        }
        if HOP_BY_HOP.contains(&name.as_str()) {
            continue;
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(length) = content_length.filter(|length| *length != rest.len()) {
        return Err(Problem::Broken(format!(
            "the body has {} bytes, content-length says {length}",
            rest.len()
        )));
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(rest);
    Ok(out)
}

fn check_status_line(line: &[u8]) -> Result<(), Problem> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.splitn(3, ' ');
    let version = words.next().unwrap_or("");
    let code = words.next().and_then(|code| code.parse::<u16>().ok());
    match (version, code) {
        ("HTTP/1.0" | "HTTP/1.1", Some(200..=599)) => Ok(()),
        ("HTTP/1.0" | "HTTP/1.1", _) => {
            Err(Problem::Broken(format!("the status line `{text}` has no status from 200 to 599")))
        }
        _ => Err(Problem::Broken(format!("`{version}` is not HTTP/1.0 or HTTP/1.1"))),
    }
}

/// A line without its end; a carriage return before the line feed may be missing.
fn take_line<'t>(rest: &mut &'t [u8]) -> Option<&'t [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_gets_the_form_of_the_wire() {
        // row: 172
        let file = b"HTTP/1.0 503 My Text\nX-Foo:   Bar\nConnection: close\nContent-Length: 3\n\nabc";
        let expected = b"HTTP/1.0 503 My Text\r\nx-foo: Bar\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(normalize(file).unwrap(), expected);
        assert_eq!(normalize(b"").unwrap(), b"");
    }

    #[test]
    fn what_haproxy_refuses_is_refused() {
        for file in [
            "HTTP/1.0 503 x\r\nContent-Length: 10\r\n\r\nabc",
            "HTTP/1.0 503 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.0 503 x\r\nFoo\r\n\r\nabc",
            "HTTP/1.0 503 x\r\nFoo: x\r\n",
            "HTTP/1.0 100 x\r\n\r\n",
            "HTTP/3 503 x\r\n\r\n",
        ] {
            assert!(matches!(normalize(file.as_bytes()), Err(Problem::Broken(_))), "{file}");
        }
        assert_eq!(normalize(b"<html>x</html>"), Err(Problem::NotAResponse));
    }
}
