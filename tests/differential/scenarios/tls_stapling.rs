//! OCSP responses: which are stapled, for how long, and what the runtime API says of them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use differential::{Instance, Program, same};

use crate::tls_lab::lab;

/// Responses of the laboratory's authority, made by OpenSSL: about `a`, about `b`, without an end, about both, revoked.
static RESPONSES: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = r#"
set -e
serial() { openssl x509 -in $1.crt -noout -serial | cut -d= -f2; }
printf "V\t400101000000Z\t\t$(serial a)\tunknown\t/CN=a\nV\t400101000000Z\t\t$(serial b)\tunknown\t/CN=b\n" > index
printf "R\t400101000000Z\t260101000000Z,keyCompromise\t$(serial a)\tunknown\t/CN=a\n" > revoked-index
answer() { # index, request, response, more
  openssl ocsp -index $1 -CA ca.crt -rsigner ca.crt -rkey ca.key -reqin $2 -respout $3 $4 $5
}
openssl ocsp -issuer ca.crt -cert a.crt -reqout a.req
openssl ocsp -issuer ca.crt -cert b.crt -reqout b.req
openssl ocsp -issuer ca.crt -cert a.crt -cert b.crt -reqout both.req
answer index a.req good.der -ndays 3
answer index b.req other.der -ndays 3
answer index a.req endless.der
answer index both.req both.der -ndays 3
answer revoked-index a.req revoked.der -ndays 3
printf '\060\003\012\001\006' > refused.der
printf 'nothing of the kind' > junk.der
"#;
    let made = Command::new("sh").args(["-c", script]).current_dir(lab()).output().expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // The years of all times are changed; nobody here looks at the signature.
    let mut expired = std::fs::read(lab().join("good.der")).expect("made above");
    for place in 0..expired.len() - 6 {
        if expired[place..].starts_with(&[0x18, 15, b'2', b'0']) {
            expired[place + 4..place + 6].copy_from_slice(b"20");
        }
    }
    std::fs::write(lab().join("expired.der"), expired).expect("a folder of ours");
    lab().to_owned()
});

const NAMES: [&str; 8] = ["good", "revoked", "other", "endless", "both", "refused", "junk", "expired"];

fn response(name: &str) -> Vec<u8> {
    std::fs::read(RESPONSES.join(format!("{name}.der"))).expect("made above")
}

/// A folder in which `a.pem` has this response beside it.
fn folder(program: Program, name: &str) -> PathBuf {
    let folder = RESPONSES.join(format!("{}-{name}", program.name()));
    std::fs::create_dir_all(&folder).expect("a folder of ours");
    for (from, to) in [("a.pem", "a.pem"), ("ca.crt", "a.pem.issuer"), (&format!("{name}.der"), "a.pem.ocsp")]
    {
        std::fs::copy(RESPONSES.join(from), folder.join(to)).expect("made above");
    }
    folder
}

const TEXT: &str =
    "listen web\n bind 127.0.0.1:$(web) ssl crt $(folder)/a.pem\n http-request return status 200\n";

/// What a client hears of the certificate's status.
fn stapled(proxy: &Instance) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-status", "-connect", &format!("127.0.0.1:{}", proxy.port("web"))])
        .stdin(Stdio::null())
        .output()
        .expect("openssl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("Cert Status: ") || line.starts_with("OCSP response: no response"));
    line.unwrap_or("nothing").to_owned()
}

#[test]
fn a_response_beside_a_certificate_is_stapled_or_the_reason_is_told() {
    let reasons = same(|program| {
        NAMES.map(|name| {
            let folder = folder(program, name);
            let exit = program.http(TEXT).with("folder", folder.display()).check();
            assert_eq!(exit.code, 0, "{}", exit.stderr);
            let reasons = [
                "Certificate ID does not match certificate and issuer",
                "missing nextupdate",
                "contains multiple single responses (2)",
                "status not successful",
                "Unable to parse OCSP response",
                "no longer valid",
            ];
            let reason = reasons.iter().find(|reason| exit.stderr.contains(**reason));
            let proxy = program.http(TEXT).with("folder", folder.display()).start();
            (name, reason.copied().unwrap_or_default(), stapled(&proxy))
        })
    });
    assert_eq!(reasons[0].2, "Cert Status: good");
    assert_eq!(reasons[1].2, "Cert Status: revoked");
    assert!(
        reasons[2..].iter().all(|(_, reason, status)| !reason.is_empty() && status.contains("no response"))
    );
}

