#!/usr/bin/env bash
# How airlift spreads over machines: the plan of 2,000 artifacts in 200 repositories over a line of 80 ms a round trip, and the export of
# 400 MB by 1, 2, 4 and 8 workers, each connection of which gets 1 MiB a second: so two cores show the curve of many machines. Writes its
# table into docs/performance.md. About six minutes. What plan, share and seal cost with many blobs is in compare-growth.sh.
#
#   AIRLIFT=path/to/airlift …            another binary than target/dist/airlift
#   WORKERS="1 8" …                      other numbers of workers (docs/performance.md is left alone)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
source "$here/lib.sh"
need go sha256sum

workers=${WORKERS:-1 2 4 8}
rounds=1
full_rounds=1
only=${WORKERS:+these workers}
rtt=80
rate=1048576
jobs=4
airlift=${AIRLIFT:-$root/target/dist/airlift}
[ -n "${AIRLIFT:-}" ] || cargo build --quiet --profile dist --manifest-path "$root/Cargo.toml"
work=$bench/scale-work
samples=$bench/scale-samples.txt
rm -rf "$work" "$samples"
mkdir -p "$work" "$bench/peers"
touch "$samples"
(cd "$here/wan" && go build -o "$bench/peers/wan" .)

pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT

# background NAME COMMAND…: starts it, and sets `address` to the line that it prints.
background() {
  local file=$work/$1 pid
  shift
  : >"$file"
  "$@" >"$file" &
  pid=$!
  pids+=("$pid")
  address=
  while [ -z "$address" ]; do
    kill -0 "$pid" 2>/dev/null || die "$* does not start"
    address=$(cat "$file")
  done
}

# far NAME IMAGES LAYERS BYTES: a registry with images, a round trip away; the references through the proxy are in $work/NAME.txt.
far() {
  local near
  background "$1-registry" env WAN_LAYERS="$3" WAN_BYTES="$4" "$bench/peers/wan" images "$work/near.txt" "$2"
  near=$address
  background "$1-proxy" env WAN_RATE="$rate" "$bench/peers/wan" proxy "$near" "$rtt"
  sed "s|^$near/|$address/|" "$work/near.txt" >"$work/$1.txt"
}

# seconds COMMAND…: runs it; sets `took`.
seconds() {
  local from=$EPOCHREALTIME
  "$@" >"$work/said" 2>&1 || die "$* fails: $(tail -n 5 "$work/said")"
  took=$(awk -v from="$from" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }')
}

note() { echo "$*" >>"$samples"; say "$*"; }

# shares WORKERS: all shares of the plan at once; fails if one of them fails.
shares() {
  local index one=() failed=0
  for ((index = 0; index < $1; index++)); do
    "$airlift" export --plan "$work/plan.json" --shard "$index/$1" -o "$work/out/set" --jobs "$jobs" --progress none &
    one+=($!)
  done
  for index in "${one[@]}"; do wait "$index" || failed=1; done
  return "$failed"
}

load=$(cut -d' ' -f1-3 /proc/loadavg)
date=$(date -u +%Y-%m-%d)

far names 2000 2 2000
seconds "$airlift" plan -f "$work/names.txt" --max-artifacts 2000 --volume-size 64MiB -o "$work/names.json" --progress none
note "plan $took $(stat -c %s "$work/names.json")"

far content 200 2 1048576
seconds "$airlift" plan -f "$work/content.txt" --max-artifacts 200 --volume-size 10MiB -o "$work/plan.json" --progress none
sums=
for count in $workers; do
  rm -rf "$work/out" && mkdir "$work/out"
  seconds shares "$count"
  shared=$took
  seconds "$airlift" seal "$work/plan.json" "$work/out/set" --progress none
  note "workers/$count $shared $took"
  sum=$(sha256sum "$work/out/SHA256SUMS" | cut -d' ' -f1)
  [ "${sums:=$sum}" = "$sum" ] || die "$count workers wrote another set"
done

found() { awk -v name="$1" -v field="$2" '$1 == name { printf "%s", $field }' "$samples"; }

table() {
  local count base
  base=$(found "workers/${workers%% *}" 2)
  echo "Measured on $date by \`benches/compare-scale.sh\`, one run, $rtt ms a round trip, $((rate / 1024)) KiB a second and connection:"
  machine
  echo "$("$airlift" --version | head -n1), a registry in memory behind a proxy, \`--jobs $jobs\` each, all workers on this machine."
  echo
  echo "| what | seconds | to one worker |"
  echo "|---|---:|---:|"
  echo "| \`plan\` of 2,000 artifacts in 200 repositories, $(($(found plan 3) / 1024)) KiB | $(found plan 2) | |"
  for count in $workers; do
    echo "| \`export --plan\`, 400 MiB in 50 volumes, $count workers | $(found "workers/$count" 2) | $(ratio "$base" "$(found "workers/$count" 2)" '%.1f ×') |"
  done
  echo "| \`seal\` of them | $(found "workers/$count" 3) | |"
}

publish compare-scale
