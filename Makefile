# Everything runs in .venv, which is made on first use: Python 3.11 or newer with venv is all it takes.
#
#   make demo         a job from submit to result on this machine, nothing left running
#   make test         all tests; those whose real parts are missing here are skipped (never with CI=true)
#   make check        the linters and the type checker
#   make docs         the documentation as a searchable site: site/index.html
#   make test-real    only the tests that need real parts (Ceph RGW, Slurm, Grid Engine)
#   make fuzz         hostile input for as long as FUZZ_EXAMPLES says (10000: an hour; docs/hostile-input.md)
#   make test-lowest  the tests with the oldest dependencies that are allowed
#   make pcluster     the command of AWS ParallelCluster, in an environment of its own, for its tests
#   make lock         what head nodes of clusters install, pinned anew with hashes
#   make simulate     worlds full of faults, SEEDS=1000 of them from FIRST=0 on
#   make bench        what operations cost

PYTHON ?= python3
VENV ?= .venv
LOWEST := $(VENV)-lowest
BIN := $(VENV)/bin
PIP := @$(BIN)/python -m pip --disable-pip-version-check -qq

# Tests that share a real service carry an xdist_group mark and stay on one worker.
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n auto --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help install pcluster demo test unit check docs fuzz lock format test-real test-lowest simulate bench wheel dist clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n 2,13p

install: $(VENV)/installed

# The first pip with --group is 25.1, newer than the one that comes with most Pythons.
$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cloudq needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@echo "setting up $(VENV) (once; takes a minute)"
	@$(PYTHON) -m venv $(VENV)
	$(PIP) install 'pip>=25.1'
	$(PIP) install --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@echo "installing what the tests need (once)"
	$(PIP) install --group test
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed-test
	@echo "installing the linters (once)"
	$(PIP) install --group dev
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	@echo "installing what the site of the documentation needs (once)"
	$(PIP) install --group docs
	@touch $@

pcluster: $(VENV)-pcluster/bin/pcluster

# Its pins clash with ours, and it needs Node.js.
$(VENV)-pcluster/bin/pcluster:
	@command -v node >/dev/null || { echo "ParallelCluster needs Node.js: install nodejs"; exit 1; }
	@echo "setting up $(VENV)-pcluster (once; takes a minute)"
	@$(PYTHON) -m venv --clear $(VENV)-pcluster
	@$(VENV)-pcluster/bin/python -m pip --disable-pip-version-check -qq install aws-parallelcluster==3.16.1

demo: $(VENV)/installed
	@$(BIN)/python examples/demo.py

test: $(VENV)/installed-test
	$(PYTEST) $(PARALLEL)

unit: $(VENV)/installed-test
	$(PYTEST) -n auto tests/unit

FUZZ_EXAMPLES ?= 10000

fuzz: $(VENV)/installed-test
	HYPOTHESIS_PROFILE=deep FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(PYTEST) $(PARALLEL) -o timeout=0 \
		--hypothesis-show-statistics tests/fuzz

test-real: $(VENV)/installed-test
	$(PYTEST) -m real

check: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/adapters_fit_ports.py
	$(BIN)/lint-imports --no-cache

# Without --quiet, which would hide the warnings that strict mode counts. The variable silences an advertisement.
docs: $(VENV)/installed-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

test-lowest: $(LOWEST)/installed
	$(LOWEST)/bin/python -m pytest $(PARALLEL) -m 'not real' tests/unit tests/contracts tests/integration

# pip 25.1 is the first with --group.
$(LOWEST)/installed: pyproject.toml constraints-lowest.txt
	@echo "setting up $(LOWEST) (once; takes a minute)"
	@$(PYTHON) -m venv --clear $(LOWEST)
	@$(LOWEST)/bin/python -m pip --disable-pip-version-check -qq install 'pip>=25.1'
	@$(LOWEST)/bin/python -m pip --disable-pip-version-check -qq install \
		--constraint constraints-lowest.txt --editable . --group test
	@touch $@

# uv can resolve for another Python and system than its own.
lock: $(VENV)/installed
	@$(PYTHON) -m venv --clear $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip --disable-pip-version-check -qq install 'uv>=0.8'
	@file=cloudq/adapters/presets/head-node-requirements.txt; \
		head=$$(grep '^#' $$file); \
		$(VENV)-lock/bin/uv pip compile -q --upgrade --generate-hashes --python-version 3.11 \
			--python-platform x86_64-unknown-linux-gnu --no-header --no-annotate pyproject.toml -o $(VENV)-lock/new; \
		{ echo "$$head"; cat $(VENV)-lock/new; } >$$file

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

SEEDS ?= 1000
FIRST ?= 0

simulate: $(VENV)/installed-test
	@$(BIN)/python -m tests.simulation.run --worlds $(SEEDS) --first $(FIRST)

bench: $(VENV)/installed-test
	@set -e; for bench in benchmarks/bench_*.py; do \
		[ -e "$$bench" ] || { echo "no benchmarks yet"; break; }; \
		echo "== $$bench"; $(BIN)/python "$$bench"; \
	done

wheel: $(VENV)/installed-dev
	$(BIN)/python -m build --wheel

# What a release consists of (docs/release.md). The wheel is built from the sdist, which shows that nothing is missing there.
dist: $(VENV)/installed-dev
	rm -rf dist
	$(BIN)/python -m build
	cd dist && sha256sum cloudq-* >SHA256SUMS

clean:
	rm -rf $(VENV) $(LOWEST) build dist site *.egg-info
