# make quickstart   search, analyse and recommend, from a fresh checkout
# make install      the environment in .venv alone
# make test         lint, types, import contracts, and the tests that take minutes in all
# make test-all     the same with all tests but the slowest
# make test-slow    the slowest tests, one after another
# make docs         the site of docs/, in build/site
PYTHON ?= python3
BIN := .venv/bin
# Tests side by side.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder
UV_VERSION := $(shell sed -n 's/^uv==//p' constraints.txt)

# Compiled modules save every worker process seconds; some machines forbid writing them by default.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install quickstart check test test-all test-slow docs format clean

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

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

test: check
	$(PYTEST) -m 'not full and not slow'

test-all: check
	$(PYTEST) -m 'not slow'

test-slow: install
	$(BIN)/python -m pytest -m slow

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Look at it:  $(BIN)/python -m http.server --directory build/site 8100, then http://127.0.0.1:8100"

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
