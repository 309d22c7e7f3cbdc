#!/bin/bash
# Two directors, one on the kernel's IPVS and one on our XDP programs: each tells the other of the connections that it has.
. /job/hosts.sh
routed
ip netns add standby; ip -n standby link set lo up
plug standby 3 wan 0; plug standby 3 lan 1
ip netns exec standby sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
export HAWSER_DIRECTOR=/run/standby.sock
programs() { ip netns exec standby /job/hawser ipvsadm "$@"; }
ip netns exec standby /job/hawser director --plane xdp --interface wan --interface lan --flows 4096 --no-pin > /job/out/log & pid=$!
wait_until() { # what it is, a command that succeeds in the end
  local what=$1; shift
  for i in $(seq 200); do "$@" && return; sleep 0.3; done
  echo "never: $what"
}
wait_until "the plane" test -S $HAWSER_DIRECTOR
VIP2=10.0.0.101
for plane in real programs; do
  for address in $VIP $VIP2; do
    $plane -A -t $address:80 -s rr; $plane -A -u $address:53 -s rr
    for last in 11 12; do $plane -a -t $address:80 -r 10.0.1.$last -g; done
  done
  $plane -A -t $VIP:81 -s rr -p 300
  $plane -a -t $VIP:81 -r 10.0.1.11 -g
done
ip -n standby addr add $VIP2/32 dev wan
for name in rs1 rs2; do
  ip -n $name addr add $VIP2/32 dev vip
  ip netns exec $name busybox httpd -p '[::]:81' -h /srv/$name
done
# Connections that stay open, with more than the three packets from which on IPVS tells of them.
hold() { # address, port
  ip netns exec client bash -c "exec 3<>/dev/tcp/$1/$2; for part in GET ' /' ' HTTP/1.1' '\r\nHost: a' '\r\nX: y'; do
    printf \"\$part\" >&3; sleep 0.3; done; while [ ! -e /run/go ]; do sleep 0.2; done" &
}
# Protocol, state, ends: without the seconds that are left, and their order.
connections() { $1 -Lnc | grep "$2" | sed -E 's/ [0-9][0-9]:[0-9][0-9] +/ /' | sort; }
count() { connections $1 "$2" | grep -c "$3"; }
has() { [ "$(count $1 "$2" "$3")" = $4 ]; }
is_same() { [ "$(connections real "$1")" = "$(connections programs "$1")" ]; }

echo "== the kernel tells"
real --start-daemon master --mcast-interface wan --syncid 5
programs --start-daemon backup --mcast-interface wan --syncid 5
programs --start-daemon backup --mcast-interface wan --syncid 5
programs -L --daemon
for i in 1 2 3 4; do hold $VIP 80; done
hold $VIP 81
wait_until "five are told" has programs "$VIP:" ESTABLISHED 5
wait_until "the client of the persistent service" has programs "10.0.0.2:0 " ":81" 1
wait_until "the same" is_same "$VIP:.*10.0.1.*"
connections programs ESTABLISHED | sed 's/10.0.0.2:[0-9]*/CLIENT/'
programs -Ln -t $VIP:80 | tail -2
programs --stop-daemon backup; programs --stop-daemon backup; real --stop-daemon master

echo "== the programs tell"
programs --start-daemon master --mcast-interface wan --syncid 5
real --start-daemon backup --mcast-interface wan --syncid 5
for i in 1 2 3 4; do hold $VIP2 80; done
wait_until "four are told" has real "$VIP2:80 " ESTABLISHED 4
wait_until "the same" is_same "$VIP2:80 .*10.0.1.*"
connections real "$VIP2:80 " | sed 's/10.0.0.2:[0-9]*/CLIENT/'
real -Ln -t $VIP2:80 | tail -2
programs --stop-daemon master; real --stop-daemon backup
touch /run/go
kill $pid
wait $pid
exit 0
