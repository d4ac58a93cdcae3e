# make check is what every change must pass; .ci/run does the same and more.

GOLANGCI_LINT_VERSION := v2.15.0
BIN := $(CURDIR)/bin

.PHONY: check test bench soak scenarios run lint fuzz

check: lint
	@test -z "$$(gofmt -l .)" || { echo "gofmt these:"; gofmt -l .; exit 1; }
	go vet ./...
	go mod tidy -diff
	go test -race -shuffle=on ./...

test:
	go test ./...

# Prints the table of speeds: ours beside the tools next to it, in one run.
# BENCH="--only analyze --mb 200" prints a part of it, of smaller logs.
BENCH ?=
bench:
	go run ./internal/bench $(BENCH)

# Thousands of idle sessions and a minute of mail, beside the bare libraries.
SOAK ?= --for 60s
soak:
	go run ./internal/soak $(SOAK)

# Prints what the default policies do in each scenario. The table is kept in
# testdata/scenarios.txt.
scenarios:
	@go run ./internal/score/cmd

run:
	go run ./cmd/overstay serve

lint: $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
	$< run ./...

# Built with the Go at hand, so that it knows the language version in use.
$(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/golangci-lint $@

# Each fuzz target for FUZZTIME, one after the other.
FUZZTIME ?= 20s
fuzz:
	@for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; \
	done
