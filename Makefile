# Everything a contributor runs. Only Python 3.11 or later is needed; the rest is installed in .venv.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# gRPC would start threads of its own in every child between fork and exec, which may crash it.
export GRPC_ENABLE_FORK_SUPPORT := 0
.PHONY: help setup run unleash unleash-package ghz demo test e2e-rollout faults bench load simulate histories lint format generate lock clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
UNLEASH := build/unleash/.ready
GHZ := build/ghz
GENERATE := $(BIN)/python protos/generate.py
DOCUMENT := $(BIN)/python docs/generate.py
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile -m 'not slow'
COMPILE := UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile pyproject.toml --quiet \
	--universal --python-version 3.11 --generate-hashes --no-annotate $(ARGS)

# What `buf breaking` compares with is the last landed commit: where this branch left origin/main. On
# main itself, as in a clean clone, that is HEAD: its parent may be any unfinished step of a series.
BASE ?= $(shell git merge-base HEAD origin/main 2>/dev/null || git rev-parse --verify --quiet HEAD)

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: $(READY)  ## install Patron and its tools in .venv, if anything changed

# Without dependencies: all of them are in the list, and pip would look for newer ones of those with an extra.
$(READY): requirements/dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'Installing in .venv: about a minute'
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

run: setup  ## serve, with databases of its own (ARGS: options of `patron serve`)
	$(BIN)/patron serve $(ARGS)

unleash: setup $(UNLEASH)  ## run an Unleash with the flag, on the same databases; needs Node 20 (ARGS: options of `patron unleash`)
	$(BIN)/patron unleash $(ARGS)

unleash-package: $(UNLEASH)  ## install Unleash in build/unleash, where the tests find it

# Without the packages' own scripts: they build what isn't needed, and report that they were installed.
$(UNLEASH): deploy/unleash/package.json deploy/unleash/package-lock.json
	@command -v npm > /dev/null || { echo 'Unleash needs npm and Node 20 or later' >&2; exit 1; }
	@echo 'Installing Unleash in $(@D): about half a minute, and 190 MB'
	@mkdir -p $(@D)
	cp $^ $(@D)
	npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

ghz: $(GHZ)  ## build the ghz that the load tool is compared with, where the tests find it; needs Go

$(GHZ): tests/load/ghz/program/go.mod tests/load/ghz/program/go.sum
	@echo 'Building ghz in $@: a minute or two, once'
	@mkdir -p $(@D)
	cd $(<D) && go build -trimpath -ldflags '-s -w -X main.version=v0.121.0' -o $(CURDIR)/$@ github.com/bojand/ghz/cmd/ghz
	@touch $@

bench: setup  ## measure how fast it is, in 25 minutes, the machine for itself (ARGS: --only, --resume, --quick, --table, --keep)
	$(BIN)/python -m tests.load.bench $(ARGS)

load: setup  ## let 100 users call a server of its own for half a minute, with gates (ARGS: options of `patron-load`)
	$(BIN)/python -m tests.load $(ARGS)

simulate: setup  ## roll features out 90,000 times, by chance alone, in 15 minutes (ARGS: --rollouts, --processes, --keep)
	$(BIN)/python -m tests.simulation $(ARGS)

demo: setup  ## import real purchases and show the analytics (ARGS: options of `patron demo`)
	$(BIN)/patron demo $(ARGS)

# First everything, on the default transport; then what calls the service once more, on the other one.
test: setup  ## run the tests; fail when they cover under 90 % of the branches (ARGS: options of pytest)
	$(PYTEST) --cov --cov-report=term $(ARGS)
	$(if $(ARGS),,HISTORIES=25 $(PYTEST) tests/e2e --transport grpcio)

# Prometheus is installed for it where that can be done. What is missing fails it: nothing is skipped.
e2e-rollout: setup $(UNLEASH)  ## roll a feature out and back: Unleash, Prometheus, two workers, load; needs Node 20 (ARGS: options of pytest)
	@.ci/programs prometheus chromium node
	CI=1 $(BIN)/pytest tests/rollout $(ARGS)

faults: setup  ## break and attack every part of a running service, the slow cases too (ARGS: options of pytest)
	$(BIN)/pytest -m fault --timeout 300 $(ARGS)

histories: setup  ## live through many more random histories of a merchant (HISTORIES=5000)
	HISTORIES=$${HISTORIES:-5000} $(BIN)/pytest tests/e2e/test_histories.py --timeout 0 $(ARGS)

lint: setup  ## check style, types, imports, the contract and what is generated
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format protos --diff --exit-code
	@mkdir -p build
	@if git archive --output build/landed.tar '$(BASE)' buf.yaml 'protos/*.proto' 2>/dev/null; then \
		echo 'buf breaking, against $(BASE)'; \
		$(BIN)/buf breaking --against build/landed.tar; \
	else \
		echo 'buf breaking: skipped, the last landed commit has no protos to compare with'; \
	fi
	$(GENERATE) build/gen
	@diff -rq -x __pycache__ build/gen protos/gen || { echo 'protos/gen is stale: make generate'; exit 1; }
	$(DOCUMENT) build/docs
	@for page in build/docs/*.md; do \
		cmp $$page docs/$${page##*/} || { echo 'docs is stale: make generate'; exit 1; }; \
	done

format: setup  ## format the code and the contract
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format
	$(BIN)/buf format protos --write

generate: setup  ## generate the Python code and the reference pages of the contract
	$(GENERATE) protos/gen
	$(DOCUMENT) docs

lock: setup  ## pin the dependencies with hashes (ARGS=--upgrade: in their newest versions)
	$(COMPILE) --extra server --extra load --group dev --output-file requirements/dev.txt
	$(COMPILE) --extra server --constraints requirements/dev.txt --output-file requirements/server.txt
	$(COMPILE) --extra load --constraints requirements/dev.txt --output-file requirements/load.txt

clean:  ## remove caches and build output; .venv and the data in .patron stay
	rm -rf build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find domain flags load server tests protos -name __pycache__ -prune -exec rm -rf {} +
