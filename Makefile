# `make app` and `make test` do all their own set-up: they need Python 3.11 or newer, git and make.
#   make app ARGS="--server.port 8600 --server.headless true"     make test TESTS=tests/models
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help app test test-oldest chaos check wheel-check constraints docs soak bench facts wasm pictures clean

VENV ?= .venv
OLDEST ?= .venv-oldest
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input
# Two: a core each on a small machine, with torch in memory (and an app and a Chromium running) twice.
JOBS ?= 2
TESTS ?=
BENCHES ?= analysis pages interactions stroke network_view tracking train training_parts beside_training live interpret predict diagnosis watched_loops watch_overhead
PORT ?=
ARGS ?=

# The interpreter to build $(VENV) from: $(PYTHON) if given, else the first that is new enough and has venv.
define FIND_PYTHON
for p in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do \
  if "$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
  then found=$$p; break; fi; \
done; \
if [ -z "$$found" ]; then \
  echo "cnnviz needs Python 3.11 or newer with its venv module, and none was found on PATH." >&2; \
  echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: make app PYTHON=/path/to/python3" >&2; \
  exit 1; \
fi
endef

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

app: $(VENV)/.installed ## start the app (PORT=8600, ARGS="…" for streamlit's own options)
	@$(PY) -m streamlit run app.py $(if $(PORT),--server.port $(PORT)) $(ARGS)

test: $(VENV)/.installed-dev $(VENV)/s3/.installed ## all tests but the slow ones (TESTS=path to choose)
	@$(PY) -m pytest -n $(JOBS) -m "not slow" --durations=30 --durations-min=10 $(TESTS) $(ARGS)

test-oldest: $(OLDEST)/.installed ## what needs no browser, on the oldest versions that requirements.txt allows
	@$(OLDEST)/bin/python -m pytest -n $(JOBS) -m "not slow and not browser" $(TESTS) $(ARGS)

chaos: $(VENV)/.installed-dev ## kill workers, nodes, the app and the database under 50 small runs, an hour (SECONDS=3600)
	@$(PY) -m tests.chaos.simulation --seconds $$(($(or $(SECONDS),3600) / 10))
	@OMP_NUM_THREADS=1 $(PY) -m tests.chaos.processes --seconds $(or $(SECONDS),3600)

soak: $(VENV)/.installed-dev $(VENV)/s3/.installed ## every test, the slow ones too, with many more random examples
	@$(PY) -m pytest -n $(JOBS) --hypothesis-profile=soak $(TESTS) $(ARGS)

check: $(VENV)/.installed-dev ## style, types, layers, the Dockerfile, and the documents
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/hadolint Dockerfile
	$(VENV)/bin/zensical build --strict

wheel-check: $(VENV)/.installed-dev ## build the wheel, install it elsewhere, and use it from there
	@$(PY) .ci/wheel_check.py

bench: $(VENV)/.installed-dev ## every benchmark that needs no GPU, one after another
	@for b in $(BENCHES); do $(PY) -m "benchmarks.$$b" || exit 1; done

constraints: $(VENV)/.installed-dev ## note the versions that are installed, which the tests passed with
	@{ sed -n '/^#/p' constraints.txt; $(PIP) freeze --exclude-editable \
	  | grep -vE '^(nvidia-|cuda-|triton|cnnviz|pip=|setuptools)| @ '; } >constraints.new
	@mv constraints.new constraints.txt

facts: $(VENV)/.installed ## recompute the shipped facts of every registered model
	@$(PY) -m cnnviz.analysis.precompute

CONVOLUTION := cnnviz/ui/components/shared/convolution
wasm: ## compile the browser's convolution anew from its AssemblyScript source (needs Node.js, and npm's registry once)
	npx --yes --package=assemblyscript@0.28.20 asc $(CONVOLUTION).ts -o $(CONVOLUTION).wasm -O3 --runtime stub --noAssert --enable simd --initialMemory 1

docs: $(VENV)/.installed-dev ## the documents and the API reference as a site, in site/
	@$(VENV)/bin/zensical build --clean --strict

pictures: $(VENV)/.installed-dev ## take the pictures of README and guide anew
	@$(PY) -m tests.browser.pictures

clean: ## remove what was built, $(VENV) too; nothing of the user's
	rm -rf $(VENV) $(OLDEST) build dist site test-artifacts .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# The stamps are what make a second start immediate: they are remade only when a requirements file changes.
$(VENV)/.installed: requirements.txt
	@$(PY) -m pip --version >/dev/null 2>&1 || { $(FIND_PYTHON); \
	  echo "Making $(VENV) with $$("$$found" --version) …"; "$$found" -m venv $(VENV); }
	@echo "Installing what requirements.txt lists; the first time that is some gigabytes and minutes …"
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@$(PIP) install -r requirements.txt -r requirements-dev.txt
	@touch $@

# Only tests of the store on S3 need it; they skip without it, and nothing else waits for it.
$(VENV)/s3/.installed: requirements-dev-s3.txt $(VENV)/.installed-dev
	@{ $(PY) -m venv $(VENV)/s3 \
	  && $(VENV)/s3/bin/python -m pip --disable-pip-version-check --no-input install -q -r requirements-dev-s3.txt \
	  && touch $@; } || echo "The S3 server could not be installed: its tests will be skipped."

# Python 3.11 is the oldest that serves; tools that only test are as new as they come.
$(OLDEST)/.installed: requirements.txt requirements-postgres.txt requirements-dev.txt tests/oldest_versions.py
	@$(OLDEST)/bin/python -m pip --version >/dev/null 2>&1 || { \
	  PYTHON=$${PYTHON:-$$(command -v python3.11)}; $(FIND_PYTHON); \
	  echo "Making $(OLDEST) with $$("$$found" --version) …"; "$$found" -m venv $(OLDEST); }
	@$(OLDEST)/bin/python tests/oldest_versions.py >$(OLDEST)/constraints.txt
	@$(OLDEST)/bin/python -m pip --disable-pip-version-check --no-input install \
	  -r requirements.txt -r requirements-dev.txt -c $(OLDEST)/constraints.txt
	@touch $@
