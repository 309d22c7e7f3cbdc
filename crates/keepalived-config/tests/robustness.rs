//! Whatever is written: a load ends, says where mistakes are, and a model comes out only when there are none.

use diag::Severity;
use keepalived_config::{LoadOptions, Loaded, MemoryHost, listing, load, load_text_with};
use proptest::prelude::*;

/// Words of keywords, values and the language itself.
fn word() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = listing::all().into_iter().map(|row| row.name).collect();
    let values = [
        "{",
        "}",
        "\n",
        "\n",
        "0",
        "1",
        "255",
        "1.5",
        "-3",
        "10.0.0.1",
        "10.0.0.1/24",
        "fd00::1",
        "eth0",
        "VI_1",
        "on",
        "\"/bin/true a\"",
        "'x",
        "$A",
        "${A}",
        "\n$A=1\n",
        "\n$A= \\\n",
        "@vm",
        "@^vm",
        "\n~SEQ(A,1,3)",
        "~LST({A,B},{1,2})",
        "weight",
        "#",
        "!",
        "\\",
        "ä",
        "fwmark 5",
        "group",
        "PASS",
        "TUN type gue port 5",
        "200-299",
    ];
    prop_oneof![
        3 => proptest::sample::select(names).prop_map(str::to_owned),
        4 => proptest::sample::select(values.to_vec()).prop_map(str::to_owned),
    ]
}

/// Few lines are enough to see what happens at the limit.
const LINES_MAX: usize = 2_000;

fn load_small(text: &str) -> Loaded {
    let options = LoadOptions { lines_max: LINES_MAX, ..LoadOptions::new("any.conf") };
    load_text_with(&options, &MemoryHost::default(), text)
}

fn holds(text: &str) {
    let loaded = load_small(text);
    assert_eq!(loaded.model.is_some(), !loaded.report.has_alerts());
    let shown = loaded.report.render(&loaded.sources, Severity::Diag);
    assert_eq!(shown.is_empty(), loaded.report.diagnostics().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn words_in_any_order_load_or_are_reported(words in proptest::collection::vec(word(), 0..60)) {
        holds(&words.join(" "));
    }

    #[test]
    fn any_text_loads_or_is_reported(text in ".{0,300}") {
        holds(&text);
    }
}

#[test]
fn variables_that_grow_without_end_are_told() {
    for text in ["$A=$B\n$B=$A\nfoo $A\n", "$A=${A}${A}\nfoo ${A}\n", "~SEQ(a,1,9999) ~SEQ(b,1,9999) x\n"] {
        assert!(load_small(text).report.has_alerts(), "{text}");
    }
}

#[test]
fn an_include_of_itself_is_told() {
    let mut host = MemoryHost::default();
    host.files.insert("/etc/k/a.conf".into(), b"include *.conf\n".to_vec());
    let options = LoadOptions::new("/etc/k/a.conf");
    assert!(load(&options, &host).report.has_alerts());
}
