#!/bin/bash
# One script through the kernel's IPVS and through our XDP programs: what it prints, file by file.
. /job/hosts.sh
routed

# Connections without the digits of the client's port and of the seconds that are left: those are of chance.
connections() { ours -Lnc | sed -E 's/ [0-9][0-9]:[0-9][0-9] / MM:SS /; s/(10\.0\.0\.2:)[1-9][0-9]{4} /\1PPPPP /' | sort; }
drive() {
  echo "## twice, and what is not there"
  ours -A -t $VIP:80 -s rr; ours -A -t $VIP:80 -s rr; ours -a -t $VIP:80 -r 10.0.1.11 -g
  ours -a -t $VIP:80 -r 10.0.1.11 -g; ours -e -t $VIP:80 -r 10.0.1.99 -g; ours -d -t $VIP:80 -r 10.0.1.99
  ours -D -t $VIP:81; ours -E -t $VIP:80 -s nosuch; ours -Ln -t $VIP:81; ours -C
  for method in "-g" "-i" "-i --tun-type gue --tun-port 5555"; do
    echo "## $method"
    ours -A -t $VIP:80 -s rr
    for last in 11 12; do ours -a -t $VIP:80 -r 10.0.1.$last $method; done
    get $VIP; echo
    # Later ones are beside those that are not forgotten yet.
    [ "$method" = "-g" ] && { connections; ours -Lnc | head -2; }
    ours -Ln; ours -Ln --tun-info; ours -Ln --thresholds; ours -Sn
    ours -C; ours -Ln
  done
  for scheduler in wrr wlc lc; do
    echo "## $scheduler"
    ours -A -t $VIP:80 -s $scheduler
    ours -a -t $VIP:80 -r 10.0.1.11 -g -w 2; ours -a -t $VIP:80 -r 10.0.1.12 -g -w 1
    # By counts of connections: which real server has the fewest is a matter of when the others are forgotten.
    if [ $scheduler = wrr ]; then get $VIP | tr ' ' '\n' | sort | uniq -c; else get $VIP > /dev/null; fi
    ours -Ln; ours -e -t $VIP:80 -r 10.0.1.11 -g -w 0
    get $VIP; echo
    ours -Ln; ours -d -t $VIP:80 -r 10.0.1.11; ours -Ln; ours -C
  done
  echo "## persistence"
  ours -A -t $VIP:80 -s rr -p 60 -M 255.255.255.0
  for last in 11 12; do ours -a -t $VIP:80 -r 10.0.1.$last -g; done
  get $VIP | tr ' ' '\n' | sort -u | wc -l
  connections | grep -v FIN_WAIT
  sleep 2
  ours -Ln; ours -Ln --persistent-conn; ours --set 60 0 30; ours -L --timeout; ours --set 900 120 300; ours -C
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
