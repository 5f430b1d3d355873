# The verbs of the project. Each does its own set-up; a second call finds it done.
PYTEST = .venv/bin/python -m pytest
# More than there are processors: many tests wait for a packet that must not come.
WORKERS = 3
BENCH =
SHELL_SCRIPTS = $(filter-out %.py,$(wildcard .ci/* vagrant/*.sh))

.DEFAULT_GOAL := help
.PHONY: help programs setup demo test lint bench soak golden schema docs stubs clean
.NOTPARALLEL:

demo bench soak: PROGRAMS = ip nft iptables-save ipset sysctl
test: PROGRAMS = ip nft iptables-save ipset conntrack sysctl ping ethtool dot nsenter setpriv tshark
bench: PROGRAMS += plotnetcfg tshark
# Real software that tests/conformance plays with; where it is missing, those tests say so. A distribution may start
# what it installs, so only a machine that is there for tests gets it without being asked.
ifeq ($(CI),true)
test: PROGRAMS += dockerd containerd runc podman crun busybox /usr/lib/podman/netavark /usr/lib/cni/portmap ufw firewalld protoc
endif
lint: PROGRAMS = shellcheck

programs:
	@.ci/programs $(PROGRAMS)

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

setup: ## .venv with netfs and the tools of its tests; nothing where that is done
	@.ci/setup

demo: programs setup ## a lab, a trace, a fault, the finding, the repair
	@.ci/demo

test: programs setup ## the suite; as root the kernel tests run as an ordinary user too
	@.ci/rootless tests/kernel -n $(WORKERS) --dist worksteal; rootless=$$?; \
	$(PYTEST) -n $(WORKERS) --dist worksteal && exit $$rootless

lint: programs setup ## ruff, mypy --strict, the contracts between rooms, shellcheck
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	if command -v shellcheck >/dev/null; then shellcheck $(SHELL_SCRIPTS); fi

bench: programs setup ## the bars of the project, each a ratio within one run; BENCH= hands options to pytest
	@[ -z "$(wildcard tests/bench/*.py)" ] || $(PYTEST) tests/bench -m bench --benchmark-enable -s $(BENCH)

soak: programs setup ## thousands of random networks against the kernel; minutes
	$(PYTEST) -m soak -n $(WORKERS) --timeout 7200

golden: setup ## writes the golden files anew; read the difference before you commit it
	$(PYTEST) -n $(WORKERS) --snapshot-update

schema: setup ## writes the JSON Schemas of docs/schema anew
	.venv/bin/python .ci/schema.py

docs: setup ## writes the parts of docs/ anew that are made from the code
	.venv/bin/python .ci/docs.py

stubs: PROGRAMS = protoc
stubs: programs ## writes the Python of netfs/**/*.proto anew
	protoc --python_out=. --pyi_out=. $(shell find netfs -name '*.proto')

clean: ## removes what the verbs above made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
