use super::*;
use proptest::prelude::*;

const VECTORS: &str = include_str!("../../../tests/vectors/proxy-protocol.tsv");
const VECTOR_MAGIC: u32 = 439_041_101;
const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn hex_upper(bytes: Option<&[u8]>) -> String {
    bytes.unwrap_or_default().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// HAProxy prints nothing for port 0.
fn port_text(port: u16) -> String {
    if port == 0 { String::new() } else { port.to_string() }
}

fn verdict(result: Result<Parsed<'_>, ParseError>) -> String {
    match result {
        Ok(Parsed::Partial) => "partial".to_owned(),
        Ok(Parsed::Complete { header, .. }) => match header.endpoints {
            None => "127.0.0.1|PEER|127.0.0.1|LOCAL||".to_owned(),
            Some(Endpoints { source, destination }) => format!(
                "{}|{}|{}|{}|{}|{}",
                source.ip(),
                port_text(source.port()),
                destination.ip(),
                port_text(destination.port()),
                hex_upper(header.authority()),
                hex_upper(header.unique_id())
            ),
        },
        Err(ParseError::NotProxyHeader) => "not-header".to_owned(),
        Err(ParseError::InvalidProxyHeader | ParseError::InvalidNetscalerHeader) => "invalid".to_owned(),
        Err(ParseError::UnhandledProxyProtocol | ParseError::UnhandledNetscalerProtocol) => {
            "protocol".to_owned()
        }
        Err(ParseError::ProxyHeaderTooLong) => "too-long".to_owned(),
        Err(ParseError::NetscalerMagic) => "magic".to_owned(),
    }
}

// row: 187
#[test]
fn every_recorded_header_gets_the_verdict_of_haproxy_or_the_stricter_one_on_record() {
    let mut seen = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [kind, header, recorded, ours] = columns[..] else { panic!("four columns: {line}") };
        let mut input = unhex(header);
        input.extend_from_slice(REQUEST);
        let result = match kind {
            "proxy" => parse(&input),
            "cip" => parse_netscaler(&input, VECTOR_MAGIC),
            other => panic!("unknown kind {other}"),
        };
        if let Ok(Parsed::Complete { consumed, .. }) = result {
            assert!(consumed <= input.len());
        }
        let expected = if ours == "=" { recorded } else { ours };
        assert_eq!(verdict(result), expected, "{kind} {header}");
        seen += 1;
    }
    assert!(seen > 120, "vectors read: {seen}");
}

// row: 185
#[test]
fn version_1_line_for_ipv4_is_the_one_haproxy_writes() {
    let mut out = Vec::new();
    write_v1(&mut out, Some(ends("127.0.0.1:39380", "127.0.0.1:32979")));
    assert_eq!(out, b"PROXY TCP4 127.0.0.1 127.0.0.1 39380 32979\r\n");
}

#[test]
fn version_1_line_without_addresses_is_unknown() {
    let mut out = Vec::new();
    write_v1(&mut out, None);
    assert_eq!(out, b"PROXY UNKNOWN\r\n");
}

#[test]
fn mixed_families_are_announced_as_ipv6() {
    let mut out = Vec::new();
    write_v1(&mut out, Some(ends("10.0.0.1:1", "[2001:db8::2]:2")));
    assert_eq!(out, b"PROXY TCP6 ::ffff:10.0.0.1 2001:db8::2 1 2\r\n");
}

// row: 186
#[test]
fn version_2_header_is_the_one_haproxy_writes() {
    let mut out = Vec::new();
    let announcement =
        Announcement { endpoints: Some(ends("127.0.0.1:57896", "127.0.0.1:42591")), ..Default::default() };
    write_v2(&mut out, &announcement).expect("fits");
    assert_eq!(out, unhex("0d0a0d0a000d0a515549540a2111000c7f0000017f000001e228a65f"));
}

// row: 186
#[test]
fn version_2_check_is_local_with_a_valid_checksum() {
    let mut out = Vec::new();
    write_v2(&mut out, &Announcement { crc32c: true, ..Default::default() }).expect("fits");
    assert_eq!(out, unhex("0d0a0d0a000d0a515549540a20000007030004a9b87e8f"));
}

#[test]
fn all_version_2_options_together_are_byte_for_byte_those_of_haproxy() {
    // Recorded: TLS 1.3 client with a certificate and SNI, `proxy-v2-options` with every option.
    let mut out = Vec::new();
    let announcement = Announcement {
        endpoints: Some(ends("127.0.0.1:50324", "127.0.0.1:43335")),
        crc32c: true,
        alpn: Some(b"h2"),
        authority: Some(b"sni.example"),
        unique_id: Some(b"ID-127.0.0.1"),
        tls: Some(TlsFacts {
            over_tls: true,
            certificate_on_connection: true,
            certificate_in_session: true,
            verify: 0,
            version: b"TLSv1.3",
            common_name: Some(b"test.example"),
            cipher: Some(b"TLS_AES_256_GCM_SHA384"),
            signature_algorithm: Some(b"RSA-SHA256"),
            key_algorithm: Some(b"RSA2048"),
        }),
        network_namespace: None,
    };
    write_v2(&mut out, &announcement).expect("fits");
    let mut recorded =
        b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x86\x7f\x00\x00\x01\x7f\x00\x00\x01\xc4\x94\xa9G\x03\x00\x04"
            .to_vec();
    recorded.extend_from_slice(
        b"\x84\xbc\\\x7f\x01\x00\x02h2\x02\x00\x0bsni.example\x05\x00\x0cID-127.0.0.1 \x00N\x07",
    );
    recorded.extend_from_slice(
        b"\x00\x00\x00\x00!\x00\x07TLSv1.3\"\x00\x0ctest.example%\x00\x07RSA2048$\x00\nRSA-SHA256",
    );
    recorded.extend_from_slice(b"#\x00\x16TLS_AES_256_GCM_SHA384");
    assert_eq!(out, recorded);

    let Ok(Parsed::Complete { consumed, header }) = parse(&out) else { panic!("we read what we write") };
    assert_eq!(consumed, out.len());
    let tls = header.tls().expect("an SSL TLV");
    assert!(tls.over_tls() && tls.has_certificate());
    assert_eq!(
        tls.subtypes().find(|(kind, _)| *kind == tlv::SSL_CN),
        Some((tlv::SSL_CN, &b"test.example"[..]))
    );
    assert_eq!(header.alpn(), Some(&b"h2"[..]));
}

