//! Certificates and clients that the scenarios of TLS share.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use differential::{Instance, PATIENCE, Program};

/// Certificates made once for all scenarios, by OpenSSL: what people have.
static LAB: LazyLock<PathBuf> = LazyLock::new(|| {
    let lab = std::env::temp_dir().join(format!("hawser-tls-{}", std::process::id()));
    std::fs::create_dir_all(&lab).expect("a folder for certificates");
    let script = r#"
set -e
make() { # name, subject, names, key, days
  openssl req -newkey $4 -nodes -keyout $1.key -out $1.csr -subj "$2"
  printf "basicConstraints=CA:FALSE\nsubjectAltName=$3\n" > $1.ext
  openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days $5 -extfile $1.ext -out $1.crt
  cat $1.crt $1.key > $1.pem
}
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3000 -subj "/C=CH/O=Lab/CN=Lab CA"
make a "/C=CH/O=Lab/OU=One/OU=Two/CN=a.example" "DNS:a.example" rsa:2048 30
make b "/CN=b.example" "DNS:b.example,DNS:*.wild.example" rsa:2048 31
make client "/C=CH/O=Clients/CN=client one" "email:one@example.org" "ec -pkeyopt ec_paramgen_curve:P-256" 32
make expired "/CN=expired" "DNS:expired.example" rsa:2048 -1
openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.crt -days 30 -subj "/CN=self"
cat self.crt self.key > self.pem
cat a.key a.crt > reversed.pem
cat a.crt b.key > mismatch.pem
cp a.crt separate.crt
cp a.key separate.crt.key
"#;
    let made = Command::new("sh").args(["-c", script]).current_dir(&lab).output().expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    lab
});

pub fn lab() -> &'static Path {
    &LAB
}

/// What curl prints for `https://HOST:PORT/PATH`, its exit code behind it.
pub fn curl(port: u16, host: &str, path: &str, arguments: &[&str]) -> (String, i32) {
    let output = Command::new("curl")
        .args(["-sk", "--max-time", &PATIENCE.as_secs().to_string()])
        .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
        .args(arguments)
        .arg(format!("https://{host}:{port}{path}"))
        .current_dir(lab())
        .output()
        .expect("curl");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1))
}

/// The subject of the certificate that a client of this name gets.
pub fn subject(port: u16, name: Option<&str>) -> String {
    let target = format!("127.0.0.1:{port}");
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &target]);
    match name {
        Some(name) => command.args(["-servername", name]),
        None => command.arg("-noservername"),
    };
    let output = command.stdin(std::process::Stdio::null()).output().expect("openssl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("subject=")).unwrap_or("no certificate").to_owned()
}

pub fn start(program: Program, text: &str) -> Instance {
    program.http(text).with("lab", lab().display()).start()
}
