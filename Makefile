# make demo: a trained detector with a plugged loss.  make test: everything that CI checks, on all cores.
# Of two workers each begins with one half of the tests and takes from the other's when it is done (worksteal), so that
# what tests share is made twice at most.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c .ci/constraints.txt
JOBS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count())')
# a private Ultralytics folder: the demo changes none of your settings and downloads nothing
OFFLINE := YOLO_OFFLINE=1 YOLO_AUTOINSTALL=0 YOLO_CONFIG_DIR=$(CURDIR)/runs/ultralytics-config

.PHONY: demo demo-mmdet demo-transformers test lint format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	mkdir -p runs/ultralytics-config
	$(OFFLINE) $(BIN)/loss-plugins demo

demo-mmdet: $(VENV)/.mmdet
	mkdir -p runs/ultralytics-config
	$(OFFLINE) $(BIN)/loss-plugins demo-mmdet

demo-transformers: $(VENV)/.transformers
	$(BIN)/loss-plugins demo-transformers

test: $(VENV)/.dev lint
	mkdir -p runs/ultralytics-config
	$(OFFLINE) $(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tools.layers

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

$(VENV)/.transformers: $(VENV)/.venv pyproject.toml .ci/constraints.txt
	@echo "installing into $(VENV): torch, transformers and what the demo needs (some minutes the first time)"
	$(PIP) -e ".[digits,transformers]" accelerate pycocotools
	touch $@

# mmcv has no wheel for this torch: it is built from its source, with what it needs to know of torch at hand
$(VENV)/.mmdet: $(VENV)/.demo
	@echo "building mmcv from source and installing mmdet into $(VENV) (10 minutes on 2 cores the first time)"
	$(PIP) "setuptools<81" wheel ninja psutil
	CFLAGS="-O1 -g0" MAX_JOBS=$(JOBS) $(PIP) --no-build-isolation mmcv
	$(PIP) -e ".[demo,mmdet]"
	touch $@

$(VENV)/.dev: $(VENV)/.mmdet
	@echo "installing the test tools into $(VENV)"
	$(PIP) -e ".[dev,mmdet]"
	touch $@

clean:
	rm -rf runs build dist site *.egg-info
