#!/usr/bin/env bash
# Packed bundles beside what else makes a bundle smaller, on real packages: releases of applications in Python, Rust and Node, in
# layers as Go, pgzip and zlib make them. Prints a table; the packages come from PyPI and npm.
#
#   AIRLIFT=path/to/airlift …     another binary than target/dist/airlift
#   LEVEL=19 …                    another level of zstd (default: airlift's own)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
source "$here/lib.sh"
need go python3 npm zstd awk
[ -x /usr/bin/time ] || die "GNU time is missing: tests/setup installs it"
airlift=${AIRLIFT:-$root/target/dist/airlift}
[ -n "${AIRLIFT:-}" ] || cargo build --quiet --profile dist --manifest-path "$root/Cargo.toml"
work=$bench/pack
level=(${LEVEL:+--level "$LEVEL"})
mkdir -p "$work"

applications="django go 5.1.1 5.1.2 5.1.3
ruff pgzip 0.8.1 0.8.2 0.8.3
typescript zlib 5.6.2 5.6.3 5.7.2"
fetch() { # APPLICATION RELEASE
  local to=$work/$1/$2
  [ ! -e "$to.done" ] || return 0
  mkdir -p "$to"
  if [ "$1" = typescript ]; then
    (cd "$to" && npm pack --silent "$1@$2" >/dev/null)
  else
    python3 -m pip download --quiet --disable-pip-version-check --no-deps -d "$to" "$1==$2"
  fi
  touch "$to.done"
}
while read -r name _ releases; do
  for release in $releases; do fetch "$name" "$release"; done
done <<<"$applications"
printf '%s\n' "$applications" >"$work/applications"
(cd "$root/tests/encoders/go" && go build -o "$work/go-gzip" .)
(cd "$root/tests/encoders/klauspost" && GOFLAGS=-mod=mod go build -modfile v1.18.2.mod -o "$work/klauspost-gzip" .)
rm -rf "$work/layouts" "$work"/*.tar "$work"/*.pack "$work"/*.zst
python3 "$here/pack_layouts.py" "$work" "$work/go-gzip" "$work/klauspost-gzip"
cd "$work"

bytes() { stat -c %s "$1"; }
# timed COMMAND...: sets `seconds` and `rss` (MiB).
timed() {
  /usr/bin/time -f '%e %M' -o time "$@" >said 2>&1 || die "$* failed: $(tail -n 20 said)"
  read -r seconds rss <time
  rss=$((rss / 1024))
}
share() { awk -v part="$1" -v whole="$2" 'BEGIN { printf "%.1f %%", 100 * part / whole }'; }
rate() { awk -v bytes="$1" -v seconds="$2" 'BEGIN { printf "%.0f MB/s", bytes / seconds / 1e6 }'; }

say "load: $(cut -d' ' -f1-3 /proc/loadavg)"
echo "| bundle | bytes | packed | zstd -19 --long=30 | zstd --patch-from | pack | unpack | MiB of memory, pack and unpack |"
echo "|---|---|---|---|---|---|---|---|"
# row NAME BUNDLE [BASE]
row() {
  local name=$1 bundle=$2 base=${3:-} size packed plain patch=- pack packed_rss
  size=$(bytes "$bundle")
  timed "$airlift" pack "$bundle" ${base:+--base "$base"} -o "$bundle.pack" "${level[@]}" --overwrite --progress none
  packed=$(bytes "$bundle.pack") pack=$(rate "$size" "$seconds") packed_rss=$rss
  timed "$airlift" unpack "$bundle.pack" ${base:+--base "$base"} -o back.tar --overwrite --progress none
  cmp -s "$bundle" back.tar || die "$name came back as another bundle"
  zstd -q -19 --long=30 -T0 -f "$bundle" -o plain.zst
  plain=$(share "$(bytes plain.zst)" "$size")
  if [ -n "$base" ]; then
    zstd -q -19 --long=30 --patch-from="$base" -f "$bundle" -o patch.zst
    patch=$(share "$(bytes patch.zst)" "$size")
  fi
  echo "| $name | $size | $(share "$packed" "$size") | $plain | $patch | $pack | $(rate "$size" "$seconds") | $packed_rss, $rss |"
}
while read -r name _ first second third; do
  for release in "$first" "$second" "$third"; do
    "$airlift" export --from "layouts/$name-$release" -o "$name-$release.tar" --overwrite --progress none >/dev/null
  done
  "$airlift" export --from "layouts/$name-$first" --from "layouts/$name-$second" --from "layouts/$name-$third" \
    -o "$name-three.tar" --overwrite --progress none >/dev/null
  row "$name $second" "$name-$second.tar"
  row "$name $second, base $first" "$name-$second.tar" "$name-$first.tar"
  row "$name $third, base $second" "$name-$third.tar" "$name-$second.tar"
  row "$name, three releases" "$name-three.tar"
done <<<"$applications"
