#!/bin/bash
# Masquerading beside IPVS, by the real ipvsadm and ours: the network of the real servers reaches the world through the
# director, and the packets of a service are masqueraded only with net.ipv4.vs.conntrack=1.
. /job/hosts.sh
set -e
mkdir -p /srv/client/cgi-bin /srv/who/cgi-bin
printf '#!/bin/sh\nprintf "\\r\\n$REMOTE_ADDR\\n"\n' | tee /srv/client/cgi-bin/who > /srv/who/cgi-bin/who
chmod +x /srv/*/cgi-bin/who
ip netns exec client busybox httpd -p 10.0.0.2:80 -h /srv/client
for name in rs1 rs2; do ip netns exec $name busybox httpd -p 0.0.0.0:8080 -h /srv/who; done
tables() { ip netns exec director iptables "$@"; }
tables -t nat -A POSTROUTING -s 10.0.1.0/24 -j MASQUERADE
# The service's packets too: the real servers need no way back through the director then.
tables -t nat -A POSTROUTING -d 10.0.1.0/24 -p tcp --dport 8080 -j MASQUERADE
who() { ip netns exec "$1" curl -s -m 20 "http://$2/cgi-bin/who" || echo none; }
story() {
  echo "out: $(who rs1 10.0.0.2) $(who rs2 10.0.0.2)"
  $1 -A -t $VIP:80 -s rr
  for last in 11 12; do $1 -a -t $VIP:80 -r 10.0.1.$last:80 -m; done
  echo "translated: $(get $VIP)"
  $1 -A -t $VIP:8080 -s rr
  for last in 11 12; do $1 -a -t $VIP:8080 -r 10.0.1.$last:8080 -m; done
  for tracks in 0 1; do
    ip netns exec director sysctl -qw net.ipv4.vs.conntrack=$tracks
    echo "tracking $tracks: $(who client $VIP:8080) $(who client $VIP:8080)"
    ip netns exec director /job/hawser doctor director-nat --json > /job/out/doctor-$tracks || true
  done
  ip netns exec director sysctl -qw net.ipv4.vs.conntrack=0
  $1 -Ln | sed 1,3d | sed 's/ *[0-9]* *[0-9]* *$//'
  $1 -C
}
story real > /job/out/real
story ours > /job/out/ours
