# The doors of the project. CI uses these and nothing else.
#
#   make run    installs what the build needs, builds, starts an instance on loopback (Ctrl-C stops it)
#   make test   installs what the tests need, builds, and runs them all
#   make lint   format, clippy
#   make bench  measures side by side with peers and prints a table
#   make scores the exposure of the services' units, held
#   make deb    builds target/package/merlon_VERSION_ARCH.deb and checks it
#   make rpm    builds target/package/merlon-VERSION-1.ARCH.rpm and checks it; make check-rpm installs it (as root)
#   make image  builds a container image without a registry; make check-image runs it (as root)
#   make vm-test  the package, in booted machines with a TPM: all of it; vm-test-quick: the minutes that CI has
#   make sbom   builds the programs and lists what is inside them (CycloneDX)
#   make reproducible  builds the package twice, in two places, and compares (slow)
#   make deny   licences, sources, advisories, who may link what

SHELL := /bin/bash
DATA_DIR ?= var/default

.PHONY: run test lint scores bench deb rpm check-rpm image check-image vm-test vm-test-quick vm-payload sbom reproducible deny build setup setup-test

run: setup
	cargo build --release --locked -p merlon-engine -p merlon-keeper -p merlon-dialer -p merlon-seal -p merlon-cli
	scripts/run $(DATA_DIR)

build: setup
	cargo build --locked --workspace

test: setup-test build
	cargo test --locked --workspace --no-run
	scripts/apart cargo test --locked --offline --workspace --no-fail-fast

lint: setup
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

scores:
	packaging/check-scores

bench: setup
	bench/run.sh

deb: setup
	scripts/setup-package
	packaging/build
	packaging/sbom
	packaging/deb/build
	packaging/deb/check

sbom: setup
	scripts/setup-package
	packaging/build
	packaging/sbom

reproducible: setup
	scripts/setup-package
	packaging/check-reproducible

# The package, and what scenarios bring along.
vm-payload: deb
	scripts/setup-vm
	cargo build --locked -p merlon-inside

vm-test: vm-payload
	tests/vm/run all target/package/merlon_*.deb

vm-test-quick: vm-payload
	tests/vm/run quick target/package/merlon_*.deb

deny:
	scripts/deny

rpm: setup
	scripts/setup-package
	scripts/setup-rpm
	packaging/build
	packaging/sbom
	packaging/rpm/build
	packaging/rpm/check

check-rpm: rpm
	scripts/setup-vm
	tests/vm/live nspawn bookworm rpm

image: setup
	scripts/setup-package
	scripts/setup-image
	packaging/build
	packaging/sbom
	packaging/container/build

check-image: image
	packaging/container/check

setup:
	scripts/setup

setup-test: setup
	scripts/setup-test
