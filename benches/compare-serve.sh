#!/usr/bin/env bash
# `airlift serve` beside Debian's nginx (sendfile on, the same bytes as files) and docker-registry: one run, everything in turn,
# medians, ratios. Writes its table into docs/performance.md between its marks; it is not edited by hand. About six minutes.
#
#   ROUNDS=1 benches/compare-serve.sh    a quick look (docs/performance.md is left alone)
#   AIRLIFT=path/to/airlift …            another binary than target/dist/airlift
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
source "$here/lib.sh"
PATH="$PATH:/usr/sbin"
need docker-registry nginx wrk curl openssl awk xargs python3

rounds=${ROUNDS:-5}
# Seconds of each measurement by wrk.
span=${SPAN:-4}
airlift=${AIRLIFT:-$root/target/dist/airlift}
[ -n "${AIRLIFT:-}" ] || cargo build --quiet --profile dist --manifest-path "$root/Cargo.toml"
work=$bench/serve
rm -rf "$work"
mkdir -p "$work/files" "$work/push"
servers=()
cleanup() {
  local pid
  for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done
  end_registries
  rm -rf "$work"
}
trap cleanup EXIT

# start_airlift ARGUMENTS…: sets `ours` (host:port), `ours_pid` and `started` (milliseconds until it listens).
start_airlift() {
  local from
  from=$(date +%s%N)
  mkfifo "$work/said"
  "$airlift" serve "$@" --listen 127.0.0.1:0 >"$work/said" 2>"$work/airlift.log" &
  ours_pid=$!
  servers+=("$ours_pid")
  read -r line <"$work/said" || die "airlift does not start: $(cat "$work/airlift.log")"
  started=$((($(date +%s%N) - from) / 1000000))
  rm "$work/said"
  ours=${line#*://}
}
stop_airlift() { { kill "$ours_pid" && wait "$ours_pid"; } 2>/dev/null || true; }

median() { sort -n | awk '{ a[NR] = $1 } END { if (NR) print (NR % 2) ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2 }'; }
sha() { openssl dgst -sha256 -r "$1" | cut -d' ' -f1; }
memory() { awk -v field="$2:" '$1 == field { printf "%.0f", $2 / 1024 }' "/proc/$1/status"; }

# ---- the bytes -----------------------------------------------------------------------------------------------------

say "making the bytes"
openssl rand -out "$work/files/blob" $((256 << 20))
printf '{}' >"$work/files/config"
for n in $(seq 8); do openssl rand -out "$work/push/$n" $((64 << 20)); done
blob=$(sha "$work/files/blob") config=$(sha "$work/files/config")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%d}]}' \
  "$config" "$blob" $((256 << 20)) >"$work/manifest"

# push_to ADDRESS FILE DIGEST: the same two requests for both.
push_to() {
  local location
  location=$(curl -sS -o /dev/null -w '%header{location}' -X POST "http://$1/v2/app/blobs/uploads/" -H 'content-length: 0')
  case $location in http*) ;; *) location=http://$1$location ;; esac
  case $location in *\?*) location="$location&" ;; *) location="$location?" ;; esac
  curl -sS --fail -o /dev/null -X PUT -H 'content-type: application/octet-stream' -T "$2" "${location}digest=sha256:$3"
}
export -f push_to

cat >"$work/nginx.conf" <<CONF
daemon off; pid $work/nginx.pid; error_log $work/nginx.log; worker_processes auto;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; client_body_temp_path $work/b; proxy_temp_path $work/p;
  fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
  server { listen 127.0.0.1:${NGINX_PORT:-18473}; root $work/files; default_type application/octet-stream; } }
CONF
nginx -c "$work/nginx.conf" &
nginx_pid=$!
servers+=("$nginx_pid")
nginx=127.0.0.1:${NGINX_PORT:-18473}

