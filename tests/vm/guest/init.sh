#!/usr/bin/busybox sh
# The guest's first process: unpacks the job from the first disk, runs it, writes what it left in /job/out to the second
# disk, and powers off. What the job prints goes to the second serial line.
export PATH=/usr/sbin:/usr/bin HOME=/root TERM=dumb LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ln -s /proc/self/fd /dev/fd
mount -t tmpfs -o mode=1777 tmp /run
mount -t tmpfs -o mode=1777 tmp /tmp
modprobe -a $(cat /etc/guest/modules)
[ -b /dev/vdb ] || usleep 500000
tar xf /dev/vda -C /job
mkdir -p /job/out
cd /job
hostname guest
ip link set lo up
stty -F /dev/ttyS1 -onlcr
bash /job/script < /dev/null > /dev/ttyS1 2>&1
echo $? > /job/out/status
tar cf /dev/vdb -C /job/out .
sync
poweroff -f
