#!/bin/sh
# Starts Slurm with one node, without systemd, as root: for containers of CI. Gives the path of its slurm.conf.
# Debian's packages: slurmctld slurmd slurm-client munge
set -eu
root=$1
host=$(hostname -s)
memory=$(slurmd -C | sed -n 's/.*RealMemory=\([0-9]*\).*/\1/p')
mkdir -p "$root/state" "$root/spool" "$root/log"

# The key comes with the package; the folder of its socket does not.
install -d -o munge -g munge -m 0755 /run/munge
munge -n >/dev/null 2>&1 || runuser -u munge -- /usr/sbin/munged --pid-file=/run/munge/munged.pid
munge -n | unmunge >/dev/null

# A requeued job waits until slurmd has forgotten its old credential (cred_expire, else two minutes): started in the
# same second it would be refused as "credential revoked" and end as failed.
# Two tasks run at a time, whatever the machine has: the check counts on it.
# Without cgroups memory is limited by what is measured every second; accounting is off, as on many small clusters.
cat >"$root/slurm.conf" <<CONF
ClusterName=ci
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=10
CryptoType=crypto/munge
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/spool
SlurmctldLogFile=$root/log/slurmctld.log
SlurmdLogFile=$root/log/slurmd.log
SlurmctldPidFile=$root/slurmctld.pid
SlurmdPidFile=$root/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=512
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=3600
KillWait=30
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF

export SLURM_CONF="$root/slurm.conf"
slurmctld
slurmd
tries=0
until sinfo -h -o %T 2>/dev/null | grep -qx idle; do
  tries=$((tries + 1))
  [ "$tries" -lt 120 ] || { echo "The node does not come up; see $root/log." >&2; exit 1; }
  sleep 0.5
done
echo "$SLURM_CONF"
