# A thin wrapper: each target is one or two commands that README.md also gives for Windows.
# Choose another Python with `make PYTHON=python3.12 …`, another environment with `make VENV=… …`.

PYTHON ?= python3
VENV ?= .venv
SITE_VENV ?= .venv-site

.PHONY: help book test check run notebooks bench clean

help:
	@echo "make book       build the site from the stored outputs and open it (about a minute the first time)"
	@echo "make test       every check: notebooks, package, book, browser; ARGS=... goes to pytest"
	@echo "make check      the quick ones, for every day: ruff, notebooks in step, tests of less than half a second"
	@echo "make run        execute every chapter again, two at a time"
	@echo "make notebooks  execute only the chapters whose code changed"
	@echo "make bench      time and memory against other people's tools, side by side; rows to _build/bench.json"
	@echo "make clean      remove what was built, but not the environments"

book:
	@$(PYTHON) tools/env.py $(SITE_VENV) requirements-site.txt
	$(SITE_VENV)/bin/jupyter-book build . --all -W --keep-going -n
	@$(SITE_VENV)/bin/python tools/show_page.py

.PHONY: environment
environment:
	@$(PYTHON) tools/env.py $(VENV) requirements.txt

test: environment
	$(VENV)/bin/python tools/run_tests.py $(ARGS)

check: environment
	$(VENV)/bin/python tools/run_tests.py --quick $(ARGS)

run: environment
	$(VENV)/bin/python tools/sync_notebooks.py --force

notebooks: environment
	$(VENV)/bin/python tools/sync_notebooks.py

bench:
	@$(PYTHON) tools/env.py $(VENV) requirements-bench.txt
	$(VENV)/bin/python tools/bench_counters.py
	$(VENV)/bin/python tools/bench_networks.py
	$(VENV)/bin/python tools/bench_training.py
	$(VENV)/bin/python tools/bench_grading.py

clean:
	rm -rf _build
