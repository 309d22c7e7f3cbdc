//! `-dK`: the keywords that work, in the form of HAProxy's own list, so that tools that read one read the other.

use super::master;
use haproxy_config::listing;
use std::collections::BTreeMap;

type Print = fn() -> String;

/// Class as `-dK` names it, and what prints it; `all` prints them in this order.
const CLASSES: &[(&str, Print)] = &[
    ("acl", listing::acl_keywords),
    ("cfg", listing::configuration_keywords),
    ("cli", commands),
    ("cnv", listing::converters),
    ("flt", filters),
    ("smp", listing::sample_fetches),
    ("svc", || "# List of registered service names:\nprometheus-exporter\n".to_owned()),
];

/// The keywords of these classes, in the order asked for. A class that nobody knows prints nothing, as in HAProxy.
pub fn list(classes: &[String]) -> String {
    let mut text = String::new();
    for wanted in classes {
        let named = CLASSES.iter().filter(|(class, _)| class == wanted || wanted == "all");
        named.for_each(|(_, print)| text.push_str(&print()));
    }
    text
}

/// What may stand between both sides of a stream, with the marks that tools look for.
fn filters() -> String {
    let names = "bwlim-in [BWLIM]\nbwlim-out [BWLIM]\ncache [CACHE]\ncompression [COMP]\ntrace [TRACE]\n";
    format!("# List of registered filter names:\n{names}")
}

/// Commands of the runtime API, and whose: the master's or the workers'.
fn commands() -> String {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for name in master::command_names() {
        owners.entry(name).or_default().push_str("[MASTER] ");
    }
    for (name, mark) in proxy::commands() {
        let owner = owners.entry(name).or_default();
        owner.push_str("[WORKER] ");
        owner.push_str(mark);
    }
    let lines: String = owners.iter().map(|(name, owner)| format!("{name} {owner}\n")).collect();
    format!("# List of registered CLI keywords:\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_the_form_that_haproxy_gives_them() {
        let all = list(&["all".to_owned()]);
        for line in [
            "hdr_beg = req.hdr -m beg",
            "\tbind <addr> maxconn +1",
            "\tserver <name> <addr> weight +1",
            "show stat [WORKER] ",
            "show version [MASTER] [WORKER] ",
            "set var [WORKER] [EXPERIM] ",
            "add(string): sint => sint",
        ] {
            assert!(all.lines().any(|found| found == line), "{line}");
        }
        assert_eq!(all.matches("# List of registered").count(), CLASSES.len());
    }

    #[test]
    fn only_the_classes_asked_for_are_printed() {
        assert!(
            list(&["svc".to_owned(), "flt".to_owned()])
                .starts_with("# List of registered service names:\nprometheus-exporter\n# ")
        );
        assert_eq!(list(&["nonsense".to_owned()]), "");
    }
}
