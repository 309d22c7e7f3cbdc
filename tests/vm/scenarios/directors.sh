#!/bin/bash
# The tutorial's pair of directors: keepalived.conf with DR before two web servers that have the address on lo.
#   hk-client .10, hk-master1 .113, hk-master2 .114, hk-slave1 .111, hk-slave2 .112 on one bridge; VIP 192.168.1.200
failed=0
wrong() { echo "WRONG: $*"; failed=1; }
VIP=192.168.1.200
ip link add br0 type bridge forward_delay 0; ip link set br0 up
for host in hk-client:10 hk-master1:113 hk-master2:114 hk-slave1:111 hk-slave2:112; do
  name=${host%:*} number=${host#*:}
  ip netns add $name; ip -n $name link set lo up
  ip link add p$number type veth peer name ens33 netns $name
  ip link set p$number master br0 up
  ip -n $name link set ens33 up
  ip -n $name addr add 192.168.1.$number/24 dev ens33
done
for name in hk-slave1 hk-slave2; do
  ip netns exec $name sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 \
    net.ipv4.conf.lo.arp_ignore=1 net.ipv4.conf.lo.arp_announce=2
  ip -n $name addr add $VIP/32 dev lo
  mkdir -p /srv/$name; echo ${name#hk-slave} > /srv/$name/index.html
done
web() { ip netns exec hk-slave$1 busybox httpd -p 0.0.0.0:80 -h /srv/hk-slave$1; }
web 1; web 2
for name in hk-master1 hk-master2; do ip netns exec $name sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0; done
conf() { # node, priority
  cat > /run/node$1.conf <<C
vrrp_instance VI_1 {
    state BACKUP
    interface ens33
    virtual_router_id 51
    priority $2
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass keepalived123
    }
    virtual_ipaddress {
        $VIP
    }
}
virtual_server $VIP 80 {
    delay_loop 1
    lb_algo rr
    lb_kind DR
    protocol TCP
    real_server 192.168.1.111 80 {
        weight 100
        TCP_CHECK {
            connect_timeout 1
            nb_get_retry 1
            delay_before_retry 1
            connect_port 80
        }
    }
    real_server 192.168.1.112 80 {
        weight 100
        TCP_CHECK {
            connect_timeout 1
            nb_get_retry 1
            delay_before_retry 1
            connect_port 80
        }
    }
}
C
}
conf 1 100; conf 2 99
director() {
  ip netns exec hk-master$1 setsid /job/hawser keepalived -n -l -D -f /run/node$1.conf -p /run/p$1 -r /run/v$1 -c /run/c$1 \
    >> /job/out/log$1 2>&1 &
  pid[$1]=$!
}
owns() { ip -n hk-master$1 -o addr | grep -q " $VIP/"; }
wait_owner() { for i in $(seq 150); do owns $1 && ! owns $((3 - $1)) && return; sleep 0.1; done; wrong "hk-master$1 does not get the address"; }
wait_table() { for i in $(seq 100); do [ "$(ip netns exec hk-master$1 ipvsadm -Ln | grep -c -- '->.*Route')" = $2 ] && return; sleep 0.1; done; wrong "hk-master$1 has not $2 real servers"; }
ask() { ip netns exec hk-client curl -s --connect-timeout 0.25 -m 0.6 http://$VIP/; }
# When each answer came, and who gave it; empty: nobody.
loop() { while [ ! -e /run/enough ]; do answer=$(ask); echo "$(date +%s.%N) ${answer:-none}"; done > /run/seen; }
watch() { rm -f /run/enough; loop & looper=$!; sleep 1; }
enough() { touch /run/enough; wait $looper; }
# The longest time without an answer, in milliseconds.
gap() { awk '$2 != "none" { if (last && $1 - last > longest) longest = $1 - last; last = $1 } END { print int(longest * 1000) }' /run/seen; }
count() { grep -c " $1\$" /run/seen; }
alternates() {
  answers=$(for i in 1 2 3 4 5 6; do ask || echo none; done | tr '\n' ' ')
  case $answers in "1 2 1 2 1 2 " | "2 1 2 1 2 1 ") ;; *) wrong "$1: $answers" ;; esac
}

director 1; director 2
wait_owner 1; wait_table 1 2; wait_table 2 2
alternates "at the start"

# What an emulated host takes from one answer to the next when nothing happens.
watch; sleep 4; enough
rest=$(gap)
echo "nothing stops: $rest ms"

# row 323: a web server stops. Removed after delay_loop + connect_timeout and one retry a second later.
watch
kill $(ip netns pids hk-slave1); stopped=$(date +%s.%N)
wait_table 1 1; removed=$(date +%s.%N)
sleep 1; enough
took=$(awk "BEGIN { print int(($removed - $stopped) * 1000) }")
after=$(awk -v at=$removed '$1 > at + 0.7 { print $2 }' /run/seen | sort -u | tr '\n' ' ')
echo "stopped: removed after $took ms, $(count none) of $(wc -l < /run/seen) failed until then, afterwards: $after"
[ $took -le 5000 ] || wrong "removed after $took ms"
[ "$after" = "2 " ] || wrong "after the removal: $after"
web 1
wait_table 1 2
alternates "after the return"

# row 324: the director stops; the other one has the table already.
watch
kill -TERM ${pid[1]}; wait ${pid[1]}
wait_owner 2; sleep 1; enough
echo "director stops: $(gap) ms, $(count none) failed"
[ "$(gap)" -le $((1000 + rest)) ] || wrong "stopping the director costs $(gap) ms"
alternates "behind the second director"
director 1
wait_owner 1; wait_table 1 2; sleep 3
alternates "behind the first director again"

watch
kill -KILL -- -${pid[1]} ${pid[1]}
sleep 6; enough
echo "director is killed: $(gap) ms, $(count none) failed"
[ "$(gap)" -le $((4500 + rest)) ] || wrong "killing the director costs $(gap) ms"
owns 2 || wrong "the second director has not the address"
alternates "behind the second director at last"
kill -TERM ${pid[2]}; wait ${pid[2]}
exit $failed
