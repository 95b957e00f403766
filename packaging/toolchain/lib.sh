# Shared by the scripts of this folder; sourced, never run.
# shellcheck shell=bash

toolchain="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck disable=SC2034  # for those who source this
root="$(cd "$toolchain/../.." && pwd)"

say() { printf '\033[1m%s\033[0m\n' "$*" | strip_colour >&2; }
warn() { printf '\033[1;33mWARNING: %s\033[0m\n' "$*" | strip_colour >&2; }
complain() {
  printf '\033[1;31m%s\033[0m\n' "$*" | strip_colour >&2
  return 1
}

# Colours only for a person: standard error on a terminal and NO_COLOR unset.
strip_colour() {
  if [[ -t 2 && -z ${NO_COLOR:-} ]]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi
}

deno() { "$toolchain/deno" "$@"; }

# "amd64" or "arm64", as Debian says it.
host_arch() {
  case "$(uname -m)" in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
  esac
}

# The same, and the script ends.
die() {
  complain "$@" || exit 1
}
