# make demo    set up, run the main job on a trained model and a photograph, write demo/
# make test    set up, run the tests
# make check   what CI runs: format, lint, types, architecture, contract, tests
# make page    build the page that the server shows, where it has changed
# make clients build the clients in other languages whose toolchains are installed
# make test-all, make bench, make docs, make gallery, make format, make clean
#
# Each sets up .venv by itself, when pyproject.toml or the protos have changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Two processes that use torch must not spin on each other's cores.
export OMP_WAIT_POLICY ?= PASSIVE
export PYTHONUNBUFFERED := 1

# The page is built by the Node that a PyPI package brings; see clients/web/README.md.
PAGE := server/hooke_server/web/index.html
PAGE_SOURCES := $(shell find clients/web -type f -not -path '*/node_modules/*' -not -path '*/src/gen/*')

# The clients in other languages; clients/README.md says what is asked of their Makefiles.
CLIENTS := $(patsubst %/Makefile,%,$(wildcard clients/*/Makefile))

.PHONY: page tour demo gallery test test-all check format lint types architecture contract bench docs clean \
	clients clients-check

demo: $(READY) $(PAGE)
	$(BIN)/python examples/demo.py

# The pictures of the page in README and docs; needs Chromium.
tour: $(READY) $(PAGE)
	$(BIN)/python examples/page_tour.py

# The pictures of docs/lenses and of docs/how-to/attribution.md; half an hour.
gallery: $(READY)
	$(BIN)/python examples/gallery.py
	cd examples && ../$(BIN)/python explanations.py

page: $(PAGE)

test: $(READY) $(PAGE)
	$(BIN)/python clients/web/build.py test
	$(BIN)/pytest -m "not matrix"

test-all: $(READY) $(PAGE)
	$(BIN)/python clients/web/build.py test
	$(BIN)/pytest

check: lint types architecture contract clients-check test

# $(call each-client,TARGET): make a target of every client whose toolchain is installed.
define each-client
	@set -e; for client in $(CLIENTS); do \
		if $(MAKE) --silent --directory $$client toolchain >/dev/null 2>&1; then \
			$(MAKE) --no-print-directory --directory $$client $(1); \
		else echo "$$client is left out: its toolchain is not installed"; fi; done
endef

clients: $(READY)
	$(call each-client,build)

clients-check: $(READY)
	$(call each-client,check)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python clients/web/build.py format

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python clients/web/build.py check

types: $(READY)
	$(BIN)/mypy

architecture: $(READY)
	$(BIN)/lint-imports

# Compared with the last release, or before the first one with what is committed.
contract: $(READY)
	cd protos && ../$(BIN)/buf lint
	cd protos && ../$(BIN)/buf breaking --against \
		"../.git#ref=$$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse HEAD),subdir=protos"

# Lucent's last release asks for packages of its time, so it comes without what it asks for.
bench: $(READY)
	$(BIN)/pip install --quiet --editable '.[bench]'
	$(BIN)/pip install --quiet --no-deps torch-lucent==0.1.8
	env -u OMP_WAIT_POLICY $(BIN)/python -m benchmarks  # peers as they come

docs: $(READY)
	$(BIN)/python docs/generate.py

clean:
	for client in $(CLIENTS); do $(MAKE) --directory $$client clean; done
	rm -rf $(VENV) build dist demo clients/python/hooke/v1 server/hooke_server/web
	rm -rf clients/web/node_modules clients/web/src/gen

$(PAGE): $(PAGE_SOURCES) $(wildcard protos/hooke/v1/*.proto) | $(READY)
	$(BIN)/python clients/web/build.py build

$(READY): pyproject.toml protos/build.py $(wildcard protos/hooke/v1/*.proto)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Hooke needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --editable '.[dev]'
	touch $@
