# Needs python3 >= 3.11 with pip (or ensurepip), and make; no root, no Docker, no server.
PYTHON ?= python3
# many tests wait for a server or a clock, so two of them share a core; the one that compares Prometheus with clocks has the machine to itself
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
# of each target of the fuzzers
SECONDS ?= 60
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos chaos-all fuzz mutate lint bench docs audit sbom dist lock clean

help:
	@echo "make demo    see it work: a server, a worker and some thousand questions"
	@echo "make test    the tests, on servers of their own"
	@echo "make chaos   faults of every kind against real workers and servers, and a judge"
	@echo "make chaos-all   all of them: half an hour"
	@echo "make fuzz    hostile input of every kind, a minute each; longer: make fuzz SECONDS=1200"
	@echo "make mutate  wrong changes to the core, one at a time: a test must notice each; an hour"
	@echo "make setup   .venv with everything, and .venv/bin/chute"
	@echo "make lint    formatting, lint and types"
	@echo "make bench   how fast it is on this machine, beside its ceiling and its peers: a quarter of an hour"
	@echo "make docs    the documentation, in site/index.html"
	@echo "make audit   the workflows, and known weaknesses of all that is pinned"
	@echo "make dist    what is released, the same bytes everywhere, and its bill of materials (make sbom)"
	@echo "make lock    requirements.lock and tools/requirements from pyproject.toml"

setup: .venv/.ready

.venv/bin/uv:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit("Chute needs Python 3.11 or newer; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v)'
	@rm -rf .venv
	@echo "make setup: puts Chute and its tools into .venv, some 90 packages; the first time they are downloaded" >&2
	@if $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	   $(PYTHON) -m venv --without-pip .venv && $(PYTHON) -m pip -q --python .venv/bin/python install 'uv>=0.13,<0.14'; \
	 else \
	   $(PYTHON) -m venv .venv && .venv/bin/python -m pip -q install 'uv>=0.13,<0.14'; \
	 fi || { rm -rf .venv; echo "make setup: could not put uv into .venv (needs pip >= 22.3 or ensurepip beside $(PYTHON), and a package index)" >&2; exit 1; }

.venv/.ready: pyproject.toml requirements.lock .venv/bin/uv
	@.venv/bin/uv pip sync -q --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock
	@.venv/bin/uv pip install -q --python .venv/bin/python --no-deps --editable .
	@touch $@
	@echo "make setup: done. To have chute on your path: . .venv/bin/activate" >&2

demo: setup
	@.venv/bin/chute demo

test: setup
	@.venv/bin/python -m pytest -n $(WORKERS) --dist worksteal -q --ignore tests/deploy/test_prometheus.py
	@.venv/bin/python -m pytest -q tests/deploy/test_prometheus.py

chaos: setup
	@.venv/bin/python -m chaos

chaos-all: setup
	@.venv/bin/python -m chaos all

fuzz: setup
	@.venv/bin/python -m fuzz --seconds $(SECONDS) --at-once 2

lint: setup
	@.venv/bin/ruff check src tests chaos fuzz benchmarks examples tools
	@.venv/bin/ruff format --check src tests chaos fuzz benchmarks examples tools
	@.venv/bin/mypy

bench: setup
	@.venv/bin/python -m benchmarks --out benchmarks/results

docs: setup
	@.venv/bin/python tools/commands.py
	@.venv/bin/python tools/alerts.py
	@.venv/bin/python tools/rights.py
	@.venv/bin/python tools/corpus.py
	@.venv/bin/python tools/performance.py
	@.venv/bin/python tools/reliability.py
	@.venv/bin/zensical build --clean --strict

# what only a release needs: an environment of its own, so that nobody else waits for it
.cache/release/.ready: tools/requirements/release.txt .venv/bin/uv
	@.venv/bin/uv venv -q --clear --python .venv/bin/python .cache/release
	@.venv/bin/uv pip sync -q --python .cache/release/bin/python --require-hashes tools/requirements/release.txt
	@touch $@

.cache/mutation/.ready: tools/requirements/mutation.txt .venv/bin/uv
	@.venv/bin/uv venv -q --clear --python .venv/bin/python .cache/mutation
	@.venv/bin/uv pip sync -q --python .cache/mutation/bin/python --require-hashes tools/requirements/mutation.txt
	@touch $@

mutate: setup .cache/mutation/.ready
	@.venv/bin/python tools/mutate.py

audit: .cache/release/.ready
	@.cache/release/bin/python tools/audit.py

sbom: .cache/release/.ready
	@mkdir -p dist
	@.cache/release/bin/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible -o dist/chute.cdx.json tools/requirements/runtime.txt
	@echo dist/chute.cdx.json

dist: .cache/release/.ready sbom
	@.cache/release/bin/python tools/dist.py

LOCK = .venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url
lock: .venv/bin/uv
	@$(LOCK) --all-extras --group dev --group docs pyproject.toml -o requirements.lock
	@$(LOCK) --all-extras --constraint requirements.lock pyproject.toml -o tools/requirements/runtime.txt
	@$(LOCK) tools/requirements/release.in -o tools/requirements/release.txt
	@$(LOCK) tools/requirements/mutation.in -o tools/requirements/mutation.txt

clean:
	@rm -rf .venv .cache site .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
