.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help run test check format e2e bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv resolves several times faster than pip; where it cannot be had, plain pip does the same work.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet 'uv>=0.13' || echo "uv is not available; using pip"
	if [ -x $(BIN)/uv ]; then \
	  UV_FIND_LINKS="$$($(BIN)/python -m pip config get global.find-links 2>/dev/null || true)" \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -c constraints.txt -e '.[dev]'; \
	else $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'; fi
	touch $@

.PHONY: models
models: $(STAMP)
	$(BIN)/styleflow models fetch --quiet

run: models ## set everything up and analyze the two demo streams on http://127.0.0.1:8000
	$(BIN)/styleflow demo

check: models ## format, lint, types and the quick tests; what every commit must pass
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

test: models check e2e ## everything that CI runs: check, then the end-to-end tests

e2e: models ## real sockets, a real RTSP server, real encoders
	$(BIN)/pytest -m e2e -p no:randomly

format: $(STAMP) ## rewrite the sources the way ruff likes them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: models ## measure latency, the causal step and the published detectors; results go to benchmarks/results/
	$(BIN)/python -m benchmarks.step
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.detectors

clean: ## remove the virtual environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
