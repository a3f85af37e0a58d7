#!/usr/bin/env bash
# airlift beside other tools over a wide-area network: 80 ms a round trip, 50 artifacts with 315 objects, then the same with 250
# attached ones. Seconds and requests of each leg, the best of three rounds. Writes its table into docs/performance.md. Half an hour.
#
#   ROUNDS=1 benches/compare-wan.sh      a quick look (docs/performance.md is left alone)
#   AIRLIFT=path/to/airlift …            another binary than target/dist/airlift
#   ONLY="airlift regctl" …              only these contestants (docs/performance.md is left alone)
#   LEGS="export again" …                only these legs (docs/performance.md is left alone)
#   RTT=20 …                             another round trip, in milliseconds
#   CRANE=… REGCTL=… ORAS=…              versions of the peers, which Go installs into the folder of the benches
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
source "$here/lib.sh"
need docker-registry skopeo go xargs

rounds=${ROUNDS:-3}
full_rounds=3
legs=${LEGS:-export import again attached attached-again}
only=${ONLY:-}
[ -z "${LEGS:-}" ] || only=${only:-airlift crane regctl oras skopeo}
rtt=${RTT:-80}
airlift=${AIRLIFT:-$root/target/dist/airlift}
[ -n "${AIRLIFT:-}" ] || cargo build --quiet --profile dist --manifest-path "$root/Cargo.toml"
work=$bench/wan-work
samples=$bench/wan-samples.txt
rm -rf "$work" "$samples"
mkdir -p "$work/out" "$bench/peers"
touch "$samples"

# ---- the peers -----------------------------------------------------------------------------------------------------

export GOBIN=$bench/peers
peer() { [ -x "$GOBIN/${1##*/}" ] || go install "$1@$2"; }
crane=${CRANE:-v0.22.1} regctl=${REGCTL:-v0.11.7} oras=${ORAS:-v1.3.6}
peer github.com/google/go-containerregistry/cmd/crane "$crane"
peer github.com/regclient/regclient/cmd/regctl "$regctl"
peer oras.land/oras/cmd/oras "$oras"
(cd "$here/wan" && go build -o "$GOBIN/wan" .)
PATH=$GOBIN:$PATH
# Their settings and caches are those of this run.
export HOME=$work/home XDG_CACHE_HOME=$work/home/cache
mkdir -p "$HOME"

proxies=()
trap 'for pid in "${proxies[@]}"; do kill "$pid" 2>/dev/null || true; done; end_registries; rm -rf "$work"' EXIT

# far FOLDER: a registry with its storage in FOLDER, a round trip away; sets `address` to the way through the proxy.
far() {
  start_registry "$1"
  near=$address
  : >"$1/proxy" # the loop below may look before the proxy writes
  wan proxy "$address" "$rtt" >"$1/proxy" &
  proxy_pid=$!
  proxies+=("$proxy_pid")
  address=
  while [ -z "$address" ]; do
    kill -0 "$proxy_pid" 2>/dev/null || die "the proxy does not start"
    address=$(cat "$1/proxy")
  done
}

unfar() {
  local left=() pid
  { kill "$proxy_pid" && wait "$proxy_pid"; } 2>/dev/null || true
  for pid in "${proxies[@]}"; do [ "$pid" = "$proxy_pid" ] || left+=("$pid"); done
  proxies=("${left[@]}")
  stop_registry "$registry_pid"
}

# each COMMAND: runs it for each artifact, six at once, with its number, repository and tag as $1, $2 and $3.
each() { nl -w1 -s' ' "$work/references" | tr : ' ' | xargs -P6 -L1 bash -c "set -euo pipefail; $1" each; }
export work airlift

airlift_export() { sed "s|^|$source/|" "$work/references" >"$work/list"; "$airlift" export -f "$work/list" -o "$work/out/bundle.tar" --progress none; }
airlift_import() { "$airlift" import "$work/$kind.tar" --to "$target" --progress none; }
crane_export() { each 'crane pull --insecure --format=oci "$source/$2:$3" "$work/out/$1"'; }
regctl_export() { each 'regctl --host "reg=$source,tls=disabled" image copy "$source/$2:$3" "ocidir://$work/out/$1:$3"'; }
regctl_import() {
  each 'case $kind in attached) also="--referrers";; *) also=;; esac
    regctl --host "reg=$target,tls=disabled" image copy $also "ocidir://$work/$kind/$1:$3" "$target/$2:$3"'
}
oras_export() { each 'oras copy --from-plain-http --to-oci-layout "$source/$2:$3" "$work/out/$1:$3"'; }
oras_import() {
  each 'case $kind in attached) also=-r;; *) also=;; esac
    oras copy $also --from-oci-layout --to-plain-http "$work/$kind/$1:$3" "$target/$2:$3"'
}
skopeo_export() { each 'skopeo --insecure-policy copy --quiet --all --src-tls-verify=false "docker://$source/$2:$3" "oci:$work/out/$1:$3"'; }
skopeo_import() { each 'skopeo --insecure-policy copy --quiet --all --dest-tls-verify=false "oci:$work/$kind/$1:$3" "docker://$target/$2:$3"'; }
declare -A exports=([airlift]=1 [crane]=1 [regctl]=1 [oras]=1 [skopeo]=1)
declare -A imports=([airlift]=1 [regctl]=1 [oras]=1 [skopeo]=1)

# ---- measuring -----------------------------------------------------------------------------------------------------

