#!/bin/bash
# Brings a fresh Debian machine (Node, npm, make, root) to where everything builds and tests:
# the programs that relais drives, and the pinned Deno. Quick when nothing is missing.
# With the argument "lab" also what the laboratory of two Debian hosts needs (tests/lab/README.md).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# program (or file) to look for = Debian package that brings it
wanted=(
  shellcheck=shellcheck ip=iproute2 nft=nftables rsync=rsync ssh=openssh-client sshd=openssh-server ping=iputils-ping
  zstd=zstd conntrack=conntrack sqlite3=sqlite3 tcpdump=tcpdump unshare=util-linux
  runuser=util-linux git=git faketime=faketime openssl=openssl etcd=etcd-server etcdctl=etcd-client
)
# `setup.sh deb`: what packing needs on top of that
for_deb=(
  dh=debhelper dpkg-buildpackage=dpkg-dev lintian=lintian apt-ftparchive=apt-utils gpg=gnupg
  readelf=binutils man=man-db systemd-analyze=systemd
)

if [[ ${1:-} == lab ]]; then
  wanted+=(
    mmdebstrap=mmdebstrap mkfs.ext4=e2fsprogs losetup=mount perl=perl-base bridge=iproute2
    flock=util-linux setpriv=util-linux ps=procps ipmi_sim=openipmi
  )
fi

# `setup.sh frozen`: a virtual machine, by emulation (make bench-frozen)
if [[ ${1:-} == frozen ]]; then
  wanted+=(qemu-system-x86_64=qemu-system-x86 busybox=busybox-static cpio=cpio)
fi

packages_missing() {
  local entry
  for entry in "${wanted[@]}"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${entry%%=*}" >/dev/null || echo "${entry#*=}"
  done
  # Server programs of PostgreSQL are not on PATH: any major version will do.
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo postgresql
}

# Debian starts what it installs. Here nothing may: tests start their own servers, and a machine that
# only builds has no use for a running PostgreSQL or sshd.
policy=/usr/sbin/policy-rc.d
policy_is_ours=no
forbid_starting() {
  [[ -e $policy ]] && return
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  policy_is_ours=yes
}
allow_starting() {
  if [[ $policy_is_ours == yes ]]; then rm -f "$policy"; fi
}

install_packages() {
  local -a missing
  mapfile -t missing < <(packages_missing | sort -u)
  ((${#missing[@]} == 0)) && return
  [[ $(id -u) == 0 ]] ||
    die "Cannot install ${missing[*]} as you are not root: run: sudo apt-get install ${missing[*]}"
  command -v apt-get >/dev/null ||
    die "Cannot install ${missing[*]} as there is no apt-get here: install them in your way"
  say "Installing from Debian: ${missing[*]}"
  trap allow_starting EXIT
  forbid_starting
  export DEBIAN_FRONTEND=noninteractive
  # A fresh image has no package lists: try without an update first, it is the slow part.
  apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 </dev/null || {
    apt-get update -qq </dev/null
    apt-get install -y --no-install-recommends "${missing[@]}" </dev/null
  }
  allow_starting
  policy_is_ours=no
}

deno_version() { deno --version 2>/dev/null | sed -n '1s/^deno \([0-9.]*\).*/\1/p'; }

install_deno() {
  local want have
  want="$(sed -n 's/.*"@deno\/linux-x64-glibc": "\([0-9.]*\)".*/\1/p' "$toolchain/package.json")"
  have="$(deno_version || true)"
  [[ $want == "$have" ]] && return
  say "Installing Deno $want from npm"
  # The package of the platform itself, as the package "deno" only finds it by an install script, which
  # an npm need not run. `npm ci` checks the integrity of package-lock.json.
  (cd "$toolchain" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null)
  if [[ $(host_arch) == arm64 ]]; then
    warn "The Deno of arm64 is pinned by version only: package-lock.json has the integrity of amd64"
    (cd "$toolchain" && npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
      --loglevel=error "@deno/linux-arm64-glibc@$want" </dev/null)
  fi
  have="$(deno_version || true)"
  [[ $want == "$have" ]] || die "Cannot use Deno as npm brought \"$have\", not $want: check package-lock.json"
}

# All npm packages of deno.lock into Deno's cache, so that what follows needs no network.
fetch_dependencies() {
  (cd "$root" && deno install --quiet --frozen </dev/null)
}

[[ ${1:-} != deb ]] || wanted+=("${for_deb[@]}")
install_packages
install_deno
fetch_dependencies
