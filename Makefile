# relais: thin targets; the work is in packaging/toolchain/*.sh and in Deno tasks.
# Needs Node, npm, make and, for setup and the tests in network namespaces, root.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build deb repo check test test-unit test-netns test-packaging test-lab lab lab-down
.PHONY: fuzz sim sim-mutants faults soak lab-faults
.PHONY: demo demo-figures bench-data bench-frozen fmt clean
MAKEFLAGS += --no-print-directory

T := packaging/toolchain
DENO := $(T)/deno
export SEEDS FROM JOBS MUTANTS
export COUNT SEED TARGET WORK
export ARCH KEEP DENORT DENORT_BIN DEB_VERSION RELAIS_REPO_KEY

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing: Debian packages (root) and the pinned Deno (npm)
	@$(T)/setup.sh

build: setup ## Compile dist/relais (ARCH=amd64|arm64; DENORT=official forbids the fallback)
	@$(T)/build.sh

deb: build ## Pack dist/relais_VERSION_ARCH.deb (ARCH=amd64|arm64)
	@$(T)/setup.sh deb
	@$(T)/deb.sh >/dev/null

repo: deb ## Make dist/repo, a signed apt repository of it (RELAIS_REPO_KEY=FILE)
	@$(T)/repo.sh

check: setup ## Format, lint (with the purity gate), shell scripts, types
	@$(T)/check.sh

test: ## Everything: setup, build, check, unit, scenarios, namespaces, package, laboratory (root)
	@$(T)/test.sh build check unit fuzz sim netns faults packaging lab

test-unit: setup ## Unit tests, scenarios, architecture (JOBS=2: two files at a time)
	@$(T)/test.sh unit

fuzz: setup ## Bad inputs for every parser (COUNT=2000000 SEED=1 TARGET=part-of-a-name JOBS=2)
	@$(DENO) run -A --no-check --frozen --v8-flags=--expose-gc tests/fuzz/main.ts

sim: setup ## Two simulated nodes, every fault, and mutants of the rules (SEEDS=100000 JOBS=2 goes long)
	@$(DENO) run -A --no-check --frozen tests/sim/main.ts

sim-mutants: setup ## Only the mutants: each broken rule must be caught
	@$(DENO) run -A --no-check --frozen tests/sim/hunt.ts

faults: build ## The real binary under random faults, bounds measured from outside (SEED=1 MINUTES=20, root)
	@$(DENO) run -A --no-check --frozen tests/faults/main.ts --seed "$(SEED)" --minutes "$(MINUTES)" --kinds "$(KINDS)" --preset "$(PRESET)"

test-packaging: build ## Units, the package, its repository, as apt and systemd see them
	@$(T)/test.sh packaging

test-netns: build ## The real binary between hosts in network namespaces (root)
	@$(T)/test.sh netns

test-lab: repo ## Two Debian hosts with systemd, PostgreSQL, Asterisk and a phone (root)
	@$(T)/test.sh lab

lab: repo ## The same two hosts to play with: boots them and leaves them running (root)
	@$(T)/setup.sh lab
	@$(DENO) run -A tests/lab/main.ts

lab-down: ## Ends what make lab left running, and deletes its disks
	@tests/lab/lab purge

demo: build ## Two hosts, one dies, the telephones stay (root; KEEP=1 leaves it running)
	@$(DENO) run -A tests/demo/main.ts

demo-figures: build ## Measure the outages, write dist/results/demo.json (root)
	@$(DENO) run -A tests/demo/figures.ts

bench-data: setup ## Measure copies of data, write dist/results/data.json (root; SECTIONS="cuts" runs some)
	@SECTIONS="$(SECTIONS)" $(DENO) run -A tests/bench/data/main.ts

bench-frozen: setup ## A virtual machine stands still: how long does it speak for its VIP when it wakes (root; TRIALS=10)
	@$(T)/setup.sh frozen
	@$(DENO) run -A tests/bench/frozen/main.ts

soak: build ## An hour at preset fast, a takeover each 20 s, memory and descriptors flat (root; MINUTES=60 EVERY=20)
	@MINUTES="$(or $(MINUTES),60)" EVERY="$(or $(EVERY),20)" $(DENO) run -A tests/soak/main.ts

lab-faults: repo ## Random faults in the laboratory, judged from outside (root; SEED=n MINUTES=20)
	@$(T)/setup.sh lab
	@SEED="$(SEED)" MINUTES="$(or $(MINUTES),20)" $(DENO) run -A tests/lab/random_faults.ts

fmt: setup ## Format all files
	@$(DENO) fmt

clean: ## Remove what was built (the toolchain stays: git clean -xfd removes it too)
	@rm -rf dist