#[test]
fn a_plain_client_gets_an_empty_ssl_tlv_when_one_is_asked_for() {
    let mut out = Vec::new();
    let announcement = Announcement { tls: Some(TlsFacts::default()), ..Default::default() };
    write_v2(&mut out, &announcement).expect("fits");
    assert_eq!(out, unhex("0d0a0d0a000d0a515549540a200000082000050000000000"));
}

#[test]
fn an_oversized_value_is_refused_and_leaves_the_buffer_alone() {
    let mut out = b"before".to_vec();
    let long = [b'a'; UNIQUE_ID_LENGTH_MAX + 1];
    let announcement = Announcement { unique_id: Some(&long), ..Default::default() };
    assert_eq!(write_v2(&mut out, &announcement), Err(ParseError::ProxyHeaderTooLong));
    assert_eq!(out, b"before");
}

#[test]
fn headers_longer_than_the_bound_are_refused_before_they_are_buffered() {
    let mut input = V2_SIGNATURE.to_vec();
    input.extend_from_slice(&[COMMAND_PROXY, FAMILY_TCP4, 0xff, 0xff]);
    assert_eq!(parse(&input), Err(ParseError::ProxyHeaderTooLong));
    assert_eq!(
        parse(&[b"PROXY UNKNOWN ".as_slice(), &[b'a'; 200]].concat()),
        Err(ParseError::ProxyHeaderTooLong)
    );
}

#[test]
fn every_prefix_of_a_header_is_partial() {
    let mut v2 = Vec::new();
    let endpoints = Some(ends("[2001:db8::1]:1111", "[2001:db8::2]:2222"));
    write_v2(&mut v2, &Announcement { endpoints, crc32c: true, ..Default::default() }).expect("fits");
    for whole in [v2.as_slice(), b"PROXY TCP4 10.1.2.3 10.4.5.6 1111 2222\r\n", b"PROXY UNKNOWN\r\n"] {
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), Ok(Parsed::Partial), "{length} bytes of {whole:02x?}");
        }
    }
}

fn ends(source: &str, destination: &str) -> Endpoints {
    Endpoints { source: source.parse().expect("address"), destination: destination.parse().expect("address") }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_nothing_is_consumed_beyond_the_input(
        input in proptest::collection::vec(any::<u8>(), 0..300),
        signature in prop_oneof![Just(&b""[..]), Just(V1_SIGNATURE), Just(&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"[..])],
    ) {
        let message = [signature, &input].concat();
        for result in [parse(&message), parse_netscaler(&message, 0x0d0a_0d0a)] {
            if let Ok(Parsed::Complete { consumed, header }) = result {
                prop_assert!(consumed <= message.len());
                header.tlvs().for_each(drop);
                if let Some(tls) = header.tls() {
                    tls.subtypes().for_each(drop);
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        source in any::<(std::net::Ipv4Addr, u16)>(), destination in any::<(std::net::Ipv6Addr, u16)>(),
        six in any::<bool>(), crc32c in any::<bool>(),
        authority in proptest::collection::vec(any::<u8>(), 0..=AUTHORITY_LENGTH_MAX),
        unique_id in proptest::collection::vec(any::<u8>(), 0..=UNIQUE_ID_LENGTH_MAX),
    ) {
        let source = SocketAddr::from(source);
        let endpoints = Endpoints { source, destination: if six { SocketAddr::from(destination) } else { source } };
        let announcement = Announcement {
            endpoints: Some(endpoints), crc32c, authority: Some(&authority), unique_id: Some(&unique_id),
            ..Default::default()
        };
        let mut out = Vec::new();
        write_v2(&mut out, &announcement).expect("fits");
        let Ok(Parsed::Complete { consumed, header }) = parse(&out) else { panic!("not read back: {out:02x?}") };
        prop_assert_eq!(consumed, out.len());
        prop_assert_eq!(header.authority(), Some(&authority[..]));
        prop_assert_eq!(header.unique_id(), Some(&unique_id[..]));
        let found = header.endpoints.expect("announced");
        prop_assert_eq!(found.source.ip().to_canonical(), endpoints.source.ip().to_canonical());
        prop_assert_eq!(found.destination.port(), endpoints.destination.port());
    }
}
