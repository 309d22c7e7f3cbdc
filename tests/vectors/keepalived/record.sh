#!/bin/sh
# Records verdicts.txt anew: runs the installed keepalived on each configuration of the table, in a namespace with the
# interfaces v0 and v1. Needs root and keepalived 2.2.7. Writes the table to standard output.
set -eu
cd "$(dirname "$0")"
space=hawser-verdicts
directory=$(mktemp -d)
trap 'ip netns del "$space"; rm -rf "$directory"' EXIT
ip netns add "$space"
ip netns exec "$space" ip link set lo up
ip netns exec "$space" ip link add v0 type veth peer name v1
ip netns exec "$space" ip link set v0 up
ip netns exec "$space" ip link set v1 up
ip netns exec "$space" ip address add 10.1.1.1/24 dev v0
cut -f 2- verdicts.txt | while IFS= read -r configuration; do
    (
        cd "$directory"
        printf '%b' "$configuration" >x.conf
        code=0
        timeout 5 ip netns exec "$space" keepalived -t -f x.conf >/dev/null 2>&1 </dev/null || code=$?
        # Died of its own null pointer after telling the mistake.
        [ "$code" = 139 ] && code=5
        printf '%s\t%s\n' "$code" "$configuration"
    )
done
