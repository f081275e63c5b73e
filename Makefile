# make demo   see it work          make test   all tests
# make check  lint, types, house   make bench  figures, beside others
# make lock   renew the pinned versions   make man     renew the man pages
# make chaos  break everything for real, at length (ARGS="kill crash": only these); make test does it in short

PYTHON ?= python3
VENV   := .venv
STAMP  := $(VENV)/.installed
BENCH  := .venv-bench

.PHONY: demo test chaos check bench lock man clean

demo: $(STAMP)
	$(VENV)/bin/pushctl demo $(ARGS)

test: $(STAMP)
	$(VENV)/bin/pytest --ignore=tests/chaos $(ARGS)
	$(VENV)/bin/pytest -n 4 tests/chaos

chaos: $(STAMP)
	$(VENV)/bin/python tests/chaos/run.py $(ARGS)

check: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

$(STAMP): requirements-dev.lock
$(BENCH)/.installed: requirements-bench.lock
%/.installed: pyproject.toml
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(filter %.lock,$^)
	$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

lock: $(STAMP)
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --output-file requirements.lock pyproject.toml
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra dev --output-file requirements-dev.lock pyproject.toml
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra bench --output-file requirements-bench.lock pyproject.toml
	for folder in tests/receivers bench/peers/graphile_worker; do ( cd $$folder && \
	  npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund && \
	  node -e 'const fs = require("fs"), f = "package-lock.json", l = JSON.parse(fs.readFileSync(f)); for (const p of Object.values(l.packages)) delete p.funding; fs.writeFileSync(f, JSON.stringify(l, null, 2) + "\n")' ) || exit; done

man: $(STAMP)
	$(VENV)/bin/python docs/manual.py docs/man

bench: $(BENCH)/.installed
	$(BENCH)/bin/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) $(BENCH) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
