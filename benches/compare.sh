#!/usr/bin/env bash
# airlift beside the same work by hand and by Debian's skopeo: one run, everything in turn, medians of five, ratios.
# Writes the table into docs/performance.md between its marks; it is not edited by hand. About eight minutes.
#
#   ROUNDS=1 benches/compare.sh          a quick look (docs/performance.md is left alone)
#   AIRLIFT=path/to/airlift …            another binary than target/dist/airlift
#   ONLY="curl hash" …                   only these contestants (docs/performance.md is left alone)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
source "$here/lib.sh"
need docker-registry skopeo curl openssl tar awk xargs
[ -x /usr/bin/time ] || die "GNU time is missing: tests/setup installs it"
"$here/corpus"

rounds=${ROUNDS:-5}
only=${ONLY:-}
airlift=${AIRLIFT:-$root/target/dist/airlift}
[ -n "${AIRLIFT:-}" ] || cargo build --quiet --profile dist --manifest-path "$root/Cargo.toml"
work=$bench/work
samples=$bench/samples.txt
rm -rf "$work" "$samples"
mkdir -p "$work"
trap 'end_registries; rm -rf "$work"' EXIT

start_registry "$bench/source"
source=$address
sed "s|^|$source/|" "$bench/references.txt" >"$work/references"
cores=$(nproc)
content=$(awk '{ sum += $3 } END { printf "%.0f", sum }' "$bench/blobs.txt")
# The same bytes as files, the largest first, so that no core idles at the end.
while read -r _ digest _; do
  hex=${digest#*:}
  echo "$bench/source/storage/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
done <"$bench/blobs.txt" >"$work/files"
out=$work/out
export bench work out source airlift cores

# ---- the contestants -----------------------------------------------------------------------------------------------

export_airlift() { "$airlift" export --file "$work/references" --output "$out/bundle.tar" --progress none; }
export_by_hand() {
  xargs -P4 -L1 bash -c \
    'curl -sS --fail "http://$source/v2/$0/blobs/$1" | tee "$out/${1#*:}" | openssl dgst -sha256' <"$bench/blobs.txt"
}
export_skopeo() {
  while read -r reference; do
    skopeo --insecure-policy copy --quiet --all --preserve-digests --src-tls-verify=false \
      "docker://$source/$reference" "oci:$out/layout:$reference"
  done <"$bench/references.txt"
  tar --create --file "$out/bundle.tar" --directory "$out/layout" .
}
curl_to_nowhere() { xargs -P4 -L1 bash -c 'curl -sS --fail -o /dev/null "http://$source/v2/$0/blobs/$1"' <"$bench/blobs.txt"; }
hash_alone() { xargs -P "$cores" -n1 openssl dgst -sha256 <"$work/files"; }
write_alone() { xargs cat <"$work/files" >"$out/all"; }
verify_airlift() { "$airlift" verify "$work/bundle.tar" --progress none; }
import_airlift() { "$airlift" import "$work/bundle.tar" --to "$target" --progress none; }
import_by_hand() {
  paste -d' ' "$bench/blobs.txt" "$work/files" | xargs -P4 -L1 bash -c '
    location=$(curl -sS -o /dev/null -w "%header{location}" -X POST "http://$target/v2/$0/blobs/uploads/" -H "content-length: 0")
    curl -sS --fail -o /dev/null -X PUT -H "content-type: application/octet-stream" -T "$3" "$location&digest=$1"'
}
version_airlift() { "$airlift" --version; }
export -f export_airlift export_by_hand export_skopeo curl_to_nowhere hash_alone write_alone
export -f verify_airlift import_airlift import_by_hand version_airlift

# ---- measuring -----------------------------------------------------------------------------------------------------

# measure NAME FUNCTION: one run; appends NAME, seconds, user and system CPU seconds, KiB of the largest process, and bytes
# written towards the disk. What an earlier run wrote is gone or on the disk before this one starts.
measure() {
  sync
  local from=$EPOCHREALTIME to
  # A shell's own count of written bytes includes the children that it waited for.
  bash -c '/usr/bin/time -f "%U %S %M" -o "$work/time" bash -c "set -euo pipefail; $1" || exit
    while read -r key value; do [ "$key" != write_bytes: ] || echo "$value"; done <"/proc/$$/io" >"$work/written"' \
    _ "$2" >"$work/said" 2>&1 || die "$1 failed: $(tail -n 20 "$work/said")"
  to=$EPOCHREALTIME
  awk -v name="$1" -v from="$from" -v to="$to" '{ printf "%s %.3f %s %s %s ", name, to - from, $1, $2, $3 }' \
    <(tail -n1 "$work/time") >>"$samples"
  cat "$work/written" >>"$samples"
  say "$(tail -n1 "$samples")"
}

# can COMMAND: whether the binary has it yet.
can() { "$airlift" "$1" --help 2>/dev/null | grep -q '^Usage:.*'"$1"; }
fresh() { rm -rf "$out"; mkdir -p "$out"; }

# in_target NAME FUNCTION: the same against an empty registry; a second time if AGAIN is set, counting what is sent.
in_target() {
  start_registry "$work/target"
  export target=$address
  local pid=$registry_pid log=$registry_log before
  measure "$1" "$2"
  if [ -n "${3:-}" ]; then
    before=$(wc -l <"$log")
    measure "$3" "$2"
    # Every upload begins with POST and carries its bytes by PATCH or PUT; a mount is a POST that carries none.
    tail -n "+$((before + 1))" "$log" | grep -cE '"(PATCH|PUT) /v2/[^ ]*/blobs/' >>"$work/resent" || true
  fi
  stop_registry "$pid"
  rm -rf "$work/target"
}

load=$(cut -d' ' -f1-3 /proc/loadavg)
date=$(date -u +%Y-%m-%d)
# Warm cache: everything was read once.
xargs cat <"$work/files" >/dev/null
for round in $(seq "$rounds"); do
  say "round $round of $rounds"
  if wanted curl; then fresh; measure curl curl_to_nowhere; fi
  if wanted hash; then fresh; measure hash hash_alone; fi
  if wanted write; then fresh; measure write write_alone; fi
  if wanted hand; then fresh; measure hand export_by_hand; fi
  if wanted export && can export; then
    fresh
    measure export export_airlift
    mv "$out/bundle.tar" "$work/bundle.tar"
  fi
  if wanted skopeo; then fresh; measure skopeo export_skopeo; fi
  fresh
  # What reads the bundle finds it as warm as openssl finds the blobs.
  if [ -e "$work/bundle.tar" ]; then cat "$work/bundle.tar" >/dev/null; fi
  if wanted verify && can verify && [ -e "$work/bundle.tar" ]; then measure verify verify_airlift; fi
  # Memory that was just let go is cheaper than fresh memory: before each of the two, a registry as full as the other is removed.
  if wanted upload || wanted import; then in_target unmeasured import_by_hand; fi
  if wanted upload; then in_target upload import_by_hand; fi
  if wanted import && can import && [ -e "$work/bundle.tar" ]; then in_target import import_airlift again; fi
done
if wanted version && "$airlift" --version >/dev/null 2>&1; then
  for _ in $(seq 101); do
    from=$EPOCHREALTIME
    version_airlift >/dev/null
    awk -v from="$from" -v to="$EPOCHREALTIME" 'BEGIN { printf "version %.5f 0 0 0 0\n", to - from }' >>"$samples"
  done
fi

# ---- the table -----------------------------------------------------------------------------------------------------

# Fields of a sample: 2 seconds, 3 user, 4 system, 5 KiB, 6 bytes.
# row NAME WHAT
row() {
  local seconds user system
  seconds=$(median "$1" 2) user=$(median "$1" 3) system=$(median "$1" 4)
  [ -n "$seconds" ] || { printf '| %s | not measured | | | | | |\n' "$2"; return; }
  awk -v what="$2" -v s="$seconds" -v u="$user" -v k="$system" -v m="$(median "$1" 5)" -v w="$(median "$1" 6)" -v c="$content" \
    'BEGIN { printf "| %s | %.2f | %.2f | %.2f | %.2f | %.0f | %.2f |\n", what, s, c / s / 1e9, u + k, (u + k) / (c / 1e9), m / 1024, w / c }'
}
cpu_per_gb() { awk -v u="$(median "$1" 3)" -v k="$(median "$1" 4)" -v c="$content" 'BEGIN { if (u != "") printf "%.2f", (u + k) / (c / 1e9); else printf "–" }'; }
mebibytes() { local kib; kib=$(median "$1" 5); ratio "$kib" 1024 %.0f; }
version_of() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo '?'; }

