# A client, a director and two real servers behind bridges, to be sourced.
#   client 10.0.0.2 ── wan ── 10.0.0.1 director 10.0.1.1 ── lan ── rs1 10.0.1.11, rs2 10.0.1.12
VIP=10.0.0.100 VIP6=fd00:0::100
ours() { ip netns exec director /job/hawser ipvsadm "$@"; }
real() { ip netns exec director ipvsadm "$@"; }

for name in client director rs1 rs2; do ip netns add $name; ip -n $name link set lo up; done
for net in wan:0 lan:1; do
  bridge=br-${net%:*}; number=${net#*:}
  ip link add $bridge type bridge; ip link set $bridge up
  ip addr add 10.0.$number.254/24 dev $bridge; ip addr add fd00:$number::254/64 dev $bridge nodad
done
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0
plug() { # host, last number, network, number of the network
  ip link add $1-$3 type veth peer name $3 netns $1
  ip link set $1-$3 master br-$3 up
  ip -n $1 link set $3 up
  ip -n $1 addr add 10.0.$4.$2/24 dev $3; ip -n $1 addr add fd00:$4::$2/64 dev $3 nodad
}
plug client 2 wan 0; plug director 1 wan 0; plug director 1 lan 1; plug rs1 11 lan 1; plug rs2 12 lan 1
ip -n client route add default via 10.0.0.254; ip -n client route add ::/0 via fd00:0::254
ip -n director route add default via 10.0.0.254
for name in rs1 rs2; do
  ip -n $name route add default via 10.0.1.1; ip -n $name route add ::/0 via fd00:1::1
  ip netns exec $name sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
  mkdir -p /srv/$name; echo $name > /srv/$name/index.html
  ip netns exec $name busybox httpd -p '[::]:80' -h /srv/$name
done
ip netns exec director sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 \
  net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.lan.send_redirects=0
ip -n director addr add $VIP/32 dev wan; ip -n director addr add $VIP6/128 dev wan nodad
real -L > /run/ignored   # makes the namespace's switches
ip netns exec director sysctl -qw net.ipv4.vs.conntrack=0

get() { for i in 1 2 3 4 5 6; do ip netns exec client curl -s -m 20 "http://$1/" || echo none; done | tr '\n' ' '; }
routed() { # the address on the real servers, by direct routing and tunnels; answers leave by the router
  for host in rs1:11 rs2:12; do
    name=${host%:*}
    ip -n $name route replace default via 10.0.1.254
    ip -n $name link add vip type dummy; ip -n $name link set vip up; ip -n $name addr add $VIP/32 dev vip
    ip netns exec $name sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
    ip -n $name link set tunl0 up
    ip netns exec $name sysctl -qw net.ipv4.conf.tunl0.rp_filter=0
    ip netns exec $name ip fou add port 5555 gue
    ip -n $name link add gue0 type ipip encap gue encap-sport auto encap-dport 5555 remote 10.0.1.1 local 10.0.1.${host#*:}
    ip -n $name link set gue0 up
  done
}
