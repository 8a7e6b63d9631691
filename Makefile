# Everything here sets up what it needs; nothing has to be installed by hand but Python, git and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: run test bench soak crash power format clean

run: $(VENV)/.ready-run ## serve on 127.0.0.1:2525 from the demo folder
	@$(BIN)/python tools/demo.py

test: $(VENV)/.ready-dev ## format check, lint, types, import contracts, all tests
	@$(BIN)/python tools/check.py

bench: $(VENV)/.ready-dev ## CPU per message, against smtp-sink, aiosmtpd and Haraka
	@$(BIN)/python -m bench $(ARGS)

soak: $(VENV)/.ready-dev ## a minute under attack, workers killed and replaced, while good mail comes in
	@$(BIN)/python -m endurance.soak $(ARGS)

crash: $(VENV)/.ready-dev ## kill everything under load, again and again, and look for what was lost
	@$(BIN)/python -m endurance.crash $(ARGS)

power: $(VENV)/.ready-dev ## cut the power under load, again and again, and look for what was lost; root only
	@$(BIN)/python -m endurance.power $(ARGS)

format: $(VENV)/.ready-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.ready-run: pyproject.toml
	@$(PYTHON) tools/environment.py $(VENV) fast
	@touch $@

$(VENV)/.ready-dev: pyproject.toml
	@$(PYTHON) tools/environment.py $(VENV) fast dev
	@touch $@ $(VENV)/.ready-run

clean:
	rm -rf $(VENV) .peers demo .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
