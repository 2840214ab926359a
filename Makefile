# Everything works from a fresh clone: each target first makes .venv (with uv where it is installed, else venv and pip).
PYTHON ?= python3
BIN := .venv/bin
# What a user needs, and besides what tests, trackers, exports and Hugging Face sets need.
RUN_STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev

.PHONY: install cluster quickstart check test test-portable nightly lint bench clean

install: $(DEV_STAMP)

# Installs this folder into .venv with these extras.
define install_into_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))' || \
		{ echo "cifar_tune needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=..."; exit 2; }
	@echo "Installing into .venv (torch alone is about 1 GB; a minute with uv, several with pip) ..."
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.$(1)'; \
	else \
		$(PYTHON) -m venv .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.$(1)'; \
	fi
endef

$(RUN_STAMP): pyproject.toml constraints.txt
	$(call install_into_venv,)
	@touch $@

$(DEV_STAMP): pyproject.toml constraints.txt
	$(call install_into_venv,[dev])
	@touch $(RUN_STAMP) $@

# Ray's job server and client. Apart, for with them every start of Ray takes 2 to 3 s of CPU more.
cluster: install
	$(call install_into_venv,[cluster])

quickstart: $(RUN_STAMP)
	$(BIN)/python -m cifar_tune.sweep sweeps/quickstart.yaml

# Halves of the tests side by side; who is done takes over from the other what is left.
test: install
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal --durations 15

# What computes, as other CPUs round it: without AVX2 on one thread, and with AVX2 at most on two. No test may depend on it.
NUMERIC := tests/unit/training/augmentations tests/unit/training/losses tests/unit/training/models \
	tests/unit/training/networks tests/unit/training/optimizers tests/unit/training/schedules \
	$(wildcard tests/unit/training/test_*.py) \
	$(foreach name,augmentations every_key_counts exact_resume losses models optimizers schedules switched_keys,tests/contracts/test_$(name).py)
WITHOUT_AVX2 := ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1
WITH_AVX2 := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=2

test-portable: install
	$(WITHOUT_AVX2) $(BIN)/python -m pytest --numprocesses logical --maxprocesses 2 --dist worksteal $(NUMERIC)
	$(WITHOUT_AVX2) $(BIN)/python -m pytest -m slow tests/contracts/test_several_processes.py
	$(WITH_AVX2) $(BIN)/python -m pytest --numprocesses logical --maxprocesses 2 --dist worksteal $(NUMERIC)

# Long scenes: networks of several hosts, Ray's client and jobs, kills at length. They want the machine to themselves.
nightly: cluster
	.ci/marked "nightly and not gpu" tests

# What can be known without torch, in under a minute once mypy has its cache.
check: lint
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal \
		tests/unit/analysis tests/unit/storage tests/unit/config tests/unit/plotting tests/unit/results

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/augmentations.py
	$(BIN)/python benchmarks/results_tables.py

clean:
	rm -rf .venv build *.egg-info
