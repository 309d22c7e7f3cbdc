//! A real nginx as a server.

use std::process::{Child, Command};

use differential::wait_until;

/// nginx with its own folder, killed when dropped.
pub struct Nginx {
    child: Child,
    folder: std::path::PathBuf,
}

impl Nginx {
    pub fn start(port: u16, server: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("hawser-nginx-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let directory = folder.display();
        let text = format!(
            "daemon off; master_process off; pid {directory}/pid; error_log {directory}/error;\n\
             events {{ worker_connections 64; }}\n\
             http {{ log_format p '$proxy_protocol_addr:$proxy_protocol_port $request'; access_log {directory}/access p;\n\
             client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;\n\
             uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;\n server {{ {server} }} }}\n"
        );
        std::fs::write(folder.join("conf"), text).expect("nginx's configuration");
        let child =
            Command::new("nginx").arg("-c").arg(folder.join("conf")).spawn().expect("nginx is installed");
        wait_until("nginx", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, folder }
    }

    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.folder.join("access")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
