//! `/metrics`: what each strand gives in Prometheus' text format, in one document. Owns the order of it and what is said of
//! the strands themselves; pure.

use serde_json::Value;
use std::fmt::Write;

/// One document. `None`: that strand does not answer.
pub fn document(proxy: Option<&str>, vrrp: Option<&str>, director: Option<&str>) -> String {
    let mut out = String::new();
    out.push_str("# HELP hawser_strand_up 1 while the strand answers\n# TYPE hawser_strand_up gauge\n");
    for (name, answer) in [("proxy", proxy), ("vrrp", vrrp), ("director", director)] {
        let _ = writeln!(out, "hawser_strand_up{{strand=\"{name}\"}} {}", u8::from(answer.is_some()));
    }
    for text in [proxy, vrrp].into_iter().flatten() {
        // Metrics alone: a refusal in words would spoil the document.
        for line in text.lines().filter(|line| is_metric(line)) {
            out.push_str(line);
            out.push('\n');
        }
    }
    if let Some(document) = director.and_then(|text| serde_json::from_str(text).ok()) {
        write_director(&document, &mut out);
    }
    out
}

fn is_metric(line: &str) -> bool {
    ["# HELP ", "# TYPE ", "haproxy_", "hawser_"].iter().any(|start| line.starts_with(start))
}

/// One family: name, type, help, and the member of a real server it is.
type Family = (&'static str, &'static str, &'static str, &'static str);

const SERVERS: &[Family] = &[
    ("weight", "gauge", "Weight in force", "weight"),
    ("active_connections", "gauge", "Connections that carry data", "active"),
    ("inactive_connections", "gauge", "Connections that end, or have not begun", "inactive"),
    ("connections_total", "counter", "Connections so far", "connections"),
    ("received_packets_total", "counter", "Packets from clients", "packets_in"),
    ("sent_packets_total", "counter", "Packets to clients", "packets_out"),
    ("received_bytes_total", "counter", "Bytes from clients", "bytes_in"),
    ("sent_bytes_total", "counter", "Bytes to clients", "bytes_out"),
];

fn write_director(document: &Value, out: &mut String) {
    let services = || document["virtual_servers"].as_array().into_iter().flatten();
    let label = |value: &Value| {
        value.as_str().unwrap_or_default().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
    };
    let mut family =
        |name: &str, kind: &str, help: &str, samples: &mut dyn Iterator<Item = (String, u64)>| {
            let _ =
                writeln!(out, "# HELP hawser_director_{name} {help}\n# TYPE hawser_director_{name} {kind}");
            for (labels, value) in samples {
                let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
                let _ = writeln!(out, "hawser_director_{name}{labels} {value}");
            }
        };
    let service = |one: &Value| format!("service=\"{}\"", label(&one["name"]));
    let flag = |value: &Value| u64::from(value.as_bool().unwrap_or(false));
    family(
        "service_quorum",
        "gauge",
        "1 while enough real servers are up",
        &mut services().map(|one| (service(one), flag(&one["quorum"]))),
    );
    family(
        "service_sorry",
        "gauge",
        "1 while the sorry server serves",
        &mut services().map(|one| (service(one), flag(&one["sorry"]))),
    );
    let real = |name: &'static str| {
        move |one: &Value| -> Vec<(String, u64)> {
            let servers = one["real_servers"].as_array().cloned().unwrap_or_default();
            let labels = |server: &Value| format!("{},server=\"{}\"", service(one), label(&server["name"]));
            let value = |server: &Value| server[name].as_u64().unwrap_or_else(|| flag(&server[name]));
            servers.iter().map(|server| (labels(server), value(server))).collect()
        }
    };
    let count = |one: &Value| one["real_servers"].as_array().map_or(0, Vec::len) as u64;
    family(
        "services",
        "gauge",
        "Virtual servers of the configuration",
        &mut std::iter::once((String::new(), services().count() as u64)),
    );
    family(
        "service_servers",
        "gauge",
        "Real servers of the configuration",
        &mut services().map(|one| (service(one), count(one))),
    );
    let checks = |one: &Value| -> Vec<(String, u64)> {
        let mut all = Vec::new();
        for server in one["real_servers"].as_array().into_iter().flatten() {
            for (at, check) in server["checks"].as_array().into_iter().flatten().enumerate() {
                let (name, kind) = (label(&server["name"]), label(&check["kind"]));
                let labels = format!("{},server=\"{name}\",check=\"{at}\",kind=\"{kind}\"", service(one));
                all.push((labels, flag(&check["passing"])));
            }
        }
        all
    };
    family("check_passing", "gauge", "1 while this check passes", &mut services().flat_map(checks));
    family("server_up", "gauge", "1 while its checks pass", &mut services().flat_map(real("alive")));
    for (name, kind, help, member) in SERVERS {
        family(&format!("server_{name}"), kind, help, &mut services().flat_map(real(member)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strands_that_are_there_are_in_one_document() {
        let director = "{\"virtual_servers\":[{\"name\":\"[10.0.0.1]:tcp:80\",\"quorum\":true,\"sorry\":false,\
                        \"real_servers\":[{\"name\":\"a\\\"b\",\"alive\":true,\"weight\":5,\"connections\":9,\
                        \"checks\":[{\"kind\":\"TCP_CHECK\",\"passing\":true}]}]}]}";
        let text =
            document(Some("# HELP haproxy_x X\nhaproxy_x 1\nPermission denied\n"), None, Some(director));
        assert!(text.contains("hawser_strand_up{strand=\"proxy\"} 1\nhawser_strand_up{strand=\"vrrp\"} 0\n"));
        assert!(text.contains("haproxy_x 1\n") && !text.contains("Permission"));
        assert!(
            text.contains(
                "hawser_director_server_weight{service=\"[10.0.0.1]:tcp:80\",server=\"a\\\"b\"} 5\n"
            )
        );
        assert!(text.contains("# TYPE hawser_director_server_connections_total counter\n"));
        assert!(text.contains("hawser_director_services 1\n"));
        assert!(text.contains("server=\"a\\\"b\",check=\"0\",kind=\"TCP_CHECK\"} 1\n"), "{text}");
        assert!(text.contains("hawser_director_service_quorum{service=\"[10.0.0.1]:tcp:80\"} 1\n"));
    }
}
