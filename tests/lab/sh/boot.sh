# From power-on to the host's init. Sourced by `lab`; uses its variables.
# shellcheck shell=bash

# Runs for as long as the host has power; follows its reboots; cleans up behind it.
cmd___monitor() {
  local h=$1 rc fd
  for fd in "/proc/$$/fd"/*; do   # hold none of the caller's pipes open
    fd=${fd##*/}; [ "$fd" -le 2 ] || [ "$fd" = 255 ] || eval "exec $fd>&-"
  done
  cd /
  while :; do
    echo "--- $(date '+%F %T') $h: power on"
    rm -f "$RUN/$h.pid"
    net_up "$h"
    mkdir -p "$CG/$h/payload" "$CG/$h/supervisor"
    # A cgroup that could not be removed after a crash would still be frozen.
    echo 0 > "$CG/$h/payload/cgroup.freeze"; echo 0 > "$CG/$h/cgroup.freeze"
    rc=0
    # shellcheck disable=SC2046
    ( echo "$BASHPID" > "$CG/$h/supervisor/cgroup.procs"
      exec nsenter --net="$NS/$h" unshare --fork --kill-child --pid --mount --uts --ipc \
        $(time_ns) --propagation private "$SELF" __init "$h" ) || rc=$?
    echo "--- $(date '+%F %T') $h: PID 1 ended with $rc"
    rm -f "$RUN/$h.pid"
    net_down "$h"
    cgroup_rm "$h"
    [ $rc = 129 ] || break      # reboot(2) in a PID namespace: SIGHUP = restart, SIGINT = off
  done
  disk_umount "$h" || true
  rm -f "$RUN/$h.mon"
}

# Killed processes are still there for a moment.
cgroup_rm() {
  for _ in $(seq 100); do
    [ -d "$CG/$1" ] || return 0
    find "$CG/$1" -depth -type d -exec rmdir {} + 2>/dev/null && return 0
    sleep 0.02
  done
}

# A time namespace makes CLOCK_MONOTONIC, CLOCK_BOOTTIME and /proc/uptime start anew at each
# power-on, as on a real machine (the wall clock cannot be separated).
time_ns() {
  [ -e /proc/self/ns/time ] || return 0
  local mono boot
  # shellcheck disable=SC2016  # perl's variables
  mono=$(perl -e '$b="\0" x 16; syscall($ARGV[0] eq "x86_64" ? 228 : 113, 1, $b); print((unpack("qq",$b))[0])' "$(uname -m)")
  read -r boot _ < /proc/uptime
  echo "--time --monotonic -$mono --boottime -${boot%.*}"
}

# PID 1 of the new namespaces, until it becomes the host's init.
cmd___init() {
  local h=$1 d=$HOSTS/$1 r=$HOSTS/$1/root f pid major minor tree
  if [ $# = 1 ]; then   # the cgroup we are in becomes the root of our cgroup namespace
    echo 0 > "$CG/$h/payload/cgroup.procs"
    exec unshare --cgroup "$SELF" __init "$h" again
  fi
  tree=$(tree_now)
  read -r pid _ < /proc/self/stat       # /proc is still the machine's: our pid there
  assemble "$tree" "$d/disk" "$r" "$d/journal"
  mount -t proc -o nosuid,nodev,noexec proc "$r/proc"
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$r/sys"
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$r/sys/fs/cgroup"
  mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$r/run"
  mount -t tmpfs -o mode=755,nosuid tmpfs "$r/dev"
  mkdir "$r/dev/pts" "$r/dev/shm" "$r/dev/mqueue"
  for f in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r f major minor <<< "$f"; mknod -m 666 "$r/dev/$f" c "$major" "$minor"
  done
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5,nosuid,noexec devpts "$r/dev/pts"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$r/dev/shm"
  ln -s pts/ptmx "$r/dev/ptmx"; ln -s /proc/self/fd "$r/dev/fd"; ln -s /proc/kcore "$r/dev/core"
  ln -s fd/0 "$r/dev/stdin"; ln -s fd/1 "$r/dev/stdout"; ln -s fd/2 "$r/dev/stderr"
  # What belongs to the machine is read-only in the host; net sysctls are its own.
  mount --bind "$r/proc/sys" "$r/proc/sys"
  mount --bind "$r/proc/sys/net" "$r/proc/sys/net"
  cat /proc/sys/kernel/random/uuid > "$r/run/boot_id"      # each boot has its own
  mount --bind "$r/run/boot_id" "$r/proc/sys/kernel/random/boot_id"
  rm "$r/run/boot_id"
  mount -o remount,ro,bind "$r/proc/sys"
  for f in sysrq-trigger kcore kmsg; do
    [ ! -e "$r/proc/$f" ] || mount --bind "$r/dev/null" "$r/proc/$f"
  done
  hostname "$h"
  cd "$r" || exit
  pivot_root . mnt
  cd /
  if [ "$h" = phone ]; then
    ip link set lo up
    ip addr add 10.20.0.50/24 dev eth0; ip link set eth0 up
    ip addr add 10.30.0.50/24 dev eth1; ip link set eth1 up
    echo "$pid" > "/mnt$RUN/$h.pid"; umount -l /mnt
    exec env -i PATH="$PATH" bash -c 'while :; do sleep 3600 & wait; done' lab-phone
  fi
  echo "$pid" > "/mnt$RUN/$h.pid"; umount -l /mnt
  # No power over the machine's clock, modules, hardware, audit; reboot(2) acts on the
  # PID namespace only, so CAP_SYS_BOOT stays.
  exec env -i container=other PATH="$PATH" LANG=C.UTF-8 \
    setpriv --bounding-set -sys_time,-sys_module,-sys_rawio,-syslog,-audit_control,-audit_read,-wake_alarm,-block_suspend,-mac_admin,-mac_override \
    /sbin/init
}

host_start() {
  local h=$1
  need_up
  ! host_pid "$h" >/dev/null || die "Cannot boot $h as it is on"
  for _ in $(seq 100); do [ -e "$RUN/$h.mon" ] || break; sleep 0.05; done   # the last one tidies up
  if [ "$h" = phone ]; then
    mkdir -p "$HOSTS/phone/root" "$HOSTS/phone/journal"
    mkdir -p "$HOSTS/phone/disk/upper" "$HOSTS/phone/disk/work" "$HOSTS/phone/disk/var/log/journal"
  else
    disk_umount "$h"; disk_mount "$h"
  fi
  rm -f "$RUN/$h.pid"
  : > "$RUN/$h.mon"
  setsid "$SELF" __monitor "$h" </dev/null >>"$RUN/$h.console" 2>&1 &
  echo $! > "$RUN/$h.mon"
  for _ in $(seq 400); do
    [ -s "$RUN/$h.pid" ] && return 0
    [ -e "$RUN/$h.mon" ] || break
    sleep 0.05
  done
  tail -n 5 "$RUN/$h.console" >&2; die "Cannot boot $h: see $RUN/$h.console"
}
