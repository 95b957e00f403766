#!/bin/bash
# Compiles src/main.ts into dist/relais (this machine's ARCH) or dist/relais-ARCH (another one).
# Does nothing when that file is newer than all that it is made of.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

arch="${ARCH:-$(host_arch)}"
case "$arch" in
  amd64) target=x86_64-unknown-linux-gnu ;;
  arm64) target=aarch64-unknown-linux-gnu ;;
  *) die "Cannot build for \"$arch\" as only amd64 and arm64 are known: make build ARCH=amd64|arm64" ;;
esac
# Tests of the toolchain compile another program, with the same permissions, to another place.
main="${RELAIS_MAIN:-src/main.ts}"
out="${RELAIS_OUT:-dist/relais}"
[[ -n ${RELAIS_OUT:-} || $arch == "$(host_arch)" ]] || out="dist/relais-$arch"
[[ -f $main ]] || die "Cannot build relais as $main does not exist"

mkdir -p dist
# Two builds at once would write the same files.
exec 9>dist/.build.lock
flock -w 600 9 || die "Cannot build as another build holds dist/.build.lock for 10 minutes"

# What the binary says of itself; without git (source archive) RELAIS_COMMIT may say it.
facts() {
  local commit="${RELAIS_COMMIT:-unknown}" date="${RELAIS_COMMIT_DATE:-unknown}" dirty=false
  if git rev-parse --verify HEAD >/dev/null 2>&1; then
    commit="$(git rev-parse HEAD)"
    date="$(TZ=UTC git show -s --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ HEAD)"
    [[ -z $(git status --porcelain -- src deno.json deno.lock packaging/toolchain) ]] || dirty=true
  fi
  printf '"version": "%s", "commit": "%s", "commitDate": "%s", "dirty": %s, "arch": "%s", "main": "%s"' \
    "$(sed -n 's/^ *"version": "\([^"]*\)".*/\1/p' deno.json | head -1)" \
    "$commit" "$date" "$dirty" "$arch" "$main"
}

inputs=(src deno.json deno.lock packaging/toolchain/build.sh packaging/toolchain/permissions.txt
  packaging/toolchain/package-lock.json "$main")
info="dist/build_info.json"
stamp="$(dirname "$out")/.built-$(basename "$out")"
facts="$(facts)"
wish="$facts ${DENORT:-any} ${DENORT_BIN:-}"
if [[ -e $out && -e $stamp && -e $(dirname "$out")/.denort-$(basename "$out") &&
  $(cat "$stamp") == "$wish" &&
  -z $(find "${inputs[@]}" -newer "$stamp" ! -name '*_test.ts' ! -type d -print -quit) ]]; then
  say "$out is up to date"
  exit 0
fi
started="$(mktemp -p dist .started.XXXXXX)"
tmp="$(dirname "$out")/.$(basename "$out").$$"
trap 'rm -f "$started" "$tmp"' EXIT

read -r kind file < <("$toolchain/denort.sh" "$arch")
[[ -n ${kind:-} ]] || exit 1
unset DENORT_BIN # make exports it empty when nobody gave it
[[ $file == - ]] || export DENORT_BIN="$file"

mapfile -t permissions < <(sed -E 's/#.*//; s/[[:space:]]+$//; /^$/d' "$toolchain/permissions.txt")
echo "{ $facts, \"denort\": \"$kind\" }" >"$info"

say "Compiling $out for $arch ($kind denort)"
# Never strip, dwz or UPX the result: the program is appended to the ELF file.
# A daemon that idles for months: a small young generation and no GC threads save some megabytes, no
# optimizing compilers another 15 (107 to 92 MB after five minutes, measured side by side; what they would
# have saved in processor time is what they cost: 0.94 % of a core instead of 0.90 %).
deno compile --quiet --frozen --no-prompt --target "$target" "${permissions[@]}" \
  --v8-flags=--max-semi-space-size=1,--single-threaded-gc,--no-turbofan,--no-maglev \
  --include "$info" --output "$tmp" "$main" </dev/null
# By rename, so that a daemon that runs the old file keeps it.
mv "$tmp" "$out"
echo "$wish" >"$stamp"
# For deb.sh: a package says so too when its runtime is not the official one.
echo "$kind" >"$(dirname "$out")/.denort-$(basename "$out")"
touch -r "$started" "$stamp"
say "$out: $(du -h --apparent-size "$out" | cut -f1), sha256 $(sha256sum "$out" | cut -c1-16)…"
