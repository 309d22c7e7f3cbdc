//! The first bytes of a TLS connection: what they are must not depend on how much of them has come.

use tls::hello::{Parsed, parse};

/// Prefixes of a fuzzed input that are looked at.
const PREFIXES_MAX: usize = 64;

pub fn client_hello(bytes: &[u8]) {
    let whole = parse(bytes);
    if let Parsed::Complete(hello) = &whole {
        let name = hello.server_name.as_deref().unwrap_or_default();
        assert!(name.is_ascii() && !name.bytes().any(|byte| byte.is_ascii_uppercase()));
        // What they answer is free; that they do is not.
        let _ = (hello.takes_ecdsa(), hello.takes_rsa(), hello.names_none_of(&[b"h2".to_vec()]));
    }
    let step = bytes.len() / PREFIXES_MAX + 1;
    for end in (0..bytes.len()).step_by(step) {
        match (parse(&bytes[..end]), &whole) {
            // A hello that is whole stays what it is, and what is none never becomes one.
            (Parsed::Complete(early), Parsed::Complete(late)) => assert_eq!(&early, late),
            (Parsed::Complete(_), Parsed::Partial | Parsed::NotTls) => panic!("a whole hello was taken back"),
            (Parsed::NotTls, Parsed::Complete(_) | Parsed::Partial) => {
                panic!("bytes that were no hello became one")
            }
            (Parsed::NotTls, Parsed::NotTls) | (Parsed::Partial, _) => {}
        }
    }
}