requests() { grep -cE '"(GET|HEAD|POST|PUT|PATCH|DELETE) /v2/' "$registry_log" || true; }

# measure LEG NAME FUNCTION: one run; appends LEG/NAME, seconds and requests.
measure() {
  local before from=$EPOCHREALTIME to
  before=$(requests)
  "$3" >"$work/said" 2>&1 || die "$2 fails at $1: $(tail -n 20 "$work/said")"
  to=$EPOCHREALTIME
  awk -v name="$1/$2" -v from="$from" -v to="$to" -v requests="$(($(requests) - before))" \
    'BEGIN { printf "%s %.2f %d\n", name, to - from, requests }' >>"$samples"
  say "$(tail -n1 "$samples")"
}

leg() { [[ " $legs " == *" $1 "* ]]; }

# prepared KIND ATTACHED: the registry `source` with the corpus, a bundle of it and a layout of each artifact.
prepared() {
  far "$work/source-$1"
  export source=$address kind=$1
  wan corpus "$near" "$2" >"$work/references"
  local as_wan=$source
  source=$near
  rm -rf "$work/out" && mkdir "$work/out"
  airlift_export >/dev/null 2>&1 && mv "$work/out/bundle.tar" "$work/$1.tar"
  each 'case $kind in attached) also="--referrers";; *) also=;; esac
    regctl --host "reg=$source,tls=disabled" image copy $also "$source/$2:$3" "ocidir://$work/$kind/$1:$3"' >/dev/null 2>&1
  source=$as_wan
}

# into LEG AGAIN: each contestant into an empty registry, and a second time.
into() {
  local name
  for name in airlift regctl oras skopeo; do
    wanted "$name" || continue
    [ "$kind/$name" != attached/skopeo ] || continue # it does not know of attached artifacts
    rm -rf "$work/target"
    far "$work/target"
    export target=$address
    measure "$1" "$name" "${name}_import"
    ! leg "$2" || measure "$2" "$name" "${name}_import"
    unfar
  done
}

load=$(cut -d' ' -f1-3 /proc/loadavg)
date=$(date -u +%Y-%m-%d)
if leg export || leg import || leg again; then
  prepared plain 0
  for round in $(seq "$rounds"); do
    say "round $round of $rounds"
    for name in airlift crane regctl oras skopeo; do
      if ! leg export || ! wanted "$name"; then continue; fi
      rm -rf "$work/out" && mkdir "$work/out"
      measure export "$name" "${name}_export"
    done
    source_log=$registry_log source_pid=$registry_pid source_proxy=$proxy_pid
    if leg import || leg again; then into import again; fi
    registry_log=$source_log registry_pid=$source_pid proxy_pid=$source_proxy
  done
  unfar
fi
if leg attached || leg attached-again; then
  prepared attached 5
  unfar
  for round in $(seq "$rounds"); do into attached attached-again; done
fi

# ---- the table -----------------------------------------------------------------------------------------------------

# best LEG/NAME: the fastest run, as `seconds · requests`.
fastest() { awk -v name="$1" '$1 == name { print $2, $3 }' "$samples" | sort -g | head -n1; }
best() { local found; found=$(fastest "$1"); if [ -n "$found" ]; then echo "${found/ / · }"; else echo '–'; fi; }
# peers LEG: the seconds of the fastest peer.
peers() { grep "^$1/" "$samples" | grep -v /airlift | awk '{ print $2 }' | sort -g | head -n1; }
found() { ratio "$(fastest "$1/airlift" | cut -d' ' -f1)" "$(peers "$1")"; }
asked() { ratio "$(fastest "$1/airlift" | cut -sd' ' -f2)" "$2"; }
row() {
  local name line="| $2 |"
  for name in airlift regctl oras crane skopeo; do line+=" $(best "$1/$name") |"; done
  echo "$line"
}

table() {
  echo "Measured on $date by \`benches/compare-wan.sh\`, $rtt ms a round trip, seconds · requests, the best of $rounds rounds:"
  machine
  echo "docker-registry $(dpkg-query -W -f '${Version}' docker-registry 2>/dev/null || echo '?'), crane $crane, regctl $regctl, oras $oras, $(skopeo --version), six processes of each peer at once,"
  echo "$("$airlift" --version | head -n1) with its defaults. 50 artifacts (15 indexes, 80 manifests) with 235 blobs; 250 more are attached in the last two legs."
  echo
  echo "| leg | airlift | regctl ×6 | oras ×6 | crane ×6 | skopeo ×6 |"
  echo "|---|---:|---:|---:|---:|---:|"
  row export "export"
  row import "import into an empty registry"
  row again "import again"
  row attached "import with 250 attached"
  row attached-again "… and again"
  echo
  echo "| ratio | goal | found |"
  echo "|---|---|---:|"
  echo "| export, time to that of the best peer | ≤ 0.5 | $(found export) |"
  echo "| export, requests an object | ≤ 1.3 | $(asked export 315) |"
  echo "| import, time to that of the best peer | ≤ 0.8 | $(found import) |"
  echo "| import again, time to that of the best peer | ≤ 1.0 | $(found again) |"
  echo "| import again, requests an artifact | ≤ 1.2 | $(asked again 50) |"
  echo "| import with attached, time to that of the best peer | ≤ 0.8 | $(found attached) |"
  echo "| … and again | ≤ 1.0 | $(found attached-again) |"
}

publish compare-wan
