# make quickstart   search, analyse and recommend, from a fresh checkout
# make install      the environment in .venv alone
# make test         lint, types, import contracts, tests
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := $(shell sed -n 's/^uv==//p' constraints.txt)

# Compiled modules save every worker process seconds; some machines forbid writing them by default.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install quickstart test slow-test format clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "phitune needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) lacks ensurepip; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/uv --version 2>/dev/null | grep -q " $(UV_VERSION)\b" || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt --editable '.[dev]'
	@touch $@

quickstart: install
	$(BIN)/phitune search search/studies/quickstart.yaml
	$(BIN)/phitune analyze quickstart
	@echo
	@echo "Look at the trials:  $(BIN)/phitune ui"
	@echo "Read the report:     $(BIN)/python -m webbrowser runs/quickstart/report/report.html"

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	$(BIN)/python -m pytest

slow-test: install
	$(BIN)/python -m pytest -m slow

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
