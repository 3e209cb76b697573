# Every target sets itself up: the first one makes .venv, later ones find it there.
# PYTHON=/path/to/python3 chooses the Python that it is made with (3.11 or newer).

BIN := .venv/bin
READY := .venv/.torpor-ready
SOURCES := operator channel compute proxy autoscaler cli tests loadtests tools
# Of `make test`: tests wait about as long as they compute, so three keep two cores at work.
WORKERS ?= 3

# Hundreds of processes are started by the tests: each would compile all of Torpor anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check suites fuzz observe browser screenshots bench load mutants economics soak
.PHONY: manifests helm images cluster e2e format clean
.PHONY: check-format check-lint check-types check-layers check-tidy
.DEFAULT_GOAL := help

help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Databases that sleep and wake under real clients, in under two minutes
	@$(BIN)/python tools/demo.py

test: $(READY) ## Run all tests (ARGS="-k word" to choose, WORKERS=0 for one process)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(READY) ## Format, lint, types, layers and tidiness, without changing anything
	@$(MAKE) --no-print-directory --keep-going \
		check-format check-lint check-types check-layers check-tidy

suites: $(READY) ## Run other people's tests through Torpor (NAME=asyncpg, QUICK=1, ALLOW_MISSING=1)
	@PYTHONPATH=tests:loadtests $(BIN)/python -m suites $(NAME) $(if $(QUICK),--quick) \
		$(if $(ALLOW_MISSING),--allow-missing) $(ARGS)

fuzz: $(READY) ## Compare what clients hear straight and while they are parked (SEED=7, SECONDS=3600)
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(if $(SEED),--seed $(SEED)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

observe: $(READY) ## Ask a real Prometheus every query of the dashboard and of the alerts
	@$(BIN)/python tools/prometheus.py
	@$(BIN)/pytest tests/observe $(ARGS)

bench: $(READY) ## Measure: NAME=resume, park, multiplex, throughput, memory, working-set, warm-cache, fleet-replay, on a cluster resume-k8s, operator-scale, autoscale; JSON=FILE
	@PYTHONPATH=loadtests $(BIN)/python loadtests/bench.py $(NAME) $(if $(JSON),--json "$(JSON)") $(ARGS)

load: $(READY) ## Load with objectives and a report: NAME=burst, sawtooth, diurnal, black-friday, herd, scanner, mixed, all (FACTOR=2, MINUTES=5, WORKERS=2, URI=…; of a cluster CONTEXT=… TO="a b" VIA=HOST:PORT)
	@PYTHONPATH=loadtests $(BIN)/python -m load $(NAME) $(if $(FACTOR),--factor $(FACTOR)) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
		$(if $(filter-out file,$(origin WORKERS)),--workers $(WORKERS)) $(if $(URI),--uri "$(URI)") \
		$(foreach name,$(TO),--to $(name)) $(if $(TO)$(URI),$(if $(CONTEXT),--context "$(CONTEXT)")) \
		$(if $(VIA),--via "$(VIA)") \
		$(if $(ALWAYS_ON),--always-on "$(ALWAYS_ON)") $(if $(OUT),--out "$(OUT)") \
		$(if $(RECORD),--record) $(ARGS)

mutants: $(READY) ## Mutate the autoscaler's decisions and say how many mutants its tests notice (ARGS="size.py")
	@$(BIN)/python tools/mutants.py $(ARGS)

economics: $(READY) ## Simulate anew what docs/economics.md says of costs and waiting (half an hour)
	@$(BIN)/python tools/economics.py $(ARGS)

soak: $(READY) ## Many clients, sleeps, a kill every 20 s, and no surprise (MINUTES=10, CLIENTS=200)
	@PYTHONPATH=loadtests $(BIN)/python loadtests/soak.py $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(CLIENTS),--clients $(CLIENTS)) $(if $(SEED),--seed $(SEED))

manifests: $(READY) ## Write what is made of models and chart: custom resources, dashboard, kustomize base, install.yaml
	@PYTHONPATH=tools $(BIN)/python -m crds
	@PYTHONPATH=tools $(BIN)/python -m observing
	@$(BIN)/python tools/kustomize_base.py

helm: $(READY) ## Bring helm into .venv where the machine has none: for the chart's tests and e2e
	@$(BIN)/python tools/helm.py

images: $(READY) ## Build the container images (TAG=0.1.0; LOAD=1 brings them to the cluster's node)
	@$(BIN)/python tools/images.py $(if $(TAG),--tag "$(TAG)") $(if $(LOAD),--load)

# What starts a cluster; it builds one, where it must, while .venv is made.
CLUSTER_TOOL := $(or $(TORPOR_CLUSTER_TOOL),$(realpath ../shared/cluster/cluster))
e2e cluster: export TORPOR_CLUSTER_TOOL := $(CLUSTER_TOOL)

cluster:
	-@tools/cluster.sh >/dev/null

e2e: ## Every promise (or ARGS=tests/e2e/test_….py; LANES=3, WORKERS=4) on a real cluster: KUBECONFIG's, or one it starts
	@$(MAKE) --no-print-directory --jobs 2 $(READY) $(if $(KUBECONFIG),,cluster)
	@$(BIN)/python tools/helm.py >/dev/null || echo 'e2e: goes on without helm' >&2
	@PYTHONPATH=tests:tools $(BIN)/python -m e2e $(ARGS)

browser: $(READY) ## Test the dashboard in a real Chromium, as large as a phone's window and a desk's
	@tools/chromium.sh
	@PYTHONPATH=tests $(BIN)/pytest --override-ini 'norecursedirs=.*' tests/browser $(ARGS)

screenshots: $(READY) ## Take the pictures of docs/dashboard.md anew
	@tools/chromium.sh
	@PYTHONPATH=tests $(BIN)/python -m browser.screenshots

format: $(READY) ## Put the code in its shape and mend what can be mended
	@$(BIN)/ruff check --quiet --fix $(SOURCES) || true
	@$(BIN)/ruff format $(SOURCES)

clean: ## Remove the environment and everything that tools have left
	rm -rf .venv .mutants dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

check-format: $(READY)
	@echo 'check: format' && $(BIN)/ruff format --quiet --check $(SOURCES)

check-lint: $(READY)
	@echo 'check: lint' && $(BIN)/ruff check --quiet $(SOURCES)

check-types: $(READY)
	@echo 'check: types' && $(BIN)/mypy

check-layers: $(READY)
	@echo 'check: layers' && found=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$found"; exit 1; }

check-tidy: $(READY)
	@echo 'check: tidy' && $(BIN)/pytest --quiet tests/tidy

# Always asked: it sees in a moment that nothing is to do, also where the checkout was moved.
$(READY): FORCE
	@tools/setup.sh
FORCE:
