#!/bin/sh
# Ends what up.sh has started.
root=$1
for pid in "$root/slurmctld.pid" "$root/slurmd.pid" /run/munge/munged.pid; do
  [ -f "$pid" ] && kill "$(cat "$pid")"
done
