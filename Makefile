# make demo    asks a question of a million characters with a small model on this machine
# make test    runs the tests        make lint    checks style and types
# make bench   measures this project beside its peers (ARGS=--quick: the short form)
# make needles finds needles with the small model
#
# Everything is installed into .venv; only the model's weights go to the user's data folder (RLM_HOME moves them).

PYTHONS := python3 python3.14 python3.13 python3.12 python3.11 python
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(PYTHONS); do $$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install

HAYSTACK := examples/haystack.txt
QUESTION := What is the combination of the observatory safe?

.PHONY: demo test lint bench needles clean
.DELETE_ON_ERROR:

# stdout carries the answer and nothing else; what happens meanwhile is told on stderr. The command is the one a
# user types; its log goes to a folder of the demo's own, so that `llm logs` and `llm -c` stay the user's.
demo: export LLM_USER_PATH := $(abspath $(VENV))/demo
demo: $(VENV)/local $(HAYSTACK)
	@echo '→ looking for the model (fetched once, 0.5 GB)' >&2
	@$(BIN)/llm rlm download 0.5b >&2
	@echo '$$ llm -m rlm-local < $(HAYSTACK) "$(QUESTION)"' >&2
	@PATH="$(abspath $(BIN)):$$PATH" llm -m rlm-local < $(HAYSTACK) "$(QUESTION)"

test: $(VENV)/dev
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Each peer goes into an environment of its own, in .venv/peers.
bench: $(VENV)/local
	$(BIN)/python -m benchmarks.peers $(ARGS)

needles: $(VENV)/local
	$(BIN)/python benchmarks/local_needles.py $(ARGS)

clean:
	rm -rf $(VENV) $(HAYSTACK)

$(HAYSTACK): examples/make_haystack.py
	@echo '→ writing $@: a million characters, with the answer at 95%' >&2
	@$(BIN)/python $< $@

# Each of these two files says that the install of that name was done, for this pyproject.toml.
$(VENV)/local: $(VENV)/bin/python pyproject.toml
	@echo '→ installing llm-rlm and its local model runtime into $(VENV)' >&2
	@$(PIP) -e '.[local]' >&2
	@touch $@

$(VENV)/dev: $(VENV)/bin/python pyproject.toml
	@echo '→ installing llm-rlm, its extras and the tools for development into $(VENV)' >&2
	@$(PIP) -e '.[local,dspy,dev]' >&2
	@touch $@ $(VENV)/local

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo 'llm-rlm needs Python 3.11 or later: none of $(PYTHONS) is. Install one, or give it: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "llm-rlm needs Python 3.11 or later: $(PYTHON) is not. Give another: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo '→ making a virtual environment in $(VENV), with $(PYTHON)' >&2
	@$(PYTHON) -m venv $(VENV) >&2
