#!/bin/bash
# BFD_CHECK: a session with the real keepalived in another namespace takes real servers in and out, under the real keepalived
# and under hawser; the peer falls silent, speaks again, ends. And a file with a number that weighs, watched as it changes.
for last in 1 2 3; do ip addr add 10.5.0.$last/32 dev lo; done
ip netns add peer
ip link add v0 type veth peer name v1 netns peer; ip link set v0 up; ip addr add 10.9.0.9/24 dev v0
ip -n peer link set v1 up; ip -n peer addr add 10.9.0.8/24 dev v1
cat > /run/peer.conf <<'C'
bfd_instance us {
  neighbor_ip 10.9.0.9
  source_ip 10.9.0.8
  min_rx 400
  min_tx 400
  multiplier 5
}
C
conf() { # more in the file
  cat > /run/keepalived.conf <<C
global_defs {
  script_user root
}
bfd_instance peer {
  neighbor_ip 10.9.0.8
  source_ip 10.9.0.9
  min_rx 400
  min_tx 400
  multiplier 5
}
track_file tf {
  file /run/number
  weight 1
}
virtual_server 10.9.0.1 80 {
  delay_loop 60
  lb_algo rr
  lb_kind NAT
  protocol TCP
  real_server 10.5.0.1 80 {
    BFD_CHECK {
      name peer
      alpha
    }
  }
  real_server 10.5.0.2 80 {
    BFD_CHECK {
      name peer
    }
  }
  real_server 10.5.0.3 80 {
    weight 10
    FILE_CHECK {
      track_file tf
      weight 2
    }
  }
  $1
}
C
}
wait_until() {
  local what=$1; shift
  for i in $(seq 100); do "$@" && return; sleep 0.3; done
  echo "never: $what"
}
has() { ipvsadm -Ln | grep -qE "$1"; }
lacks() { ! has "$1"; }
weighs() { has "10.5.0.3:80 +Masq +$1 "; }
look() { echo "== $1"; ipvsadm -Ln | sed 1,3d; }
peer_comes() {
  ip netns exec peer keepalived -n -l -f /run/peer.conf -p /run/peer.p -r /run/peer.v -c /run/peer.c -b /run/peer.b > /run/peer.log 2>&1 & peer=$!
}
story() {
  ipvsadm -C; rm -f /run/number /tmp/keepalived*; conf
  "$@" > /job/out/log-$NAME 2>&1 & local pid=$!
  wait_until "the service" has "10.5.0.3:80"; sleep 3; look "without a peer"
  peer_comes
  wait_until "up" has "10.5.0.1:80"; wait_until "both up" has "10.5.0.2:80"; look "with a peer"
  local speakers=$(pgrep -P $peer)
  kill -STOP $speakers
  wait_until "down" lacks "10.5.0.1:80"; wait_until "both down" lacks "10.5.0.2:80"; look "silent"
  kill -CONT $speakers
  wait_until "up again" has "10.5.0.1:80"; wait_until "both up again" has "10.5.0.2:80"; look "speaks"
  conf "real_server 10.5.0.1 81 {
    BFD_CHECK {
      name peer
    }
  }"
  kill -HUP $pid
  wait_until "another" has "10.5.0.1:81"; sleep 2; look "reloaded"
  kill -USR1 $pid; sleep 3; sed -n '/BFD_CHECK/,/^ \[/p; /track BFDs/,$p' /tmp/keepalived_check.data
  sed -n '/real.*server/,/Tracked/p' /tmp/keepalived_check.data | grep -E "RIP|alive|failed|BFD"
  kill $peer; wait $peer
  wait_until "down without the peer" lacks "10.5.0.1:80"; wait_until "all down" lacks "10.5.0.1:81"; look "the peer has gone"
  for number in 5 -3 -5 -40 nonsense 70000; do
    echo $number > /run/number; sleep 2; look "number $number"
  done
  echo 4 > /run/number.new; mv /run/number.new /run/number; wait_until "18" weighs 18; look "replaced"
  rm /run/number; wait_until "10" weighs 10; look "removed"
  kill $pid; wait $pid
}
OPTIONS="-n -l -D -f /run/keepalived.conf -p /run/p -r /run/v -c /run/c"
NAME=real story keepalived $OPTIONS -b /run/b > /job/out/real
NAME=ours story /job/hawser keepalived $OPTIONS > /job/out/ours
