# Runs inside the Debian of try.sh, behind it: HAProxy and keepalived of Debian are there with configurations of their
# own, hawser is installed beside them, upgraded, takes their place, and leaves.
set -eu
say() { echo "== $*"; }
fail() {
    echo "WRONG: $*"
    exit 1
}
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -y --no-install-recommends "$@" >/root/apt.log 2>&1 || { cat /root/apt.log; exit 1; }; }
# Is a unit's main process this program?
runs() {
    systemctl is-active --quiet "$1" || fail "$1 is not active"
    pid=$(systemctl show --property=MainPID --value "$1")
    program=$(readlink "/proc/$pid/exe")
    test "$program" = "$2" || fail "$1 is $program and not $2"
}
answers() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        test "$(curl -s -m 2 -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/)" = 200 && return
        sleep 0.5
    done
    fail "nobody answers"
}
names() {
    for name in haproxy keepalived ipvsadm; do
        test "$(readlink -f "/usr/sbin/$name")" = "$1$name" || test "$(readlink -f "/usr/sbin/$name")" = "$1" ||
            fail "/usr/sbin/$name is $(readlink -f "/usr/sbin/$name") and not $1"
    done
}

say "Debian's HAProxy and keepalived, with their own configurations"
apt install haproxy keepalived ipvsadm
cat >>/etc/haproxy/haproxy.cfg <<'CONF'

listen web
	bind 127.0.0.1:8080
	http-request deny deny_status 200
CONF
cat >/etc/keepalived/keepalived.conf <<'CONF'
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress {
        192.0.2.200/24
    }
}
CONF
systemctl restart haproxy keepalived
answers
runs haproxy /usr/sbin/haproxy

say "hawser beside them: nobody loses a name, a file or a service"
md5sum /etc/haproxy/haproxy.cfg /etc/keepalived/keepalived.conf >/root/sums
apt install /root/hawser.deb
md5sum --quiet -c /root/sums
names /usr/sbin/
runs haproxy /usr/sbin/haproxy
runs keepalived /usr/sbin/keepalived
runs hawser /usr/bin/hawser
hawser check /etc/haproxy/haproxy.cfg /etc/keepalived/keepalived.conf | tail -1

say "the switch that docs/migration-haproxy.md and docs/migration-keepalived.md tell of, while the old packages stay"
systemctl disable --now haproxy keepalived hawser >/root/apt.log 2>&1 || { cat /root/apt.log; exit 1; }
systemctl enable --now hawser-proxy hawser-failover >/root/apt.log 2>&1 || { cat /root/apt.log; exit 1; }
runs hawser-proxy /usr/bin/hawser
runs haproxy /usr/bin/hawser
runs keepalived /usr/bin/hawser
answers

say "an upgrade starts what runs anew, and nothing that was turned off"
before=$(systemctl show --property=MainPID --value hawser-proxy)
apt install --reinstall /root/hawser.deb
runs hawser-proxy /usr/bin/hawser
runs hawser-failover /usr/bin/hawser
test "$(systemctl show --property=MainPID --value hawser-proxy)" != "$before" || fail "the proxy is still the old one"
systemctl is-active --quiet hawser && fail "hawser.service was turned off"
answers

say "the old packages go: their names are hawser's, their services run on"
apt remove haproxy keepalived ipvsadm
md5sum --quiet -c /root/sums
names /usr/bin/hawser
runs hawser-proxy /usr/bin/hawser
runs hawser-failover /usr/bin/hawser
answers
haproxy -c -f /etc/haproxy/haproxy.cfg
systemctl restart haproxy keepalived
answers
runs haproxy /usr/bin/hawser
systemctl reload haproxy keepalived
answers

say "HAProxy comes back and has its name again"
apt install haproxy
test ! -L /usr/sbin/haproxy || fail "/usr/sbin/haproxy is still a link"
haproxy -v | head -1 | grep -q "2.6.12-1" || fail "it is not HAProxy: $(haproxy -v | head -1)"
apt remove haproxy
haproxy -v | grep -q -i hawser || fail "the name is nobody's"

say "hawser is removed, not purged: configuration stays, nothing runs, no name is left"
echo '# mine' >>/etc/default/hawser
apt remove hawser
test -e /etc/default/hawser || fail "its configuration is gone"
pgrep -x hawser && fail "it runs"
for name in haproxy keepalived ipvsadm; do
    test ! -e "/usr/sbin/$name" || fail "/usr/sbin/$name is left"
done
apt install /root/hawser.deb
grep -q '^# mine' /etc/default/hawser || fail "its configuration was overwritten"

say "everything goes"
apt purge hawser haproxy keepalived ipvsadm
md5sum --quiet -c /root/sums >/dev/null 2>&1 && fail "purge of the other packages left their files"
test "$(systemctl --failed --no-legend | wc -l)" = 0 || fail "$(systemctl --failed --no-legend)"
