#!/bin/bash
# Services made by our ipvsadm carry packets; lists by both.
failed=0
. /job/hosts.sh

same() { # the same list from both; times of connections run on meanwhile
  diff <(real "$@" | sed -E 's/ [0-9]{2}:[0-9]{2} / MM:SS /') <(ours "$@" | sed -E 's/ [0-9]{2}:[0-9]{2} / MM:SS /') ||
    { echo "WRONG: ipvsadm $* differs"; failed=1; }
}
alternates() { # name, address
  answers=$(get "$2")
  echo "$1: $answers"
  case $answers in "rs1 rs2 rs1 rs2 rs1 rs2 " | "rs2 rs1 rs2 rs1 rs2 rs1 ") ;; *) echo "WRONG: $1"; failed=1 ;; esac
  same -Ln; same -L; same -Lnc; same -Lc; same -Ln --stats; same -Ln --stats --exact; same -Ln --persistent-conn
  same -Ln --thresholds; same -Ln --tun-info; same -S; same -Lnc --persistent-conn; same -L --timeout
  ours -Z; ours -C
}

ours -A -t $VIP:80 -s rr
for last in 11 12; do ours -a -t $VIP:80 -r 10.0.1.$last:80 -m -w 1; done
alternates NAT $VIP
ours -A -t [$VIP6]:80 -s rr
for last in 11 12; do ours -a -t [$VIP6]:80 -r [fd00:1::$last]:80 -m; done
alternates NAT6 "[$VIP6]"

routed
ours -A -t $VIP:80 -s rr
for last in 11 12; do ours -a -t $VIP:80 -r 10.0.1.$last -g; done
alternates DR $VIP

ours -A -t $VIP:80 -s rr
for last in 11 12; do ours -a -t $VIP:80 -r 10.0.1.$last -i; done
alternates TUN $VIP

ours -A -t $VIP:80 -s rr
for last in 11 12; do ours -a -t $VIP:80 -r 10.0.1.$last -i --tun-type gue --tun-port 5555; done
alternates GUE $VIP

ours -A -t $VIP:80 -s wrr
ours -a -t $VIP:80 -r 10.0.1.11 -g -w 2; ours -a -t $VIP:80 -r 10.0.1.12 -g -w 1
answers=$(get $VIP); echo "WRR: $answers"
[ "$(tr ' ' '\n' <<< "$answers" | grep -c rs1)" = 4 ] || { echo "WRONG: wrr"; failed=1; }
ours -C
ours -A -t $VIP:80 -s rr -p 60
for last in 11 12; do ours -a -t $VIP:80 -r 10.0.1.$last -g; done
answers=$(get $VIP); echo "persistent: $answers"
[ "$(tr ' ' '\n' <<< "$answers" | grep . | sort -u | wc -l)" = 1 ] || { echo "WRONG: persistence"; failed=1; }
same -Ln; same -Lnc; same -Ln --persistent-conn
ours -C
for scheduler in rr wrr lc wlc lblc lblcr dh sh mh sed nq fo ovf; do
  ours -A -u $VIP:53 -s $scheduler && ours -D -u $VIP:53 || { echo "WRONG: $scheduler"; failed=1; }
done
exit $failed
