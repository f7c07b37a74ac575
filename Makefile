# README.md says what to type; each target does its own set-up and can be run again at any time.
SHELL := /bin/bash
PY := .venv/bin/python
LAB := $(PY) -m lab
KEEP ?=

.PHONY: help setup demo test check core coverage fuzz mutation model contract contract-mysql lab-smoke runbook lab-test soak soak-calm bench bench-switchover bench-hold bench-sim sim soak-sim sim-mutants docs down clean

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: ## Debian packages and the virtual environment (idempotent)
	@lab/setup

demo: setup ## dc1 dies under load, dc2 takes over, dc1 rejoins (KEEP=1 leaves the lab up)
	@$(LAB) demo $(if $(KEEP),--keep)

test: setup check core sim contract lab-smoke ## Every test: static, core, simulation, contract, lab

check: setup ## ruff, mypy --strict, import contracts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-cache

core: setup ## Tests of the deciding code and the simulation (seconds)
	@$(PY) -m pytest -q -m "not contract and not foreign and not lab"

coverage: setup ## Every branch of the deciding code is run by its own tests
	@mkdir -p build
	@$(PY) -m pytest -q tests/core tests/bgp tests/witness --ignore tests/bgp/test_speaker.py --cov

fuzz: setup ## Draws other examples for every parser and every law (SECONDS=60)
	@$(PY) -m tests.fuzz.run --seconds $(or $(SECONDS),60)

mutation: setup ## Wrong versions of the deciding code, one by one; goes on where it stopped (SECONDS=3600)
	@$(PY) -m tests.mutation.run --seconds $(or $(SECONDS),3600)

model: setup ## The commit quorum, exhaustively within deep bounds, and every shortcut (JOBS=2)
	@$(PY) -m tests.model --jobs $(or $(JOBS),2) --out build/model/report.json

contract: setup ## Adapters against the real programs, and foreign behaviour pinned
	@$(PY) -m pytest -q -m "contract or foreign" --timeout 240

contract-mysql: ## The same for MySQL 9, fetched from Debian unstable; skipped, with the reason, where it cannot be had
	@LAB_MYSQL=mysql lab/setup
	@LAB_MYSQL=mysql $(PY) -m pytest -q -rs --timeout 240 tests/contract/test_mysql_*.py tests/contract/test_serving_alone.py tests/foreign/test_mysql.py

lab-smoke: setup ## Real processes in network namespaces
	@$(PY) -m pytest -q -m "lab and not runbook" --timeout 900

runbook: setup ## The runbook's ten situations in the lab, each of their lines typed at a terminal (5 min)
	@$(PY) -m pytest -q -m runbook --timeout 900

lab-test: setup ## Every scenario in the lab, one report (ROW=4 JOBS=2)
	@$(LAB) run tests/scenarios $(if $(ROW),--row $(ROW)) $(if $(JOBS),--jobs $(JOBS))

soak: setup ## Faults drawn from a seed in one lab, under load; writes build/soak/report.json (SECONDS=3600 SEED=1)
	@$(LAB) soak --seconds $(or $(SECONDS),3600) --seed $(or $(SEED),1)

soak-calm: setup ## At rest on busy cores nothing moves or fails; writes build/soak/calm.json (SECONDS=3600)
	@$(LAB) soak-calm --seconds $(or $(SECONDS),3600)

bench: setup ## tricast beside a peer stack, about 25 min, goes on where it ended (RUNS=10 PEER_RUNS=5 ONLY=site_loss FRESH=1 SECONDS=)
	@$(PY) -c 'import resvg_py' 2>/dev/null || $(PY) -m pip --quiet --disable-pip-version-check install --use-pep517 --editable '.[bench]'
	@$(LAB) bench $(if $(RUNS),--runs $(RUNS)) $(if $(PEER_RUNS),--peer-runs $(PEER_RUNS)) $(foreach fault,$(ONLY),--only $(fault)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(FRESH),--fresh) $(if $(PUBLISH),--publish)

bench-switchover: setup ## Moves the service there and back under load; writes build/bench/switchover.json (RUNS=6 RATE=120)
	@$(LAB) bench-switchover $(if $(RUNS),--runs $(RUNS)) $(if $(RATE),--rate $(RATE))

sim: setup ## Simulated histories, a part of the exhaustive ones, a few mutants (a minute)
	@$(PY) -m tests.sim.soak --histories 500 --seed 1 --fresh --build build/sim/quick
	@$(PY) -m tests.sim.exhaust --part 0.015 --build build/sim/quick
	@$(PY) -m tests.sim.mutants.hunt --some 4 --build build/sim/quick

soak-sim: setup ## Many histories, goes on where it stopped (HISTORIES=100000 SEED=1)
	@$(PY) -m tests.sim.soak --histories $(or $(HISTORIES),10000) --seed $(or $(SEED),1)

sim-mutants: setup ## Each planted bug has to be found within a minute
	@$(PY) -m tests.sim.mutants.hunt

bench-hold: ## Every way to let clients wait, HTTP, TCP and SQL, about 5 min; writes build/bench/hold.json (RUNS=5)
	@lab/setup pgbouncer
	@$(LAB) bench-hold $(if $(RUNS),--runs $(RUNS))

bench-sim: setup ## How fast the simulator is; writes build/bench/sim.json
	@$(PY) -m tests.sim.bench

docs: setup ## Writes what is generated from the code
	@$(PY) -m controller.cli.main docs --out docs
	@$(LAB) scenario words --markdown > docs/scenarios.md

down: ## Takes the lab down
	@$(LAB) down

clean: down ## The lab and everything that was built
	@rm -rf build
