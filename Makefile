# make demo   train a quantum classifier, live, on the bundled images
# make test   every test          make check   style, types, layers, sizes          make bench   the benchmarks
# make soak   long proofs, some hours: kills, every fault at once, an emulator under load, 10,000 pools, a million rows
# make screenshots   the pictures of the dashboard in docs/images
# Needs make, Python 3.11 or later and a network that reaches PyPI. Everything goes into .venv in this folder.
# PYTHON=python3.12 chooses the interpreter, ARGS="..." adds arguments to the command that is run.

SHELL  := /bin/sh
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
# Other people's clients, each in an environment of its own: the tests run them against the emulator.
CLIENTS := cirq ionq-core pennylane qiskit

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench soak screenshots clean clients

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

demo: $(VENV)/.installed
	@$(BIN)/q-store train compact $(ARGS)

test: $(VENV)/.installed-dev clients
	$(BIN)/python -m pytest $(ARGS)

clients: $(CLIENTS:%=.venv-clients/%/.installed)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_sizes.py src

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/run.py $(ARGS)

soak: $(VENV)/.installed-dev
	$(BIN)/python tools/soak_kill.py --kills 60 --epochs 25 --out docs/soak/kill.txt
	$(BIN)/python tools/soak_crash.py --kills 200 --every --out docs/soak/crash.txt
	$(BIN)/python tools/soak_never_twice.py --seeds 20 --circuits 1000 --out docs/soak/never_twice.txt
	$(BIN)/python tools/soak_emulator.py --minutes 60 --out docs/soak/emulator.txt
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest tests/pool/test_state.py tests/pool/test_makespans.py
	$(BIN)/python benchmarks/pool.py --out benchmarks/results/pool.json
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/compilation.py

screenshots: $(VENV)/.installed-dev
	$(BIN)/python tools/screenshots.py $(ARGS)

clean:
	rm -rf .venv-clients $(VENV)/.installed $(VENV)/.installed-dev build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# An environment that works is kept, whoever made it; a broken or absent one is made anew. The stamps make a second
# run start at once.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "q-store needs Python 3.11 or later, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Install one, or name it: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || $(PYTHON) -m venv --clear $(VENV) || { \
	  echo "Python could not make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing q-store into $(VENV) (about a minute, this once) ..."
	@$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing q-store and its development tools into $(VENV) (some minutes, this once) ..."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.installed

.venv-clients/%/.installed: tests/conformance/requirements-%.txt | $(VENV)/.created
	@echo "Installing the client $* into $(@D) (this once) ..."
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile --no-deps --requirement $<
	@touch $@
