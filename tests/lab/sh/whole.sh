# The lab as a whole. Sourced by `lab`; uses its variables.
# shellcheck shell=bash

cmd_up() {
  local key tree src h
  key=$(image_key); tree=$LAB_CACHE/$key; src=$tree.disks-$(disks_key)
  if [ $# -gt 0 ]; then
    src=$SNAPS/$key/$1
    [ -d "$src" ] || die "Cannot boot from $1 as no disks of this image were saved under that name: lab save $1"
    touch "$src"
  fi
  cmd_down
  cmd_build 2> >(grep -v '^lab: Built' >&2)
  mkdir -p "$HOSTS" "$RUN"
  echo "$tree" > "$RUN/tree"; echo "$key" > "$RUN/key"
  for h in master slave; do
    rm -rf "${HOSTS:?}/$h"; mkdir -p "$HOSTS/$h"
    cp --sparse=always "$src/$h.img" "$HOSTS/$h/disk.img"
  done
  rm -rf "$HOSTS/phone"
  keeper_start
  "$SELF" __up
}

cmd___up() {
  switch_up
  bare_up gateway; bare_up watcher
  host_start phone
  cmd_boot master --no-wait
  cmd_boot slave --no-wait
  cmd_wait master; cmd_wait slave
}

cmd_down() {
  [ -d "$RUN" ] || return 0
  # A lab without its keeper still has processes: another one finds them.
  keeper_pid >/dev/null || keeper_start
  "$SELF" __down
  keeper_end
  rm -rf "${RUN:?}"
}

cmd___down() {
  local h m
  for h in master slave phone; do
    [ ! -e "$CG/$h/cgroup.kill" ] || echo 1 > "$CG/$h/cgroup.kill"
  done
  for h in master slave phone; do
    [ ! -e "$RUN/$h.mon" ] || wait_off "$h" 5 || {   # its monitor was killed: tidy up for it
      net_down "$h" || true
      rm -f "$RUN/$h.mon"; }
    cgroup_rm "$h"
    disk_umount "$h" || true
  done
  rmdir "$CG" 2>/dev/null || true
  for m in "$NS"/*; do [ ! -e "$m" ] || { umount -l "$m" 2>/dev/null || true; rm -f "$m"; }; done
}

cmd_purge() { cmd_down; forget_disks; rm -rf "${LAB_DIR:?}"/{snap,guard,guard.log}; rmdir "$LAB_DIR"; }

# Only what is ours, and never through a mount that would not go.
forget_disks() {
  ! grep -qF " $LAB_DIR/" /proc/self/mountinfo ||
    die "Cannot delete the disks in $LAB_DIR as something is still mounted there"
  rm -rf "${HOSTS:?}"
}

# Holds the lab for one test run. When that ends, in whatever way, so does standard input.
cmd_guard() {
  mkdir -p "$LAB_DIR"
  exec 8>>"$LAB_DIR/guard"
  flock --nonblock 8 || die "Cannot use $LAB_DIR as process $(cat "$LAB_DIR/guard") has it: wait for it or set LAB_DIR"
  echo "$PPID" > "$LAB_DIR/guard"
  trap '' HUP INT TERM PIPE               # they mean the test run, whose end is told below
  cmd_down                                # what a killed run with a killed guard left behind
  echo ready
  exec >"$LAB_DIR/guard.log" 2>&1         # the test run's terminal may be gone by then
  cat >/dev/null || true
  sleep 0.2                               # its last commands die with it
  cmd_down
  forget_disks
  # shellcheck disable=SC2012  # the names are the tests'
  { ls -1td "$SNAPS"/*/* 2>/dev/null || true; } | tail -n +3 | xargs -r rm -rf
}

cmd_saved() {
  [ $# = 1 ] || die "Cannot look for disks without a name: lab saved SNAP"
  [ -d "$SNAPS/$(image_key)/$1" ]
}

cmd_save() {
  [ $# = 1 ] || die "Cannot save without a name: lab save SNAP"
  need_up
  local h d
  d=$SNAPS/$(cat "$RUN/key")/$1
  for h in master slave; do ! host_pid $h >/dev/null || cmd_off $h; done
  rm -rf "$d.new"; mkdir -p "$d.new"
  for h in master slave; do disk_umount $h; cp --sparse=always "$HOSTS/$h/disk.img" "$d.new/$h.img"; done
  rm -rf "$d"; mv "$d.new" "$d"
}

cmd_status() {
  keeper_pid >/dev/null || { echo "lab: down"; return 0; }
  "$SELF" __status
}

cmd___status() {
  local h p s i f
  echo "image: $(cat "$RUN/key")"
  for h in master slave phone gateway watcher; do
    case $h in
      gateway|watcher) s=on ;;
      *) if p=$(host_pid $h); then s="on (pid $p)"; ! host_frozen $h || s+=", frozen"; else s=off; fi ;;
    esac
    for i in eth0 eth1; do for f in cut mute split; do [ ! -e "$RUN/$h-$i.$f" ] || s+=", $i $f"; done; done
    echo "$h: $s"
  done
}
