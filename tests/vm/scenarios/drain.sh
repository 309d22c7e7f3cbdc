#!/bin/bash
# `hawser director show|drain|ready|weight` on the kernel's IPVS: translation, with a connection that is open meanwhile.
. /job/hosts.sh
set -e
cat > /run/keepalived.conf <<C
virtual_server $VIP 80 {
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  real_server 10.0.1.11 80 {
    weight 1
    TCP_CHECK {
      connect_timeout 10
    }
  }
  real_server 10.0.1.12 80 {
    weight 1
    TCP_CHECK {
      connect_timeout 10
    }
  }
}
C
wait_until() { # what it is, a command that succeeds in the end
  local what=$1; shift
  for i in $(seq 200); do "$@" && return; sleep 0.3; done
  echo "never: $what"
}
director() { ip netns exec director /job/hawser director "$@"; }
has() { real -Ln | grep -qE "$1"; }
lacks() { ! has "$1"; }
is_shown() { director show 2> /dev/null | grep -q "$1"; }
ip netns exec director /job/hawser director -f /run/keepalived.conf > /job/out/log & pid=$!
wait_until "both" is_shown '10.0.1.12\]:tcp:80 *up'
echo "served: $(get $VIP)"
# A client that keeps its connection.
ip netns exec client bash -c "exec 3<>/dev/tcp/$VIP/80; printf 'GET / HTTP/1.1\r\nHost: a\r\n' >&3; touch /run/open
  while [ ! -e /run/go ]; do sleep 0.1; done; printf 'Connection: close\r\n\r\n' >&3; cat <&3 > /run/answer; touch /run/ended" &
wait_until "it is open" test -e /run/open
wait_until "it is counted" has '10.0.1.1[12]:80 +Masq +1 +1 '
if has '10.0.1.11:80 +Masq +1 +1 '; then holder=11 other=rs2 name=rs1; else holder=12 other=rs1 name=rs2; fi
director drain 10.0.1.$holder:80 | sed "s/$holder/HOLDER/"
director show $VIP:80 --json | grep -o '"admin":"draining"'
has "10.0.1.$holder:80 +Masq +0 +1 " && echo "weight 0, one connection"
echo "elsewhere: $(get $VIP | sed "s/$other/OTHER/g")"
touch /run/go; wait_until "its answer" test -e /run/ended
grep -q $name /run/answer && echo "answered by its own"
# IPVS remembers its end for two minutes: that is not waited for.
start=$(cut -d. -f1 /proc/uptime)
wait_until "out of the table" lacks "10.0.1.$holder:80"
[ $(($(cut -d. -f1 /proc/uptime) - start)) -lt 60 ] && echo "out in less than a minute"
wait_until "it is told" is_shown drained
grep -o "no connection left" /job/out/log
director ready 10.0.1.$holder --of $VIP:80 | sed "s/$holder/HOLDER/"
director weight 10.0.1.$holder 7 | sed "s/$holder/HOLDER/"
has "10.0.1.$holder:80 +Masq +7 " && echo "weight 7"
director weight 10.0.1.$holder default > /dev/null
has "10.0.1.$holder:80 +Masq +1 " && echo "weight 1"
# Once more, with a deadline that comes before the connection's end.
wait_until "it serves again" has "10.0.1.$holder:80 +Masq +1 "
rm -f /run/open /run/go
ip netns exec client bash -c "exec 3<>/dev/tcp/$VIP/80; touch /run/open; while [ ! -e /run/go ]; do sleep 0.1; done" &
wait_until "it is open again" test -e /run/open
wait_until "it is counted again" has '10.0.1.1[12]:80 +Masq +1 +1 '
if has '10.0.1.11:80 +Masq +1 +1 '; then holder=11; else holder=12; fi
director drain 10.0.1.$holder:80 --within 8s > /run/ignored
sleep 3; has "10.0.1.$holder:80 +Masq +0 +1 " && echo "still open, still there"
wait_until "out of the table again" lacks "10.0.1.$holder:80"
grep -o "deadline passed" /job/out/log
touch /run/go
director drain 10.0.1.9 || echo "refused: $?"
kill $pid; wait $pid
real -Ln | sed 1,3d
