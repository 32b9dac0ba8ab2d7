# make demo   the whole way on synthetic videos, CPU, in minutes
# make test   the whole test suite
# Both make their own environment in .venv; nothing but Python 3.10 or newer is needed.

PYTHON ?= $(shell for v in python3 python3.13 python3.12 python3.11 python3.10; do \
	command -v $$v >/dev/null 2>&1 && $$v -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$v && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?= cpu,dev

.PHONY: demo test lint install clean

install: $(VENV)/.installed

$(VENV)/.installed: setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.13 found; set PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing into $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	@touch $@

demo: install
	@$(BIN)/python tools/demo.py

test: install
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache
