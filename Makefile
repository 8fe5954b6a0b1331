# The verbs. Each sets up what it needs, once. ENV chooses the inventory: make deploy ENV=staging
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

ENV ?= local
PYTHON ?= python3
VENV ?= $(CURDIR)/.venv
VENV_READY := $(VENV)/.ready
UV_VERSION := 0.13.9
export PATH := $(VENV)/bin:$(PATH)
# Bytecode is kept, out of the source tree: it halves what starting Ansible costs.
export PYTHONPYCACHEPREFIX := $(VENV)/pycache
unexport PYTHONDONTWRITEBYTECODE
export CMD

ENVIRONMENTS := $(notdir $(wildcard inventory/*))
ifeq ($(filter $(ENV),$(ENVIRONMENTS)),)
$(error There is no environment "$(ENV)". Known: $(ENVIRONMENTS). Next: make $(firstword $(MAKECMDGOALS) help) ENV=local)
endif

PLAYBOOK = ansible-playbook -i inventory/$(ENV) $(if $(CHECK),--check) $(ARGS)

.PHONY: help deploy plan infra build release rollback status verify bootstrap destroy drill incident-db restore rotate-secret cost-report up down logs run shell test-page unlock redeliver new-env venv lock check test rehearse coverage docs bench
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'
	echo "  ENV=$(ENV) (known: $(ENVIRONMENTS)) · CHECK=1 touches nothing · ARGS='-e name=value' reaches ansible-playbook"

deploy plan infra build release rollback verify bootstrap: $(VENV_READY)
	@$(PLAYBOOK) playbooks/$@.yml
deploy:    ## Infrastructure, image, release, verification: the whole road
plan:      ## What Terraform would change, and nothing else
infra:     ## Infrastructure only
build:     ## Build and push the image of this commit only
release:   ## Release the image of this commit (or ARGS='-e image_build_version=<hash>')
rollback:  ## Put the release before this one back, at once (ARGS='-e rollback_to=<hash|revision|-2>')
verify:    ## Whether a release would find all that it needs (of what runs, or ARGS='-e image_build_version=<hash>')
bootstrap: ## Once per account and region: state bucket, registry, service-linked roles

status: $(VENV_READY) ## What runs, since when, by whom (FORMAT=json: for machines, on standard output alone)
	@if [ '$(FORMAT)' = json ]; then
	  $(PLAYBOOK) playbooks/status.yml -e status_format=json >&2
	  cat .local/$(ENV)/status.json
	else
	  $(PLAYBOOK) playbooks/status.yml
	fi

destroy: $(VENV_READY) ## Remove the environment (asks for ARGS='-e destroy_confirm=<name>')
	@$(PLAYBOOK) playbooks/destroy.yml

up: $(VENV_READY) ## Start the local cloud only
	@$(PLAYBOOK) playbooks/local_up.yml

down: $(VENV_READY) ## Remove the local cloud: every container, network, volume and process of it
	@$(PLAYBOOK) playbooks/local_down.yml

logs: $(VENV_READY) ## The service's log (SINCE=15m FILTER='"ERROR"' FOLLOW=1)
	@$(PLAYBOOK) playbooks/logs.yml $(if $(SINCE),-e logs_since=$(SINCE)) $(if $(FOLLOW),-e logs_follow=true) $(if $(FILTER),-e '{"logs_filter": "$(FILTER)"}')

run: $(VENV_READY) ## A one-off task beside the service: make run CMD='python --version' (FAMILY=admin: with the database's master user)
	@$(PLAYBOOK) playbooks/run.yml -e '{"command": "{{ lookup(\"ansible.builtin.env\", \"CMD\") }}"}' $(if $(FAMILY),-e ecs_task_family=$(FAMILY))

shell: $(VENV_READY) ## A shell in a running task
	@$(PLAYBOOK) playbooks/shell.yml && exec sh .local/$(ENV)/shell.sh

drill: $(VENV_READY) ## Make a failure on purpose and see it answered (DRILL=broken_release|never_healthy|task_killed|database_restart|pool_exhaustion|slow_query|rotation|restore|cost_surge)
	@$(PLAYBOOK) playbooks/drill.yml $(if $(DRILL),-e drill_name=$(DRILL))

rotate-secret: $(VENV_READY) ## A new database password, without a failed request, if it is a day old (ARGS='-e rotate_older_than_days=30')
	@$(PLAYBOOK) playbooks/rotate_secret.yml

cost-report: $(VENV_READY) ## What the month costs, why, and what could cost less (a page, JSON, Slack)
	@$(PLAYBOOK) playbooks/cost_report.yml

test-page: $(VENV_READY) ## A test page through every path: topics, e-mail, Slack; what was accepted on each
	@$(PLAYBOOK) playbooks/test_page.yml

incident-db: $(VENV_READY) ## Why database connections are exhausted, and what to do (ARGS='-e end_idle=true' ends what nobody uses)
	@$(PLAYBOOK) playbooks/incident_db_connections.yml

restore: $(VENV_READY) ## What of the database can be restored; ARGS='-e restore_time=2026-11-24T10:15:00Z' restores it beside the old one
	@$(PLAYBOOK) playbooks/restore.yml

unlock: $(VENV_READY) ## Break the deployment lock, whoever holds it
	@$(PLAYBOOK) playbooks/unlock.yml

redeliver: $(VENV_READY) ## Post to Slack what the bots could not post (CHECK=1: only show what is kept)
	@$(PLAYBOOK) playbooks/redeliver.yml

# Only what stands on the command line: some shells set NAME by themselves.
given = $(if $(filter command,$(origin $1)),-e '{"environment_folder_$2": "$($1)"}')
new-env: $(VENV_READY) ## A new environment's inventory: NAME=qa FROM=staging REGION=ap-northeast-1 ACCOUNT=123456789012 (ZONES=a,c,d)
	@$(PLAYBOOK) playbooks/new_env.yml $(call given,NAME,name) $(call given,FROM,from) $(call given,REGION,region) $(call given,ACCOUNT,account_id) $(call given,ZONES,zones)

venv: $(VENV_READY) ## The project's Python environment
$(VENV_READY): requirements.txt
	@echo "Making the Python environment in $(VENV) (once; again when requirements.txt changes)" >&2
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
	  echo "Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is $$($(PYTHON) -V). Next: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(VENV)/bin/uv pip sync --quiet --python $(VENV)/bin/python --require-hashes requirements.txt
	# Roles keep their Python beside their tasks and import it from the repository's root.
	echo "$(CURDIR)" > "$$($(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/settlement.pth"
	touch $@

lock: $(VENV_READY) ## Lock again: requirements.txt, and the provider of each environment (inventory/<env>/terraform.lock.hcl)
	@failed=() resolved=$$(mktemp)
	cp requirements.txt "$$resolved"
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group local --group app --group dev pyproject.toml --custom-compile-command 'make lock' --output-file "$$resolved" \
	  $(if $(CHECK),,&& cp "$$resolved" requirements.txt) || failed+=(requirements.txt)
	rm "$$resolved"
	for environment in $(ENVIRONMENTS); do
	  ansible-playbook -i "inventory/$$environment" $(if $(CHECK),--check) $(ARGS) playbooks/lock.yml || failed+=("inventory/$$environment/terraform.lock.hcl")
	done
	if (($${#failed[@]})); then
	  echo "lock: not locked, and left as it was: $${failed[*]} (why: above)" >&2
	  exit 1
	fi
	echo "lock: requirements.txt and the provider of every environment with an exact version are locked. Next: git diff"

check: $(VENV_READY) ## Linters and types (fast)
	@tests/check.sh

test: $(VENV_READY) ## Linters, unit, application, Terraform, roles, and the whole road on this machine, under load
	@tests/run.sh

rehearse: $(VENV_READY) ## The other, longer tests: releases that fail, incidents, and GitHub's workflows line by line
	@tests/run.sh --numprocesses 3 --no-loadscope-reorder -m rehearsal tests/e2e

coverage: $(VENV_READY) ## How much of the roles' Python the unit tests run: 90 % at least (half as slow again, so a job of its own)
	@python -m pytest -q --numprocesses auto --no-loadscope-reorder --cov=roles --cov-report=term:skip-covered --cov-fail-under=90 tests/unit

docs: $(VENV_READY) ## Write the tables of inputs in the READMEs of roles and modules
	@python docs/tables.py

bench: $(VENV_READY) ## Measure against floors in the same run: ONLY='app waiting deploy balancer release' ROUNDS=5
	@PYTHONPATH=$(CURDIR):$(CURDIR)/app/api python -m tests.bench --rounds $(or $(ROUNDS),5) $(ONLY)
