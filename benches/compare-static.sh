#!/usr/bin/env bash
# One program linked in several ways, side by side: static, dynamic, and dynamic with another allocator before it.
# Prints the least and the mean of each; docs/performance.md quotes it.
#
#   STATIC=FILE DYNAMIC=FILE BUNDLE=FILE [ALLOCATOR=libmimalloc.so.2] [ROUNDS=4] benches/compare-static.sh
set -euo pipefail
: "${STATIC:?the static binary}" "${DYNAMIC:?the dynamic binary}" "${BUNDLE:?a bundle of a gigabyte or so}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work XDG_STATE_HOME=$work/state

measure() { # NAME PRELOADED COMMAND...
  local name=$1 preloaded=$2
  shift 2
  /usr/bin/time --output="$work/samples" --append --format="$name|%e|%U|%S|%M" env LD_PRELOAD="$preloaded" "$@" >/dev/null
}

for _ in $(seq "${ROUNDS:-4}"); do
  for kind in static dynamic ${ALLOCATOR:+allocator}; do
    binary=$DYNAMIC preloaded=
    [ "$kind" != static ] || binary=$STATIC
    [ "$kind" != allocator ] || preloaded=$ALLOCATOR
    measure "verify, $kind" "$preloaded" "$binary" verify "$BUNDLE" --progress none
    measure "export --from, $kind" "$preloaded" "$binary" export --from "$BUNDLE" -o "$work/copy.tar" --max-artifacts 1000 --progress none
    measure "import --store, $kind" "$preloaded" "$binary" import "$BUNDLE" --store "$work/store" --progress none
    rm -rf "$work"/copy.tar* "$work/store"
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
