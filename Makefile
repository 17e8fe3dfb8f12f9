# Thin front to Meson and tools/; every target can be typed on a machine with nothing but compilers.
# Meson and pytest are Debian's own, whatever Python stands first in PATH.
MESON := /usr/bin/meson
BUILD := build/release
SECONDS ?= 60
SOAK_SECONDS ?= 900
SOAK_DATABASE ?= sqlite
RUN_TESTS := /usr/bin/python3 tools/run-tests

.PHONY: help deps test-deps bench-deps build run cluster test unit check tools integration fault e2e asan tsan fuzz \
        bench checkpoints soak format clean

help: ## show this list
	@sed -nE 's/^([a-z-]+)[a-z0-9 -]*:.*## (.*)/\1\t\2/p' Makefile | expand -t 14

deps: ## install the missing Debian packages
	@tools/deps build

test-deps: # the same, with what only the tests need
	@tools/deps build test

bench-deps: # the same, with what only the bench needs
	@tools/deps build test bench

$(BUILD)/build.ninja: | deps
	@mkdir -p build
	@$(MESON) setup $(BUILD) -Dtests=false -Dwhole_program=true >build/setup.log || { cat build/setup.log; exit 1; }

build: deps $(BUILD)/build.ninja ## build the release binaries into build/bin
	@ninja -C $(BUILD) --quiet
	@tools/link-binaries $(BUILD) build/bin

run: build ## build and serve TomeHub at http://127.0.0.1:5001
	@exec build/bin/tomehub serve

cluster: build ## two TomeHub servers, HAProxy, PostgreSQL with a replica and Redis, until Ctrl-C
	@tools/deps cluster
	@exec tools/cluster

test: test-deps ## every check and test; ends with `N passed, N failed`
	@$(RUN_TESTS)

unit check tools integration fault e2e asan tsan: test-deps ## a part of it; also check, tools, integration, fault, e2e, asan, tsan
	@$(RUN_TESTS) $@

fuzz: test-deps ## run every fuzzer for SECONDS=60 each
	@$(RUN_TESTS) fuzz --fuzz-seconds $(SECONDS)

bench: bench-deps build ## measure against limits and other servers (takes 20 minutes)
	@$(MESON) configure $(BUILD) -Dtests=true
	@ninja -C $(BUILD) --quiet
	@bench/run http tls ingest search beside_ingest pool cache checks overload slow_clients protections \
	           database peers

checkpoints: bench-deps build ## crowds of users at a slow database, feature by feature (takes 10 minutes)
	@$(MESON) configure $(BUILD) -Dtests=true
	@ninja -C $(BUILD) --quiet
	@bench/run checkpoints

soak: bench-deps build ## 100 and 200 users for SOAK_SECONDS=900; SOAK_DATABASE=sqlite or postgres
	@$(MESON) configure $(BUILD) -Dtests=true
	@ninja -C $(BUILD) --quiet
	@bench/run soak --seconds $(SOAK_SECONDS) --database $(SOAK_DATABASE)

format: test-deps ## put every C and Python file into the house format
	@git ls-files '*.c' '*.h' | xargs clang-format -i
	@/usr/bin/python3 -m black --quiet tests tools $$(git grep -l '^#!/usr/bin/python3$$')

clean: ## remove everything that was built
	@rm -rf build
