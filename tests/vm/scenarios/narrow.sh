#!/bin/bash
# Uploads through tunnels that are narrower than the client's network: what the director says of packets that do not fit, and
# what the client makes of it, through the kernel's IPVS and through our XDP programs.
. /job/hosts.sh
routed
# Packets as they are on a wire: none put together by a network card that is not there.
ip -n client link set wan gso_max_segs 1
ip netns exec client sysctl -qw net.ipv4.tcp_mtu_probing=0
for name in rs1 rs2; do
  ip -n $name link set ip6tnl0 up; ip -n $name addr add $VIP6/128 dev vip nodad
  ip -n $name route replace ::/0 via fd00:1::254
  mkdir -p /srv/$name/cgi-bin
  printf '#!/usr/bin/busybox sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\nhead -c $CONTENT_LENGTH | wc -c\n' > /srv/$name/cgi-bin/count
  chmod +x /srv/$name/cgi-bin/count
done
head -c 200000 /dev/zero > /run/body
upload() { # address, real server, method
  echo "## $1 $3"
  ours -A -t $1:80 -s rr; ours -a -t $1:80 -r $2 $3
  ip -n client route flush cache; ip -n client -6 route flush cache
  ip netns exec client curl -sS -m 60 --data-binary @/run/body "http://$1/cgi-bin/count"
  local address=${1#[}
  ip -n client route get ${address%]} | grep -o 'mtu [0-9]*'
  ours -C
}
drive() {
  upload $VIP 10.0.1.11 -i
  upload $VIP 10.0.1.12 "-i --tun-type gue --tun-port 5555"
  upload [$VIP6] [fd00:1::11]:80 -i
} 2>&1
drive > /job/out/ipvs
export HAWSER_DIRECTOR=/run/director.sock
ip netns exec director /job/hawser director --plane xdp --interface wan --interface lan --flows 4096 --no-pin > /run/director.log &
for try in $(seq 50); do [ -S $HAWSER_DIRECTOR ] && break; sleep 0.2; done
drive > /job/out/xdp
cat /run/director.log
kill %1
wait
exit 0
