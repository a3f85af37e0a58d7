#!/usr/bin/env bash
# Runs the conformance suite of the distribution-spec against `airlift serve --store`, at each version of the specification,
# and compares the counts with those pinned here. The suite exits 0 on mistakes in its configuration too, so its verdict and
# its counts are what is looked at.
#
#   tests/conformance.sh [AIRLIFT]        the binary to test; default: target/debug/airlift, built first
#
# tests/setup installs the suite (Go builds it once); CONFORMANCE names another. Without it this is skipped, and in CI it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

# Passed and disabled tests by version; failed, skipped and erroneous ones are none at any. What is disabled is not of that
# version. "sparse" is the development version with what only a registry that takes incomplete manifests can pass, "secured" the
# same as "dev" over TLS and for one who logs in.
declare -A expected=([1.0]="850 8" [1.1]="860 2" [dev]="986 0" [sparse]="1032 0" [secured]="986 0")

work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

skip() {
  echo "NOT RUN: conformance: $1"
  [ "${CI:-}" != true ] || exit 1
  exit 0
}

CONFORMANCE=${CONFORMANCE:-.peers/bin/conformance}
[ -x "$CONFORMANCE" ] || skip "the suite is not installed: tests/setup installs it where Go is"
if [ $# -gt 0 ]; then airlift=$1; else
  cargo build --quiet
  airlift=${CARGO_TARGET_DIR:-target}/debug/airlift
fi

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
  -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
htpasswd -Bbn -C4 ann secret >"$work/users"

failed=0
for version in 1.0 1.1 dev sparse secured; do
  results=$work/results-$version options=() settings=(OCI_TLS=disabled OCI_VERSION="$version")
  if [ $version = sparse ]; then
    options=(--allow-sparse)
    settings=(OCI_TLS=disabled OCI_VERSION=dev OCI_DATA_SPARSE=true)
  elif [ $version = secured ]; then
    options=(--tls-cert "$work/cert.pem" --tls-key "$work/key.pem" --htpasswd "$work/users")
    settings=(OCI_TLS=enabled SSL_CERT_FILE="$work/cert.pem" OCI_VERSION=dev OCI_USERNAME=ann OCI_PASSWORD=secret)
  fi
  mkdir -p "$results"
  "$airlift" serve --store "$work/store-$version" --listen 127.0.0.1:0 "${options[@]}" >"$work/address" 2>"$work/server.log" &
  server=$!
  address=
  for _ in $(seq 100); do
    address=$(sed -n 's#^Serving on https\?://##p' "$work/address")
    [ -z "$address" ] || break
    sleep 0.05
  done
  [ -n "$address" ] || { cat "$work/server.log"; exit 1; }
  env OCI_REGISTRY="$address" OCI_REPO1=conformance/one OCI_REPO2=conformance/two "${settings[@]}" \
    OCI_RESULTS_DIR="$results" OCI_CONFIGURATION=/dev/null "$CONFORMANCE" >"$work/report-$version" 2>&1 || true
  kill "$server"
  wait "$server" || { echo "the server did not end well"; cat "$work/server.log"; failed=1; }
  server=

  count() { sed -n "s/^ *$1\.*: *\([0-9]*\)$/\1/p" "$work/report-$version" | head -n 1; }
  verdict=$(sed -n 's/^ *OCI Conformance Result: *//p' "$work/report-$version")
  others="$(count FAIL) failed, $(count Skip) skipped, $(count Error) errors"
  echo "conformance at $version: ${verdict:-no result}, $(count Pass) passed, $others, $(count Disabled) disabled"
  if [ "$verdict" != Pass ] || [ "$(count Pass) $(count Disabled)" != "${expected[$version]}" ] || [ "$others" != "0 failed, 0 skipped, 0 errors" ]; then
    echo "  expected: Pass, ${expected[$version]} passed and disabled, nothing failed or skipped"
    grep -E ': (FAIL|Skip|Error)$' "$work/report-$version" | head -n 40 || true
    failed=1
  fi
done
exit $failed
