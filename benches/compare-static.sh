#!/usr/bin/env bash
# One program built in several ways, side by side: what it costs to verify, export, import, and to take artifacts from a registry with
# TLS. Prints the least and the mean of each; docs/performance.md quotes it.
#
#   BUNDLE=FILE [ROUNDS=4] benches/compare-static.sh NAME=BINARY[:LIBRARY]...
#
# LIBRARY is loaded before the C library: an allocator, such as mimalloc=target/dist/airlift:libmimalloc.so.2. The first binary serves.
set -euo pipefail
: "${BUNDLE:?a bundle of a gigabyte or so}"
[ $# -gt 0 ] || { sed -n '5,7p' "$0" >&2; exit 2; }
first=${1#*=}
work=$(mktemp -d)
servers=()
trap 'for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT
export HOME=$work XDG_STATE_HOME=$work/state

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/openssl" || cat "$work/openssl"

# serve ARGUMENT...: sets `port`.
serve() {
  : >"$work/said" # the loop below may look before the server writes
  "${first%%:*}" serve "$@" --listen 127.0.0.1:0 >"$work/said" 2>"$work/log" &
  servers+=("$!")
  port=
  while [ -z "$port" ]; do
    kill -0 "$!" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    port=$(sed -n 's/.*:\([0-9]*\)$/\1/p' "$work/said")
  done
}
serve "$BUNDLE" --tls-cert "$work/cert.pem" --tls-key "$work/key.pem"
secured=localhost:$port
"${first%%:*}" inspect "$BUNDLE" --json | python3 -c '
import json, sys
for one in json.load(sys.stdin)["artifacts"]:
    print(sys.argv[1] + "/" + one["reference"])' "$secured" >"$work/list"

measure() { # NAME PRELOADED COMMAND...
  local name=$1 preloaded=$2
  shift 2
  /usr/bin/time --output="$work/samples" --append --format="$name|%e|%U|%S|%M" env LD_PRELOAD="$preloaded" "$@" >/dev/null
}

for _ in $(seq "${ROUNDS:-4}"); do
  for one; do
    kind=${one%%=*} binary=${one#*=} preloaded=
    [ "$binary" = "${binary%%:*}" ] || preloaded=${binary#*:}
    binary=${binary%%:*}
    measure "verify, $kind" "$preloaded" "$binary" verify "$BUNDLE" --progress none
    measure "export --from, $kind" "$preloaded" "$binary" export --from "$BUNDLE" -o "$work/copy.tar" --max-artifacts 1000 --progress none
    measure "import --store, $kind" "$preloaded" "$binary" import "$BUNDLE" --store "$work/store" --progress none
    rm -rf "$work"/copy.tar* "$work/store"
    measure "export, TLS, $kind" "$preloaded" "$binary" export -f "$work/list" --ca-cert "$work/cert.pem" -o "$work/copy.tar" \
      --max-artifacts 1000 --progress none
    rm -rf "$work"/copy.tar*
  done
done
awk -F'|' '{
  cpu = $3 + $4; count[$1]++; sum[$1] += cpu
  if (!($1 in least) || cpu < least[$1]) least[$1] = cpu
  if (!($1 in wall) || $2 < wall[$1]) wall[$1] = $2
  if ($5 > peak[$1]) peak[$1] = $5
} END {
  for (name in count) printf "| %s | %.2f | %.2f | %.2f | %.0f |\n", name, wall[name], least[name], sum[name] / count[name], peak[name] / 1024
}' "$work/samples" | sort
