#!/bin/bash
# Where checks connect to, from where, and how long they wait, under the real keepalived and under hawser director; then
# a reload under traffic.
for last in 1 2 7; do ip addr add 10.5.0.$last/32 dev lo; done
mkdir -p /srv/www; echo hello > /srv/www/index.html
busybox httpd -p 10.5.0.2:8080 -h /srv/www
# Nothing listens at the real servers' own ports, and nobody answers behind this address.
iptables -A INPUT -d 10.5.0.1 -p tcp --dport 81:82 -j DROP
wait_until() { # what it is, a command that succeeds in the end
  local what=$1; shift
  for i in $(seq 200); do "$@" && return; sleep 0.3; done
  echo "never: $what"
}
has() { ipvsadm -Ln | grep -qE "$1"; }
lacks() { ! has "$1"; }
seconds() { cut -d' ' -f1 /proc/uptime; }

# connect_ip, connect_port, bindto, bind_port: both checks look elsewhere, from an address of their choice.
cat > /run/elsewhere.conf <<'C'
global_defs {
  script_user root
}
virtual_server 10.9.0.1 80 {
  delay_loop 3
  lb_algo rr
  lb_kind NAT
  protocol TCP
  alpha
  real_server 10.5.0.1 80 {
    weight 1
    TCP_CHECK {
      connect_ip 10.5.0.2
      connect_port 8080
      bindto 10.5.0.7
      bind_port 4007
      connect_timeout 10
      retry 0
    }
  }
  real_server 10.5.0.1 8081 {
    weight 2
    HTTP_GET {
      url {
        path /
        status_code 200
      }
      connect_ip 10.5.0.2
      connect_port 8080
      bindto 10.5.0.7
      connect_timeout 10
      retry 0
    }
  }
  real_server 10.5.0.1 8082 {
    weight 3
    TCP_CHECK {
      connect_port 8083
      connect_timeout 10
      retry 0
    }
  }
}
C
# One with a short timeout, one with none in the file. Both are out when their first check is over.
cat > /run/silent.conf <<'C'
global_defs {
  script_user root
}
virtual_server 10.9.0.1 80 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  real_server 10.5.0.1 81 {
    weight 1
    TCP_CHECK {
      connect_timeout 1
      retry 0
      warmup 0
    }
  }
  real_server 10.5.0.1 82 {
    weight 2
    TCP_CHECK {
      retry 0
      warmup 0
    }
  }
}
C
count() { iptables -nvxL INPUT | awk -v rule="$1" '$0 ~ rule { print $1; exit }'; }
came_from() { [ "$(count fixed)" -ge 2 ] && [ "$(count chosen)" -ge 4 ]; }
story() {
  ipvsadm -C
  SYN="-p tcp --syn -d 10.5.0.2 --dport 8080"
  iptables -A INPUT $SYN -s 10.5.0.7 --sport 4007 -m comment --comment fixed
  iptables -A INPUT $SYN -s 10.5.0.7 -m comment --comment chosen
  iptables -A INPUT $SYN ! -s 10.5.0.7 -m comment --comment other
  echo "== elsewhere"
  "$@" -f /run/elsewhere.conf > /job/out/log-$NAME 2>&1 & local pid=$!
  wait_until "the first" has '10.5.0.1:80 +Masq +1 '; wait_until "the second" has '10.5.0.1:8081 +Masq +2 '
  wait_until "both sources" came_from
  ipvsadm -Ln | sed 1,3d
  echo "from elsewhere: $(count other)"
  kill $pid; wait $pid
  for rule in fixed chosen other; do
    iptables -D INPUT $(iptables -nL INPUT --line-numbers | awk -v rule=$rule '$0 ~ rule { print $1; exit }')
  done
  echo "== silent"
  "$@" -f /run/silent.conf >> /job/out/log-$NAME 2>&1 & pid=$!
  wait_until "the slow one" has '10.5.0.1:82'; local start=$(seconds)
  wait_until "without the fast one" lacks '10.5.0.1:81'; local fast=$(seconds)
  wait_until "without the slow one" lacks '10.5.0.1:82'; local slow=$(seconds)
  ipvsadm -Ln | sed 1,3d
  kill $pid; wait $pid
  echo "$start $fast $slow" > /job/out/times-$NAME
}
NAME=real story keepalived -n -l -D --dont-fork -C -p /run/p -r /run/v -c /run/c > /job/out/real
NAME=ours story /job/hawser director > /job/out/ours
