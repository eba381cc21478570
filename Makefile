# One front door. `make` alone lists what it can do.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS = $(shell cd proto && find connectors gateway ledger -name '*.proto' | sort)
GENERATED = connectors/v1 gateway/v1 ledger/v1

# Tests start the gateway hundreds of times; each start would compile the whole house again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run demo test check bench bench-verify bench-commitments bench-ledger soak proto proto-check fmt lock clean

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(VENV)/ready ## start the gateway and a demonstration province on this machine (Ctrl-C ends it)
	$(BIN)/chengxin demo

demo: $(VENV)/ready ## play the whole story once and end; exits 0 only if every step came out as told
	$(BIN)/chengxin demo --story

test: $(VENV)/ready ## run the whole test suite, on all cores
	$(BIN)/python -m pytest -n auto

check: $(VENV)/ready proto-check ## everything CI runs: format, lint, types, arrows, contract, generated code, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd proto && ../$(BIN)/buf format -d --exit-code . && ../$(BIN)/buf lint && ../$(BIN)/buf breaking . --against baseline.binpb
	$(MAKE) test

bench: $(VENV)/ready ## print the gateway's performance table, small: ratios within one run
	$(BIN)/python -m gateway.bench verification --people 20000 --entries 0 --rounds 3

bench-verify: $(VENV)/ready ## print the same in full: a register of 10^6 people, a ledger of 10^6 entries; takes minutes
	$(BIN)/python -m gateway.bench verification

bench-commitments: $(VENV)/ready ## print the table of commitments
	$(BIN)/python -m gateway.bench commitments --people 20000

bench-ledger: $(VENV)/ready ## print the ledger's table; takes some minutes (a log of 10^6 entries, tiles of 10^7)
	$(BIN)/python -m ledger.bench

soak: $(VENV)/ready ## kill writers of the ledger with kill -9, 200 times in each setting
	KILL_ROUNDS=200 $(BIN)/python -m pytest tests/ledger/test_kill.py

proto: $(VENV)/ready ## generate code from proto/ into the three packages
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. \
		--plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
		--mypy_out=quiet:. --mypy_grpc_out=quiet:. $(PROTOS)

proto-check: $(VENV)/ready
	@rm -rf $(VENV)/drift && mkdir -p $(VENV)/drift
	@$(BIN)/python -m grpc_tools.protoc -I proto --python_out=$(VENV)/drift --grpc_python_out=$(VENV)/drift \
		--plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
		--mypy_out=quiet:$(VENV)/drift --mypy_grpc_out=quiet:$(VENV)/drift $(PROTOS)
	@for d in $(GENERATED); do \
		diff -r -x __init__.py -x __pycache__ $$d $(VENV)/drift/$$d || { echo "generated code drifted: run make proto" >&2; exit 1; }; \
	done

fmt: $(VENV)/ready ## format code and contract
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd proto && ../$(BIN)/buf format -w .

lock: $(VENV)/ready ## resolve the dependencies again and write the lock file
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-annotate --no-header -q -o requirements.lock

clean: ## remove the environment and everything `make run` created
	rm -rf $(VENV) var
