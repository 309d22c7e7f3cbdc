#!/bin/bash
# Runs every command line of the job with the real ipvsadm, then with ours, from the same empty table.
ip addr add 10.9.9.1/24 dev lo
ip -6 addr add fd00::1/64 dev lo
everything() {
  ipvsadm -C; ipvsadm --stop-daemon master; ipvsadm --stop-daemon backup; ipvsadm --set 900 120 300
} 2> /dev/null
both() {
  local number=0
  while IFS= read -r line; do
    number=$((number + 1))
    case $line in ''|'#'*) continue ;; esac
    echo "### $number"
    input=/dev/null
    case $line in *'<'*) printf "${line#*<}" > /run/input; input=/run/input; line=${line%%<*} ;; esac
    if [ "$line" = @ ]; then set --; else eval "set -- $line"; fi
    "$PROGRAM" $FIRST "$@" < $input > /run/stdout 2> /run/stderr
    status=$?
    # Nothing but the shell's own: a process costs most of what the test costs.
    while IFS= read -r text; do echo "out|$text"; done < /run/stdout
    while IFS= read -r text; do echo "err|$text"; done < /run/stderr
    echo "status $status"
  done < /job/commands
}
everything; PROGRAM=ipvsadm FIRST= both > /job/out/real
everything; PROGRAM=/job/hawser FIRST=ipvsadm both > /job/out/ours
