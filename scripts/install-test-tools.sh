#!/usr/bin/env bash
# Installs the real tools that tests run against, and skips what is there. Needs Go for kustomize and helm, Cargo for cargo-deny.
# TOOLS: where they go; default ~/.cache/consign-tools, so that a fresh clone pays nothing twice.
# Without a package client a tool is left out and its tests report themselves as skipped; with CI=true that is an error.
set -euo pipefail
TOOLS=${TOOLS:-$HOME/.cache/consign-tools}
mkdir -p "$TOOLS/bin"
work=$(mktemp -d)
trap 'chmod -R u+w "$work" 2>/dev/null || true; rm -rf "$work"' EXIT

missing() {
  echo "not installed: $1 ($2)" >&2
  [ "${CI:-}" != true ] || exit 1
}

# go_tool NAME MODULE@VERSION [/PACKAGE [LDFLAGS]]: the version is read from the binary, not from what the tool says.
go_tool() {
  command -v go >/dev/null || { missing "$1" "Go is not on PATH"; return 0; }
  [ "$(go version -m "$TOOLS/bin/$1" 2>/dev/null | awk '$1=="mod"{print $2"@"$3}')" = "$2" ] && return 0
  echo "installing $1 (${2#*@}) ..." >&2
  if GOPATH=$work/go GOCACHE=$work/cache GOBIN=$work/bin GOFLAGS=-modcacherw CGO_ENABLED=0 \
    go install -ldflags "-s -w ${4-}" "${2%@*}${3-}@${2#*@}" 2>"$work/log"; then
    mv "$work"/bin/* "$TOOLS/bin/$1"
  else
    tail -n 5 "$work/log" >&2
    missing "$1" "its installation failed"
  fi
}

helm=helm.sh/helm/v3
go_tool kustomize sigs.k8s.io/kustomize/kustomize/v5@v5.8.2
# A plainly built helm believes in Kubernetes 1.20 and does not know its own version: say both.
go_tool helm $helm@v3.22.0 /cmd/helm "-X $helm/internal/version.version=v3.22.0 -X $helm/pkg/chartutil.k8sVersionMinor=37 -X $helm/pkg/lint/rules.k8sVersionMinor=37"

if [ "${1-}" = --with-deny ] && ! "$TOOLS/bin/cargo-deny" --version 2>/dev/null | grep -qx 'cargo-deny 0.20.2'; then
  echo "installing cargo-deny ..." >&2
  cargo install cargo-deny --locked --version 0.20.2 --root "$TOOLS" --quiet || missing cargo-deny "its installation failed"
fi
echo "$TOOLS/bin"
