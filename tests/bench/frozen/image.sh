#!/bin/bash
# Makes what the measured machine boots from: KERNEL and INITRD in the folder DIR. Debian's cloud kernel
# (downloaded, not installed), busybox, and this machine's `ip` and `nft`.
#
#   image.sh DIR
set -euo pipefail
dir="$1"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
mkdir -p "$dir"
cd "$dir"
[[ ! -s kernel || ! -s initrd || $here/guest_init.sh -nt initrd || $here/image.sh -nt initrd ]] || exit 0

package="$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)"
[[ -n $package ]] || { echo "Cannot find Debian's cloud kernel: apt-get update" >&2; exit 1; }
if ! compgen -G "${package}_*.deb" >/dev/null; then
  apt-get download -q "$package" >/dev/null 2>&1
fi
rm -rf tree files
mkdir -p tree files/{bin,sbin,modules}
dpkg-deb -x "${package}"_*.deb tree
cp tree/boot/vmlinuz-* kernel
modules=(tree/lib/modules/*)

# Each module after those that it names.
added=()
add() {
  local name="$1" path dependency
  [[ " ${added[*]} " == *" $name.ko "* ]] && return
  path="$(find "${modules[0]}" -name "${name//_/[_-]}.ko" | head -1)"
  [[ -n $path ]] || return 0 # built in
  # Strings of .modinfo end with a zero byte.
  for dependency in $(grep -za '^depends=' "$path" | tr '\0,' '  ' | cut -d= -f2); do
    add "$dependency"
  done
  cp "$path" "files/modules/$name.ko"
  added+=("$name.ko")
}
for module in virtio_pci virtio_net nf_tables; do add "$module"; done
printf '%s\n' "${added[@]}" >files/modules/order

install -m 755 /bin/busybox files/bin/busybox
for program in ip nft; do
  path="$(PATH="$PATH:/usr/sbin:/sbin" command -v "$program")"
  install -m 755 "$(readlink -f "$path")" "files/sbin/$program"
  # The library's path, as the loader names it.
  for library in $(ldd "$path" | grep -o '/[^ ]*'); do
    mkdir -p "files$(dirname "$library")"
    cp -L "$library" "files$library"
  done
done
install -m 755 "$here/guest_init.sh" files/init
(cd files && find . | cpio --quiet -o -H newc) | gzip -1 >initrd.new
rm -rf tree files
mv initrd.new initrd
