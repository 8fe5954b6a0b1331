# The verbs. Each first sets up what it needs. ENV selects the inventory: make deploy ENV=staging
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.NOTPARALLEL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

ifneq ($(findstring :,$(CURDIR)),)
$(error The checkout's path $(CURDIR) has a colon, which separates paths. Nothing was done. Next: move the checkout to a path without one)
endif

ENV ?= local
PYTHON := python3
VENV := .venv
VENV_READY := $(VENV)/.ready
UV_VERSION := 0.13.9
MUTMUT_VERSION := 3.8.1
PICTURE_TOOLS := --with pillow==13.0.0 --with pyte==0.8.2

ENVIRONMENTS := $(patsubst inventory/%/,%,$(wildcard inventory/*/))
override ENV := $(value ENV)
ifneq ($(words $(ENV)) $(filter $(subst %,\%,$(ENV)),$(ENVIRONMENTS)),1 $(ENV))
$(error There is no environment "$(ENV)". Known: $(ENVIRONMENTS). Next: make $(firstword $(MAKECMDGOALS) help) ENV=local)
endif

# A run does not inherit the shell's environment. Of the families that influence our tools, only the variables below pass.
FAMILIES := AWS_% TF_% ANSIBLE_% DOCKER_% GIT_% PIP_% UV_% PYTHON% LC_ALL LANG CDPATH MAKEFLAGS MFLAGS
# The Docker context and its folder pass: the local environment checks the engine, and the other environments use it.
PASSED := TF_PLUGIN_DIR TF_LOG DOCKER_CONTEXT DOCKER_CONFIG ANSIBLE_STDOUT_CALLBACK ANSIBLE_FORCE_COLOR ANSIBLE_NOCOLOR ANSIBLE_COLOR_% \
  PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_NO_INDEX PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_CERT PIP_CLIENT_CERT \
  UV_INDEX UV_INDEX_% UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_NO_INDEX UV_FIND_LINKS UV_INSECURE_HOST UV_NATIVE_TLS UV_SYSTEM_CERTS
CREDENTIALS := AWS_PROFILE AWS_DEFAULT_PROFILE AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_CA_BUNDLE \
  AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_CREDENTIAL_EXPIRATION \
  AWS_WEB_IDENTITY_% AWS_ROLE_% AWS_CONTAINER_% AWS_EC2_METADATA_% AWS_METADATA_SERVICE_%
# An inventory with access keys of its own does not use those of the shell.
ifeq ($(findstring AWS_ACCESS_KEY_ID:,$(file <inventory/$(ENV)/group_vars/all/aws.yml)),)
PASSED += $(CREDENTIALS)
endif
DROPPED := $(filter-out $(PASSED),$(filter $(FAMILIES),$(.VARIABLES)))
unexport $(DROPPED)
NAMED := $(filter-out AWS_CA_BUNDLE,$(filter AWS_% TF_% ANSIBLE_% DOCKER_%,$(DROPPED)))
ifneq ($(NAMED),)
$(warning ENV=$(ENV) does not use these variables of the shell: $(sort $(NAMED)))
endif
# Ansible needs UTF-8. What the shell's terminal shows may be less.
export SHELL_LOCALE := $(or $(value LC_ALL),$(value LC_CTYPE),$(value LANG))
export LC_ALL := C.UTF-8
export HOME := $(or $(value HOME),$(CURDIR)/.local/home)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PYTHONPATH := $(CURDIR)/src
# Trust the machine's certificates, as git and curl do: a company's proxy may have its own.
export UV_SYSTEM_CERTS ?= true
VENV_PATH := $(if $(filter /%,$(VENV)),$(VENV),$(CURDIR)/$(VENV))
export PATH := $(VENV_PATH)/bin:$(value PATH)
# Bytecode is kept outside the source tree: it halves the start of Ansible.
export PYTHONPYCACHEPREFIX := $(VENV_PATH)/pycache

# Make does not expand the user's text: it is passed on unchanged, as environment variables.
TEXT := ARGS CMD DRILL FAMILY FILTER FOLLOW FORMAT METRICS ONLY OUTPUT PAGE PORT PYTHON RAW REQUEST ROUNDS SINCE VENV
ONCE := NAME FROM REGION ACCOUNT ZONES DIR APP OVERWRITE WRITE ZONE CANCEL STRATEGY
# Some shells set NAME by themselves, so these variables count only on the command line.
$(foreach name,$(ONCE),$(if $(filter command,$(origin $(name))),,$(eval override $(name) :=)))
$(foreach name,$(TEXT) $(ONCE),$(eval override export $(name) := $$(value $(name))))
# $(call passed,NAME,variable): sets an Ansible variable that reads its value from the environment.
passed = $(if $($1),-e '{"$2": "{{ lookup(\"ansible.builtin.env\", \"$1\") }}"}')

# $(call playbook,<environment>) <playbook> …: ARGS is split into words as by a shell, and nothing in it is executed.
define playbook
python -ISc '
import os, shlex, sys
sys.excepthook = lambda kind, error, trace: print(f"ARGS: {error}. Next: close the quote, or escape it", file=sys.stderr)
here = os.getcwd()
if os.path.expandvars(here) != here or "{{" in here: sys.exit(f"Ansible would expand a part of the path {here}. Next: move the checkout")
os.execvp("ansible-playbook", ["ansible-playbook", *sys.argv[1:], *shlex.split(os.environ["ARGS"])])
' -i "inventory/$1" $(if $(CHECK),--check)
endef
PLAYBOOK = $(call playbook,$(ENV))

VERBS := help deploy plan infra build release rollback promote abort status console settings verify bootstrap destroy drill incident incident-db zone-away restore rotate-secret cost-report up down logs run shell test-page unlock redeliver adopt new-app new-env doctor venv lock check test rehearse coverage mutation docs pictures bench
.PHONY: $(VERBS)
help: ## Show this list
	@awk -F ':.*## ' '/^##@ / {print "\n" substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile
	echo
	echo "ENV=$(ENV) (known: $(ENVIRONMENTS)) · CHECK=1: dry run · ARGS='-e name=value': for Ansible · all: docs/commands.md"

.DEFAULT:
	@"$$PYTHON" -ISc 'import difflib, sys
	verb, *known = sys.argv[1:]
	near = difflib.get_close_matches(verb, known, n=1) or ["help"]
	sys.exit(f"There is no verb \"{verb}\". Nothing was done. Next: make {near[0]}")' "$@" $(VERBS)

deploy plan infra build release rollback promote abort incident verify bootstrap doctor: $(VENV_READY)
	@$(PLAYBOOK) playbooks/$@.yml $(call passed,STRATEGY,release_strategy)

##@ Every day
deploy:    ## Deploy infrastructure and image, release, and verify
plan:      ## Print what Terraform would change
release:   ## Release this commit (STRATEGY=canary; ARGS='-e image_build_version=<hash>')
promote:   ## Continue a release that waits before users get it, or say when it ends
infra:     ## Apply the infrastructure only
build:     ## Build and push the image of this commit only
verify:    ## Check everything that a release depends on

status settings: $(VENV_READY)
	@if [ "$$FORMAT" = json ]; then
	  $(PLAYBOOK) playbooks/$@.yml -e $@_format=json >&2
	  cat .local/$(ENV)/$@.json
	else
	  $(PLAYBOOK) playbooks/$@.yml
	fi
status:    ## Show what serves, since when and by whom, its tasks and alarms (FORMAT=json)
settings:  ## Show every effective setting and the file that sets it (FORMAT=json)

console: $(VENV_READY) ## Show the environment live, on a page of this machine (PORT=8321)
	@$(PLAYBOOK) playbooks/console.yml$(if $(CHECK),, && exec python -m fargate_ops.console .local/$(ENV)/console.json)

logs: $(VENV_READY) ## Show the service's log (SINCE=15m FILTER='"ERROR"' REQUEST=<id> FOLLOW=1)
	@logs() { $(PLAYBOOK) playbooks/logs.yml $(call passed,SINCE,logs_since) $(call passed,FOLLOW,logs_follow) \
	  $(call passed,FILTER,logs_filter) $(call passed,REQUEST,logs_request) $(call passed,METRICS,logs_metrics) "$$@"; }
	if [[ $$RAW ]]; then logs -e logs_raw_file=/dev/fd/3 3>&1 >&2; else logs; fi

run: $(VENV_READY) ## Run a one-off task beside the service (CMD='python --version')
	@$(PLAYBOOK) playbooks/run.yml $(call passed,CMD,command) $(call passed,FAMILY,ecs_task_family)

shell: $(VENV_READY) ## Open a shell in a running task
	@$(PLAYBOOK) playbooks/shell.yml && exec sh .local/$(ENV)/shell.sh

cost-report: $(VENV_READY) ## Report the month's cost, its causes and possible savings
	@$(PLAYBOOK) playbooks/cost_report.yml

##@ Incident
incident:  ## Name the cause of an alarm, with its evidence and the next command
abort:     ## Stop the release in flight; the version before it serves alone again
rollback:  ## Put the previous release back, at once (ARGS='-e rollback_to=<hash>')

incident-db: $(VENV_READY) ## Diagnose exhausted database connections (ARGS='-e end_idle=true')
	@$(PLAYBOOK) playbooks/incident_db_connections.yml

zone-away: $(VENV_READY) ## Move traffic away from a zone for an hour (ZONE=…; CANCEL=1: back)
	@$(PLAYBOOK) playbooks/zone_away.yml $(call passed,ZONE,zone_away_zone) $(call passed,CANCEL,zone_away_cancel)

restore: $(VENV_READY) ## Show the database's restore points, or restore one beside it
	@$(PLAYBOOK) playbooks/restore.yml

unlock: $(VENV_READY) ## Break the deployment lock, whoever holds it
	@$(PLAYBOOK) playbooks/unlock.yml

rotate-secret: $(VENV_READY) ## Change the database password without a failed request
	@$(PLAYBOOK) playbooks/rotate_secret.yml

redeliver: $(VENV_READY) ## Post to Slack the messages that the bots could not post
	@$(PLAYBOOK) playbooks/redeliver.yml

test-page: $(VENV_READY) ## Send a test page through every notification path
	@$(PLAYBOOK) playbooks/test_page.yml

drill: $(VENV_READY) ## Cause a failure on purpose and check the recovery (DRILL=task_killed)
	@$(PLAYBOOK) playbooks/drill.yml $(call passed,DRILL,drill_name)

##@ Once
bootstrap: ## Create what an account has once per region: state bucket, registry, roles

new-env: $(VENV_READY) ## Create an environment's inventory (NAME=qa FROM=staging REGION=… ACCOUNT=…)
	@$(PLAYBOOK) playbooks/new_env.yml $(call passed,NAME,environment_folder_name) $(call passed,FROM,environment_folder_from) \
	  $(call passed,REGION,environment_folder_region) $(call passed,ACCOUNT,environment_folder_account_id) $(call passed,ZONES,environment_folder_zones)

adopt: $(VENV_READY) ## Write a FastAPI project's values into the inventory (DIR=../orders)
	@$(PLAYBOOK) playbooks/adopt.yml $(call passed,DIR,app_adoption_directory) $(call passed,NAME,app_adoption_name) \
	  $(call passed,APP,app_adoption_entry) $(call passed,OVERWRITE,app_adoption_overwrite) $(call passed,WRITE,app_adoption_edit)

new-app: $(VENV_READY) ## Create a minimal application and adopt it (NAME=orders)
	@$(PLAYBOOK) playbooks/new_app.yml $(call passed,NAME,app_adoption_name) $(call passed,DIR,app_adoption_directory)

destroy: $(VENV_READY) ## Remove the environment (asks for ARGS='-e destroy_confirm=<name>')
	@$(PLAYBOOK) playbooks/destroy.yml

##@ This machine
doctor:    ## Check everything that this machine needs, all problems at once

up: $(VENV_READY) ## Start the local cloud only
	@$(PLAYBOOK) playbooks/local_up.yml

down: $(VENV_READY) ## Remove the local cloud and all that it has started
	@$(PLAYBOOK) playbooks/local_down.yml

##@ Development
check: $(VENV_READY) ## Run the linters and type checks
	@tests/check.sh

test: $(VENV_READY) ## Run linters and tests, and deploy to this machine under load
	@tests/run.sh

rehearse: $(VENV_READY) ## Run the longest tests: failing releases, incidents, GitHub's workflows
	@tests/run.sh --numprocesses 4 --no-loadscope-reorder -m rehearsal tests/e2e

coverage: $(VENV_READY) ## Measure the unit tests' coverage, which must be at least 90 %
	@python -m pytest -q --numprocesses auto --no-loadscope-reorder --cov=src --cov-report=term:skip-covered --cov-fail-under=90 tests/unit

mutation: $(VENV_READY) ## Put faults into the riskiest modules; list those that no test detects (hours)
	@nice -n 19 uv run --quiet --no-project --with mutmut==$(MUTMUT_VERSION) python -m tests.mutation $${AGAIN:+--again} $$ONLY

bench: $(VENV_READY) ## Measure speed relative to floors of the same run (ONLY=app ROUNDS=5 PAGE=1)
	@PYTHONPATH="$$PYTHONPATH:$$PWD/app/api" python -m tests.bench --rounds "$${ROUNDS:-5}" $${PAGE:+--page} $$ONLY

pictures: $(VENV_READY) ## Make the docs' pictures from real runs on this machine (ONLY=console)
	@uv run --quiet --no-project $(PICTURE_TOOLS) python docs/pictures.py $$ONLY

docs: $(VENV_READY) ## Update the generated tables of the READMEs and of docs/costs.md
	@python docs/tables.py

lock: $(VENV_READY) ## Update the locks of Python's packages and of the providers (UPGRADE=1: newer)
	@failed=() resolved=$$(mktemp)
	cp requirements.txt "$$resolved"
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group local --group app --group dev --all-extras pyproject.toml src/fargate_app/pyproject.toml --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade --exclude-newer '7 days') --output-file "$$resolved" \
	  $(if $(CHECK),,&& cp "$$resolved" requirements.txt) || failed+=(requirements.txt)
	rm "$$resolved"
	for environment in $(ENVIRONMENTS); do
	  $(call playbook,$$environment) playbooks/_lock.yml || failed+=("inventory/$$environment/terraform.lock.hcl")
	done
	if (($${#failed[@]})); then
	  echo "lock: not locked, and left as it was: $${failed[*]} (why: above)" >&2
	  exit 1
	fi
	echo "lock: requirements.txt and the provider of every environment with an exact version are locked. Next: git diff"

venv: $(VENV_READY) ## Create the project's Python environment
$(VENV_READY): requirements.txt pyproject.toml
	@echo "Making the Python environment in $$VENV (once; again when requirements.txt or pyproject.toml changes)" >&2
	# Isolated, so that it does not write bytecode below $$VENV, which does not exist yet.
	"$$PYTHON" -ISc 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
	  echo "Python 3.11, 3.12 or 3.13 is needed, $$PYTHON is $$("$$PYTHON" -V). Next: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12" >&2; exit 1; }
	[[ ! -L $$VENV ]] || {
	  echo "$$VENV is a link, and its target would be emptied; nothing was changed. Next: remove the link, or name another folder: VENV=<folder>" >&2; exit 1; }
	[[ $$VENV == .venv || ! -e $$VENV || -e $$VENV/pyvenv.cfg ]] || {
	  echo "$$VENV exists and is no Python environment; nothing was changed. Next: remove it, or name another folder: VENV=<folder>" >&2; exit 1; }
	next="correct that"
	"$$PYTHON" -ISc 'import ensurepip' 2>/dev/null || next="sudo apt-get install python3-venv"
	trap 'echo "One problem, and everything else needs this: the Python environment cannot be made (why: above). Next: $$next, then make $(firstword $(MAKECMDGOALS))" >&2' ERR
	# A home that is not writable has no cache.
	cache=$${XDG_CACHE_HOME:-$$HOME/.cache}/fargate-ops
	[[ -w $${XDG_CACHE_HOME:-$$HOME} ]] || { export PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1; cache=$$VENV/cache; }
	"$$PYTHON" -m venv --clear "$$VENV"
	# What was downloaded once is not downloaded again: a rollback does not depend on the package index.
	pip=("$$VENV/bin/python" -m pip --quiet --disable-pip-version-check)
	uv=("$${pip[@]}" install --no-index --find-links "$$cache" uv==$(UV_VERSION))
	"$${uv[@]}" 2>/dev/null || { "$${pip[@]}" download --no-deps --dest "$$cache" uv==$(UV_VERSION); "$${uv[@]}"; }
	# Any path works: uv quotes it in bin/activate, and relocatable programs find the Python beside them.
	"$$VENV/bin/uv" venv --quiet --allow-existing --python "$$VENV/bin/python" "$$VENV"
	echo "relocatable = true" >> "$$VENV/pyvenv.cfg"
	# Not `pip sync`, which would remove uv from an environment that uv made.
	packages=("$$VENV/bin/uv" pip install --quiet --python "$$VENV/bin/python" --require-hashes --requirement requirements.txt)
	"$${packages[@]}" --offline 2>/dev/null || "$${packages[@]}"
	"$$VENV/bin/uv" pip install --quiet --python "$$VENV/bin/python" --no-deps --offline --editable .
	touch "$$VENV/.ready"
