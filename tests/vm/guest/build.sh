#!/bin/bash
# Builds the guest of the virtual machine tests: a kernel with IPVS and a root file system in memory, from the packages of
# the host's own Debian mirror. Installs nothing; needs no root.
#
#   build.sh FOLDER    leaves FOLDER/kernel and FOLDER/initrd; does nothing when they are there and this file is unchanged
set -euo pipefail

FOLDER=$(realpath -m "$1")
HERE=$(dirname "$(realpath "$0")")
IMAGE=linux-image-cloud-amd64
PACKAGES="usr-is-merged busybox-static bash coreutils kmod iproute2 iptables ipvsadm keepalived curl procps netbase snmpd snmp snmptrapd"
# Of the kernel's modules: folders and files below lib/modules/VERSION/kernel.
MODULES="net lib crypto arch/x86/crypto drivers/virtio drivers/block/virtio_blk.ko
  drivers/net/veth.ko drivers/net/dummy.ko drivers/net/nlmon.ko"
# What is loaded at the start. The schedulers come by themselves; loading them first keeps times even.
LOADED="virtio_pci virtio_blk veth dummy bridge ipip ip6_tunnel ip_gre fou ip_vs ip_vs_rr ip_vs_wrr ip_vs_wlc ip_vs_sh ip_vs_mh"

fail() { echo "guest: $*" >&2; exit 1; }

mkdir -p "$FOLDER"
exec 9> "$FOLDER/lock"
flock 9
stamp=$(cat "$0" "$HERE/init.sh" | sha256sum)
[ -s "$FOLDER/stamp" ] && [ "$(cat "$FOLDER/stamp")" = "$stamp" ] && exit 0

work=$(mktemp -d "$FOLDER/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/packages" "$work/root" "$work/kernel"
cd "$work/packages"

# The meta package names the kernel of the day.
image=$(apt-cache show --no-all-versions "$IMAGE" | sed -n 's/^Depends: *\(linux-image-[^ ,]*\).*/\1/p')
[ -n "$image" ] || fail "apt knows no $IMAGE: run apt-get update"
# As if nothing were installed: the whole closure is needed in the guest.
closure=$(apt-get -qq -s -o Dir::State::status=/dev/null -o APT::Install-Recommends=false install $PACKAGES |
  sed -n 's/^Inst \([^ ]*\) (\([^ ]*\).*/\1=\2/p')
apt-get -qq download "$image" $closure > "$work/log" 2>&1 || { cat "$work/log" >&2; fail "a package cannot be downloaded"; }

root=$work/root
mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{dev,proc,sys,run,tmp,root,etc/guest,job}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
for package in *.deb; do
  to=$root
  case $package in linux-image-*) to=$work/kernel ;; esac
  dpkg-deb --fsys-tarfile "$package" | tar -x -C "$to" --keep-directory-symlink --no-same-owner \
    --exclude='./usr/share/[dilmz]*' --exclude='./usr/share/perl*' --exclude='./usr/lib/*/perl*' --exclude='./usr/lib/*/gconv'
done

version=$(ls "$work/kernel/lib/modules")
modules=lib/modules/$version
mkdir -p "$root/usr/$modules"
(cd "$work/kernel/$modules" && tar -c modules.* $(for part in $MODULES; do ls -d "kernel/$part"; done 2>/dev/null)) |
  tar -x -C "$root/usr/$modules"
# depmod and cpio of the guest, so that the host needs none.
libraries=$root/usr/lib/x86_64-linux-gnu
"$libraries/ld-linux-x86-64.so.2" --argv0 depmod --library-path "$libraries" "$root/usr/bin/kmod" -b "$root" "$version"
busybox=$root/usr/bin/busybox
for name in ip{,6}tables{,-save,-restore}; do
  [ -e "$root/usr/sbin/$name" ] || ln -s xtables-nft-multi "$root/usr/sbin/$name"
done
"$busybox" --list | while read -r name; do
  [ -e "$root/usr/bin/$name" ] || [ -e "$root/usr/sbin/$name" ] || ln -s busybox "$root/usr/bin/$name"
done
echo 'root:x:0:0:root:/root:/bin/bash' > "$root/etc/passwd"
echo 'root:x:0:' > "$root/etc/group"
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n10.77.0.1 web.example.com\n' > "$root/etc/hosts"
echo "$LOADED" > "$root/etc/guest/modules"
install -m 755 "$HERE/init.sh" "$root/init"
(cd "$root" && find . | "$busybox" cpio -o -H newc -R 0:0 2> /dev/null) > "$work/initrd"
mv "$work/kernel/boot/vmlinuz-$version" "$FOLDER/kernel"
mv "$work/initrd" "$FOLDER/initrd"
echo "$stamp" > "$FOLDER/stamp"