table() {
  echo "Measured on $date by \`benches/compare.sh\`, medians of $rounds rounds, each round running everything in turn:"
  machine
  echo "Corpus: $(wc -l <"$bench/references.txt") references, $(wc -l <"$bench/blobs.txt") unique blobs, $(ratio "$content" 1e9) GB compressed, the largest layer $(ratio "$(awk 'NR == 1 { print $3 }' "$bench/blobs.txt")" 1e6 %.0f) MB,"
  echo "in docker-registry $(version_of docker-registry) on loopback with a warm cache;"
  echo "curl $(version_of curl), openssl $(version_of openssl), skopeo $(version_of skopeo), $("$airlift" --version 2>/dev/null | head -n1 || true)."
  echo
  echo "| what | seconds | GB/s | CPU seconds | CPU s/GB | peak MiB of one process | bytes written / content |"
  echo "|---|---:|---:|---:|---:|---:|---:|"
  row export "\`airlift export\`"
  row hand "the same by hand: fetch, write, hash"
  row skopeo "\`skopeo copy\` of each reference, then \`tar\`"
  row curl "only fetching"
  row hash "only hashing, all cores"
  row write "only writing"
  row verify "\`airlift verify\`"
  row import "\`airlift import\` into an empty registry"
  row again "\`airlift import\` again"
  row upload "uploading by hand, 4 connections"
  echo
  echo "| ratio | goal | found |"
  echo "|---|---|---:|"
  echo "| export, time to that by hand | ≤ 0.5 | $(ratio "$(median export 2)" "$(median hand 2)") |"
  echo "| skopeo and tar, time to export's | ≥ 5 | $(ratio "$(median skopeo 2)" "$(median export 2)") |"
  echo "| export, CPU seconds a GB | ≤ 2 | $(cpu_per_gb export) |"
  echo "| export, bytes written to content | ≤ 1.01 | $(ratio "$(median export 6)" "$content" %.3f) |"
  echo "| verify, speed to that of openssl on all cores | ≥ 0.85 | $(ratio "$(median hash 2)" "$(median verify 2)") |"
  echo "| import, time to uploading by hand | ≤ 1.05 | $(ratio "$(median import 2)" "$(median upload 2)") |"
  echo "| blob uploads in a second import, the most of all rounds | 0 | $( ([ -s "$work/resent" ] && sort -n "$work/resent" | tail -n1) || echo '–') |"
  echo "| peak memory of export, MiB | ≤ 64 | $(mebibytes export) |"
  echo "| peak memory of import, MiB | ≤ 64 | $(mebibytes import) |"
  echo "| \`airlift --version\`, milliseconds | < 10 | $(ratio "$(median version 2)" 0.001 %.1f) |"
  echo
  echo "The commands, as they ran:"
  echo
  echo '```bash'
  declare -f export_airlift export_by_hand export_skopeo curl_to_nowhere hash_alone write_alone verify_airlift import_airlift import_by_hand
  echo '```'
}

publish compare
