//! Configurations of keepalived.

use keepalived_config::model::{Model, Transport};
use keepalived_config::{LoadOptions, MemoryHost, Verdict, load_text_with};

/// Lines an input may expand to: the limit itself is no finding.
const LINES_MAX: usize = 20_000;

/// A configuration loads or is reported, every report can be shown, and a model keeps its promises.
pub fn keepalived_config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let host = MemoryHost { host_name: "any.example".to_owned(), ..MemoryHost::default() };
    let options = LoadOptions { lines_max: LINES_MAX, ..LoadOptions::new("any.conf") };
    let loaded = load_text_with(&options, &host, &text);
    assert_eq!(loaded.model.is_some(), !loaded.report.has_alerts());
    assert!(!loaded.report.has_alerts() || loaded.verdict != Verdict::Clean);
    let _shown = loaded.report.render(&loaded.sources, diag::Severity::Diag);
    if let Some(model) = loaded.model {
        check(&model);
        assert_eq!(
            load_text_with(&options, &host, &text).model,
            Some(model),
            "the same text gives the same model"
        );
    }
}

/// What the rest of the program relies on.
fn check(model: &Model) {
    for instance in &model.instances {
        assert!(instance.virtual_router_id > 0 && instance.priority > 0);
        assert!(!instance.advert_interval.is_zero() && instance.down_timer_adverts > 0);
        assert!(instance.addresses.len() <= 255);
        match &instance.transport {
            Transport::Multicast { group } => {
                assert!(group.is_multicast());
                assert!(instance.interface.is_some());
            }
            Transport::Unicast { peers, .. } => assert!(!peers.is_empty() || instance.fault_without_peer),
        }
        for tracked in &instance.tracking.scripts {
            assert!(tracked.what.index() < model.scripts.len());
        }
        assert!(instance.sync_group.is_none_or(|group| group.index() < model.sync_groups.len()));
    }
    for group in &model.sync_groups {
        assert!(group.members.iter().all(|member| member.index() < model.instances.len()));
    }
    for server in &model.virtual_servers {
        assert!(!server.real_servers.is_empty());
        assert!(server.hysteresis == 0 || server.hysteresis < server.quorum);
    }
}
