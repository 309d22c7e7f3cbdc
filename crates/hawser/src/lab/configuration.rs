//! The lab's configurations, as text.

use super::{Timers, VIRTUAL};
use std::path::Path;

/// A director's haproxy.cfg: the virtual address before both real servers.
pub fn proxy(number: u8) -> String {
    format!(
        "global
    maxconn 4000
    stats socket /run/hawser-lab/hk-master{index}/admin.sock mode 600 level admin

defaults
    mode http
    option redispatch
    retries 3
    timeout connect 1s
    timeout client 30s
    timeout server 30s

listen stats
    bind 192.168.1.{number}:9999
    stats enable
    stats hide-version
    stats uri /haproxy-status

frontend web
    bind {VIRTUAL}:80
    default_backend nginx

backend nginx
    balance roundrobin
    server 192.168.1.111 192.168.1.111:80 check inter 500 fall 2 rise 2
    server 192.168.1.112 192.168.1.112:80 check inter 500 fall 2 rise 2
",
        index = number - 112
    )
}

/// A director's keepalived.conf.
pub fn failover(number: u8, priority: u8, timers: Timers) -> String {
    let timers = match timers {
        Timers::Tutorial => "version 2\n    advert_int 1",
        Timers::Fast => "version 3\n    advert_int 0.01",
    };
    format!(
        "global_defs {{
    router_id hk_master_{number}
}}

vrrp_instance VI_1 {{
    state BACKUP
    interface ens33
    virtual_router_id 51
    priority {priority}
    {timers}
    higher_prio_send_advert
    track_proxy {{
        frontend web
        backend nginx
    }}
    virtual_ipaddress {{
        {VIRTUAL}/24 dev ens33 label ens33:1
    }}
}}
"
    )
}

/// A real server that answers its number.
pub fn nginx(number: u8, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log {directory}/access;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 192.168.1.{number}:80;
        location / {{ return 200 \"{number}\\n\"; }}
    }}
}}
"
    )
}
