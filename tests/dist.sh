#!/usr/bin/env bash
# Builds what is shipped, twice from two places, and looks at it: the same bytes, static, small, quick to start, and at home on a
# machine without anything. Takes about 12 minutes of a processor for each build; `tests/all --long` runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d "${TMPDIR:-/tmp}/airlift-dist.XXXXXX")
trap 'git -C "$root" worktree remove --force "$work/elsewhere" 2>/dev/null || true; rm -rf "$work"' EXIT

fail() { echo "tests/dist.sh: $*" >&2; exit 1; }

scripts/dist -o "$work/first"
name=$(basename "$work"/first/*.tar.gz .tar.gz)
tar xzf "$work/first/$name.tar.gz" -C "$work"
binary=$work/$name/airlift

readelf --program-headers "$binary" | grep -q INTERP && fail "it asks for an interpreter"
readelf --dynamic "$binary" | grep -q NEEDED && fail "it asks for libraries"
size=$(stat -c %s "$binary")
[ "$size" -le 25000000 ] || fail "it has $size bytes, more than 25 MB"
image=$(du -b --summarize "$work/first/$name-image" | cut -f1)
[ "$image" -le 40000000 ] || fail "the image has $image bytes, more than 40 MB"
for path in "$root" "${CARGO_HOME:-$HOME/.cargo}"; do
  if grep -q --fixed-strings --binary-files=text "$path" "$binary"; then fail "it names $path"; fi
done
(cd "$work/first" && sha256sum --check --strict --quiet SHA256SUMS)

from=$(date +%s%N)
for _ in $(seq 20); do "$binary" --version >/dev/null; done
echo "size $size bytes; image $image bytes; start $((($(date +%s%N) - from) / 20000)) microseconds"

# The tests of a machine that has nothing, with this binary instead of their own.
AIRLIFT_STATIC=$binary cargo test -p airlift --all-features --test suite -- bare_machine::

# Another folder and another target directory: neither may show. What is not committed is not in the second build.
if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
  echo "NOT CHECKED: changes that are not committed, so there is nothing to build a second time"
  exit 0
fi
git worktree add --quiet --detach "$work/elsewhere" HEAD
(cd "$work/elsewhere" && CARGO_TARGET_DIR=$work/target scripts/dist -o "$work/second")
diff -r "$work/first" "$work/second" || fail "two builds differ"
echo "two builds are equal: $(sha256sum "$work/second/SHA256SUMS" | cut -d' ' -f1)"
