# The root file system that all hosts of the lab have in common: built once, kept in LAB_CACHE, shared by
# any number of labs. What it is made of is in image_content.sh. Sourced by `lab`; uses its variables.
# shellcheck shell=bash

digest() { sha256sum | cut -c1-12; }

# Names what the image is made of: another package list or a change in image_content.sh makes a new one.
image_key() {
  echo "$LAB_SUITE-$(dpkg --print-architecture)-$({ packages; cat "$HERE/sh/image_content.sh"; } | digest)"
}
disks_key() { { echo "$LAB_DISK_MB"; cat "$HERE/sh/base_disk.sh"; } | digest; }

need_tools() {
  local c missing=()
  for c in unshare nsenter setpriv pivot_root losetup mkfs.ext4 ip bridge perl zstd flock sha256sum; do
    command -v "$c" >/dev/null || missing+=("$c")
  done
  [ ${#missing[@]} = 0 ] ||
    die "Cannot use this machine as it lacks ${missing[*]}: run packaging/toolchain/setup.sh lab"
  grep -qw overlay /proc/filesystems || die "Cannot use this machine as its kernel has no overlayfs"
  [ -e /dev/loop-control ] || die "Cannot use this machine as it has no loop devices"
}

# A step of the build: ends with this script, however that ends, with all its processes and mounts.
# It keeps the lock (descriptor 9) until then, so that no other build can meet its remains.
build_step() {
  setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child --mount-proc "$@"
}

cmd_build() {
  need_tools
  mkdir -p "$LAB_CACHE"
  exec 9>"$LAB_CACHE/lock"
  flock --nonblock 9 || { say "Another build is running, waiting for it"; flock 9; }
  # Whoever held the lock before has ended: what is unfinished now stays unfinished.
  rm -rf "${LAB_CACHE:?}"/*.new "${LAB_CACHE:?}"/tmp.*
  local key tree tar disks
  key=$(image_key); tree=$LAB_CACHE/$key; tar=$tree.tar.zst; disks=$tree.disks-$(disks_key)
  if [ ! -d "$tree" ]; then
    if [ -f "$tar" ]; then
      say "Unpacking $tar"
      mkdir "$tree.new"
      build_step tar -C "$tree.new" --zstd --xattrs --xattrs-include='*' --numeric-owner -xpf "$tar"
    else
      make_tree "$tree.new"
      say "Packing $tar"
      tar -C "$tree.new" --xattrs --xattrs-include='*' --numeric-owner --one-file-system -cf - . |
        zstd -q -T0 -3 -f -o "$tar.new"
      mv "$tar.new" "$tar"
    fi
    mv "$tree.new" "$tree"
  fi
  if [ ! -d "$disks" ]; then
    say "Making the hosts' disks"
    mkdir "$disks.new"
    local pids=() h p
    for h in master slave; do base_disk "$h" "$tree" "$disks.new/$h.img" & pids+=($!); done
    for p in "${pids[@]}"; do wait "$p" || die "Cannot make the hosts' disks: see above"; done
    mv "$disks.new" "$disks"
  fi
  touch "$tree" "$disks"; [ ! -f "$tar" ] || touch "$tar"
  forget_old "$key" "$disks"
  exec 9>&-
  say "Built: $tree"
}

# Of the images of former package lists the newest one stays, of former disk layouts none; and what a
# running lab stands on stays in any case.
forget_old() {   # KEY DISKS
  local old
  for old in "$LAB_CACHE/$1".disks-*; do [ "$old" = "$2" ] || rm -rf "$old"; done
  # shellcheck disable=SC2012  # the names are our own
  ls -1td "$LAB_CACHE"/*.tar.zst | sed 's/.*\///; s/\.tar\.zst$//' | { grep -vxF "$1" || true; } | tail -n +2 |
  while read -r old; do
    grep -qs "lowerdir=$LAB_CACHE/$old," /proc/[0-9]*/mountinfo || rm -rf "${LAB_CACHE:?}/${old:?}"{,.*}
  done
}
