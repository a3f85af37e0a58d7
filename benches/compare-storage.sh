#!/usr/bin/env bash
# airlift and storages beside the same work by hand: one run, everything in turn, medians of five, ratios.
# Writes the table into docs/performance.md between its marks; it is not edited by hand. About ten minutes.
#
#   ROUNDS=1 benches/compare-storage.sh          a quick look (docs/performance.md is left alone)
#   AIRLIFT=path/to/airlift …                    another binary than target/dist/airlift
#   ONLY="copy hand" …                           only these contestants (docs/performance.md is left alone)
#   REFERENCES=4 …                               how many references of the corpus go into Azurite, which is slow
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
source "$here/lib.sh"
need docker-registry curl openssl sha256sum node awk xargs split
[ -x /usr/bin/time ] || die "GNU time is missing: tests/setup installs it"
azurite=$root/.peers/npm/node_modules/.bin/azurite-blob
[ -x "$azurite" ] || die "azurite is missing: tests/setup installs it"
"$here/corpus"

rounds=${ROUNDS:-5}
only=${ONLY:-}
references=${REFERENCES:-4}
airlift=${AIRLIFT:-$root/target/dist/airlift}
[ -n "${AIRLIFT:-}" ] || cargo build --quiet --profile dist --manifest-path "$root/Cargo.toml"
work=$bench/work-storage
samples=$bench/samples-storage.txt
rm -rf "$work" "$samples"
mkdir -p "$work"
azurite_pid=
end() {
  end_registries
  if [ -n "$azurite_pid" ]; then { kill "$azurite_pid" && wait "$azurite_pid"; } 2>/dev/null || true; fi
  rm -rf "$work"
}
trap end EXIT

# ---- Azure's emulator, and a signature for it ----------------------------------------------------------------------

account=bench
key=$(printf 'a key that is no secret, for loopback' | base64 -w0)
# sign TEXT: by the account's key, as a URL has it.
sign() {
  printf '%b' "$1" | openssl dgst -sha256 -hmac 'a key that is no secret, for loopback' -binary | base64 -w0 |
    sed 's/+/%2B/g; s,/,%2F,g; s/=/%3D/g'
}
# start_azurite: in an empty folder; sets `endpoint` and `sas`.
start_azurite() {
  if [ -n "$azurite_pid" ]; then { kill "$azurite_pid" && wait "$azurite_pid"; } 2>/dev/null || true; fi
  rm -rf "$work/azurite"
  mkdir -p "$work/azurite"
  : >"$work/azurite.log" # the loop below may look before azurite writes
  AZURITE_ACCOUNTS="$account:$key" "$azurite" --silent --disableTelemetry --skipApiVersionCheck --blobPort 0 \
    --location "$work/azurite" >"$work/azurite.log" 2>&1 &
  azurite_pid=$!
  endpoint=
  while [ -z "$endpoint" ]; do
    kill -0 "$azurite_pid" 2>/dev/null || die "azurite does not start: $(cat "$work/azurite.log")"
    endpoint=$(sed -n 's,.*listens on \(http://[0-9.:]*\).*,\1,p' "$work/azurite.log")
  done
  local version=2021-12-02 until signature
  until=$(date -u -d '+1 day' +%Y-%m-%dT%H:%M:%SZ)
  # "Create an account SAS", of Azure's documentation.
  signature=$(sign "$account\nrwdlac\nb\nsco\n\n$until\n\n\n$version\n\n")
  sas="sv=$version&ss=b&srt=sco&sp=rwdlac&se=${until//:/%3A}&sig=$signature"
  curl -sS --fail -o /dev/null -X PUT -H 'content-length: 0' -H "x-ms-version: $version" \
    "$endpoint/$account/box?restype=container&$sas"
}

start_registry "$bench/source"
source=$address
# The smallest references: the same layers, sent to a server that takes its time.
head -n "$references" "$bench/references.txt" | sed "s|^|$source/|" >"$work/references"
export work airlift

# ---- the contestants -----------------------------------------------------------------------------------------------

export_to_file() { "$airlift" export --file "$work/references" --output "$work/file.tar" --overwrite --progress none; }
export_to_azurite() { "$airlift" export --file "$work/references" --output "$endpoint/$account/box/a.tar?$sas" --progress none; }
# upload_blob NAME: blocks of the size that airlift sends, six at a time, and then the list of them.
upload_blob() {
  export blob=$1
  ls "$work/blocks" | xargs -P6 -I{} bash -c '
    id=$(printf "%s" "{}" | base64 | sed "s/=/%3D/g")
    curl -sS --fail -o /dev/null -X PUT -T "$work/blocks/{}" "$endpoint/$account/box/$blob?comp=block&blockid=$id&$sas"'
  { echo '<?xml version="1.0" encoding="utf-8"?><BlockList>'
    ls "$work/blocks" | while read -r name; do echo "<Latest>$(printf '%s' "$name" | base64)</Latest>"; done
    echo '</BlockList>'; } |
    curl -sS --fail -o /dev/null -X PUT --data-binary @- "$endpoint/$account/box/$blob?comp=blocklist&$sas"
}
upload_by_hand() { upload_blob h.tar; }
# A fresh server compiles while it works, and one that has much is slower: each contestant has a server of its own, that had the
# same upload before.
warm_azurite() {
  start_azurite
  export endpoint account sas
  upload_blob warm.tar
}
copy_file() { "$airlift" copy "$work/whole.tar" "$work/copy.tar" --progress none; }
copy_by_hand() { cp "$work/whole.tar" "$work/copy.tar" && sha256sum "$work/copy.tar"; }
copy_to_azurite() { "$airlift" copy "$work/file.tar" "$endpoint/$account/box/c.tar?$sas" --progress none; }
copy_from_azurite() { "$airlift" copy "$endpoint/$account/box/c.tar?$sas" "$work/back.tar" --progress none; }
export -f export_to_file export_to_azurite upload_blob upload_by_hand copy_file copy_by_hand copy_to_azurite copy_from_azurite

