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
# An environment that was left half made, or whose Python is gone, is made good.
ENVIRONMENT = $(PY) -c 'import pip' 2>/dev/null || \
	{ python=$$($(FIND_PYTHON)) && rm -rf $(VENV)/wheel* $(VENV)/.[a-z]* && $$python -m venv $(VENV); }
PIP = $(PY) -m pip --quiet --disable-pip-version-check
SOURCES := pyproject.toml setup.py $(shell find broker client -type f -not -name '*.pyc' -not -name '*.so')
WHEEL := $(VENV)/wheel$(if $(POMBO_PURE),-pure)
INSTALLED := $(VENV)/.installed$(if $(POMBO_PURE),-pure)
# What follows it runs the installed broker, whose modules are compiled, instead of the source in this directory.
COMPILED = PYTHONSAFEPATH=1 PYTHONPATH="$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("platlib"))'):$(CURDIR)"

.NOTPARALLEL:
.PHONY: serve install dev test test-compiled lint types check crash backlog backlog-long bench bench-quick clients clients-python clean

serve: install
	@$(VENV)/bin/pombo serve --port $(PORT) --data "$(DATA)"

install: $(INSTALLED)
	@:

# Whatever PYTHONDONTWRITEBYTECODE says, pip compiles to bytecode: doing it anew would be a third of every start.
$(INSTALLED): $(WHEEL)/.made
	@$(ENVIRONMENT)
	@echo "Installing Pombo into $(VENV) …"
	@$(PIP) install --force-reinstall --no-deps $(WHEEL)/*.whl
	@$(PIP) install $(WHEEL)/*.whl
	@$(VENV)/bin/pombo --version
	@rm -f $(VENV)/.installed*
	@touch $@

# The old one stays until the new one is there. What is saved meanwhile is newer than it.
$(WHEEL)/.made: $(SOURCES)
	@$(ENVIRONMENT)
	@echo "Building Pombo: what is on a request's path is compiled to C, which takes a minute (POMBO_PURE=1: not) …"
	@rm -rf build $(WHEEL).new && mkdir $(WHEEL).new && touch $(WHEEL).new/.made
	@$(PIP) wheel --no-deps --wheel-dir $(WHEEL).new .
	@rm -rf build $(WHEEL) && mv $(WHEEL).new $(WHEEL)

dev: $(VENV)/.dev

# Links to this directory instead of an installed Pombo, which `install` puts back.
$(VENV)/.dev: pyproject.toml
	@$(ENVIRONMENT)
	@echo "Installing what the tests need …"
	@$(PIP) install --editable '.[dev]'
	@rm -f $(VENV)/.installed*
	@touch $@

test: dev
	@$(PY) -m pytest -q -n $(WORKERS)

# The same for the broker that users get.
test-compiled: dev install
	@$(COMPILED) POMBO_COMPILED=1 $(PY) -m pytest -q -n $(WORKERS) --import-mode=append

lint: dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports

types: dev
	@$(VENV)/bin/mypy

check: lint types test

crash: dev install
	@$(COMPILED) $(PY) -m tests.crash.run --rounds $(ROUNDS)
	@$(PY) -m tests.crash.run --rounds $(ROUNDS) --small

backlog: dev install
	@$(COMPILED) $(PY) -m benchmarks.backlog --messages $(MESSAGES) --speed $(SPEED)

backlog-long: dev install
	@$(COMPILED) $(PY) -m benchmarks.backlog --messages 10000000

bench: $(VENV)/.bench install
	@$(COMPILED) $(PY) -m benchmarks --peers $(PEERS) $(BENCH)

bench-quick: $(VENV)/.bench install
	@$(COMPILED) $(PY) -m benchmarks --quick --peers none --show $(BENCH)

$(VENV)/.bench: $(VENV)/.dev
	@echo "Installing what the benchmarks need …"
	@$(PIP) install --editable '.[dev,bench]'
	@rm -f $(VENV)/.installed*
	@touch $@

clients: dev install
	@$(PY) tests/clients/run.py

clients-python: dev install
	@$(PY) tests/clients/run.py --python-only

clean:
	rm -rf $(VENV) .venv-clients .venv-peers tests/clients/node/node_modules build *.egg-info
