//! Where configurations come from: several files, directories, the environment, conditions.

use diag::Severity;
use haproxy_config::{LoadOptions, evaluate_condition, load, load_text};
use std::path::{Path, PathBuf};

/// A directory of its own for one test, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, files: &[(&str, &[u8])]) -> Directory {
        let path = std::env::temp_dir().join(format!("hawser-files-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory can be made");
        for (name, text) in files {
            std::fs::write(path.join(name), text).expect("a file can be written");
        }
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Best effort: a leftover in the temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(paths: &[&Path]) -> LoadOptions {
    LoadOptions::new(paths.iter().map(|path| path.to_path_buf()).collect())
}

#[test]
fn a_directory_gives_its_cfg_files_in_order() {
    let directory = Directory::new(
        "order",
        &[
            ("20.cfg", b"listen b\n bind :2\n"),
            ("10.cfg", b"listen a\n bind :1\n"),
            (".hidden.cfg", b"nonsense\n"),
            ("notes.txt", b"nonsense\n"),
        ],
    );
    let loaded = load(&options(&[&directory.0]));
    let names: Vec<String> =
        loaded.model.expect("valid").proxies.into_iter().map(|proxy| proxy.name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_section_ends_with_its_file() {
    let directory = Directory::new("ends", &[("1", b"listen a\n bind :1\n"), ("2", b" mode http\n")]);
    let loaded = load(&options(&[&directory.0.join("1"), &directory.0.join("2")]));
    assert!(loaded.model.is_none());
    assert!(loaded.report.diagnostics().iter().any(|told| told.message.contains("outside of any section")));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_the_others_are_still_checked() {
    let directory = Directory::new("missing", &[("1", b"global\n deamon\n")]);
    let loaded = load(&options(&[&directory.0.join("nosuch"), &directory.0.join("1")]));
    let rendered = loaded.report.render(&loaded.sources, Severity::Alert);
    assert!(rendered.contains("nosuch") && rendered.contains("did you mean `daemon`?"), "{rendered}");
}

#[test]
fn an_empty_file_is_a_valid_configuration() {
    let directory = Directory::new("empty", &[("1", b"")]);
    let loaded = load(&options(&[&directory.0.join("1")]));
    assert_eq!(
        (loaded.report.diagnostics().len(), loaded.model.map(|model| model.proxies.len())),
        (0, Some(0))
    );
}

#[test]
fn words_that_are_not_utf8_pass_into_rules_and_are_told_elsewhere() {
    let directory = Directory::new(
        "latin1",
        &[("1", b"# caf\xe9\nlisten a\n mode http\n bind :1\n http-request set-header X caf\xe9\n description caf\xe9\n")],
    );
    let loaded = load(&options(&[&directory.0.join("1")]));
    let rendered = loaded.report.render(&loaded.sources, Severity::Warning);
    assert!(loaded.model.is_some(), "{rendered}");
    assert_eq!(rendered.matches("not UTF-8").count(), 1, "{rendered}");
}

#[test]
fn predefined_variables_are_there() {
    let mut options = options(&[]);
    options.local_peer = Some("node1".to_owned());
    options.master_worker = true;
    let text = ".if !streq(\"$HAPROXY_LOCALPEER\",node1)\n.alert peer\n.endif\n.if !defined(HAPROXY_MWORKER)\n.alert master\n.endif\n\
                .if !streq(\"$HAPROXY_CFGFILES\",t.cfg)\n.alert files\n.endif\n";
    let loaded = load_text(&options, "t.cfg", text);
    assert!(loaded.model.is_some(), "{}", loaded.report.render(&loaded.sources, Severity::Alert));
}

#[test]
fn conditions_of_the_command_line_are_evaluated() {
    let options = options(&[]);
    assert_eq!(evaluate_condition("version_atleast(2.6) && feature(THREAD)", &options), Ok(true));
    assert_eq!(evaluate_condition("feature(LUA)", &options), Ok(false));
    assert!(evaluate_condition("nosuch(1)", &options).is_err());
}

#[test]
fn relative_names_start_where_default_path_says() {
    let page = b"HTTP/1.0 503 X\r\n\r\nsorry\n";
    let text = b"global\n default-path config\nlisten a\n mode http\n bind :1\n errorfile 503 503.http\n";
    let directory = Directory::new("path", &[("503.http", page), ("1", text)]);
    let loaded = load(&options(&[&directory.0.join("1")]));
    assert!(loaded.model.is_some(), "{}", loaded.report.render(&loaded.sources, Severity::Alert));
}
