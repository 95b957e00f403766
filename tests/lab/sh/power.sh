# Power, reset and pause of a host. Sourced by `lab`; uses its variables.
# shellcheck shell=bash

known() { case $1 in master|slave) ;; *) die "Cannot find host $1 as there are master and slave" ;; esac; }
need_up() { [ -e "$NS/switch" ] || die "Cannot do this as the lab is down: lab up"; }

# The machine's pid of the host's PID 1; fails when the host is off.
host_pid() {
  local p
  p=$(cat "$RUN/$1.pid" 2>/dev/null) && [ -n "$p" ] && grep -qs "/$1/" "/proc/$p/cgroup" && echo "$p"
}
need_on() { host_pid "$1" >/dev/null || die "Cannot do this as $1 is off: lab boot $1"; }
host_frozen() { grep -qs '^1' "$CG/$1/cgroup.freeze"; }
tree_now() { cat "$RUN/tree"; }

# Waits for the power to be really off: monitor gone, disk unmounted.
wait_off() {   # HOST SECONDS
  local p
  for _ in $(seq $(( $2 * 20 ))); do
    p=$(cat "$RUN/$1.mon" 2>/dev/null) || return 0
    [ -z "$p" ] || [ -d "/proc/$p" ] || [ ! -e "$RUN/$1.mon" ] || return 1   # killed
    sleep 0.05
  done
  return 1
}

cmd_wait() {
  local h=$1 t=${2:-$LAB_BOOT_WAIT} s='' end
  known "$h"; end=$(( $(date +%s) + t ))
  while [ "$(date +%s)" -lt "$end" ]; do
    s=$( (in_host "$h" timeout "$t" systemctl is-system-running --wait) 2>/dev/null) || true
    case $s in running|degraded) echo "$h: $s"; return 0 ;; stopping) break ;; esac
    host_pid "$h" >/dev/null || break
    sleep 0.1
  done
  die "Cannot see $h up within $t s: ${s:-no answer}"
}

cmd_boot() {
  known "$1"; host_start "$1"
  [ "${2:-}" = --no-wait ] || cmd_wait "$1"
}

cmd_off() {
  known "$1"; need_on "$1"
  ( in_host "$1" systemctl poweroff ) >/dev/null 2>&1 || true
  # Seconds, on an idle machine. Longer than 90 s: then systemd had to kill something.
  wait_off "$1" 120 || die "Cannot see $1 off within 120 s: lab log $1"
}

cmd_reboot() {
  known "$1"; need_on "$1"
  local old new
  old=$(host_pid "$1")
  ( in_host "$1" systemctl reboot ) >/dev/null 2>&1 || true
  for _ in $(seq 1200); do
    new=$(host_pid "$1") && [ "$new" != "$old" ] && { cmd_wait "$1"; return; }
    sleep 0.05
  done
  die "Cannot see $1 back within 60 s: lab log $1"
}

cmd_crash() {
  known "$1"; need_on "$1"
  local h=$1
  # In this order: no FIN or RST of a dying process gets out, nobody sees an I/O error,
  # nothing more is written.
  ports_down "$h"
  echo 1 > "$CG/$h/payload/cgroup.freeze"
  for _ in $(seq 50); do grep -q '^frozen 1' "$CG/$h/payload/cgroup.events" && break; sleep 0.01; done
  [ "${2:-}" = --keep-cache ] || disk_pull "$HOSTS/$h/disk"
  echo 1 > "$CG/$h/cgroup.kill"
  wait_off "$h" 20 || die "Cannot see $h off as its monitor did not end within 20 s"
}

cmd_freeze() { known "$1"; need_on "$1"; freeze "$1" 1; }
cmd_thaw()   { known "$1"; need_on "$1"; freeze "$1" 0; }
freeze() {
  echo "$2" > "$CG/$1/cgroup.freeze"
  for _ in $(seq 200); do grep -q "^frozen $2" "$CG/$1/cgroup.events" && return 0; sleep 0.02; done
  die "Cannot see $1 $([ "$2" = 1 ] && echo frozen || echo thawed) within 4 s"
}
