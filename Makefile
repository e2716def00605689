# Everything runs inside the lab: tests/lab/run makes the tools, the container engine and the base image first.
LAB := tests/lab/run

.DEFAULT_GOAL := help
.PHONY: help test lint sanity guard unit page lab image integration molecule bench demo clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: ## Run every part: lint, sanity, guard, unit, page, lab, image, integration, molecule
	@$(LAB) python -m lab.parts

lint sanity guard unit page lab image integration molecule: ## Run this part alone
	@$(LAB) python -m lab.parts $@

demo: ## Show the whole way on this machine: back up, freeze, lose the host, thaw, restore, prove
	@$(LAB) python -m lab.demo

bench: ## Measure and print the benchmarks
	@$(LAB) python -m bench

clean: ## Stop what the lab started and remove what it made or installed
	@tests/lab/clean
