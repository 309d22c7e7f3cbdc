//! `cargo xtask testssl`: owns the listeners that testssl.sh looks at, and which of its findings are no fault of ours;
//! never what counts as a weakness.
//!
//! Two listeners: one with nothing but `ssl crt`, for defaults must be safe, and one as a careful administrator writes it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{cargo, is_installed, must, root};

/// How long the listeners may take to open.
const START_MAX: Duration = Duration::from_secs(20);

/// Severities that fail, from the mildest; WARN says that testssl.sh could not look.
const BAD: [&str; 5] = ["WARN", "LOW", "MEDIUM", "HIGH", "CRITICAL"];

/// A finding that is about something else than the listener: its name, on which listeners, and why.
const EXPLAINED: &[(&str, &[&str], &str)] = &[
    ("engine_problem", &["default", "hardened"], "the openssl program at hand has no GOST engine"),
    ("DNS_CAArecord", &["default", "hardened"], "the laboratory has no DNS zone"),
    ("cert_revocation", &["default"], "the laboratory's authority names no CRL or OCSP responder"),
    ("HSTS", &["default"], "header rules are the configuration's, and it has none"),
    ("security_headers", &["default"], "header rules are the configuration's, and it has none"),
];

/// A listener: its name and what stands behind `ssl`, then its rules.
const LISTENERS: &[(&str, &str, &str)] = &[
    ("default", "crt default.pem", ""),
    (
        "hardened",
        "crt hardened.pem alpn h2,http/1.1 ssl-min-ver TLSv1.2 no-tls-tickets curves X25519:P-256:P-384 ciphers \
         ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
         ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305 ciphersuites \
         TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
        " http-after-response set-header Strict-Transport-Security \"max-age=63072000; includeSubDomains\"\n \
         http-after-response set-header X-Frame-Options DENY\n \
         http-after-response set-header X-Content-Type-Options nosniff\n \
         http-after-response set-header Content-Security-Policy \"default-src 'self'\"\n",
    ),
];

/// An authority, and for each listener a certificate with its stapled answer.
const CERTIFICATES: &str = r#"
set -e
openssl req -x509 -newkey rsa:3072 -nodes -keyout ca.key -out ca.crt -days 90 -subj "/CN=Laboratory"
make() { # name, kind of key, more extensions
  openssl req -newkey $2 -nodes -keyout $1.key -out $1.csr -subj "/CN=localhost"
  printf "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n$3" > $1.ext
  openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 80 -extfile $1.ext -out $1.crt
  cat $1.crt $1.key > $1.pem
}
make default rsa:2048 ""
make hardened "ec -pkeyopt ec_paramgen_curve:P-256" "authorityInfoAccess=OCSP;URI:http://127.0.0.1:1/\n"
serial=$(openssl x509 -in hardened.crt -noout -serial | cut -d= -f2)
printf "V\t400101000000Z\t\t$serial\tunknown\t/CN=localhost\n" > index.txt
openssl ocsp -issuer ca.crt -cert hardened.crt -reqout request.der
openssl ocsp -index index.txt -CA ca.crt -rsigner ca.crt -rkey ca.key -reqin request.der -respout hardened.pem.ocsp -ndays 3
cp ca.crt hardened.pem.issuer
"#;

/// A proxy that is ended with this.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nobody to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    if !arguments.is_empty() {
        return Err("takes no arguments".to_owned());
    }
    if !is_installed("testssl") {
        return Err("testssl.sh is missing: apt-get install testssl.sh".to_owned());
    }
    must(&mut cargo(&["build", "--package", "hawser"]))?;
    let folder = root().join("target/testssl");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let made = Command::new("sh").args(["-c", CERTIFICATES]).current_dir(&folder).output();
    match made {
        Ok(output) if output.status.success() => {}
        Ok(output) => return Err(format!("openssl: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => return Err(format!("sh: {error}")),
    }
    let ports = LISTENERS.iter().map(|_| free_port()).collect::<Result<Vec<u16>, String>>()?;
    let _proxy = start(&folder, &ports)?;
    let mut unexplained = 0;
    for ((name, ..), port) in LISTENERS.iter().zip(ports) {
        unexplained += look(&folder, name, port)?;
    }
    match unexplained {
        0 => Ok(()),
        count => Err(format!("{count} findings that nothing explains")),
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

fn start(folder: &Path, ports: &[u16]) -> Result<Proxy, String> {
    let mut text =
        "defaults\n mode http\n timeout connect 5s\n timeout client 10s\n timeout server 5s\n".to_owned();
    for ((name, tls, rules), port) in LISTENERS.iter().zip(ports) {
        text.push_str(&format!(
            "frontend {name}\n bind 127.0.0.1:{port} ssl {tls}\n{rules} http-request return status 200 \
             content-type text/plain string hello\n"
        ));
    }
    fs::write(folder.join("testssl.cfg"), text).map_err(|error| error.to_string())?;
    let program: PathBuf = root().join("target/debug/hawser");
    let child = Command::new(program)
        .args(["haproxy", "-db", "-f", "testssl.cfg"])
        .current_dir(folder)
        .spawn()
        .map_err(|error| format!("hawser: {error}"))?;
    let mut proxy = Proxy(child);
    let since = Instant::now();
    while ports.iter().any(|port| TcpStream::connect(("127.0.0.1", *port)).is_err()) {
        if let Ok(Some(status)) = proxy.0.try_wait() {
            return Err(format!("hawser ended: {status}"));
        }
        if since.elapsed() > START_MAX {
            return Err("hawser opens no listener".to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(proxy)
}

/// Looks at one listener; returns how many findings nothing explains.
fn look(folder: &Path, name: &str, port: u16) -> Result<usize, String> {
    let report = folder.join(format!("{name}.json"));
    // It refuses to write over an older one.
    let _ = fs::remove_file(&report);
    let mut command = Command::new("testssl");
    command
        .args(["--quiet", "--color", "0", "--warnings", "off", "--add-ca", "ca.crt", "--jsonfile"])
        .arg(&report)
        .args(["--ip", "127.0.0.1"])
        .arg(format!("localhost:{port}"))
        .current_dir(folder)
        .stdout(Stdio::null());
    let since = Instant::now();
    // Its exit code counts findings: the report tells more.
    command.status().map_err(|error| format!("testssl: {error}"))?;
    let text = fs::read_to_string(&report).map_err(|error| format!("{}: {error}", report.display()))?;
    let findings: Vec<Value> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let field = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let complete = findings.iter().any(|finding| field(finding, "id") == "scanTime")
        && findings.iter().any(|finding| field(finding, "id") == "TLS1_3");
    if !complete {
        return Err(format!("testssl.sh did not finish with {name}: {}", report.display()));
    }
    println!("{name}: {} findings in {} s", findings.len(), since.elapsed().as_secs());
    let mut unexplained = 0;
    for finding in &findings {
        let (id, severity) = (field(finding, "id"), field(finding, "severity"));
        if !BAD.contains(&&*severity) {
            continue;
        }
        let told = EXPLAINED.iter().find(|(known, listeners, _)| *known == id && listeners.contains(&name));
        match told {
            Some((.., why)) => println!("  {severity:9}{id}: {why}"),
            None => {
                println!("! {severity:9}{id}: {}", field(finding, "finding"));
                unexplained += 1;
            }
        }
    }
    Ok(unexplained)
}
