#!/bin/bash
# The same virtual servers under the real keepalived and under hawser director, through the same misfortunes.
for last in 1 2 3 9; do ip addr add 10.5.0.$last/32 dev lo; done
mkdir -p /srv/www; echo hello > /srv/www/index.html
web() { busybox httpd -p 10.5.0.$1:80 -h /srv/www; }
stop() { kill $(pgrep -f "httpd -p 10.5.0.$1:80"); }
cat > /run/notify.sh <<'X'
#!/bin/bash
echo "$*" >> /run/notified
X
chmod +x /run/notify.sh
cat > /run/keepalived.conf <<'C'
global_defs {
  router_id guest
  script_user root
  enable_script_security
}
virtual_server 10.9.0.1 80 {
  delay_loop 1
  lb_algo wrr
  lb_kind NAT
  protocol TCP
  persistence_timeout 50
  quorum 2
  quorum_up "/run/notify.sh quorum up"
  quorum_down "/run/notify.sh quorum down"
  sorry_server 10.5.0.9 80
  real_server 10.5.0.1 80 {
    weight 3
    notify_up "/run/notify.sh one up"
    notify_down "/run/notify.sh one down"
    TCP_CHECK {
      connect_timeout 2
      retry 1
      delay_before_retry 1
    }
  }
  real_server 10.5.0.2 80 {
    weight 1
    inhibit_on_failure
    HTTP_GET {
      url {
        path /
        status_code 200
      }
      connect_timeout 2
      retry 1
      delay_before_retry 1
    }
  }
}
virtual_server fwmark 7 {
  delay_loop 1
  lb_algo rr
  lb_kind DR
  real_server 10.5.0.1 80 {
    weight 2
    HTTP_GET {
      url {
        path /
        digest b1946ac92492d2347c6235b4d2611184
      }
      connect_port 80
      retry 0
    }
  }
}
C
look() { echo "== $1"; ipvsadm -Ln | sed 1,3d; }
wait_for() { for i in $(seq 24); do ipvsadm -Ln | grep -qE "$1" && return; sleep 0.5; done; echo "never: $1"; }
wait_without() { for i in $(seq 24); do ipvsadm -Ln | grep -qE "$1" || return; sleep 0.5; done; echo "always: $1"; }
story() {
  ipvsadm -C; : > /run/notified; web 1; web 2
  "$@" > /job/out/log-$NAME 2>&1 & local pid=$!
  wait_for 'FWM'; sleep 4; look start
  stop 2; wait_for '10.5.0.2:80 +Masq +0 '; look "inhibited"
  stop 1; wait_for '10.5.0.9:80'; wait_without 'Route'; look "sorry"
  web 1; wait_for '10.5.0.1:80 +Masq +3 '; wait_for 'Route'; look "back"
  web 2; wait_for '10.5.0.2:80 +Masq +1 '; look "both"
  kill $pid; wait $pid; look "end"
  stop 1; stop 2
  sort /run/notified
}
NAME=real story keepalived -n -l -D --dont-fork -f /run/keepalived.conf -p /run/p -r /run/v -c /run/c > /job/out/real
NAME=ours story /job/hawser director -f /run/keepalived.conf > /job/out/ours
