# For a bare Debian or Ubuntu with python3 (3.11 or later) and make:
#   make demo    install what the program needs and run it on its own digital twin; no instrument, no display needed
#   make test    install the test tools too, then lint, types, import layers and the fast tests
#   make docs    build the documentation into site/, with the API reference
# SYSTEM_LIBS=skip leaves the system's packages alone; PYTHON=/path/to/python3.12 chooses the interpreter.

SHELL := /bin/bash
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
endif

# Without the first group Qt cannot even be imported. The second opens real windows, the third gives tests a display.
QT_LIBS := libgl1 libegl1 libxkbcommon0 libfontconfig1 libdbus-1-3 libglib2.0-0
WINDOW_LIBS := libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxcb-xkb1 libxkbcommon-x11-0
TEST_LIBS := xvfb xauth openbox x11-xserver-utils xdotool libgl1-mesa-dri
# `make test-slow` opens exports in these; ImageJ needs a display too. Tests of what is missing are skipped.
SLOW_PROGRAMS := octave imagej ffmpeg

INPUTS := setup.cfg setup.py constraints.txt pyproject.toml
comma := ,
READY_RUN := .venv/.ready-run
READY_TEST := .venv/.ready-test
READY_DOCS := .venv/.ready-docs
READY_READERS := .venv/.ready-readers
READY_CELLPOSE := .venv/.ready-cellpose

# Tests run in as many processes as there are cores; torch takes one thread in each. A file stays in one process: what its tests
# share is made once.
WORKERS := $(shell nproc 2>/dev/null || echo 2)
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
FAST := -q -m "not slow and not hardware"

.PHONY: help setup demo test test-slow test-random coverage docs wheel lint clean python system-run system-test system-slow

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -5
	@echo "Also: make setup | lint | test-slow | test-random | coverage | wheel | clean"

setup: $(READY_TEST)
	@echo "ready: $(VENV)"

# Where there is no screen Qt draws into memory, so the demo runs on servers too.
demo: $(READY_RUN)
	@[ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}$${QT_QPA_PLATFORM:-}" ] || export QT_QPA_PLATFORM=offscreen; \
	$(BIN)/specklescope demo

lint: $(READY_TEST)
	@echo "ruff";         $(BIN)/ruff check --quiet && $(BIN)/ruff format --check --quiet
	@echo "mypy";         $(BIN)/mypy --no-error-summary
	@echo "import layers"; $(BIN)/lint-imports --no-logo >.venv/layers.log 2>&1 || { cat .venv/layers.log; exit 1; }

test: lint
	@$(BIN)/python -m pytest $(FAST) $(PARALLEL)

# Also opens exports in GNU Octave, ImageJ, napari and other readers: about 1 GB the first time. Runs Cellpose: 36 MB.
test-slow: $(READY_TEST) $(READY_READERS) $(READY_CELLPOSE) | system-slow
	@$(BIN)/python -m pytest -q -m "slow and not hardware"

# Three runs, each in another order.
test-random: $(READY_TEST)
	@for seed in 1 2 3; do $(BIN)/python -m pytest $(FAST) $(PARALLEL) -p randomly -p "no:cacheprovider" \
		--randomly-seed=$$seed || exit 1; done

coverage: $(READY_TEST)
	@$(BIN)/python -m pytest $(FAST) $(PARALLEL) --cov --cov-report=term:skip-covered

# Warnings are errors; every name in the API reference comes from a docstring.
docs: $(READY_DOCS)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# A wheel, installed beside nothing else, run from a folder whose modules bear our folders' names.
wheel: $(READY_TEST)
	@bash .ci/check-wheel $(BIN)/python

# Keeps .venv: it takes minutes to fill. `rm -rf .venv` starts over.
clean:
	@rm -rf build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-out
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# ----------------------------------------------------------------------------------------------------------------------

