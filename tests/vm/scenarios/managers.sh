#!/bin/bash
# What managers see of virtual servers and are told of them: under the same snmpd, keepalived 2.2.7 and hawser.
export MIBS="" SNMP_PERSISTENT_DIR=/run/snmp
for last in 1 2 3 7; do ip addr add 10.5.0.$last/32 dev lo; done
for last in 1 2; do ip addr add 10.9.0.$last/32 dev lo; done
ip addr add fd00::5/128 dev lo nodad
mkdir -p /srv/www; echo hello > /srv/www/index.html
serve() { busybox httpd -f -p $1 -h /srv/www & }
serve 10.5.0.1:80; serve 10.5.0.7:80
echo 3 > /run/number
cat > /run/snmpd.conf <<'C'
rwcommunity public 127.0.0.1
agentAddress udp:127.0.0.1:16161
master agentx
agentXSocket unix:/run/agentx
trap2sink 127.0.0.1:16162 public
C
echo "disableAuthorization yes" > /run/snmptrapd.conf
cat > /run/keepalived.conf <<'C'
global_defs {
  router_id LVS_1
  script_user root
  enable_script_security
  smtp_server 10.9.0.9
  lvs_timeouts tcp 100 tcpfin 50 udp 30
  lvs_notify_fifo /run/lvs.fifo
  enable_snmp_checker
  enable_traps
  snmp_socket unix:/run/agentx
}
track_file tf {
  file /run/number
  weight 2
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
virtual_server_group unused {
  10.9.0.30 80
}
virtual_server 10.9.0.1 80 {
  delay_loop 1.5
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
  quorum 11
  hysteresis 1
  quorum_up "/usr/bin/true up"
  quorum_down "/usr/bin/true down"
  sorry_server 10.5.0.7 80
  sorry_server_inhibit
  retry 2
  delay_before_retry 4.25
  warmup 5.5
  smtp_alert
  snmp_name vsn
  real_server 10.5.0.1 80 {
    weight 3
    uthreshold 100
    lthreshold 50
    notify_up "/usr/bin/true a"
    notify_down "/usr/bin/true b"
    virtualhost rs.example.com
    snmp_name rsn
    TCP_CHECK {
      warmup 0
    }
    FILE_CHECK {
      track_file tf
    }
  }
  real_server 10.5.0.2 8080 {
    weight 8
    delay_loop 1
    connect_timeout 2.5
    notify_down "/usr/bin/touch /run/told-down"
    TCP_CHECK {
      retry 0
      warmup 0
    }
    MISC_CHECK {
      misc_path "/run/after 2 test -e /run/good"
      misc_timeout 20
      warmup 0
      retry 0
    }
  }
  real_server 10.5.0.9 80 {
    inhibit_on_failure
    smtp_alert off
    alpha off
    MISC_CHECK {
      misc_path "/run/after 4 false"
      misc_timeout 20
      warmup 0
      retry 0
    }
    MISC_CHECK {
      misc_path "/run/after 6 false"
      misc_timeout 20
      warmup 0
      retry 0
    }
  }
}
virtual_server fwmark 7 {
  delay_loop 1
  lb_algo rr
  lb_kind DR
  ha_suspend
  real_server 10.5.0.1 80 {
    weight 2
  }
  real_server 10.5.0.3 80 {
    weight 0
  }
}
virtual_server 10.9.0.2 80 {
  delay_loop 1
  lb_algo sh
  sh-port
  lb_kind TUN
  protocol TCP
  inhibit_on_failure
  ha_suspend
  sorry_server 10.5.0.7
  real_server 10.5.0.3 80 {
    lvs_method NAT
    MISC_CHECK {
      misc_path "/usr/bin/test -e /run/good"
      misc_timeout 20
      warmup 0
      retry 0
    }
  }
}
virtual_server group G {
  lb_algo wlc
  lb_kind TUN
  protocol UDP
  ops
  real_server 10.5.0.2 8080 {
    lvs_method TUN type gue port 6080
    MISC_CHECK {
      misc_path "/usr/bin/test -e /run/good"
      misc_timeout 20
      warmup 0
      retry 0
      delay_loop 1
    }
  }
  real_server 10.5.0.3 8080 {
    lvs_method TUN type gre csum
  }
  real_server 10.5.0.4 8080 {
    lvs_method TUN type gue port 6081 remcsum
  }
}
virtual_server group H {
  lb_algo lblcr
  lb_kind DR
  protocol TCP
  flag-1
  flag-3
  real_server fd00::5 80 {
    weight 3
  }
}
virtual_server fd00::1 53 {
  delay_loop 3
  protocol SCTP
  lb_algo rr
  hashed
  lb_kind NAT
  quorum 7
  persistence_timeout 60
  persistence_granularity 64
  real_server fd00::5 53 {
    weight 2
    MISC_CHECK {
      misc_path "/usr/bin/test -e /run/good"
      misc_timeout 20
      warmup 0
      retry 0
      delay_loop 1
    }
  }
}
virtual_server fwmark 8 {
  delay_loop 1
  sorry_server 10.5.0.7 80
  real_server 10.5.0.1 80 {
    MISC_CHECK {
      misc_path "/usr/bin/test -e /run/good"
      misc_timeout 20
      warmup 0
      retry 0
    }
  }
}
virtual_server fd00::2 53 {
  lb_algo nq
  lvs_method TUN type gue port 6080 csum
  weight 9
  persistence_timeout 60
  sorry_server fd00::5 80
  real_server fd00::5 53 {
  }
}
C
printf '#!/bin/bash\nsleep $1; shift; exec "$@"\n' > /run/after; chmod 755 /run/after
mkfifo /run/lvs.fifo
# Of a part: the process of VRRP, where there is one, shows the daemon; the synchronisation daemon is shown all the same.
sed -e 's/enable_snmp_checker/enable_snmp_vrrp\n&\n  lvs_sync_daemon lo VI_1 id 7 maxlen 1400 port 8849 ttl 3 group 239.1.1.1/' \
  -e 's/^  lvs_timeouts.*//' -e 's/^  lvs_notify_fifo.*//' -e '/^virtual_server 10.9.0.1/,$d' /run/keepalived.conf > /run/part.conf
cat >> /run/part.conf <<'C'
virtual_server fwmark 7 {
  real_server 10.5.0.1 80 {
  }
}
C
wait_until() {
  local what=$1; shift
  for i in $(seq 100); do "$@" && return; sleep 0.3; done
  echo "never: $what; last seen: $SEEN"
}
walk() { snmpbulkwalk -v2c -c public -On -Cc -t 5 127.0.0.1:16161 .1.3.6.1.4.1.9586.100.5 > /job/out/$1-$NAME; }
shows() {
  SEEN=$(snmpget -v2c -c public -On -t 5 127.0.0.1:16161 .1.3.6.1.4.1.9586.100.5.$1)
  grep -q -- "$2" <<< "$SEEN"
}
told() { [ "$(grep -c "9586.100.5.3.5.0" /run/traps)" -ge $1 ]; }
begin() {
  rm -rf /run/agentx /run/snmp /run/traps /run/good /run/told-down; mkdir /run/snmp; touch /run/traps
  snmptrapd -f -C -c /run/snmptrapd.conf -On -F '%v\n' -Lf /run/traps udp:127.0.0.1:16162 & trapper=$!
  snmpd -f -C -c /run/snmpd.conf -Lf /run/snmpd.log & master=$!
  wait_until "snmpd" snmpget -v2c -c public -On -t 1 -r 0 127.0.0.1:16161 .1.3.6.1.2.1.1.3.0 > /dev/null
}
end() {
  kill $pid; wait $pid
  sleep 1
  cp /run/traps /job/out/traps-$1-$NAME
  kill $master $trapper; wait $master $trapper
}
story() {
  echo "$NAME $(cut -d' ' -f1 /proc/uptime)"
  ipvsadm -C
  busybox httpd -f -p 10.5.0.2:8080 -h /srv/www & local second=$!
  begin
  cat /run/lvs.fifo > /job/out/pipe-$NAME & local reader=$!
  "$@" -f /run/keepalived.conf > /job/out/log-$NAME 2>&1 & pid=$!
  # It is proven, and one of its checks is not.
  wait_until "first checks" shows 3.4.1.13.1.2 ': 0$'
  wait_until "it is told" test -e /run/told-down
  wait_until "two fail" shows 3.4.1.13.1.4 ': 2$'
  wait_until "the lone one fails" shows 3.4.1.6.7.2 ': 2$'
  sleep 2
  walk first
  touch /run/good
  wait_until "quorum" shows 3.3.1.23.1 ': 1$'
  wait_until "the lone one" shows 3.4.1.6.7.2 ': 1$'
  wait_until "the group's" shows 3.4.1.6.4.1 ': 1$'
  for i in 1 2 3; do curl -s -m 5 http://10.9.0.1/ > /dev/null || echo "no answer"; done
  # What is kept of counters is five seconds old at most.
  sleep 7
  walk second
  ipvsadm -Ln --stats --exact > /job/out/stats-$NAME
  ipvsadm -Ln > /job/out/table-$NAME
  kill $second; wait $second
  wait_until "quorum is lost" shows 3.3.1.23.1 ': 2$'
  sleep 1
  walk third
  kill $reader; wait $reader
  end whole
  ipvsadm -C
  begin
  "$@" -f /run/part.conf > /job/out/log-part-$NAME 2>&1 & pid=$!
  wait_until "the part" shows 3.3.1.2.1 ': 1$'
  walk part
  end part
}
OPTIONS="-n -l -D -C -p /run/p -r /run/v -c /run/c"
NAME=real story keepalived $OPTIONS
[ -n "$ONLY_REAL" ] || NAME=ours story /job/hawser keepalived $OPTIONS
