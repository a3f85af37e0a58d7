#!/usr/bin/env bash
# Packed bundles beside what else makes a bundle smaller, on files of real packages (pack_corpus.sh): six images in three adjacent
# releases, whose layers are gzip by the encoder of each image's usual builder. Writes its part of docs/performance.md.
#
#   AIRLIFT=path/to/airlift …     another binary than target/dist/airlift
#   ONLY="go rust" …              these images only; docs/performance.md is left alone
#   OTHERS= …                     without the other tools, which take most of the time
#
# tar-diff is not among them: the Go proxy does not serve it. (It makes a layer's content again, not its gzip bytes, so digests change.)
#
# It runs once: sizes are the same in every run, and times are long.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
source "$here/lib.sh"
need go python3 npm mvn debootstrap java pigz zstd awk
[ -x /usr/bin/time ] || die "GNU time is missing: tests/setup installs it"
airlift=${AIRLIFT:-$root/target/dist/airlift}
[ -n "${AIRLIFT:-}" ] || cargo build --quiet --profile dist --manifest-path "$root/Cargo.toml"
work=$bench/pack only=${ONLY:-} rounds=1 full_rounds=1 others=${OTHERS-yes}
mkdir -p "$work"
work=$(cd "$work" && pwd)
load=$(cut -d' ' -f1-3 /proc/loadavg)
export GOFLAGS=-mod=mod

images=${only:-debian python node go rust java}
# shellcheck disable=SC2086 # the words are images
"$here/pack_corpus.sh" "$work" $images
(cd "$root/tests/encoders/go" && go build -o "$work/go-gzip" .)
(cd "$root/tests/encoders/klauspost" && go build -modfile v1.18.2.mod -o "$work/klauspost-gzip" . &&
  go build -modfile v1.15.15.mod -o "$work/klauspost15-gzip" .)
# Who makes which: docker and BuildKit Go's level 6, kaniko and ko its level 1, podman and buildah pgzip's default; jib Java's.
encoder() {
  case $1 in
    debian | go) echo asked 6 0 "$work/go-gzip" ;;
    node) echo asked 1 0 "$work/go-gzip" ;;
    python) echo asked 5 1048576 "$work/klauspost-gzip" ;;
    rust) echo asked 5 1048576 "$work/klauspost15-gzip" ;;
    java) echo java "$here/Gzip.java" ;;
  esac
}
cd "$work"
for image in $images; do
  [ ! -e "layouts/$image-3/index.json" ] || continue
  # shellcheck disable=SC2046 # the words are a command
  python3 "$here/pack_layouts.py" "$work" "$image" $(encoder "$image")
done


# step NAME INPUT OUTPUT COMMAND...: adds a line NAME INPUT-BYTES OUTPUT-BYTES SECONDS CPU-SECONDS PEAK-KIB LOAD to the samples,
# unless an earlier run did.
touch samples
step() {
  local name=$1 input=$2 output=$3 before
  shift 3
  ! grep -q "^$name " samples || return 0
  before=$(cut -d' ' -f1 /proc/loadavg)
  /usr/bin/time -f '%e %U %S %M' -o time "$@" >said 2>&1 || die "$* failed: $(tail -n 20 said)"
  echo "$name $(stat -c %s "$input") $(stat -c %s "$output") $(awk 'END { print $1, $2 + $3, $4 }' time) $before" | tee -a samples >&2
}
# packed NAME BUNDLE [BASE]: packs, imports and unpacks.
packed() {
  local name=$1 bundle=$2 base=${3:-} beside=()
  [ -z "$base" ] || beside=(--base "$base")
  local file=$name.pack
  [ -e "$file" ] || sed -i "/^pack:$name /d" samples
  step "pack:$name" "$bundle" "$file" "$airlift" pack "$bundle" "${beside[@]}" -o "$file" --overwrite --jobs 2 --json --progress none
  [ -e "$name.json" ] || cp said "$name.json"
  rm -rf store
  step "import:$name" "$bundle" "$file" "$airlift" import "$file" "${beside[@]}" --store store --progress none
  rm -rf store
  local jobs expected
  for jobs in $proofs; do
    ! grep -q "^same:$name:$jobs " samples || continue
    "$airlift" unpack "$file" "${beside[@]}" -o back.tar --overwrite --jobs "$jobs" --progress none >/dev/null
    expected=$(sha256sum <"$bundle")
    [ "$(sha256sum <back.tar)" = "$expected" ] || die "$name came back as another bundle at --jobs $jobs"
    rm -f back.tar
    echo "same:$name:$jobs" "$(stat -c %s "$bundle")" "$(stat -c %s "$bundle")" 0 0 0 0 >>samples
  done
}
from() { for image in $images; do for number; do printf -- '--from layouts/%s-%s ' "$image" "$number"; done; done; }
bundle() { # NAME NUMBER...
  [ -e "$1" ] || "$airlift" export $(from "${@:2}") -o "$1" --overwrite --progress none >/dev/null
}
for number in 1 2 3; do bundle "all-$number.tar" "$number"; done
bundle three.tar 1 2 3
proofs="1 2 8"
packed update-2 all-2.tar all-1.tar
rm -rf store
step import:plain all-2.tar all-2.tar "$airlift" import all-2.tar --store store --progress none
rm -rf store
packed one all-2.tar
packed three three.tar
packed update-3 all-3.tar all-2.tar
# The update of each image by itself: how fast each encoder is.
proofs=2
for image in $images; do
  for number in 1 2; do
    [ -e "$image-$number.tar" ] || "$airlift" export --from "layouts/$image-$number" -o "$image-$number.tar" --overwrite --progress none >/dev/null
  done
  packed "image-$image" "$image-2.tar" "$image-1.tar"
done
if [ -n "$others" ]; then
  step patch:update-2 all-2.tar patch.zst zstd -q -19 --long=30 -T2 --patch-from=all-1.tar -f all-2.tar -o patch.zst
  step patch:update-3 all-3.tar patch.zst zstd -q -19 --long=30 -T2 --patch-from=all-2.tar -f all-3.tar -o patch.zst
  step zstd:update-3 all-3.tar one.zst zstd -q -19 --long=30 -T2 -f all-3.tar -o one.zst
  step zstd:one all-2.tar one.zst zstd -q -19 --long=30 -T2 -f all-2.tar -o one.zst
fi
[ -z "$others" ] || step zstd:three three.tar three.zst zstd -q -19 --long=30 -T2 -f three.tar -o three.zst

table() {
  echo "Measured on $(date -u +%F) by \`benches/compare-pack.sh\`:"
  machine
  echo "$("$airlift" --version), its usual settings; $(zstd --version | grep -o 'v[0-9.]*' | head -n 1 | sed 's/^v/zstd /'). The other columns are what is sent without it: the bundle, its layers gzip as the registry has them."
  echo
  python3 "$here/pack_table.py" .
}
publish compare-pack
