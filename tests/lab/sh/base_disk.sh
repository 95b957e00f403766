# A host's disk as it comes from the installer. Sourced by `lab`; uses its variables.
# shellcheck shell=bash

# An ext4 image with
#   upper, work   overlay over the cached tree, seen as /
#   var           a copy of the tree's /var, seen as /var: databases are on plain ext4
base_disk() (   # HOST TREE IMAGE
  h=$1 tree=$2 img=$3
  truncate -s "${LAB_DISK_MB}M" "$img"
  mkfs.ext4 -q -F -m 0 -J size=32 -N 131072 -L "lab-$h" -E lazy_itable_init=0,nodiscard "$img"
  mkdir -p "$img.d" "$img.root" "$img.journal"
  build_step "$SELF" __fill "$h" "$tree" "$img"
  rmdir "$img.d" "$img.root" "$img.journal"
)

cmd___fill() {   # in a mount namespace of its own, which ends with this process
  local h=$1 n tree=$2 img=$3 d=$3.d v
  n=$(number_of "$h")
  mount -o loop "$img" "$d"
  mkdir "$d/upper" "$d/work"
  cp -a "$tree/var" "$d/var"
  mkdir -p "$d/upper/etc/network"
  echo "$h" > "$d/upper/etc/hostname"
  case $h in master) echo 6d617374657200000000000000000001 ;;
             *)      echo 736c6176650000000000000000000002 ;; esac > "$d/upper/etc/machine-id"
  cat > "$d/upper/etc/hosts" <<HOSTS
127.0.0.1 localhost
10.20.0.11 master
10.20.0.12 slave
10.30.0.11 master-data
10.30.0.12 slave-data
10.20.0.50 phone
HOSTS
  cat > "$d/upper/etc/network/interfaces" <<INTERFACES
auto lo eth0 eth1
iface lo inet loopback
iface eth0 inet static
    address 10.20.0.$n/24
iface eth1 inet static
    address 10.30.0.$n/24
INTERFACES
  assemble "$tree" "$d" "$img.root" "$img.journal"
  mount -t proc proc "$img.root/proc"
  in_image() { chroot "$img.root" env -i PATH="$PATH" LANG=C.UTF-8 LC_ALL=C.UTF-8 "$@"; }
  in_image ssh-keygen -A >/dev/null               # host keys of its own
  for v in "$tree"/usr/lib/postgresql/*; do
    [ ! -d "$v" ] || in_image pg_createcluster --locale C.UTF-8 -e UTF8 "${v##*/}" main >/dev/null
  done
  in_image apt-get -qq update             # from the host's own archive: nothing else is asked
  umount "$img.root/proc"
  umount -R "$img.root"; umount "$d"
}
