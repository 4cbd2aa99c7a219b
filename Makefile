.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed

DASHBOARD := web/static/dashboard/index.html

.PHONY: bench-check capacity capacity-cores help run test check format e2e bench clean dashboard browser dashboard-test dashboard-protocol

# What computes goes on in two parts beside each other, whose output is shown at their ends; when one
# fails, no further one is begun, and make fails. What talks to cameras and browsers has the machine to
# itself, unless WAITING_JOBS says how many may go on at a time.
WAITING_JOBS ?= 1
BESIDE = $(MAKE) --no-print-directory --old-file=models \
  $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) --jobs
PYTEST = $(BIN)/pytest -o cache_dir=.pytest_cache/$@

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

# Node.js is needed only for the page; without it everything else works, and `/` says what is missing.
web/dashboard/node_modules tests/spec/node_modules: %/node_modules: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund --loglevel=error
	touch $@

$(DASHBOARD): web/dashboard/node_modules web/dashboard/index.html web/dashboard/vite.config.ts \
    web/dashboard/tsconfig.json $(wildcard web/dashboard/src/* web/dashboard/src/*/*)
	cd web/dashboard && npm run build --silent

dashboard: $(DASHBOARD) ## build the page (Node.js 20.19 or newer)

dashboard-protocol: $(STAMP) ## write the page's types anew from the models of the wire
	$(BIN)/python -m web.dashboard.generate

dashboard-test: web/dashboard/node_modules
	cd web/dashboard && npm run check --silent && npm test --silent

run: models ## set everything up and analyze the two demo streams on http://127.0.0.1:8000
	@$(MAKE) --no-print-directory $(DASHBOARD) || echo "going on without the page: it needs Node.js 20.19 or newer"
	$(BIN)/styleflow demo

check: lint quick ## format, lint, types and the quick tests; what every commit must pass

.PHONY: lint quick quick-units quick-others
lint: models
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Each half is the other's complement, so a new folder of tests is in one of them.
UNITS := tests/unit/cli tests/unit/stream tests/unit/web
quick: models
	$(BESIDE)=2 quick-units quick-others

quick-units: models
	$(PYTEST) $(UNITS)

quick-others: models
	$(PYTEST) $(UNITS:%=--ignore=%)

.PHONY: cheap
cheap: lint dashboard-test docs dashboard tests/spec/node_modules

test: models ## everything that CI runs: what is cheap first, then the quick tests, then the slower ones
	$(BESIDE)=2 cheap
	$(BESIDE)=2 quick-units quick-others
	$(BESIDE)=$(WAITING_JOBS) browser e2e slow

.PHONY: docs
docs: $(STAMP) ## build the pages in docs as a site into out/site; a warning is an error
	$(BIN)/python -m docs.site

.PHONY: parity
parity: models ## the detectors against every stored output of the published programs; 10 GB and many minutes
	$(BIN)/pytest -m 'not gpu' -p no:randomly --every-fixture tests/parity \
	  tests/unit/styleflow/training/test_sam.py tests/unit/styleflow/training/caddm/test_train.py \
	  tests/unit/cli/test_training_methods.py tests/unit/cli/test_default_figures.py

.PHONY: slow
slow: models ## networks of real size, and whatever else takes many seconds
	$(PYTEST) -m slow --timeout 600

e2e: models ## real sockets, a real RTSP server, real encoders
	$(PYTEST) -m e2e -p no:randomly --durations=20

browser: models $(DASHBOARD) ## real headless Chromium and Firefox with fake cameras; skipped where there are none
	$(PYTEST) -m browser -p no:randomly --durations=20

.PHONY: house
house: $(STAMP) ## draw docs/images/house.svg anew, after a room or an arrow has changed
	$(BIN)/python docs/house.py

format: $(STAMP) ## rewrite the sources the way ruff likes them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-check: models ## measure ratios anew and compare them with the committed ones; exit 1 when one is lost
	$(BIN)/python -m benchmarks.check

capacity: models ## find how many streams this machine holds, beside the alternatives (15 minutes)
	$(BIN)/python -m benchmarks.capacity

capacity-cores: models ## find how many streams workers hold on one core and on two (10 minutes)
	$(BIN)/python -m benchmarks.capacity --workers 1,2 --cores 1,2
	$(BIN)/python -m docs.scaling

bench: models ## measure latency, the causal step and the published detectors; results go to benchmarks/results/
	$(BIN)/python -m benchmarks.step
	$(BIN)/python -m benchmarks.hotpath --checkpoint styleflow/weights/styleflow-live.safetensors
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.detectors
	$(BIN)/python -m benchmarks.startup

CLIPS ?= ../shared/clips
# TAEF2's two files; without the folder training says that it does without.
AUTOENCODER ?= $(wildcard ../shared/weights)
.PHONY: train-default
train-default: models ## train styleflow-live from CLIPS and AUTOENCODER (10 minutes to an hour); writes out/styleflow-live.safetensors
	$(BIN)/styleflow train $(CLIPS) $(if $(AUTOENCODER),--autoencoder $(AUTOENCODER))

.PHONY: errors-page
errors-page: $(STAMP) ## write docs/errors.md from the classes of errors
	$(BIN)/python -m docs.errors

.PHONY: client-types
client-types: $(STAMP) ## write the Python client's types anew from the models of the wire
	$(BIN)/python -m docs.client_types

# `val` chose the weights; `dev` is looked at once for each, and every look is logged in docs/experiments.md.
SPLIT ?= val
EVALUATED := out/evaluate-default-$(SPLIT)
FIGURES := benchmarks/results/default-$(SPLIT).json
# Of the one look at `dev`; new weights have none until they have been looked at, so remove it for them.
ONCE := benchmarks/results/default-dev-once.json
.PHONY: evaluate-default default-figures
$(EVALUATED)/metrics.json: models
	rm -rf $(EVALUATED)
	$(BIN)/styleflow evaluate $(CLIPS)/manifest.csv --split $(SPLIT) --out $(EVALUATED) --no-offline \
	  --detector styleflow-live --weights styleflow/weights/styleflow-live.safetensors --trained-on "train_real, train_fake"

evaluate-default: $(EVALUATED)/metrics.json ## evaluate the shipped weights on part SPLIT (val) of CLIPS and compare with the committed figures
	$(BIN)/styleflow evaluate check $(EVALUATED) $(FIGURES)

default-figures: $(EVALUATED)/metrics.json ## after new weights: evaluate them, and make that the committed figures
	cp $(EVALUATED)/metrics.json $(FIGURES)
	$(BIN)/python -m styleflow.measured $(FIGURES) $(wildcard $(ONCE))

clean: ## remove the virtual environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
	rm -rf web/dashboard/node_modules web/static/dashboard
