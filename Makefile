# Jobtrail. `make` alone prints this help; Python 3.11+ and make are all a machine needs.
.DEFAULT_GOAL := help
.PHONY: help install demo up down kafka check lint test test-long safety chaos bench bench-full bench-page format schemas lock clean

PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9
READY := .venv/.ready
PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder
PACKAGES := libs/job-events libs/service-kit libs/worker libs/platforms libs/local-stack services/puller services/matcher services/syncer services/job-tracker sandbox cli
PROJECTS := $(addsuffix /pyproject.toml,$(PACKAGES))
# A service starts in half the time when its modules are compiled already: keep them, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Jobtrail needs Python 3.11 or newer; this is $$($(PYTHON) --version). Say which with: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "python3 could not make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	@touch $(READY)

##@ Run it

install: $(READY) ## Install everything into .venv

demo: $(READY) ## Run pull, match and sync end to end (NHANH=FILE SHOPIFY=FILE for your own, LINK_BY_NAME=auto links by names)
	@$(BIN)/jobtrail demo $(if $(NHANH),--nhanh "$(NHANH)") $(if $(SHOPIFY),--shopify "$(SHOPIFY)") $(if $(LINK_BY_NAME),--link-by-name "$(LINK_BY_NAME)")

up: $(READY) ## Start the system and leave it running until Ctrl-C
	@$(BIN)/jobtrail up

down: $(READY) ## End what an earlier `make up` left running
	@$(BIN)/jobtrail down

kafka: $(READY) ## Run one of Kafka's own tools: make kafka ARGS="consumer-groups --describe --all-groups"
	@$(BIN)/jobtrail kafka $(ARGS)

##@ Check it

check: lint ## Check format, lint and types, and run the fast tests of the packages that differ from main
	@tests=$$($(BIN)/python -m tests.changed) || exit 1; \
	  [ -z "$$tests" ] || $(PYTEST) -m "not long" -n 2 $$tests || [ $$? -eq 5 ]  # 5: all of them are long

lint: $(READY) ## Check format, lint and types
	@failed=0; for tool in "ruff check ." "ruff format --check ." basedpyright; do echo "$(BIN)/$$tool"; $(BIN)/$$tool || failed=1; done; exit $$failed

test: $(READY) ## Run the fast tests of everything on real servers (ARGS="tests/unit -k fold")
	$(PYTEST) -m "not long" -n 5 $(ARGS)

test-long: $(READY) ## Run the tests that take long by nature (rebuilds, upgrades, faults, whole days, many random inputs)
	$(PYTEST) -m long --hypothesis-profile=thorough -n 5 $(ARGS)

safety: $(READY) ## Run the table of small catalogues through the whole system and compare every write (ARGS="-k customers")
	$(BIN)/python -m pytest tests/safety $(ARGS)

chaos: $(READY) ## Kill, pause and cut everything by a seeded schedule and check every invariant (ARGS="--seed S --phase P")
	$(BIN)/python -m tests.chaos $(ARGS)

##@ Measure it

PEERS := .bench/venv/.ready

$(PEERS): $(READY) bench/peers/requirements.txt
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .bench/venv
	$(BIN)/uv pip install --quiet --python .bench/venv/bin/python --require-hashes -r bench/peers/requirements.txt
	@touch $(PEERS)

bench: $(PEERS) ## Measure Jobtrail beside its peers (28 minutes)
	$(BIN)/python -m bench

bench-full: $(PEERS) ## The same with 10 million jobs and more repeats (hours)
	$(BIN)/python -m bench full

bench-page: $(READY) ## Write docs/benchmarks.md from the last `make bench`
	$(BIN)/python -m bench.report

##@ Maintain it

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: $(READY) ## Write the JSON Schemas and asyncapi.yaml anew from the Python types
	$(BIN)/python schemas/generate.py

lock: $(READY) ## Resolve the dependencies anew into requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --group dev pyproject.toml $(PROJECTS) \
	  --no-emit-package job-events --no-emit-package service-kit --no-emit-package worker --no-emit-package platforms --no-emit-package local-stack \
	  --no-header --no-annotate --output-file requirements.lock

clean: ## Remove the virtual environment and all local data
	rm -rf .venv .jobtrail .bench demo-report.json
