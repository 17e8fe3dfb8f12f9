# Thin front to Meson; every target can be typed on a machine with nothing but compilers.
BUILD := build/release

.PHONY: help deps build run test unit clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

deps: ## install the missing Debian packages
	@tools/deps

$(BUILD)/build.ninja: | deps
	@meson setup $(BUILD) >/dev/null

build: $(BUILD)/build.ninja ## build the release binaries into build/bin
	@ninja -C $(BUILD)

unit: build ## run the unit tests
	@meson test -C $(BUILD) --suite unit --print-errorlogs
