# Every target installs what it needs. You need only Python, git and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: run help check test screenshots bench reallogs sim soak attack crash power compiled dist lock format clean

run: $(VENV)/.ready-run ## serve on 127.0.0.1:2525 from the demo folder
	@$(BIN)/python tools/demo.py

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | expand -t 10

check: $(VENV)/.ready-dev ## about two minutes: format, lint, types, contracts, wording, fast tests
	@$(BIN)/python tools/check.py --quick

test: $(VENV)/.ready-dev ## everything: also slow tests, real clients, coverage, the compiled build
	@$(BIN)/python tools/check.py

bench: $(VENV)/.ready-dev ## CPU per message, compared with other servers; ARGS=--quick for a trial run, ARGS=--page for docs/performance.md
	@$(BIN)/python -m bench $(ARGS)

screenshots: $(VENV)/.ready-dev ## the pictures of the dashboard in docs/screenshots, with simulated mail
	@$(BIN)/python -m tests.web.screenshots

reallogs: $(VENV)/.ready-dev ## the trap rules on published tables of real mail, DATA=FOLDER, see docs/traps.md
	@$(BIN)/python -m bench.reallogs $(DATA)

sim: $(VENV)/.ready-dev ## senders and attackers against the trap rules, simulated; ARGS=--quick for a trial run
	@$(BIN)/python -m sim $(ARGS)

soak: $(VENV)/.ready-dev ## a minute under attack: good mail arrives while workers are killed and replaced
	@$(BIN)/python -m endurance.soak $(ARGS)

attack: $(VENV)/.ready-dev ## the delay of an innocent client under each attack, next to an idle server
	@$(BIN)/python -m endurance.fairness $(ARGS)

crash: $(VENV)/.ready-dev ## kill processes under load, repeatedly, and look for lost mail
	@$(BIN)/python -m endurance.crash $(ARGS)

power: $(VENV)/.ready-dev ## cut the power under load, repeatedly, and look for lost mail; root only
	@$(BIN)/python -m endurance.power $(ARGS)

compiled: $(VENV)/.ready-run ## compile the hot path for `make run`, one or two minutes; needs a C compiler
	@$(BIN)/python tools/compiled.py

dist: $(VENV)/.ready-dev ## source archive, pure wheel and compiled wheel in dist; needs a C compiler
	@$(BIN)/python tools/dist.py

lock: ## write the hashed requirements for constraints.txt; needs the network
	@$(PYTHON) tools/lock.py

format: $(VENV)/.ready-dev ## format the code and apply automatic fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.ready-run: pyproject.toml
	@$(PYTHON) tools/environment.py $(VENV)
	@touch $@

$(VENV)/.ready-dev: pyproject.toml
	@$(PYTHON) tools/environment.py $(VENV) dev
	@touch $@ $(VENV)/.ready-run

clean: ## remove everything that the other targets created
	rm -rf $(VENV) .peers demo dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
