#!/usr/bin/env bash
# Recovery data beside par2: making a tenth of it, and rebuilding a lost volume. Medians of three, everything in turn; par2,
# which takes twenty times as long, in the first round only.
# Writes the table into docs/performance.md between its marks; it is not edited by hand. About five minutes.
#
#   ROUNDS=1 benches/compare-recovery.sh       a quick look (docs/performance.md is left alone)
#   SIZE=512 …                                 MiB of each of ten volumes (default 200)
#   AIRLIFT=path/to/airlift …                  another binary than target/dist/airlift
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
source "$here/lib.sh"
need openssl awk
[ -x /usr/bin/time ] || die "GNU time is missing: tests/setup installs it"

rounds=${ROUNDS:-3}
size=${SIZE:-200}

airlift=${AIRLIFT:-$root/target/dist/airlift}
[ -n "${AIRLIFT:-}" ] || cargo build --quiet --profile dist --manifest-path "$root/Cargo.toml"
work=$bench/recovery
samples=$bench/recovery-samples.txt
rm -rf "$work" "$samples"
mkdir -p "$work/set"
trap 'rm -rf "$work"' EXIT
for n in 0 1 2 3 4 5 6 7 8 9; do
  head -c "${size}M" /dev/zero | openssl enc -aes-128-ctr -nosalt -K "0000000000000000000000000000000$n" -iv "00000000000000000000000000000000" >"$work/set/vol-$n.tar"
done
bytes=$((size * 10 * 1048576))
(cd "$work/set" && sha256sum vol-*.tar) >"$work/sums"

# measure NAME COMMAND...: appends NAME, seconds, CPU seconds, KiB of the largest process.
measure() {
  local name=$1 from=$EPOCHREALTIME
  shift
  /usr/bin/time -f '%U %S %M' -o "$work/time" "$@" >"$work/said" 2>&1 || die "$name failed: $(tail -n 20 "$work/said")"
  awk -v name="$name" -v from="$from" -v to="$EPOCHREALTIME" '{ printf "%s %.3f %.2f %s\n", name, to - from, $1 + $2, $3 }' \
    "$work/time" >>"$samples"
  say "$(tail -n1 "$samples")"
}
proven() { (cd "$work/set" && sha256sum --quiet -c ../sums) || die "$1 did not rebuild what was lost"; }

load=$(cut -d' ' -f1-3 /proc/loadavg)
date=$(date -u +%Y-%m-%d)
for round in $(seq "$rounds"); do
  say "round $round of $rounds"
  rm -f "$work"/set/*.recovery "$work"/set/*.par2
  cat "$work"/set/vol-* >/dev/null
  sync
  measure make "$airlift" protect --recovery 10% "$work"/set/vol-*.tar --progress none
  rm "$work/set/vol-4.tar"
  sync
  measure repair "$airlift" repair "$work/set" --progress none
  proven airlift
  rm -f "$work"/set/*.recovery
  if [ "$round" = 1 ] && command -v par2 >/dev/null; then
    sync
    measure par2-make par2 create -q -q -r10 -n1 "$work/set/set.par2" "$work"/set/vol-*.tar
    rm "$work/set/vol-4.tar"
    sync
    measure par2-repair par2 repair -q -q "$work/set/set.par2"
    proven par2
  fi
done

median() { awk -v name="$1" -v field="$2" '$1 == name { print $field }' "$samples" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
row() {
  [ -n "$(median "$2" 2)" ] || return 0
  awk -v what="$1" -v s="$(median "$2" 2)" -v c="$(median "$2" 3)" -v k="$(median "$2" 4)" -v b="$bytes" \
    'BEGIN { printf "| %s | %.2f | %.0f | %.2f | %.0f |\n", what, s, b / s / 1e6, c, k / 1024 }'
}
table() {
  echo
  echo "Measured on $date by \`benches/compare-recovery.sh\`, medians of $rounds rounds (par2: one): ten volumes of $size MiB, a tenth of recovery data,"
  echo "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) cores; load before the run: $load; warm cache;"
  echo "$(par2 --version 2>/dev/null | head -n1 || echo 'no par2')."
  echo
  echo "| what | seconds | MB/s of what is protected | CPU seconds | peak MiB |"
  echo "|---|---:|---:|---:|---:|"
  row "make recovery data" make
  row "\`airlift repair\` of a lost volume" repair
  row "\`par2 create -r10\`" par2-make
  row "\`par2 repair\` of a lost volume" par2-repair
  echo
}
table >"$work/table"
cat "$work/table"
[ "$rounds" -ge 3 ] || exit 0
page=$root/docs/performance.md
awk -v table="$work/table" '
  /<!-- compare-recovery:begin -->/ { print; while ((getline line < table) > 0) print line; inside = 1; next }
  /<!-- compare-recovery:end -->/ { inside = 0 }
  !inside { print }' "$page" >"$work/page"
cat "$work/page" >"$page"
