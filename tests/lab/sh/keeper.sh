# The mount namespace of a running lab. Sourced by `lab`; uses its variables.
# shellcheck shell=bash

# A process that does nothing keeps it. Were the hosts' disks mounted in the machine's own namespace, every
# program of the machine that makes a mount namespace would take a copy of the mounts with it and hold the
# disks for as long as it lives: no power cut would ever end.

KEEPER="lab-keeper $LAB_DIR"

keeper_pid() {
  local p
  p=$(cat "$RUN/keeper" 2>/dev/null) && [ -n "$p" ] && grep -qszxF "$KEEPER" "/proc/$p/cmdline" && echo "$p"
}

keeper_start() {
  mkdir -p "$RUN" "$CGMNT"
  rm -f "$RUN/keeper"
  setsid unshare --mount --propagation private "$SELF" __keeper </dev/null >/dev/null 2>&1 9>&- &
  for _ in $(seq 200); do
    keeper_pid >/dev/null && return 0
    sleep 0.05
  done
  die "Cannot start the lab as its keeper does not run: is cgroup2 in this kernel?"
}

cmd___keeper() {
  cd /
  mount -t cgroup2 cgroup2 "$CGMNT"; mkdir -p "$CG"
  echo $$ > "$RUN/keeper"
  exec -a "$KEEPER" sleep infinity
}

keeper_end() {
  local p
  p=$(keeper_pid) || return 0
  kill "$p"
  for _ in $(seq 100); do keeper_pid >/dev/null || return 0; sleep 0.02; done
  kill -KILL "$p"
}

# Goes on with the command in the lab's namespace, as this process.
enter_lab() {   # CMD ARGS...
  local p
  [ -z "${LAB_INSIDE:-}" ] || return 0
  p=$(keeper_pid) || die "Cannot do this as the lab is down: lab up"
  if [ "$1" = net ]; then exec 7</proc/self/ns/mnt; fi    # the way back, for cmd_net
  LAB_INSIDE=$PWD exec nsenter --mount="/proc/$p/ns/mnt" "$SELF" "$@"
}
