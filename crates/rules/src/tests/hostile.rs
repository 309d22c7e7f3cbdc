//! Nothing that a configuration or a peer can write makes the engine panic.

use crate::testing::World;
use proptest::prelude::*;

/// Pieces that expressions are made of, and what breaks them.
fn piece() -> impl Strategy<Value = String> {
    let known: Vec<String> = crate::fetch::names()
        .map(String::from)
        .chain(crate::convert::all().map(|converter| converter.name.to_string()))
        .collect();
    prop_oneof![
        4 => prop::sample::select(known),
        4 => prop::sample::select(vec!["(", ")", ",", "'", "\"", "\\", "{", "}", "!", "-i", "-m", "-f", "str", "or", "=", "."])
            .prop_map(String::from),
        2 => any::<i64>().prop_map(|number| number.to_string()),
        2 => "[ -~]{0,6}",
        1 => "\\PC{0,4}",
    ]
}

/// What a client may have sent.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("Cookie: a=1; b=\"x;y\"; =; c".to_string()),
        Just("Authorization: Basic YTpi".to_string()),
        Just("X-Forwarded-For: ::1, 1.2.3.4:99999,".to_string()),
        "[A-Za-z-]{1,8}: [ -~]{0,30}".prop_map(|line| line),
    ];
    ("/[!-~]{0,20}", prop::collection::vec(line, 0..6)).prop_map(|(path, lines)| {
        format!("GET {path} HTTP/1.1\r\nHost: h\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn expressions_of_any_shape_load_or_say_why(pieces in prop::collection::vec(piece(), 1..8)) {
        let mut world = World::with_request("GET /a?b=c HTTP/1.1\n Host: h");
        if let Ok(expr) = world.expr(&pieces.concat()) {
            let _value = expr.eval_text(&world.scope());
        }
        let words: Vec<String> = pieces.clone();
        if let Ok(condition) = world.condition_of_words(&words) {
            let _verdict = condition.test(&world.scope());
        }
    }

    #[test]
    fn every_fetch_survives_any_message(request in request(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut head = http::Head::new();
        if http::parse_request(&request, &http::Limits::default(), &mut head).is_err() {
            return Ok(());
        }
        let mut world = World::new();
        world.request = Some(head);
        world.payload = bytes;
        for fetch in crate::fetch::all().filter(|fetch| fetch.required == 0) {
            if let Ok(expr) = world.expr(fetch.name) {
                let _value = expr.eval_text(&world.scope());
                expr.each(&world.scope(), &mut |_| true);
            }
        }
    }

    #[test]
    fn every_converter_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64), number in any::<i64>()) {
        let mut world = World::new();
        let name = crate::VariableName::parse(b"txn.v").unwrap();
        let values = [
            crate::Value::Str(bytes.clone().into()),
            crate::Value::Bin(bytes.into()),
            crate::Value::Int(number),
        ];
        for value in values {
            crate::Variables::set(&world.variables, &name, value);
            for converter in crate::convert::all() {
                for args in ["", "(1)", "(1,x)", "(x)", "(txn.v)", "(x,txn.v)", "($.a)", "(1,int32)", "(256)", "(:,2,1)"] {
                    if let Ok(expr) = world.expr(&format!("var(txn.v),{}{args}", converter.name)) {
                        let _value = expr.eval_text(&world.scope());
                    }
                }
            }
        }
    }
}
