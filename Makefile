# make demo: a trained detector with a plugged loss.  make test: everything that CI checks.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c .ci/constraints.txt
# a private Ultralytics folder: the demo changes none of your settings and downloads nothing
OFFLINE := YOLO_OFFLINE=1 YOLO_AUTOINSTALL=0 YOLO_CONFIG_DIR=$(CURDIR)/runs/ultralytics-config

.PHONY: demo test lint format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	mkdir -p runs/ultralytics-config
	$(OFFLINE) $(BIN)/loss-plugins demo

test: $(VENV)/.dev lint
	$(OFFLINE) $(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "loss_plugins needs Python 3.10 or newer, $(PYTHON) is %d.%d: make PYTHON=python3.11 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.venv pyproject.toml .ci/constraints.txt
	@echo "installing into $(VENV): torch, ultralytics and what the demo needs (some minutes the first time)"
	$(PIP) -e ".[demo]"
	touch $@

$(VENV)/.dev: $(VENV)/.demo
	@echo "installing the test tools into $(VENV)"
	$(PIP) -e ".[dev]"
	touch $@

clean:
	rm -rf runs build dist site *.egg-info