#[test]
fn responses_are_shown_and_replaced_at_run_time() {
    let found = same(|program| {
        let folder = folder(program, "good");
        let proxy = program.http(TEXT).with("folder", folder.display()).start();
        let mut found = vec![proxy.cli("show ssl ocsp-response")];
        let id = found[0]
            .lines()
            .find_map(|line| line.strip_prefix("Certificate ID key : "))
            .expect("an ID")
            .to_owned();
        for command in
            [format!("show ssl ocsp-response {id}"), format!("show ssl cert {}/a.pem.ocsp", folder.display())]
        {
            // Certificates of the responder follow: there in words and PEM, here in PEM.
            let text = proxy.cli(&command);
            let words =
                text.split("\nCertificate:\n").next().and_then(|text| text.split("-----BEGIN").next());
            found.push(words.unwrap_or_default().trim_end().to_owned());
        }
        found.push(proxy.cli("show ssl ocsp-response abc"));
        for name in NAMES.iter().rev() {
            let text = openssl_base64(&response(name));
            found.push(format!("{name}: {}", proxy.cli(&format!("set ssl ocsp-response {text}"))));
            found.push(stapled(&proxy));
        }
        for text in ["", "z!zz"] {
            found.push(proxy.cli(&format!("set ssl ocsp-response {text}")));
        }
        let text = openssl_base64(&response("revoked"));
        found.push(proxy.cli(&format!("set ssl ocsp-response <<\n{text}\n")));
        found.push(stapled(&proxy));
        let name = folder.join("a.pem.ocsp").display().to_string();
        let text = openssl_base64(&response("good"));
        found.push(proxy.cli(&format!("set ssl cert {name} <<\n{text}\n")).replace(".ocsp!", "!"));
        found.push(
            proxy
                .cli(&format!("commit ssl cert {}", name.trim_end_matches(".ocsp")))
                .replace(".pem.", ".pem"),
        );
        found.push(stapled(&proxy));
        found.iter().map(|text| text.replace(&*folder.display().to_string(), "")).collect::<Vec<_>>()
    });
    assert!(found[1].contains("Cert Status: good") && found[1] == found[2], "{}", found[1]);
}

fn openssl_base64(bytes: &[u8]) -> String {
    use std::io::Write;
    let mut child = Command::new("base64")
        .arg("-w0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("base64 of coreutils");
    child.stdin.take().expect("piped").write_all(bytes).expect("base64 reads");
    let output = child.wait_with_output().expect("base64");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_response_that_runs_out_is_no_longer_stapled() {
    // nextUpdate is moved to a few seconds from now; nobody here looks at the signature.
    let proxy = Program::Hawser.http(TEXT).with("folder", soon().display()).start();
    assert_eq!(stapled(&proxy), "Cert Status: good");
    differential::wait_until("the response to run out", || stapled(&proxy).contains("no response"));
}

fn soon() -> PathBuf {
    let folder = folder(Program::Hawser, "good");
    let mut bytes = response("good");
    let times: Vec<usize> =
        (0..bytes.len() - 17).filter(|place| bytes[*place..].starts_with(&[0x18, 15, b'2', b'0'])).collect();
    let output =
        Command::new("date").args(["-u", "-d", "4 seconds", "+%Y%m%d%H%M%SZ"]).output().expect("date");
    let next = times.last().expect("nextUpdate") + 2;
    bytes[next..next + 15].copy_from_slice(&output.stdout[..15]);
    let path = folder.join("a.pem.ocsp");
    std::fs::write(path, bytes).expect("a folder of ours");
    folder
}
