//! Exit codes and the line on standard output, equal for both programs.

use super::program::*;

fn outcome(program: Program, folder: &Folder, arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(program, folder, arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

// row: 329
#[test]
fn checks_end_with_haproxys_code_and_words() {
    let folder = Folder::new();
    let port = free_port();
    folder.file("valid.cfg", &configuration("", &format!("127.0.0.1:{port}"), 1));
    folder.file("wrong.cfg", "listen l\n  bogus keyword\n");
    folder.file("empty.cfg", "global\n");
    folder.file("api.cfg", "global\n  stats socket ./api.sock\n");
    let cases: &[&[&str]] = &[
        &["-c", "-f", "valid.cfg"],
        &["-c", "-V", "-f", "valid.cfg"],
        &["-c", "-q", "-f", "valid.cfg"],
        &["-c", "-dr", "-n", "100", "-m", "500", "-L", "me", "--", "valid.cfg"],
        &["-c", "-f", "wrong.cfg"],
        &["-c", "-f", "missing.cfg"],
        &["-c", "-C", "missing", "-f", "valid.cfg"],
        &["-c", "-f", "empty.cfg"],
        &["-c", "-f", "api.cfg"],
        &["-c", "-f", "valid.cfg", "-sf"],
        &["-c", "-f", "valid.cfg", "-sf", "999999"],
        &["-c", "-f", "valid.cfg", "-sf", "abc"],
        &["-f", "wrong.cfg"],
        &["-f", "empty.cfg"],
        &["-db", "-f", "valid.cfg", "-x", "missing.sock"],
        &["-f"],
        &["-cc", "version_atleast(2.6)"],
        &["-cc", "version_atleast(99)"],
        &["-cc", "feature(THREAD) && !streq(a,b)"],
        &["-cc", "bogus("],
    ];
    for arguments in cases {
        let [recorded, ours] = BOTH.map(|program| outcome(program, &folder, arguments));
        assert_eq!(ours, recorded, "{arguments:?}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_the_usage_and_1() {
    let folder = Folder::new();
    for arguments in [&["--zork"][..], &["extra"], &["-h"], &[], &["-c"]] {
        for program in BOTH {
            let output = run(program, &folder, arguments);
            assert_eq!(output.status.code(), Some(1), "{program:?} {arguments:?}");
            assert!(String::from_utf8_lossy(&output.stdout).starts_with("HAProxy version 2.6."));
            assert!(String::from_utf8_lossy(&output.stderr).starts_with("Usage : "));
        }
    }
}

#[test]
fn the_version_has_the_words_that_scripts_take() {
    let folder = Folder::new();
    for program in BOTH {
        let output = run(program, &folder, &["-vv"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(&words[..2], ["HAProxy", "version"]);
        assert!(words[2].starts_with("2.6.12-"));
        assert_eq!(words[3].split('/').count(), 3, "a date");
        assert!(text.contains("Feature list : ") && text.contains("+THREAD"));
    }
}

#[test]
fn a_report_for_machines_is_one_json_object() {
    let folder = Folder::new();
    folder.file("wrong.cfg", "listen l\n  bogus keyword\n");
    let output = run(Program::Hawser, &folder, &["-c", "--format", "json", "-f", "wrong.cfg"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with('{') && text.contains("\"line\":2"), "{text}");
}

#[test]
fn a_command_that_nobody_knows_is_answered_with_those_there_are() {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_hawser")).arg("keepalivd").output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("unknown command 'keepalivd'") && said.contains("  keepalived "), "{said}");
}

#[test]
fn a_port_in_use_is_told_and_ends_with_1_in_every_mode() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = taken.local_addr().expect("bound").to_string();
    folder.file("used.cfg", &configuration("", &address, 1));
    for program in BOTH {
        for mode in [&["-db"][..], &["-D", "-p", "pid"], &["-W"]] {
            let output = run(program, &folder, &[mode, &["-f", "used.cfg"]].concat());
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{program:?} {mode:?}: {said}");
            assert!(said.contains("[ALERT]") && said.contains("Address already in use"), "{said}");
            assert!(said.contains("Some protocols failed to start their listeners! Exiting."), "{said}");
            assert_eq!(folder.read("pid"), None, "{program:?}");
        }
    }
}
