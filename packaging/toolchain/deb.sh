#!/bin/bash
# Builds dist/relais_VERSION_ARCH.deb from dist/relais (make build) and packaging/, by dpkg-buildpackage in
# a staged source tree. Does nothing when that file is newer than all that it is made of.
#   DEB_VERSION=…   another version than the one that is worked out (for tests of upgrades)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

arch="${ARCH:-$(host_arch)}"
binary=dist/relais
[[ $arch == "$(host_arch)" ]] || binary="dist/relais-$arch"
[[ -x $binary ]] || die "Cannot pack $binary as it does not exist: make build ARCH=$arch"

# A fact of the binary, as build.sh wrote it into it. Not asked of the binary: it may be of another machine.
fact() { sed -n "s/.*\"$1\": \"\{0,1\}\([^\",}]*\).*/\1/p" "$(dirname "$binary")/.built-$(basename "$binary")"; }

# 0.1.0 only for the official runtime at the tag v0.1.0. Everything else sorts before it ("~"), by the time
# of the commit, and says what is unusual: +fallback, +custom, +dirty.
version_of() {
  local version commit date suffix="" denort
  version="$(fact version)" commit="$(fact commit)" date="$(fact commitDate)"
  denort="$(cat "$(dirname "$binary")/.denort-$(basename "$binary")")"
  [[ $denort == official ]] || suffix+="+$denort"
  [[ $(fact dirty) == false ]] || suffix+="+dirty"
  if [[ -z $suffix && $(git describe --exact-match --tags HEAD 2>/dev/null) == "v$version" ]]; then
    echo "$version"
  elif [[ $commit == unknown ]]; then
    echo "$version~dev$suffix"
  else
    echo "$version~dev${date//[^0-9]/}.g${commit:0:7}$suffix"
  fi
}

commit_time() {
  local date
  date="$(fact commitDate)"
  [[ $date == unknown ]] && date="$(sed -n 's/^ -- .*  //p' packaging/debian/changelog | head -1)"
  date -d "$date" +%s
}

version="${DEB_VERSION:-$(version_of)}"
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH="$(commit_time)"
deb="dist/relais_${version}_$arch.deb"

exec 9>dist/.deb.lock
flock -w 600 9 || die "Cannot build the package as another build holds dist/.deb.lock for 10 minutes"

inputs=("$binary" packaging/debian packaging/systemd packaging/conf packaging/man packaging/completions
  packaging/toolchain/deb.sh docs README.md README.fr.md CHANGELOG.md)
if [[ -e $deb && -z $(find "${inputs[@]}" -newer "$deb" ! -type d -print -quit) ]]; then
  say "$deb is up to date"
  echo "$deb"
  exit 0
fi

tree="dist/deb/$arch/relais"
rm -rf "dist/deb/$arch"
mkdir -p "$tree"
cp -r packaging/debian packaging/conf packaging/man packaging/completions docs "$tree/"
cp -r packaging/systemd "$tree/"
# Its place is its name.
mv "$tree/completions/relais.bash" "$tree/completions/relais"
cp README.md README.fr.md CHANGELOG.md "$tree/"
# A link, not a copy of 100 MB; dh_install copies through it.
ln "$binary" "$tree/relais"
if [[ $version != "$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)" ]]; then
  {
    printf 'relais (%s) unstable; urgency=medium\n\n' "$version"
    printf '  * Built from commit %s, not a release.\n\n' "$(fact commit)"
    printf ' -- The relais authors <relais@localhost>  %s\n\n' "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
    cat packaging/debian/changelog
  } >"$tree/debian/changelog"
fi

say "Packing $deb"
log="dist/deb/$arch/build.log"
# --no-check-builddeps: setup.sh has looked, and an arm64 package needs nothing of arm64 to be built.
(cd "$tree" && timeout 900 dpkg-buildpackage --build=binary --no-sign --no-check-builddeps \
  --host-arch="$arch") >"$log" 2>&1 </dev/null || {
  tail -n 25 "$log" >&2
  die "Cannot build the package as dpkg-buildpackage failed: see $log"
}
# One package of each architecture: those of older commits are of no use and 30 MB each.
[[ -n ${DEB_VERSION:-} ]] || rm -f dist/relais_*_"$arch".deb
mv "dist/deb/$arch/relais_${version}_$arch.deb" "$deb"
rm -rf "${tree:?}/relais" "${tree:?}/debian/relais"
touch "$deb"
say "$deb: $(du -h --apparent-size "$deb" | cut -f1), sha256 $(sha256sum "$deb" | cut -c1-16)…"
echo "$deb"
