# The commands people type. Everything lands in .venv and var/; nothing else on the machine is touched,
# except that `make test` installs Chromium where it is missing and the user is root.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# For every Python from 3.11.0 on: some packages are needed by the older ones only.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"
export PYTHONWARNINGS ?= ignore

.PHONY: run install install-run test check bench corpora lock messages editor clean

run: $(VENV)/.run
	@$(BIN)/python -m portal.launch

install: $(VENV)/.dev

$(VENV)/.run: requirements.txt
	@PYTHON="$(PYTHON)" sh scripts/install.sh requirements.txt
	@touch $@

$(VENV)/.dev: requirements.txt requirements-dev.txt
	@PYTHON="$(PYTHON)" sh scripts/install.sh requirements.txt requirements-dev.txt
	@touch $(VENV)/.run $@

test: install
	@sh scripts/chromium.sh
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy config.py wsgi.py portal
	$(BIN)/lint-imports --no-cache
	$(BIN)/djlint portal/templates --lint --quiet
	$(BIN)/python scripts/audit.py

bench: install
	$(BIN)/python -m bench

corpora: install
	$(BIN)/python -m bench.corpora

lock: install
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -o requirements-dev.txt

messages: install
	$(BIN)/python scripts/messages.py

editor:
	cd frontend && npm ci && npm run build

clean:
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache
