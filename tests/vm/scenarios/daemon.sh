#!/bin/bash
# One keepalived.conf with a virtual router and virtual servers under the real keepalived and under hawser: both children,
# what they do to IPVS, what they tell, through another router that comes and goes, reloads, a killed child, and the end.
# The guest may be slow: every step waits for what it must bring about, and nothing is looked at before all of it is told.
for last in 1 2 3 4; do ip addr add 10.5.0.$last/32 dev lo; done
ip netns add peer
ip link add v0 type veth peer name v1 netns peer; ip link set v0 up; ip addr add 10.9.0.9/24 dev v0
ip -n peer link set v1 up; ip -n peer addr add 10.9.0.8/24 dev v1
mkdir -p /srv/www; echo hello > /srv/www/index.html
web() { busybox httpd -p 10.5.0.$1:80 -h /srv/www; }
stop() { kill $(pgrep -f "httpd -p 10.5.0.$1:80"); }
cat > /run/notify.sh <<'Y'
#!/bin/bash
echo "$*" >> /run/notified
Y
cat > /run/reader.sh <<'Y'
#!/bin/bash
while true; do while read -r line; do echo "pipe: $line" >> /run/notified; done < $1; sleep 0.1; done
Y
cat > /run/relay.sh <<'Y'
#!/bin/bash
printf '220 hi\r\n'
while read -r line; do
  line=${line%$'\r'}
  case $line in
    Subject*|=*) echo "mail: $line" >> /run/notified ;;
    DATA*) printf '354 go\r\n' ;;
    .) printf '250 ok\r\n' ;;
    QUIT*) printf '221 bye\r\n'; exit ;;
    HELO*|EHLO*|MAIL*|RCPT*) printf '250 ok\r\n' ;;
  esac
