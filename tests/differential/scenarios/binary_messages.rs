//! Fetches and converters that take messages apart: MQTT, distcc, and the blocks of HTTP messages.

use differential::{Program, same};

use crate::support::get;

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind, u8::try_from(body.len()).expect("short packets here")];
    packet.extend_from_slice(body);
    packet
}

/// Packets of every version, with and without a will, properties, a user; then each of them cut and damaged.
fn packets() -> Vec<Vec<u8>> {
    let whole = [
        packet(0x10, b"\0\x04MQTT\x04\xc2\0\x3c\0\x03cli\0\x03usr\0\x02pw"),
        packet(0x10, b"\0\x04MQTT\x04\x26\0\x05\0\0\0\x02wt\0\x02wp"),
        packet(0x10, b"\0\x04MQTT\x05\x02\0\x3c\x15\x11\0\0\0\x0a\x21\0\x14\x27\0\0\x10\0\x22\0\x05\x19\x01\x17\x01\0\x04five"),
        packet(0x10, b"\0\x04MQTT\x05\xc6\0\x3c\0\0\x04five\x07\x18\0\0\0\x05\x01\x01\0\x02wt\0\x02wp\0\x01u\0\x01p"),
        packet(0x20, b"\x01\0"),
        packet(0x20, b"\0\x87\0"),
        packet(0x20, b"\x01\0\x12\x11\0\0\0\x05\x21\0\x0a\x24\x01\x25\x01\x12\0\x03asg"),
    ];
    let mut packets = whole.to_vec();
    for packet in &whole {
        packets.extend((1..packet.len()).step_by(3).map(|cut| packet[..cut].to_vec()));
        for (place, bit) in (0..packet.len().min(14)).zip([1u8, 0x80, 0x40, 2].into_iter().cycle()) {
            let mut damaged = packet.clone();
            damaged[place] ^= bit;
            packets.push(damaged);
        }
    }
    packets.extend([
        b"hello world".to_vec(),
        vec![0; 20],
        vec![0xff; 20],
        b"\x10\xff\xff\xff\xff\x01".to_vec(),
    ]);
    packets
}

#[test]
fn mqtt_packets_are_read_alike() {
    let packets = packets();
    let values = same(|program| {
        let connect = [
            "flags",
            "protocol_name",
            "protocol_version",
            "client_identifier",
            "will_topic",
            "will_payload",
            "username",
            "password",
            "keepalive",
            "17",
            "33",
            "39",
            "34",
            "25",
            "23",
            "21",
            "22",
            "24",
            "1",
            "2",
            "3",
            "8",
            "9",
        ];
        let connack =
            ["flags", "protocol_version", "reason_code", "17", "33", "36", "37", "39", "18", "34", "31"];
        let field =
            |kind: &str, name: &&str| format!("%[req.hdr(x),b64dec,mqtt_field_value({kind},{name}),hex]");
        let fields: Vec<String> = connect
            .iter()
            .map(|name| field("CONNECT", name))
            .chain(connack.iter().map(|name| field("2", name)))
            .collect();
        let text = format!(
            "frontend web\n bind 127.0.0.1:$(web)\n http-request return status 200 content-type text/plain \
             lf-string \"%[req.hdr(x),b64dec,mqtt_is_valid] {}\"\n",
            fields.join("|")
        );
        let proxy = program.http(&text).start();
        let mut client = proxy.client("web");
        packets
            .iter()
            .map(|packet| {
                let body = client.ask(get("/", &[&format!("x: {}", base64(packet))])).body;
                (packet.clone(), body)
            })
            .collect::<Vec<_>>()
    });
    assert!(values[0].1.starts_with("1 313934|4D515454|34|636C69|"), "{}", values[0].1);
    assert!(values.iter().any(|(_, value)| value.starts_with("0 ")), "some are refuted");
}

#[test]
fn distcc_messages_are_read_alike() {
    let message = b"DIST00000001ARGC00000003ARGV00000003gccARGV00000002-cARGV00000007hello.cDOTI0000000aint main()DONE00000000";
    let lines = same(|program| {
        let fetches = [
            "distcc_param(DIST)",
            "distcc_param(ARGC)",
            "distcc_param(ARGV,2)",
            "distcc_body(ARGV)",
            "distcc_body(ARGV,3)",
            "distcc_body(ARGV,4)",
            "distcc_body(DOTI)",
            "distcc_param(DOTI)",
            "distcc_param(DONE)",
            "distcc_param(DIST,2)",
        ];
        let captures: String =
            fetches.iter().map(|fetch| format!(" tcp-request content capture {fetch} len 64\n")).collect();
        let shown: Vec<String> =
            (0..fetches.len()).map(|number| format!("%[capture.req.hdr({number})]")).collect();
        let text = format!(
            "frontend web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n tcp-request inspect-delay 200ms\n \
             tcp-request content set-var(txn.all) int(1) if WAIT_END\n\
             {captures} log-format \"from %cp: {}\"\n default_backend b\nbackend b\n retries 0\n server s 127.0.0.1:1\n",
            shown.join("|")
        );
        let proxy = program.tcp(&text).start();
        let cases: [&[u8]; 6] =
            [message, &message[..31], &message[..12], b"DIST0000000xARGC", b"hello world what is this", b""];
        cases.map(|case| {
            let mut client = proxy.client("web");
            client.send(case).finish_sending();
            let marker = format!("from {}: ", client.local_port());
            let line = proxy.log().expect(&marker);
            line.split_once(&marker).expect("the format").1.trim_end().to_owned()
        })
    });
    assert_eq!(lines[0], "1|3|2|gcc|hello.c|-|int main()|10|0|-");
}

#[test]
fn headers_are_found_by_the_number_of_their_block() {
    let body = same(|program| {
        let text = "frontend web\n bind 127.0.0.1:$(web)\n http-request return status 200 content-type text/plain lf-string \
            \"%[internal.htx_blk.type(0)] %[internal.htx_blk.start_line(head)] %[internal.htx_blk.type(1)] \
            %[internal.htx_blk.hdrname(2)]=%[internal.htx_blk.hdrval(2)] %[internal.htx_blk.type(3)] \
            %[internal.htx_blk.type(99)] (%[internal.htx_blk.hdrname(0)]) (%[internal.htx_blk.start_line(1)])\"\n";
        let proxy = program.http(text).start();
        proxy.client("web").ask(get("/x?y", &["X-Some: Value"])).body
    });
    assert_eq!(
        body,
        "HTX_BLK_REQ_SL GET /x?y HTTP/1.1 HTX_BLK_HDR x-some=Value HTX_BLK_EOH HTX_BLK_UNUSED () ()"
    );
}

#[test]
fn what_has_no_meaning_here_is_refused_by_name() {
    for (word, reason) in [("fcgi.docroot", "no FastCGI"), ("internal.htx.size", "no such form")] {
        let text = format!("frontend web\n bind 127.0.0.1:$(web)\n http-request set-header x %[{word}]\n");
        let exit = Program::Hawser.http(&text).check();
        assert_eq!(exit.code, 1, "{word}");
        assert!(
            exit.stderr.contains("is not implemented") && exit.stderr.contains(reason),
            "{}",
            exit.stderr
        );
    }
}
