#!/bin/sh
# Installs a package on a fresh Debian 12 that boots in namespaces of its own, and looks whether its units run.
#   packaging/try.sh PACKAGE.deb FOLDER        FOLDER holds (or gets) the system, by debootstrap; it needs root
set -eu
package=$(realpath "$1")
mkdir -p "$2"
system=$(realpath "$2")
if [ ! -e "$system/etc/debian_version" ]; then
    debootstrap --variant=minbase \
        --include=systemd,systemd-sysv,adduser,init-system-helpers,iproute2,curl,procps \
        bookworm "$system" http://deb.debian.org/debian
fi
# The machine that boots has no network: what is replaced later is fetched now.
if ! ls "$system"/var/cache/apt/archives/keepalived_*.deb >/dev/null 2>&1; then
    cp /etc/resolv.conf "$system/etc/resolv.conf"
    chroot "$system" apt-get update -qq
    chroot "$system" apt-get install -qq -y --download-only --no-install-recommends haproxy keepalived ipvsadm >/dev/null
fi
cp "$package" "$system/root/hawser.deb"
cp "$(dirname "$0")/try-upgrade.sh" "$system/root/upgrade"
cat >"$system/root/try" <<'END'
set -eu
say() { echo "== $*"; }
export DEBIAN_FRONTEND=noninteractive
# Everything that a package might leave: not what dpkg, apt, systemd and this script write for themselves.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /root -o -path /run/systemd \
        -o -path /run/udev -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd -o -path /var/cache \
        -o -path /var/log -o -path /etc/haproxy -o -path /etc/keepalived \) -prune -o -print | sort
}
# What a try before this one that failed has left.
for name in hawser haproxy keepalived ipvsadm; do
    dpkg --purge --force-depends "$name" >/dev/null 2>&1 || true
done
rm -rf /etc/haproxy /etc/keepalived
files >/root/before
say install
apt-get install -y --no-install-recommends /root/hawser.deb >/root/apt.log 2>&1 || { cat /root/apt.log; exit 1; }
systemctl is-enabled hawser
for _ in 1 2 3 4 5 6 7 8 9 10; do systemctl is-active --quiet hawser && break; sleep 0.5; done
systemctl is-active hawser
test "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8404/)" = 200
say reload
systemctl reload hawser
sleep 1
test "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8404/)" = 200
say names
haproxy -c -f /etc/hawser/haproxy.cfg
keepalived -v 2>&1 | head -1
ipvsadm --version
say "the strands alone, under the names of the programs replaced"
mkdir -p /etc/haproxy /etc/keepalived
cp /etc/hawser/haproxy.cfg /etc/haproxy/haproxy.cfg
ip link add eth0 type veth peer name eth1
ip link set eth0 up
ip link set eth1 up
ip addr add 192.0.2.1/24 dev eth0
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
systemctl enable --now hawser-proxy hawser-failover >/dev/null 2>&1
systemctl is-active haproxy keepalived
systemctl reload haproxy
systemctl reload keepalived
sleep 1
systemctl is-active haproxy keepalived
ip -o addr show dev eth0 | grep -q 192.0.2.200
say "both under one supervisor"
sed -i '/^ *\(user\|group\) /d' /etc/haproxy/haproxy.cfg
systemctl disable --now hawser-proxy hawser-failover >/dev/null 2>&1
echo 'ARGS="-f /etc/haproxy/haproxy.cfg -k /etc/keepalived/keepalived.conf"' >/etc/default/hawser
systemctl start hawser
systemctl is-active hawser
sleep 1
ip -o addr show dev eth0 | grep -q 192.0.2.200
say "a worker without a user has no rights, though its unit has"
worker=$(pgrep -f "haproxy -Ws" | while read -r pid; do
    pgrep -P "$pid" || true
done | tail -1)
grep -E '^(Uid|CapPrm|CapEff|NoNewPrivs|Seccomp):' "/proc/$worker/status" | tr '\n\t' '  '
echo
grep -q '^Uid:.0' "/proc/$worker/status"
grep -q '^CapPrm:.0000000000000000$' "/proc/$worker/status"
grep -q '^Seccomp:.2$' "/proc/$worker/status"
systemd-analyze security --no-pager hawser.service hawser-proxy.service hawser-failover.service 2>/dev/null | grep -i overall || true
systemctl stop hawser
! ip -o addr show dev eth0 | grep -q 192.0.2.200
test "$(systemctl --failed --no-legend | wc -l)" = 0
say purge
apt-get purge -y hawser >/root/apt.log 2>&1 || { cat /root/apt.log; exit 1; }
rm -rf /etc/haproxy /etc/keepalived
files >/root/after
# What is left over: nothing.
left=$(comm -13 /root/before /root/after)
echo "left: ${left:-nothing}"
test -z "$left"
test ! -e /usr/sbin/haproxy
sh /root/upgrade
rm -rf /etc/haproxy /etc/keepalived
files >/root/after
# Users and what they own stay with Debian's packages: only what is hawser's must be gone.
left=$(comm -13 /root/before /root/after | grep -i hawser || true)
echo "left: ${left:-nothing}"
test -z "$left"
say "everything holds"
END
cat >"$system/etc/systemd/system/try.service" <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
StandardOutput=append:/root/result
StandardError=append:/root/result
ExecStart=/bin/sh /root/try
ExecStopPost=/bin/sh -c 'echo "end $EXIT_STATUS" >>/root/result; systemctl poweroff --force --force'
TimeoutStartSec=300
[Install]
WantedBy=default.target
END
mkdir -p "$system/etc/systemd/system/default.target.wants"
ln -sf ../try.service "$system/etc/systemd/system/default.target.wants/try.service"
rm -f "$system/root/result"
timeout 360 unshare --mount --pid --fork --net --cgroup --ipc --uts --kill-child sh -c '
    set -eu
    mount --make-rprivate /
    mount --bind "$1" "$1"
    cd "$1"
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount -t tmpfs tmpfs run
    mount -t tmpfs tmpfs tmp
    mount -t tmpfs tmpfs dev
    for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
        set -- $node
        mknod -m 666 "dev/$1" c "$2" "$3"
    done
    mkdir dev/pts dev/shm .old
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    mount -t tmpfs tmpfs dev/shm
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    pivot_root . .old
    umount -l /.old
    exec env -i container=try PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --show-status=0
' try "$system" >"$system/root/boot.log" 2>&1 || true
rmdir "$system/.old" 2>/dev/null || true
cat "$system/root/result"
grep -q '^end 0' "$system/root/result"
