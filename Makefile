# A fresh machine needs Python 3.11 or newer, make, and a package index; everything else is installed into .venv.

PORT ?= 4566
DATA ?= ./pombo-data
PYTHON ?=
VENV := .venv
PY := $(VENV)/bin/python
WORKERS ?= auto
ROUNDS ?= 100
MESSAGES ?= 1000000
SPEED ?= judge
PEERS ?= all
BENCH ?=

FIND_PYTHON = for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; exit 0; fi; done; \
	echo "Pombo needs Python 3.11 or newer; none was found (make PYTHON=/path/to/python says where one is)." >&2; exit 1
INSTALL = $(PY) -m pip install --quiet --disable-pip-version-check --editable

.PHONY: serve install dev test lint types check crash backlog backlog-long bench bench-quick clients clients-python clean

serve: install
	@$(VENV)/bin/pombo serve --port $(PORT) --data "$(DATA)"

# Bytecode, whatever PYTHONDONTWRITEBYTECODE says: compiling it anew would be a third of every start.
install: $(VENV)/.installed
	@$(PY) -m compileall -q broker client

# An environment that was left half made, or whose Python is gone, is made good.
$(VENV)/.installed: pyproject.toml
	@python=$$($(FIND_PYTHON)) && echo "Installing Pombo into $(VENV) …" && \
		{ $(PY) -c 'import pip' 2>/dev/null || $$python -m venv $(VENV); }
	@$(INSTALL) .
	@touch $@

dev: $(VENV)/.dev

$(VENV)/.dev: $(VENV)/.installed
	@echo "Installing what the tests need …"
	@$(INSTALL) '.[dev]'
	@touch $@

test: dev
	@$(PY) -m pytest -q -n $(WORKERS)

lint: dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports

types: dev
	@$(VENV)/bin/mypy

check: lint types test

crash: dev
	@$(PY) -m tests.crash.run --rounds $(ROUNDS)

backlog: dev
	@$(PY) -m benchmarks.backlog --messages $(MESSAGES) --speed $(SPEED)

backlog-long: dev
	@$(PY) -m benchmarks.backlog --messages 10000000

bench: $(VENV)/.bench
	@$(PY) -m benchmarks --peers $(PEERS) $(BENCH)

bench-quick: $(VENV)/.bench
	@$(PY) -m benchmarks --quick --peers none --show $(BENCH)

$(VENV)/.bench: $(VENV)/.dev
	@echo "Installing what the benchmarks need …"
	@$(INSTALL) '.[dev,bench]'
	@touch $@

clients: dev
	@$(PY) tests/clients/run.py

clients-python: dev
	@$(PY) tests/clients/run.py --python-only

clean:
	rm -rf $(VENV) .venv-clients .venv-peers tests/clients/node/node_modules build *.egg-info
