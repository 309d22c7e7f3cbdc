#!/bin/bash
# What the checkers say, and at which level of syslog, when checks of every kind succeed, fail in every way, and come back:
# the real keepalived and hawser, with all failures logged and without.
for last in 1 2; do ip addr add 10.5.0.$last/32 dev lo; done
ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; ip addr add 10.6.0.1/24 dev v0
cat > /run/script.sh <<'Y'
#!/usr/bin/busybox sh
read -r mode < /run/mode
[ $mode = bad ] || exit 0
case $1 in
  exit*) exit 7 ;;
  slow) sleep 30 ;;
  killed) kill -9 $$ ;;
  weight) exit 12 ;;
esac
Y
chmod +x /run/*.sh
port=8000
servers=
# name, kind of socket, lines of the check. The sockets are the test's own: it reads the names and the mode.
serve() {
  port=$((port + 1))
  echo "$port $1 $2" >> /run/names
  servers+="
  real_server 10.5.0.1 $port {
    $3
  }"
}
LAST='connect_timeout 3
      retry 1
      delay_before_retry 1
      warmup 0'
web() { serve $1 tcp "HTTP_GET {
      url {
        path /
        $2
      }
      $LAST
    }"; }
for name in tcp-refused tcp-dropped; do serve $name tcp "TCP_CHECK {
      $LAST
    }"; done
for name in web-refused web-dropped web-status web-silent web-closed web-garbage web-half; do web $name 'status_code 200'; done
web web-digest 'digest b1946ac92492d2347c6235b4d2611184'
web web-pattern 'regex "hel+o"'
web web-offset 'regex "hel+o"
        regex_min_offset 0
        regex_max_offset 4000'
web web-against 'regex "hel+o"
        regex_no_match'
for name in mail-refused mail-dropped mail-greeting mail-hello mail-quit mail-silent mail-closed; do serve $name tcp "SMTP_CHECK {
      $LAST
    }"; done
for name in dns-refused dns-silent dns-error; do serve $name udp "DNS_CHECK {
      type A
      name example.com
      $LAST
    }"; done
for name in udp-refused; do serve $name udp "UDP_CHECK {
      $LAST
    }"; done
for name in udp-silent udp-wrong udp-long; do serve $name udp "UDP_CHECK {
      payload 0102
      require_reply 6f6b
      min_reply_length 1
      max_reply_length 5
      $LAST
    }"; done
for name in exit slow killed exit-twice; do serve $name none "MISC_CHECK {
      misc_path \"/run/script.sh $name\"
      misc_timeout 4
      retry $([ $name = exit-twice ] && echo 3 || echo 1)
      delay_before_retry 1
      warmup 0
    }"; done
serve weight none "MISC_CHECK {
      misc_path \"/run/script.sh weight\"
      misc_timeout 4
      misc_dynamic
      warmup 0
    }"
servers+="
  real_server 10.6.0.1 80 {
    PING_CHECK {
      $LAST
    }
  }"
conf() {
  cat > /run/keepalived.conf <<C
global_defs {
  script_user root
  $1
}
virtual_server 10.9.0.1 80 {
  delay_loop 3
  lb_algo rr
  lb_kind NAT
  protocol TCP
  $servers
  real_server 10.5.0.2 80 {
  }
}
C
}
port_of() { sed -n "s/ $1 .*//p" /run/names; }
rule() { # -A or -D
  for name in tcp-refused web-refused mail-refused; do
    iptables $1 INPUT -p tcp -d 10.5.0.1 --dport $(port_of $name) -j REJECT --reject-with tcp-reset
  done
  for name in tcp-dropped web-dropped mail-dropped; do
    iptables $1 INPUT -p tcp -d 10.5.0.1 --dport $(port_of $name) -j DROP
  done
  for name in dns-refused udp-refused; do
    iptables $1 INPUT -p udp -d 10.5.0.1 --dport $(port_of $name) -j REJECT
  done
  iptables $1 INPUT -p icmp -d 10.6.0.1 --icmp-type echo-request -j DROP
}
wait_until() {
  local what=$1; shift
  for i in $(seq 100); do "$@" && return; sleep 0.3; done
  echo "never: $what"
}
weight() { ipvsadm -Ln | grep -cE 'Masq +[1-9]'; }
has_weight() { [ "$(weight)" = $1 ]; }
story() { # name of what is left, words for the globals, the program
  local left=$1; conf "$2"; shift 2
  ipvsadm -C; echo good > /run/mode
  busybox syslogd -n -O /job/out/$left & local log=$!
  wait_until "syslog" test -S /dev/log
  "$@" > /job/out/console-$left 2>&1 & local pid=$!
  wait_until "all servers" has_weight $ALL; sleep 8
  echo bad > /run/mode; rule -A
  wait_until "$GOOD servers" has_weight $GOOD; sleep 12
  ipvsadm -Ln | sed 1,3d
  echo good > /run/mode; rule -D
  wait_until "all servers again" has_weight $ALL; sleep 8
  kill $pid; wait $pid
  kill $log; wait $log; rm -f /dev/log
}
touch /run/ready
wait_until "servers" test -e /run/served
ALL=$(grep -c real_server <<< "$servers"); ALL=$((ALL + 1))
# What stays: the one with a weight of a script, the one without a check, and mail-quit, whose last answer nobody reads.
GOOD=3
OPTIONS="-n -D -C -f /run/keepalived.conf -p /run/p -r /run/v -c /run/c"
story real-all checker_log_all_failures keepalived $OPTIONS
story ours-all checker_log_all_failures /job/hawser keepalived $OPTIONS
story real-some "" keepalived $OPTIONS
story ours-some "" /job/hawser keepalived $OPTIONS