start_registry "$work/registry"
theirs=$address theirs_pid=$registry_pid
start_airlift --store "$work/store"
store_pid=$ours_pid
for to in "$ours" "$theirs"; do
  push_to "$to" "$work/files/blob" "$blob"
  push_to "$to" "$work/files/config" "$config"
  push_manifest "$to" app v1 application/vnd.oci.image.manifest.v1+json "$work/manifest"
done
"$airlift" export "$ours/app:v1" -o "$work/bundle.tar" --progress none >/dev/null
store=$ours
start_airlift "$work/bundle.tar"
bundle=$ours bundle_pid=$ours_pid

# ---- pulls ---------------------------------------------------------------------------------------------------------

# One connection: MB/s of curl. Several: what wrk says, in MB/s.
one() { curl -sS -o /dev/null -w '%{speed_download}' "$1" | awk '{ printf "%.0f\n", $1 / 1e6 }'; }
# Milliseconds of processor time that a process and its children have used.
used() { cat "/proc/$1/stat" $(pgrep -P "$1" | sed 's#.*#/proc/&/stat#') | awk -v hz="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); n += $12 + $13 } END { print int(n * 1000 / hz) }'; }
several() { wrk -t2 -c"$2" -d"${span}s" "$1" | awk '/^Transfer/ { v = $2; u = substr(v, length(v) - 1); sub(/[A-Z]+$/, "", v); print int(v * (u == "GB" ? 1073.741824 : u == "MB" ? 1.048576 : 0.001048576)) }'; }
requests() { wrk -t2 -c16 -d"${span}s" "$1" | awk '/^Requests/ { print int($2) }'; }

declare -A url=(
  [nginx]=http://$nginx/blob [registry]=http://$theirs/v2/app/blobs/sha256:$blob
  [store]=http://$store/v2/app/blobs/sha256:$blob [bundle]=http://$bundle/v2/app/blobs/sha256:$blob)
declare -A pid=([nginx]=$nginx_pid [registry]=$theirs_pid [store]=$store_pid [bundle]=$bundle_pid)
samples=$bench/serve-samples.txt
rm -f "$samples"
for who in nginx registry store bundle; do one "${url[$who]}" >/dev/null; done
for round in $(seq "$rounds"); do
  say "round $round"
  for who in nginx registry store bundle; do
    echo "one $who $(one "${url[$who]}")" >>"$samples"
    before=$(used "${pid[$who]}")
    speed=$(several "${url[$who]}" 8)
    echo "eight $who $speed" >>"$samples"
    echo "cost $who $((($(used "${pid[$who]}") - before) * 1000 / (speed * span)))" >>"$samples"
  done
  for who in registry store bundle; do
    echo "manifest $who $(requests "${url[$who]%/blobs*}/manifests/v1")" >>"$samples"
  done
done

# ---- pushes --------------------------------------------------------------------------------------------------------

for round in $(seq "$rounds"); do
  for who in registry store; do
    # Each round into a fresh place, so that nobody knows the blobs already.
    if [ "$who" = store ]; then
      start_airlift --store "$work/push-store-$round"
      to=$ours
    else
      start_registry "$work/push-registry-$round"
      to=$address
    fi
    from=$(date +%s%N)
    for n in $(seq 8); do echo "$to $work/push/$n"; done | xargs -P4 -L1 bash -c 'push_to "$0" "$1" "$(openssl dgst -sha256 -r "$1" | cut -d" " -f1)"'
    echo "push $who $(((512 << 20) * 1000 / (($(date +%s%N) - from) / 1000000) / 1000000))" >>"$samples"
    if [ "$who" = store ]; then stop_airlift; else stop_registry "$registry_pid"; fi
    rm -rf "$work/push-store-$round" "$work/push-registry-$round"
  done
done

# ---- start and memory ----------------------------------------------------------------------------------------------

start_airlift --store "$work/many"
say "making 50 artifacts of 200 layers each"
python3 - "$ours" >"$work/references" <<'PY'
import hashlib, http.client, json, sys

connection = http.client.HTTPConnection(sys.argv[1])

def send(method, path, body, kind):
    connection.request(method, path, body, {"content-type": kind})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 201, (path, answer.status)

def push(content):
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    send("POST", "/v2/many/blobs/uploads/?digest=" + digest, content, "application/octet-stream")
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(content)}

config = dict(push(b"{}"), mediaType="application/vnd.oci.image.config.v1+json")
for artifact in range(50):
    layers = [push(b"%d %d" % (artifact, layer)) for layer in range(200)]
    manifest = "application/vnd.oci.image.manifest.v1+json"
    document = {"schemaVersion": 2, "mediaType": manifest, "config": config, "layers": layers}
    send("PUT", "/v2/many/manifests/v%d" % artifact, json.dumps(document).encode(), manifest)
    print("%s/many:v%d" % (sys.argv[1], artifact))
PY
"$airlift" export -f "$work/references" -o "$work/many.tar" --progress none >/dev/null
stop_airlift
for round in $(seq "$rounds"); do
  start_airlift "$work/many.tar"
  echo "start bundle $started" >>"$samples"
  echo "idle bundle $(memory "$ours_pid" VmRSS)" >>"$samples"
  stop_airlift
  start_airlift --store "$work/many"
  curl -sS -o /dev/null "http://$ours/v2/many/tags/list"
  echo "idle store $(memory "$ours_pid" VmRSS)" >>"$samples"
  stop_airlift
done
start_airlift "$work/bundle.tar"
several "http://$ours/v2/app/blobs/sha256:$blob" 64 >/dev/null
echo "busy bundle $(memory "$ours_pid" VmHWM)" >>"$samples"
stop_airlift

# ---- the table -----------------------------------------------------------------------------------------------------

of() { awk -v what="$1" -v who="$2" '$1 == what && $2 == who { print $3 }' "$samples" | median; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
row() { # WHAT UNIT NAME
  local n r s b
  n=$(of "$1" nginx) r=$(of "$1" registry) s=$(of "$1" store) b=$(of "$1" bundle)
  echo "| $3, $2 | ${n:--} | ${r:--} | $s | ${b:--} | $([ -n "$n" ] && ratio "$s" "$n" || echo -) | $(ratio "$s" "$r") |"
}
table=$(
  echo "Measured on $(date -u +%F), $(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)), by \`benches/compare-serve.sh\`:"
  echo "medians of $rounds rounds, one blob of 256 MiB in the page cache, everything on loopback."
  echo
  echo "| | nginx | docker-registry | airlift, store | airlift, bundle | store / nginx | store / docker-registry |"
  echo "|---|---:|---:|---:|---:|---:|---:|"
  row one MB/s "a blob, one connection (curl)"
  row eight MB/s "a blob, eight connections (wrk)"
  row cost "ms/GB" "processor time of the server for that"
  row manifest 1/s "a manifest by tag, sixteen connections (wrk)"
  row push MB/s "eight blobs of 64 MiB pushed, four at a time, hashed by the client"
  echo
  echo "A bundle of 50 artifacts and 10,001 blobs is served after $(of start bundle) ms; the process then has $(of idle bundle) MiB in memory,"
  echo "over a store with the same content $(of idle store) MiB. Under 64 parallel pulls of the large blob it has $(of busy bundle) MiB at the most."
)
echo "$table"
[ "$rounds" -ge 5 ] || exit 0
page=$root/docs/performance.md
begin='<!-- compare-serve: begin -->' end='<!-- compare-serve: end -->'
[ -e "$page" ] || printf '# Performance\n' >"$page"
grep -qF "$begin" "$page" || printf '\n## Serving\n\n%s\n%s\n' "$begin" "$end" >>"$page"
TABLE=$table awk -v begin="$begin" -v end="$end" '
  $0 == end { skip = 0 }
  !skip
  $0 == begin { print ENVIRON["TABLE"]; skip = 1 }' "$page" >"$page.new"
mv "$page.new" "$page"