# A virtual environment that was moved, copied or left half made is one whose pip is missing or lives elsewhere.
define install
	@$(BIN)/pip --version 2>/dev/null | grep -qF "$(VENV)/" || { \
		echo "creating .venv with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear .venv; }
	@echo "installing $(1) into .venv (a few minutes the first time; log in .venv/install.log)"
	@$(BIN)/pip install -c constraints.txt -e '$(1)' >.venv/install.log 2>&1 || { tail -n 15 .venv/install.log >&2; \
		echo "pip could not install $(1), see above; if the network or the package index was at fault, run make again" >&2; exit 1; }
endef

$(READY_RUN): $(INPUTS) | system-run
	$(call install,.)
	@touch $@

$(READY_TEST): $(INPUTS) | system-test
	$(call install,.[test$(comma)slmsuite$(comma)papers$(comma)sam])
	@$(BIN)/pip install --no-deps -c constraints.txt slmsuite >>.venv/install.log 2>&1 || { tail -n 5 .venv/install.log >&2; exit 1; }
	@touch $(READY_RUN) $@

$(READY_DOCS): $(READY_TEST)
	@$(BIN)/pip install -c constraints.txt -e '.[docs]' >>.venv/install.log 2>&1 || { tail -n 5 .venv/install.log >&2; exit 1; }
	@touch $@

# Readers of others, in a virtual environment of their own. Without them their tests are skipped, and make goes on.
$(READY_READERS): .ci/readers.txt | $(READY_TEST)
	@echo "installing napari and other readers into .venv/readers (log in .venv/readers.log)"
	@$(BIN)/python -m venv --clear .venv/readers
	@if .venv/readers/bin/pip install -r $< >.venv/readers.log 2>&1; then touch $@; else tail -n 5 .venv/readers.log >&2; \
		rm -rf .venv/readers; echo "going on without: their tests are skipped; run make again to install them" >&2; fi

# Cellpose in a folder of its own: it needs torchvision, and where that is installed torchmetrics imports it.
$(READY_CELLPOSE): .ci/cellpose.txt | $(READY_TEST)
	@echo "installing Cellpose into .venv/cellpose (log in .venv/cellpose.log)"
	@rm -rf .venv/cellpose
	@if $(BIN)/pip install --no-deps --target .venv/cellpose -r $< >.venv/cellpose.log 2>&1; then touch $@; else \
		tail -n 5 .venv/cellpose.log >&2; rm -rf .venv/cellpose; \
		echo "going on without: its test is skipped; run make again to install it" >&2; fi

python:
	@[ -n "$(PYTHON)" ] || { echo "no Python 3.11 or later found: install python3.11, or run make PYTHON=/path/to/it" >&2; exit 1; }

# $(1): packages without which nothing works; $(2): packages that only add windows or displays.
# No apt call when all are there. Newer releases name libglib2.0-0 libglib2.0-0t64.
define need
	@[ "$${SYSTEM_LIBS:-}" != skip ] || exit 0; \
	command -v dpkg-query >/dev/null || { [ -e "$(BIN)/pip" ] || \
		echo "not Debian or Ubuntu: if Qt does not load, install your system's counterparts of: $(1) $(2)"; exit 0; }; \
	lacking() { for p in "$$@"; do found=$$(dpkg-query -W -f='$${db:Status-Status}\n' "$$p" "$${p}t64" 2>/dev/null || true); \
		grep -qx installed <<<"$$found" || printf '%s ' "$$p"; done; }; \
	must=$$(lacking $(1)); may=$$(lacking $(2)); \
	[ -e "$(BIN)/pip" ] || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		must+=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv " % sys.version_info[:2])'); \
	all=$$(echo $$must $$may); [ -n "$$all" ] || exit 0; \
	line="apt-get update && apt-get install -y --no-install-recommends $$all"; \
	if [ "$$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as="sudo -n"; else as=no; fi; \
	log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	if [ "$$as" = no ]; then why="not root and no passwordless sudo"; \
	else echo "installing system packages: $$all"; why="apt-get failed"; \
		{ $$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends $$all; } >"$$log" 2>&1 && exit 0; tail -n 8 "$$log" >&2; fi; \
	if [ -n "$$must" ]; then echo "missing system packages: $$must($$why). As root, run:" >&2; \
		echo "  $$line" >&2; exit 1; fi; \
	echo "going on without: $$may($$why; what needs them does not work or is skipped). As root, run:" >&2; echo "  $$line" >&2
endef

system-run: python
	$(call need,$(QT_LIBS),$(WINDOW_LIBS))

system-test: python
	$(call need,$(QT_LIBS),$(WINDOW_LIBS) $(TEST_LIBS))

system-slow: python
	$(call need,,$(SLOW_PROGRAMS))