# ---- measuring -----------------------------------------------------------------------------------------------------

# measure NAME FUNCTION: one run; appends NAME, seconds, user and system CPU seconds, KiB of the largest process, and the
# bytes that moved.
measure() {
  sync
  local from=$EPOCHREALTIME
  /usr/bin/time -f '%U %S %M' -o "$work/time" bash -c "set -euo pipefail; $2" >"$work/said" 2>&1 ||
    die "$1 failed: $(tail -n 20 "$work/said")"
  awk -v name="$1" -v from="$from" -v to="$EPOCHREALTIME" -v bytes="$3" \
    '{ printf "%s %.3f %s %s %s %s\n", name, to - from, $1, $2, $3, bytes }' <(tail -n1 "$work/time") >>"$samples"
  say "$(tail -n1 "$samples")"
}
size() { stat -c %s "$1"; }

load=$(cut -d' ' -f1-3 /proc/loadavg)
date=$(date -u +%Y-%m-%d)
# What is moved: a part of the corpus for Azurite, all of it for files.
export_to_file
some=$(size "$work/file.tar")
mkdir "$work/blocks"
split -b 8M -a 5 -d "$work/file.tar" "$work/blocks/"
sed "s|^|$source/|" "$bench/references.txt" >"$work/all"
"$airlift" export --file "$work/all" --output "$work/whole.tar" --progress none
whole=$(size "$work/whole.tar")
for round in $(seq "$rounds"); do
  say "round $round of $rounds"
  if wanted file; then rm -f "$work/file.tar"; measure file export_to_file "$some"; fi
  if wanted azurite; then warm_azurite; measure azurite export_to_azurite "$some"; fi
  if wanted blocks; then warm_azurite; measure blocks upload_by_hand "$some"; fi
  if wanted to; then warm_azurite; measure to copy_to_azurite "$some"; fi
  if wanted from && wanted to; then rm -f "$work/back.tar"; measure from copy_from_azurite "$some"; fi
  rm -f "$work/back.tar"
  if wanted copy; then rm -f "$work/copy.tar"; measure copy copy_file "$whole"; fi
  if wanted hand; then rm -f "$work/copy.tar"; measure hand copy_by_hand "$whole"; fi
  rm -f "$work/copy.tar"
done

# ---- the table -----------------------------------------------------------------------------------------------------

# Fields of a sample: 2 seconds, 3 user, 4 system, 5 KiB, 6 bytes.
row() {
  [ -n "$(median "$1" 2)" ] || { printf '| %s | not measured | | | |\n' "$2"; return; }
  awk -v what="$2" -v s="$(median "$1" 2)" -v u="$(median "$1" 3)" -v k="$(median "$1" 4)" -v m="$(median "$1" 5)" -v b="$(median "$1" 6)" \
    'BEGIN { printf "| %s | %.2f | %.0f | %.2f | %.0f |\n", what, s, b / s / 1e6, u + k, m / 1024 }'
}
# The slower of the two is what bounds an export into a storage.
slower() { printf '%s\n' "$(median file 2)" "$(median blocks 2)" | sort -g | tail -n1; }
peak() { awk '$1 == "azurite" || $1 == "copy" || $1 == "to" || $1 == "from" { if ($5 > most) most = $5 } END { printf "%.0f", most / 1024 }' "$samples"; }

table() {
  echo "Measured on $date by \`benches/compare-storage.sh\`, medians of $rounds rounds, each round running everything in turn:"
  machine
  echo "Azurite runs on the same cores. Into and out of"
  echo "it went $(ratio "$some" 1e6 %.0f) MB, from file to file $(ratio "$whole" 1e6 %.0f) MB; $("$airlift" --version | head -n1)."
  echo
  echo "| what | seconds | MB/s | CPU seconds | peak MiB of one process |"
  echo "|---|---:|---:|---:|---:|"
  row file "\`airlift export\` into a file"
  row azurite "\`airlift export\` into Azurite"
  row blocks "the same bytes as blocks by curl, six at a time"
  row to "\`airlift copy\` of a file into Azurite, read back"
  row from "\`airlift copy\` out of Azurite into a file, read back"
  row copy "\`airlift copy\` from file to file, read back"
  row hand "\`cp\` and then \`sha256sum\`"
  echo
  echo "| ratio | goal | found |"
  echo "|---|---|---:|"
  echo "| export into Azurite, speed to the slower of export into a file and blocks by curl | ≥ 0.9 | $(ratio "$(slower)" "$(median azurite 2)") |"
  echo "| copy from file to file, speed to \`cp\` and \`sha256sum\` | ≥ 0.9 | $(ratio "$(median hand 2)" "$(median copy 2)") |"
  echo "| peak memory, the most of all of these, MiB | ≤ 128 | $(peak) |"
  echo
  echo "The commands, as they ran:"
  echo
  echo '```bash'
  declare -f export_to_file export_to_azurite upload_by_hand copy_to_azurite copy_from_azurite copy_file copy_by_hand
  echo '```'
}

publish compare-storage
