#!/bin/bash
firewall-cmd --direct --permanent --add-rule ipv4 filter INPUT 0 --in-interface ens33 --destination 192.168.1.114 --protocol vrrp -j ACCEPT
# -w: NAT
/sbin/ipvsadm -a -t 192.168.1.200:80 -r 192.168.1.111:80 -m -w 1
