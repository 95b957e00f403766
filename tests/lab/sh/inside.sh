# Commands and files in a host. Sourced by `lab`; uses its variables.
# shellcheck shell=bash

knownp() { case $1 in master|slave|phone) ;; *) die "Cannot find $1 as there are master, slave and phone" ;; esac; }

in_host() {   # HOST CMD... : runs the command in the host, as this process
  local h=$1 pid cg time=(); shift
  [ ! -e /proc/self/ns/time ] || time=(--time)
  pid=$(host_pid "$h") || { say "Cannot run a command in $h as it is off"; exit 255; }
  ! host_frozen "$h" || { say "Cannot run a command in $h as it is frozen"; exit 255; }
  cg=$CG/$h/payload; [ ! -d "$cg/init.scope" ] || cg=$cg/init.scope
  echo "$BASHPID" > "$cg/cgroup.procs"
  # pdeathsig: `timeout 5 lab exec ...` ends the command inside, too
  exec nsenter -t "$pid" --mount --uts --ipc --net --pid --cgroup "${time[@]}" --root --wd \
    env -i PATH="$PATH" HOME=/root USER=root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
    setpriv --pdeathsig KILL "$@"
}

cmd_exec() {
  [ $# -ge 2 ] || die "Cannot run nothing: lab exec HOST CMD..."
  if [ "$1" = switch ]; then shift; exec nsenter --net="$NS/switch" "$@"; fi
  knownp "$1"; in_host "$@"
}

# A program of this machine, with its files, on the network of a machine of the lab. /sys is that
# network's too: it shows the interfaces.
cmd_net() {
  [ $# -ge 2 ] || die "Cannot run nothing: lab net HOST CMD..."
  local h=$1; shift
  number_of "$h" >/dev/null; need_up
  [ -e "$NS/$h" ] || { say "Cannot use the network of $h as it is off"; exit 255; }
  # Back in the machine's mounts (descriptor 7), so that it holds none of the lab's.
  # shellcheck disable=SC2016  # the inner shell's
  exec nsenter --net="$NS/$h" --mount=/proc/self/fd/7 unshare --mount --propagation private \
    sh -c 'exec 7<&-; mount -t sysfs -o ro sysfs /sys && cd "$1" && shift && exec setpriv --pdeathsig KILL "$@"' \
    net "$LAB_INSIDE" env -u LAB_INSIDE "$@"
}

cmd_push() {
  [ $# = 3 ] || die "Cannot push this: lab push HOST FILE DEST"
  knownp "$1"; [ -e "$2" ] || die "Cannot push $2 as there is no such file"
  if [ -d "$2" ]; then
    # shellcheck disable=SC2016  # the inner shell's
    tar -C "$2" --owner=root --group=root -cf - . |
      ( in_host "$1" sh -euc 'rm -rf "$1.new"; mkdir -p "$1.new"; tar -C "$1.new" -xf -; rm -rf "$1"; mv "$1.new" "$1"' push "$3" )
    return
  fi
  # shellcheck disable=SC2016  # the inner shell's
  ( in_host "$1" sh -euc 'd=$1; [ ! -d "$d" ] || d=${d%/}/$2; t=$d.lab$$; cat > "$t"; chmod "$3" "$t"; mv "$t" "$d"' \
      push "$3" "$(basename "$2")" "$(stat -c %a "$2")" ) < "$2"
}

cmd_pull() {
  [ $# = 3 ] || die "Cannot pull this: lab pull HOST FILE DEST"
  knownp "$1"; local d=$3; [ ! -d "$d" ] || d=${d%/}/$(basename "$2")
  ( in_host "$1" cat -- "$2" ) > "$d"
}

cmd_rescue() {
  [ $# -ge 2 ] || die "Cannot run nothing: lab rescue HOST CMD..."
  known "$1"; ! host_pid "$1" >/dev/null || die "Cannot open the disk of $1 as it is on"
  local rc=0
  disk_umount "$1"; disk_mount "$1"
  unshare --mount --propagation private "$SELF" __rescue "$@" || rc=$?
  disk_umount "$1"; exit $rc
}
cmd___rescue() {
  local h=$1 r=$HOSTS/$1/root; shift
  assemble "$(tree_now)" "$HOSTS/$h/disk" "$r" "$HOSTS/$h/journal"
  mount -t proc proc "$r/proc"; mount --bind /dev "$r/dev"; mount -t tmpfs tmpfs "$r/run"
  exec unshare --net --fork chroot "$r" env -i PATH="$PATH" HOME=/root LANG=C.UTF-8 "$@"
}

cmd_journal() {
  known "$1"
  exec unshare --mount --propagation private "$SELF" __journal "$@"
}
cmd___journal() {
  local h=$1 t; shift; t=$(tree_now)
  mount --bind "$HOSTS/$h/journal" "$t/mnt"; mount --rbind /proc "$t/proc"
  exec chroot "$t" env -i PATH="$PATH" LANG=C.UTF-8 journalctl --no-pager -D /mnt "$@"
}

cmd_log() { knownp "$1"; cat "$RUN/$1.console"; }
