#!/bin/bash
# Format, lint (with the purity gate for src/core), types. Changes nothing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

say "Format"
deno fmt --check --quiet
say "Lint"
deno lint --quiet
say "Shell scripts"
# Also those without a name in .sh that are shell by their first line. tests/lab/sh is sourced by a script with
# set -e, where a cd that fails ends it (SC2164).
mapfile -t scripts < <(
  find packaging/toolchain packaging/debian tests .ci -type f ! -path '*/node_modules/*' \
    ! -path '*/cache/*' ! -path 'tests/lab/sh/*' -size -200k -exec grep -lE -m1 \
    -e '^#!/bin/(ba)?sh|^# shellcheck shell=' {} + | sort
)
((${#scripts[@]} > 10)) || die "Cannot check the shell scripts as they are not where they should be"
shellcheck --severity=warning "${scripts[@]}"
shellcheck --severity=warning --shell=bash packaging/completions/relais.bash
shellcheck --severity=warning --exclude=SC2164 tests/lab/sh/*.sh
say "Types"
deno check --quiet --frozen
# The core once more, with the language alone: no Deno, no timers, no fetch, no console exist there.
say "Types of src/core without any platform"
mapfile -t core < <(find src/core -name '*.ts' ! -name '*_test.ts' | sort)
deno check --quiet --config "$toolchain/core.json" "${core[@]}"
