# LOOP Studio. `make run` and `make test` each do all their own set-up from a bare checkout.
#
#   make run    start the studio            HOST=127.0.0.1 PORT=7860 DATA=./data TORCH=cpu|cuda
#   make test   every test; finds or installs a browser (CHROMIUM=/path/to/chromium)
#   make check  ruff and mypy               make format  ruff's formatter
#   make soak   load, kill, fault and fuzz runs, up to an hour; goes on where it stopped
#   make bench  speed and learning          make audit   known faults in the locked packages
#   make setup  only the set-up             make lock    renew the locks from pyproject.toml
#   make postgresql SERVER=postgresql+psycopg://user:password@host/postgres   storage tests there

HOST ?= 127.0.0.1
PORT ?= 7860
DATA ?= ./data
ifndef TORCH
TORCH := $(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda || echo cpu)
endif

# Where this is set, every process would compile its 6,000 modules anew: 12 s of work, not 2.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
# A stamp carries the checksum of the lock it installed: a changed lock installs again.
sum = $(firstword $(shell cat $(1) .ci/install | cksum))
RUN_READY := $(VENV)/.run-$(TORCH)-$(call sum,requirements.txt)
DEV_READY := $(VENV)/.dev-$(TORCH)-$(call sum,requirements.txt requirements-dev.txt)
# An environment that lost its Python (an upgrade, a moved folder) is made anew.
ifneq ($(shell $(BIN)/python -c 'print("works")' 2>/dev/null),works)
$(shell rm -f $(VENV)/.run-* $(VENV)/.dev-*)
endif

# Two torch processes that both spin on every core slow each other down ten times and more.
TEST_THREADS := OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive
# Two processes of one thread are through sooner than one of two: much of a test is waiting. Files
# are begun in their order, those with real studios first, so that no long one is left to the end.
IN_PARALLEL := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
WITH_BROWSER = chromium=$$(.ci/browser $(BIN)/python) && CHROMIUM="$$chromium"

.PHONY: run test check format soak bench audit setup lock postgresql
.DEFAULT_GOAL := run

run: $(RUN_READY)
	LOOP_STUDIO_HOST='$(HOST)' LOOP_STUDIO_PORT='$(PORT)' LOOP_STUDIO_DATA='$(DATA)' \
		exec $(BIN)/python app.py

test: $(DEV_READY)
	$(WITH_BROWSER) $(IN_PARALLEL) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(DEV_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV_READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

postgresql: $(DEV_READY)
	$(BIN)/python -m pip install -q 'psycopg[binary]==3.3.9'
	TEST_POSTGRESQL='$(SERVER)' $(TEST_THREADS) $(BIN)/python -m pytest tests/storage $(ARGS)

soak: $(DEV_READY)
	.ci/nginx
	$(WITH_BROWSER) $(TEST_THREADS) $(BIN)/python -m pytest -m soak $(ARGS)

bench: $(DEV_READY)
	$(WITH_BROWSER) $(BIN)/python -m benchmarks.run $(ARGS)

audit: $(DEV_READY)
	.ci/audit $(BIN)/python $(VENV)/audit

setup: $(DEV_READY)

$(RUN_READY):
	.ci/venv $(VENV)
	.ci/install $(BIN)/python $(TORCH) requirements.txt
	rm -f $(VENV)/.run-* && touch $@

$(DEV_READY): | $(RUN_READY)
	.ci/install $(BIN)/python $(TORCH) requirements-dev.txt
	rm -f $(VENV)/.dev-* && touch $@

# Not part of any other target: resolves pyproject.toml anew in throwaway folders.
lock:
	.ci/venv $(VENV)
	.ci/lock $(BIN)/python
