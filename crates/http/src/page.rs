//! The error pages that are built in: the same bytes as HAProxy 2.6's. Owns the texts; never reads `errorfile`s.

use crate::head::{Head, Version};

/// One built-in page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub code: u16,
    /// Reason phrase: not always the usual one of the code.
    pub reason: &'static str,
    text: &'static str,
}

/// Every code with a page of its own.
pub static PAGES: &[Page] = &[
    Page { code: 200, reason: "OK", text: "Service ready." },
    Page { code: 400, reason: "Bad request", text: "Your browser sent an invalid request." },
    Page {
        code: 401,
        reason: "Unauthorized",
        text: "You need a valid user and password to access this content.",
    },
    Page { code: 403, reason: "Forbidden", text: "Request forbidden by administrative rules." },
    Page { code: 404, reason: "Not Found", text: "The resource could not be found." },
    Page {
        code: 405,
        reason: "Method Not Allowed",
        text: "A request was made of a resource using a request method not supported by that resource",
    },
    Page {
        code: 407,
        reason: "Unauthorized",
        text: "You need a valid user and password to access this content.",
    },
    Page {
        code: 408,
        reason: "Request Time-out",
        text: "Your browser didn't send a complete request in time.",
    },
    Page {
        code: 410,
        reason: "Gone",
        text: "The resource is no longer available and will not be available again.",
    },
    Page { code: 413, reason: "Payload Too Large", text: "The request entity exceeds the maximum allowed." },
    Page {
        code: 422,
        reason: "Unprocessable Content",
        text: "The server cannot process the contained instructions.",
    },
    Page { code: 425, reason: "Too Early", text: "Your browser sent early data." },
    Page {
        code: 429,
        reason: "Too Many Requests",
        text: "You have sent too many requests in a given amount of time.",
    },
    Page { code: 500, reason: "Internal Server Error", text: "An internal server error occurred." },
    Page {
        code: 501,
        reason: "Not Implemented",
        text: ".The server does not support the functionality required to fulfill the request.",
    },
    Page { code: 502, reason: "Bad Gateway", text: "The server returned an invalid or incomplete response." },
    Page { code: 503, reason: "Service Unavailable", text: "No server is available to handle this request." },
    Page { code: 504, reason: "Gateway Time-out", text: "The server didn't respond in time." },
];

const HEADING: (&str, &str) = ("<html><body><h1>", "</h1>\n");
const END: &str = "\n</body></html>\n";

/// The page of a code; None when there is none built in.
pub fn of(code: u16) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.code == code)
}

impl Page {
    /// Length of the body in bytes.
    pub fn body_len(&self) -> usize {
        // Code and space before the reason: four bytes.
        HEADING.0.len() + 4 + self.reason.len() + HEADING.1.len() + self.text.len() + END.len()
    }

    /// Appends the body.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        let code = self.code.to_string();
        for part in [HEADING.0, &code, " ", self.reason, HEADING.1, self.text, END] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// Makes `head` the response of this page: what HAProxy answers from its rules and its routing. The body
    /// follows it; `connection` fields are the caller's.
    pub fn start(&self, head: &mut Head) {
        head.start_response(self.code, Some(self.reason.as_bytes()), Version::Http11);
        head.add(b"content-length", self.body_len().to_string().as_bytes());
        head.add(b"cache-control", b"no-cache");
        head.add(b"content-type", b"text/html");
        if matches!(self.code, 400 | 408) {
            head.add(b"connection", b"close");
        }
    }

    /// Appends the whole response as HAProxy sends it when the request could not be parsed or did not come in time
    /// (400, 408, 422, 413, 501): with other letter cases, another order, and mostly `Connection: close`.
    pub fn write_raw(&self, out: &mut Vec<u8>) {
        let code = self.code.to_string();
        let length = self.body_len().to_string();
        let close = if matches!(self.code, 400 | 408) { "Connection: close\r\n" } else { "" };
        for part in [
            "HTTP/1.1 ",
            &code,
            " ",
            self.reason,
            "\r\nContent-length: ",
            &length,
            "\r\nCache-Control: no-cache\r\n",
            close,
            "Content-Type: text/html\r\n\r\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        self.write_body(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(code: u16) -> String {
        let page = of(code).unwrap();
        let mut head = Head::new();
        page.start(&mut head);
        let mut out = Vec::new();
        head.write_to(&mut out);
        page.write_body(&mut out);
        String::from_utf8(out).unwrap()
    }

    // row: 175
    #[test]
    fn pages_have_the_bytes_recorded_from_haproxy() {
        let recorded = include_str!("../../../tests/vectors/http1/pages.txt");
        let mut count = 0;
        for line in recorded.lines().filter(|line| !line.starts_with('#')) {
            let (code, text) = line.split_once(' ').unwrap();
            let expected = text.replace("\\r", "\r").replace("\\n", "\n");
            let ours = match code.strip_prefix("raw-") {
                Some(code) => {
                    let mut out = Vec::new();
                    of(code.parse().unwrap()).unwrap().write_raw(&mut out);
                    String::from_utf8(out).unwrap()
                }
                None => whole(code.parse().unwrap()),
            };
            assert_eq!(ours, expected, "{code}");
            count += 1;
        }
        assert_eq!(count, PAGES.len() + 2);
    }

    #[test]
    fn a_code_without_page_has_none() {
        assert_eq!(of(418), None);
    }
}