done
Y
chmod +x /run/*.sh
busybox nc -ll -p 2525 -e /run/relay.sh & relay=$!
# globals, scheduler, more in the virtual server, more behind it
conf() {
  cat > /run/keepalived.conf <<C
global_defs {
  router_id guest
  script_user root
  enable_script_security
  notification_email { ops@example.com }
  notification_email_from ka@example.com
  smtp_server 127.0.0.1 2525
  lvs_notify_fifo /run/lvs.fifo
  lvs_notify_fifo_script /run/reader.sh
  $1
}
vrrp_instance VI_1 {
  state BACKUP
  interface v0
  virtual_router_id 7
  priority 100
  advert_int 2
  virtual_ipaddress { 10.9.0.1/32 }
}
virtual_server 10.9.0.1 80 {
  delay_loop 1
  lb_algo $2
  lb_kind NAT
  protocol TCP
  ha_suspend
  smtp_alert
  quorum_up "/run/notify.sh quorum up"
  quorum_down "/run/notify.sh quorum down"
  real_server 10.5.0.1 80 {
    weight 3
    notify_up "/run/notify.sh one up"
    notify_down "/run/notify.sh one down"
    TCP_CHECK {
      connect_timeout 10
      retry 1
      delay_before_retry 1
      log_all_failures
    }
  }
  real_server 10.5.0.2 80 {
    weight 1
    notify_down "/run/notify.sh two down"
    HTTP_GET {
      url {
        path /
        status_code 200
      }
      connect_timeout 10
      retry 1
      delay_before_retry 1
    }
  }
  $3
}
$4
C
}
GLOBALS="lvs_timeouts tcp 100 tcpfin 50
  lvs_sync_daemon v0 VI_1 id 5"
THREE='real_server 10.5.0.3 80 {
    TCP_CHECK {
      connect_timeout 10
      retry 0
    }
  }'
OTHER='virtual_server fwmark 7 {
  delay_loop 1
  lb_algo rr
  lb_kind DR
  real_server 10.5.0.1 80 {
    weight 2
  }
}
virtual_server 10.9.0.4 25 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  real_server 10.5.0.4 25 {
    SMTP_CHECK {
      host {
        connect_port 26
      }
      connect_timeout 10
      retry 0
    }
  }
}'
# Holds the router's address elsewhere: the owner's priority is master at once, and its end is told to the others.
cat > /run/peer.conf <<C
vrrp_instance VI_1 {
  interface v1
  virtual_router_id 7
  priority 255
  advert_int 2
  virtual_ipaddress { 10.9.0.1/32 }
}
C
holds() { ip $1 addr show $2 | grep -q 10.9.0.1/; }
peer_comes() {
  ip netns exec peer keepalived -n -l -P -f /run/peer.conf -p /run/peer.p -r /run/peer.v > /run/peer.log 2>&1 & peer=$!
  wait_until "the peer holds the address" holds "-n peer" v1
}
peer_goes() { kill $peer; wait $peer; }
# What it is, a command that succeeds in the end.
wait_until() {
  local what=$1; shift
  for i in $(seq 200); do "$@" && return; sleep 0.3; done
  echo "never: $what"
}
has() { ipvsadm -Ln | grep -qE "$1"; }
lacks() { ! has "$1"; }
was_told() { [ "$(wc -l < /run/notified)" -ge "$1" ]; }
was_said() { [ "$(grep -c "$1" /job/out/log-$NAME)" -ge "$2" ]; }
is_respawned() { [ "$(cat /run/c 2> /dev/null || echo $1)" != $1 ]; }
wait_for() { wait_until "$1" has "$1"; }
wait_without() { wait_until "without $1" lacks "$1"; }
wait_said() { wait_until "$1 said $2 times" was_said "$1" "$2"; }
# Until nothing more is told than must be.
settle() {
  local before=- now
  for i in $(seq 20); do
    now=$(wc -c < /run/notified)
    [ "$now" = "$before" ] && return
    before=$now
    sleep 2
  done
}
look() { # the step, and how many lines are told in it
  wait_until "$2 lines are told" was_told $2
  settle
  echo "== $1"
  ipvsadm -Ln | sed 1,3d
  ipvsadm -Ln --daemon
  ipvsadm -Ln --timeout
  for file in p v c; do [ -s /run/$file ] && [ -d /proc/$(cat /run/$file) ] && echo "there: $file"; done
  echo "-- told"
  sort /run/notified
  : > /run/notified
}
story() {
  ipvsadm -C; : > /run/notified; web 1
  ipvsadm -A -t 1.2.3.4:80 -s rr
  conf "$GLOBALS" wrr
  peer_comes
  "$@" > /job/out/log-$NAME 2>&1 & local pid=$!
  wait_for '10.5.0.2:80'; wait_said "Deactivating" 2; look suspended 4
  peer_goes; wait_until "the address is here" holds "" v0
  wait_without '10.5.0.2:80'; wait_said "TCP connection to .* success" 1; look master 4
  web 2; wait_for '10.5.0.2:80'; look two 3
  stop 1; wait_without '10.5.0.1:80'; web 1; wait_for '10.5.0.1:80 +Masq +3 '; look "one was away" 8
  peer_comes; wait_said "Suspending" 2; look "the peer is back" 0
  peer_goes; wait_said " Activating healthchecker for service" 4; look "master again" 0
  conf "$GLOBALS" wlc "$THREE" "$OTHER"; kill -HUP $pid
  wait_for 'FWM'; wait_without '10.5.0.3:80'; wait_without '10.5.0.4:25'; look more 11
  local child=$(cat /run/c)
  kill -9 $child; wait_until "a child again" is_respawned $child
  wait_said "TCP connection to .* success" 3; wait_said "Remote Web server .* succeed" 2; look "killed checkers" 13
  conf "$GLOBALS" wrr; kill -HUP $pid; wait_without 'FWM'; look back 4
  echo nonsense >> /run/keepalived.conf
  kill $pid; wait $pid; look end 0
  conf "lvs_flush
    lvs_flush_on_stop" wrr
  "$@" -C >> /job/out/log-$NAME 2>&1 & pid=$!
  wait_for '10.5.0.2:80'; look "checkers only" 4
  kill $pid; wait $pid; look "flushed" 0
  stop 1; stop 2
  kill $(pgrep -f reader.sh) 2> /dev/null
}
OPTIONS="-n -l -D -f /run/keepalived.conf -p /run/p -r /run/v -c /run/c"
NAME=real story keepalived $OPTIONS > /job/out/real
NAME=ours story /job/hawser keepalived $OPTIONS > /job/out/ours
kill $relay
