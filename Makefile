# The only door for people and CI: `make help` lists what stands behind it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
STUBS := --python_out=. --mypy_out=. --grpc_python_out=. --mypy_grpc_out=.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

.PHONY: help run test check faults bad-input fuzz containers doctor savings keys train scale bench peers load soak audit sbom audit-tools dist protos stubs release-contract docs lock setup dev aider

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## Install what is missing, start the whole system here, and say how to use it. Ctrl-C stops it.
	@exec $(BIN)/python -m launcher

test: dev aider ## Install what is missing and run the tests (those in containers excepted).
	$(BIN)/python -m pytest -m "not containers"

check: dev ## Run every check: format, lint, types, import contracts, the contract and its compatibility.
	$(BIN)/pre-commit run --all-files --show-diff-on-failure

faults: dev aider ## Inject every fault, and print what clients see of it and what real Aider makes of a file; ARGS="F20 F49" for some.
	$(BIN)/python -m tests.faults $(ARGS)

containers: dev aider ## Build the images, start them with Docker Compose and run an Aider edit through them.
	$(BIN)/python -m pytest -m "containers and not scale" -s

scale: dev ## Scale, roll and kill routers and edges in containers under load (ten minutes; RATE=10 requests a second), and say what clients saw.
	RATE="$(RATE)" $(BIN)/python -m pytest tests/containers/test_scale.py -s

doctor: setup ## Look at all that the system needs, and say what is not well and what to do; ARGS="--json". The whole command: .venv/bin/amr --help
	@$(BIN)/python -m console doctor $(ARGS)

savings: setup ## Say what routing saved and how replies fared; ARGS="--since 7d --tenant NAME --json" and more.
	@$(BIN)/python -m console savings $(ARGS)

keys: setup ## Make, list and revoke client keys; ARGS="make NAME --models 'auto*' --budget-usd-per-day 5", ARGS=list, ARGS="revoke NAME".
	@$(BIN)/python -m console keys $(ARGS)

train: setup ## Train a custom Not Diamond router on the ledger's turns; asks before anything is sent; ARGS="--help".
	@$(BIN)/python -m console train $(ARGS)

bench: dev ## Measure, print the tables, and write bench/results/.
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/bench.txt
	$(BIN)/python -m bench.router_latency
	$(BIN)/python -m bench.growth
	$(BIN)/python -m bench.knob
	$(BIN)/python -m bench.understanding
	$(BIN)/python -m bench.decision_cost
	$(BIN)/python -m bench.conversations
	$(BIN)/python -m bench.routing
	$(BIN)/python -m bench.learning
	$(BIN)/python -m bench.peers

peers: dev ## Measure this beside its peers; ARGS="fresh litellm --loads c16,burst" for a choice, ROUNDS=1 for a quick look.
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/bench.txt
	@ROUNDS="$(ROUNDS)" SCALE="$(SCALE)" $(BIN)/python -m bench.peers $(ARGS)

load: dev ## Put load on the services, and say which bounds held; FIGURES="L2 L4" takes these alone, SCALE=0.1 a tenth of the time.
	@SCALE="$(SCALE)" $(BIN)/python -m bench.load $(FIGURES)

soak: dev ## Half an hour (MINUTES=30) of steady load with faults and restarts: what leaks, and which bounds held.
	@MINUTES="$(MINUTES)" $(BIN)/python -m bench.load.soak

bad-input: dev ## Send the services every kind of bad input, and print what came back; ENTRIES="B43 G14" takes these alone.
	@$(BIN)/python -m tests.bad_input $(ENTRIES)

audit: audit-tools ## Look up known vulnerabilities of all that is locked; error 3 says that the advisories are out of reach.
	@$(BIN)/python -m scripts.audit

sbom: audit-tools ## List each image's packages as CycloneDX in dist/sbom/.
	@$(BIN)/python -W ignore -m scripts.sbom

audit-tools: dev
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/audit.txt

fuzz: dev ## Feed the parsers what nobody would write, for so long each; SECONDS=60.
	@$(BIN)/python -m fuzz --seconds $(or $(SECONDS),60)

protos: dev ## Generate the stubs from protos/.
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I. $(STUBS) protos/router/v1/router.proto

dist: audit-tools ## Build wheels, sdists, the contract's archive, lists of packages and, where a Docker engine is, the images, byte for byte the same of the same tools and base images, into dist/; ARGS=--without-images.
	@$(BIN)/python -m scripts.release $(ARGS)

stubs: dev ## Generate TypeScript stubs from protos/ into examples/typescript/gen, with the plugin that its lock names.
	cd examples/typescript && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(BIN)/buf generate --template examples/typescript/buf.gen.yaml

release-contract: dev ## Take today's contract as the one that later changes must not break.
	$(BIN)/buf build --exclude-source-info -o protos/released.binpb

docs: dev ## Bring what pages have of the code up to date, and build them into dist/site; broken links are errors.
	@$(BIN)/python -m scripts.architecture
	@$(BIN)/python -m scripts.reference
	@NO_MKDOCS_2_WARNING=true $(BIN)/python -m mkdocs build --strict --quiet

lock: dev ## Write requirements/*.txt and the gateway's lock anew.
	$(LOCK) --group dev -o requirements/dev.txt
	for group in run router_service edge_gateway demo client build bench audit; do \
	  $(LOCK) --group $$group -c requirements/dev.txt -o requirements/$$group.txt || exit 1; done
	for group in aider peer_litellm peer_switchyard peer_tensorzero; do \
	  $(LOCK) --group $$group -o requirements/$$group.txt || exit 1; done
	cd examples/node && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund
	cd examples/typescript && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund
	cd tests/clients/node && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund
	cd portkey && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund

setup:
	@scripts/bootstrap.sh run

dev:
	@scripts/bootstrap.sh dev

aider: ## Install Aider into .venv-aider.
	@scripts/bootstrap.sh aider
