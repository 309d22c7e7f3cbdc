//! The samples that keepalived's package brings along. They stay where they are: their licence is not ours.

use keepalived_config::{MemoryHost, load_text};

const SAMPLES: &str = "/usr/share/doc/keepalived/samples";

/// Samples with mistakes of their own, which keepalived reports too.
const BROKEN: [&str; 3] = ["conditional_conf", "vrrp.lvs_syncd", "vrrp.rules"];

#[test]
fn every_sample_of_keepalived_loads() {
    // row: 256
    let directory = std::fs::read_dir(SAMPLES).expect("keepalived is installed (apt-get install keepalived)");
    let mut seen = 0;
    for entry in directory {
        let path = entry.expect("listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(kind) = name.strip_prefix("keepalived.conf.").filter(|kind| !kind.ends_with(".gz")) else {
            continue;
        };
        let text = std::fs::read_to_string(&path).expect("readable");
        let loaded = load_text(&MemoryHost::default(), &name, &text);
        let told = loaded.report.render(&loaded.sources, diag::Severity::Alert);
        assert_eq!(loaded.model.is_none(), BROKEN.contains(&kind), "{told}");
        seen += 1;
    }
    assert!(seen >= 23, "{seen} samples only");
}
