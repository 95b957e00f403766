#!/bin/bash
# Format, lint (with the purity gate for src/core), types. Changes nothing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

say "Format"
deno fmt --check --quiet
say "Lint"
deno lint --quiet
say "Types"
deno check --quiet --frozen
# The core once more, with the language alone: no Deno, no timers, no fetch, no console exist there.
say "Types of src/core without any platform"
mapfile -t core < <(find src/core -name '*.ts' ! -name '*_test.ts' | sort)
deno check --quiet --config "$toolchain/core.json" "${core[@]}"
