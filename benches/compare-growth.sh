#!/usr/bin/env bash
# How airlift grows: images of 100 blobs of 2 kB, 1,000, 10,000 and 100,000 blobs in all, in a registry in memory on loopback. Time and
# memory of plan, export, verify and import, and of plan, share and seal for many machines, and of the set that they write. Writes its
# table into docs/performance.md. About ten minutes.
#
#   AIRLIFT=path/to/airlift …            another binary than target/dist/airlift
#   SIZES="1000 2000" …                  other numbers of blobs (docs/performance.md is left alone)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
source "$here/lib.sh"
need go
[ -x /usr/bin/time ] || die "GNU time is missing: tests/setup installs it"

sizes=${SIZES:-1000 10000 100000}
rounds=1
full_rounds=1
only=${SIZES:+these sizes}
airlift=${AIRLIFT:-$root/target/dist/airlift}
[ -n "${AIRLIFT:-}" ] || cargo build --quiet --profile dist --manifest-path "$root/Cargo.toml"
work=$bench/growth-work
samples=$bench/growth-samples.txt
rm -rf "$work" "$samples"
mkdir -p "$work" "$bench/peers"
(cd "$here/wan" && go build -o "$bench/peers/wan" .)

pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT

# memory BLOBS: a registry in memory with so many blobs; sets `address`. The references are in $work/references.
memory() {
  : >"$work/address"
  "$bench/peers/wan" memory "$work/references" "$1" >"$work/address" &
  memory_pid=$!
  pids+=("$memory_pid")
  address=
  while [ -z "$address" ]; do
    kill -0 "$memory_pid" 2>/dev/null || die "the registry does not start"
    address=$(cat "$work/address")
  done
}

# forget PID: ends a registry.
forget() {
  local left=() pid
  { kill "$1" && wait "$1"; } 2>/dev/null || true
  for pid in "${pids[@]}"; do [ "$pid" = "$1" ] || left+=("$pid"); done
  pids=("${left[@]}")
}

# measure WHAT BLOBS ARGUMENT…: one run; appends WHAT/BLOBS, seconds and MiB.
measure() {
  local name=$1/$2 from=$EPOCHREALTIME to
  shift 2
  /usr/bin/time -f %M -o "$work/rss" "$airlift" "$@" --progress none >"$work/said" 2>&1 || die "$name fails: $(tail -n 5 "$work/said")"
  to=$EPOCHREALTIME
  awk -v name="$name" -v from="$from" -v to="$to" '{ printf "%s %.1f %.0f\n", name, to - from, $1 / 1024 }' "$work/rss" >>"$samples"
  say "$(tail -n1 "$samples")"
}

load=$(cut -d' ' -f1-3 /proc/loadavg)
date=$(date -u +%Y-%m-%d)
for size in $sizes; do
  memory "$size"
  source_pid=$memory_pid
  list=(-f "$work/references" --max-artifacts 1000)
  rm -f "$work/bundle.tar"
  measure dry-run "$size" export "${list[@]}" -o "$work/bundle.tar" --dry-run
  measure export "$size" export "${list[@]}" -o "$work/bundle.tar"
  rm -rf "$work/set" "$work/plan.json" && mkdir "$work/set"
  measure plan "$size" plan "${list[@]}" --volume-size 100MiB -o "$work/plan.json"
  measure share "$size" export --plan "$work/plan.json" --shard 0/1 -o "$work/set/set"
  forget "$source_pid"
  measure seal "$size" seal "$work/plan.json" "$work/set/set"
  measure verify "$size" verify "$work/bundle.tar"
  measure verify-set "$size" verify "$work/set"
  memory 0
  measure import "$size" import "$work/bundle.tar" --to "$address"
  measure again "$size" import "$work/bundle.tar" --to "$address"
  forget "$memory_pid"
  memory 0
  measure import-set "$size" import "$work/set" --to "$address"
  forget "$memory_pid"
done

# found WHAT BLOBS: `seconds · MiB`.
found() { awk -v name="$1/$2" '$1 == name { print $2 " · " $3 }' "$samples"; }

table() {
  local what size line
  echo "Measured on $date by \`benches/compare-growth.sh\`, one run, seconds · MiB of memory at the most:"
  machine
  echo "$("$airlift" --version | head -n1), a registry in memory on the same machine, blobs of 2 kB, 100 an image."
  echo
  line="| blobs |" && for size in $sizes; do line+=" $size |"; done && echo "$line"
  line="|---|" && for size in $sizes; do line+="---:|"; done && echo "$line"
  for what in "dry-run|\`export --dry-run\`, which asks for every blob" "export|\`export\`" "plan|\`plan\`" "share|\`export --plan\`, all of it" "seal|\`seal\`" "verify|\`verify\`" "verify-set|\`verify\` of the set" "import|\`import\`" "again|\`import\` again" "import-set|\`import\` of the set"; do
    line="| ${what#*|} |" && for size in $sizes; do line+=" $(found "${what%%|*}" "$size") |"; done && echo "$line"
  done
}

publish compare-growth
