#!/bin/sh
# PID 1 of a test host ("power on"): puts the host's file system together and then waits, as `cat`, until
# its standard input closes; with it every process of the host ends. Run by `host.ts` inside new mount,
# PID, UTS, IPC, network (and time) namespaces, in a copy of the switch's mount namespace.
#
#   host_init.sh DISK HOSTNAME [SHOWN_PATH…]
#
# DISK/upper is the host's disk over the machine's `/`; it survives a power cut. SHOWN_PATH: folders of the
# machine that the host sees as they are (`ro:/path` or `rw:/path`).
set -eu
disk=$1 name=$2
shift 2
read -r pid _ < /proc/self/stat   # /proc is still the machine's: our pid as the test sees it

root=$disk/root
mkdir -p "$root" "$disk/upper" "$disk/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$root"

# What a machine that was never used for this has empty: nothing of the developer's shows through.
for d in etc/relais var/lib/relais var/lib/asterisk var/lib/postgresql var/spool/asterisk var/log root; do
  mkdir -p "$disk/own/$d" "$root/$d"
  mount --bind "$disk/own/$d" "$root/$d"
done
chmod 700 "$root/root"
chown postgres: "$root/var/lib/postgresql" 2> /dev/null || true   # absent without PostgreSQL

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
for d in run tmp; do mount -t tmpfs -o nosuid,nodev tmpfs "$root/$d"; done
chmod 755 "$root/run"
chmod 1777 "$root/tmp"
mkdir -p "$root/run/lock" "$root/run/sshd" "$root/run/postgresql"
chown postgres: "$root/run/postgresql" 2> /dev/null || true
chmod 2775 "$root/run/postgresql"

# A /dev of its own: POSIX shared memory of two PostgreSQL servers must not meet.
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for f in null zero full random urandom tty; do
  : > "$root/dev/$f"
  mount --bind "/dev/$f" "$root/dev/$f"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5,nosuid,noexec devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for f in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${f%:*}" "$root/dev/${f#*:}"; done

# After /tmp, /run and /dev are the host's own, so that a repository or a cache below them shows too.
for shown in "$@"; do
  mode=${shown%%:*} path=${shown#*:}
  mkdir -p "$root$path"
  mount --bind "$path" "$root$path"
  [ "$mode" = rw ] || mount -o remount,ro,bind "$root$path"
done

# Each power-on is a boot of its own.
cat /proc/sys/kernel/random/uuid > "$root/run/boot_id"
mount --bind "$root/run/boot_id" "$root/proc/sys/kernel/random/boot_id"

echo "$name" > "$root/proc/sys/kernel/hostname"
[ -e "$disk/installed" ] || {
  echo "$name" > "$root/etc/hostname"
  echo "127.0.0.1 localhost $name" > "$root/etc/hosts"
  rm -f "$root/etc/resolv.conf"
  : > "$root/etc/resolv.conf"
  : > "$disk/installed"
}

cd "$root"
pivot_root . mnt
cd /
umount -l /mnt
ip link set lo up
echo "ready $pid"
# With SIGCHLD ignored the kernel reaps the daemons whose starters are gone.
exec env --ignore-signal=CHLD cat > /dev/null 2>&1
