# The two commands of the README are `make demo` and `make test`.
TOOLS ?= $(HOME)/.cache/consign-tools
export PATH := $(TOOLS)/bin:$(PATH)
export TOOLS
export CONSIGN_TEST_TOOLS := $(TOOLS)/bin

.PHONY: demo test conformance bench lint tools

demo: ## a freight from tag to a gated prod, offline, in a folder of its own
	@cargo run --quiet -- demo $(DIR)

test: tools ## every test; real tools are installed if a package client is there
	cargo test

conformance: ## only the lines of the conformance cases
	@cargo test --quiet --test conformance

bench: ## make bench SCENARIO=S5
	@cargo bench --quiet --bench scenarios -- $(SCENARIO)

lint: ## what CI checks before it tests
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

tools:
	@scripts/install-test-tools.sh >/dev/null
