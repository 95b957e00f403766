# The disk of a host while the lab is there. Sourced by `lab`; uses its variables.
# shellcheck shell=bash

# Put a host's file system together: TREE DISK ROOT JOURNAL
assemble() {
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$3"
  mount --bind "$2/var" "$3/var"
  # The journal is kept outside the disk, so that it survives a power cut (the tests' black box).
  mount --bind "$4" "$3/var/log/journal"
}

disk_mount() {
  local d=$HOSTS/$1
  mkdir -p "$d/disk" "$d/root" "$d/journal"
  mountpoint -q "$d/disk" || mount -o loop "$d/disk.img" "$d/disk"
}

# After a host's death its overlay may hold the disk for a moment; mounting the image
# again before that is over would give two ext4 on one disk.
disk_umount() {
  local d=$HOSTS/$1
  [ -f "$d/disk.img" ] || return 0
  for _ in $(seq 200); do
    if mountpoint -q "$d/disk"; then umount "$d/disk" 2>/dev/null || { sleep 0.05; continue; }; fi
    [ -n "$(losetup -j "$d/disk.img" 2>/dev/null)" ] || return 0
    sleep 0.05
  done
  say "Cannot release the disk of $1 as something still uses it"; return 1
}

# EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH: from now on nothing reaches the disk.
disk_pull() {
  # shellcheck disable=SC2016  # perl's variables
  perl -e 'open(my $f,"<",$ARGV[0]) or die; my $a=pack("L",2); ioctl($f,0x8004587d,$a) or die "shutdown: $!\n"' "$1"
}
