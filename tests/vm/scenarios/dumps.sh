#!/bin/bash
# What the checkers' child writes for SIGUSR1, under the real keepalived and under hawser, with every keyword that shows.
for last in 1 2 7; do ip addr add 10.5.0.$last/32 dev lo; done
ip addr add fd00::5/128 dev lo
mkdir -p /srv/www; echo hello > /srv/www/index.html
busybox httpd -p 10.5.0.2:8080 -h /srv/www
busybox httpd -p 10.5.0.1:80 -h /srv/www
echo 3 > /run/number
cat > /run/keepalived.conf <<'C'
global_defs {
  router_id LVS
  script_user root
  enable_script_security
  smtp_server 10.9.0.9
  lvs_timeouts tcp 100 tcpfin 50 udp 30
  lvs_notify_fifo /run/lvs.fifo
  notify_fifo /run/all.fifo
  lvs_flush
  lvs_flush_on_stop VS
  checker_log_all_failures
  checker_priority -5
}
track_file tf {
  file /run/number
  weight 2
}
track_file unused {
  file /run/other
}
SSL {
  password abc
  ca /job/certificate
  certificate /job/certificate
  key /job/key
}
virtual_server_group G {
  10.9.0.10-12 80
  10.9.0.20 81
  fwmark 5
}
virtual_server_group H {
  fd00::10 80
  fwmark 6
}
virtual_server_group I {
  10.9.0.30 80
}
virtual_server 10.9.0.1 80 {
  delay_loop 3
  lb_algo mh
  mh-port
  mh-fallback
  lb_kind NAT
  protocol TCP
  persistence_timeout 60
  persistence_granularity 255.255.255.0
  virtualhost www.example.com
  alpha
  omega
  ha_suspend
  quorum 3
  hysteresis 1
  quorum_up "/usr/bin/true up"
  quorum_down "/usr/bin/true down"
  sorry_server 10.5.0.7 80
  sorry_server_inhibit
  retry 2
  delay_before_retry 4
  warmup 5
  smtp_alert
  inhibit_on_failure
  snmp_name vsn
  real_server 10.5.0.1 80 {
    weight 1
    uthreshold 100
    lthreshold 50
    notify_up "/usr/bin/true a"
    notify_down "/usr/bin/true b"
    virtualhost rs.example.com
    snmp_name rsn
    TCP_CHECK {
      connect_ip 10.5.0.2
      connect_port 8080
      bindto 10.5.0.7
      bind_port 4007
      connect_timeout 10
      retry 0
      fwmark 9
      log_all_failures
    }
    HTTP_GET {
      url {
        path /
        status_code 200 300-310
        digest 9b3a0c85a887a256d6939da88aabd8cd
        virtualhost u.example.com
      }
      url {
        path /two
        regex "hel+o"
        regex_options caseless multiline
        regex_min_offset 3
        regex_max_offset 9
        regex_no_match
      }
      url {
        path /three
        digest 9b3a0c85a887a256d6939da88aabd8cd
      }
      http_protocol 1.1
      virtualhost h.example.com
      fast_recovery
      connect_timeout 7
      bindto 10.5.0.7
    }
    SSL_GET {
      url {
        path /
        regex "x"
      }
      enable_sni
      connect_port 443
      bind_if lo
    }
    SMTP_CHECK {
      helo_name me
    }
    DNS_CHECK {
      type SOA
      name example.com
    }
    MISC_CHECK {
      misc_path "/usr/bin/true arg"
      misc_timeout 9
      misc_dynamic
    }
    UDP_CHECK {
      payload 0102
      require_reply 0xXX
      min_reply_length 1
      max_reply_length 20
    }
    PING_CHECK {
      warmup 0
    }
    FILE_CHECK {
      track_file tf
      weight 4 reverse
    }
  }
  real_server 10.5.0.2 8080 {
    weight 4
    alpha off
    delay_loop 9
    connect_timeout 2.5
    TCP_CHECK {
    }
  }
}
virtual_server fwmark 7 {
  delay_loop 1
  lb_algo rr
  lb_kind DR
  quorum_down "/usr/bin/true down"
  real_server 10.5.0.1 80 {
    weight 2
    MISC_CHECK {
      misc_path "/usr/bin/false"
    }
  }
}
virtual_server 10.9.0.2 80 {
  delay_loop 1
  lb_algo sh
  sh-port
  lb_kind TUN
  protocol TCP
  real_server 10.5.0.1 80 {
    HTTP_GET {
      url {
        path /
        digest b1946ac92492d2347c6235b4d2611184
      }
    }
  }
  real_server 10.5.0.9 80 {
    inhibit_on_failure
    alpha off
    TCP_CHECK {
      connect_timeout 1
    }
  }
  real_server 10.5.0.8 80 {
    weight 7
    TCP_CHECK {
      connect_timeout 1
      retry 4
      delay_before_retry 7
    }
    MISC_CHECK {
      misc_path "/usr/bin/true"
    }
  }
}
virtual_server group G {
  delay_loop 1.5
  lb_algo wlc
  lb_kind TUN
  protocol UDP
  ops
  real_server 10.5.0.2 8080 {
    lvs_method TUN type gue port 6080
    FILE_CHECK {
      track_file tf
    }
  }
  real_server 10.5.0.3 8080 {
    lvs_method TUN type gre csum
    inhibit_on_failure
    UDP_CHECK {
    }
  }
  real_server 10.5.0.4 8080 {
    lvs_method TUN type gue port 6081 remcsum
    UDP_CHECK {
      require_reply
      payload 01
    }
  }
  real_server 10.5.0.5 8080 {
    lvs_method TUN type gue port 6082 csum
  }
}
virtual_server group H {
  lb_algo wlc
  lb_kind DR
  protocol TCP
  real_server fd00::5 80 {
    smtp_alert off
  }
}
virtual_server group I {
  lb_algo lblc
  lb_kind DR
  protocol TCP
  flag-1
  flag-3
  real_server 10.5.0.1 80 {
    TCP_CHECK {
    }
  }
  real_server 10.5.0.8 80 {
    TCP_CHECK {
      connect_timeout 1
      retry 0
    }
  }
}
virtual_server fd00::1 53 {
  protocol UDP
  lb_algo sh
  sh-port
  sh-fallback
  lb_kind NAT
  persistence_timeout 60
  persistence_granularity 64
  real_server fd00::5 53 {
    DNS_CHECK {
    }
  }
}
C
wait_until() {
  local what=$1; shift
  for i in $(seq 200); do "$@" && return; sleep 0.3; done
  echo "never: $what"
}
has() { ipvsadm -Ln | grep -qE "$1"; }
lacks() { ! has "$1"; }
is_whole() { grep -q "Track file = tf" /tmp/keepalived_check.data 2> /dev/null; }
story() {
  ipvsadm -C; rm -f /tmp/keepalived*
  "$@" > /job/out/log-$NAME 2>&1 & local pid=$!
  # What fails has failed, and its retries are over.
  wait_until "10.5.0.9 is out" has '10.5.0.9:80 +Tunnel +0 '
  wait_until "10.5.0.8 is out" lacks '10.5.0.8:80 +Tunnel'
  wait_until "10.5.0.8 is out of the group" lacks '10.5.0.8:80 +Route'
  wait_until "10.5.0.3 is out" has '10.5.0.3:80 +Tunnel +0 '
  wait_until "the web server is proven" grep -q "Remote Web server .* succeed" /job/out/log-$NAME
  sleep 3
  kill -USR1 $pid; kill -USR2 $pid
  wait_until "the dump" is_whole
  sleep 1
  cp /tmp/keepalived_check.data /job/out/data-$NAME
  ls /tmp | grep keepalived > /job/out/files-$NAME
  kill $pid; wait $pid
}
OPTIONS="-n -l -D -C -f /run/keepalived.conf -p /run/p -r /run/v -c /run/c"
NAME=real story keepalived $OPTIONS
NAME=ours story /job/hawser keepalived $OPTIONS
