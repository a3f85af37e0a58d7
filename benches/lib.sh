# Sourced by the scripts of this folder: where things lie, a docker-registry on loopback, medians, and the page that is written.

bench=${AIRLIFT_BENCH_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target/bench}
mkdir -p "$bench"
bench=$(cd "$bench" && pwd)

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
need() { for program; do command -v "$program" >/dev/null || die "$program is missing: tests/setup installs it"; done; }

registries=()
# Ends what was started here, by pid, whatever happens.
end_registries() {
  local pid
  for pid in "${registries[@]}"; do stop_registry "$pid"; done
}

# start_registry FOLDER: a registry with its storage in FOLDER; sets `address`, `registry_pid` and `registry_log`.
start_registry() {
  mkdir -p "$1"
  registry_log=$1/log
  cat >"$1/config.yml" <<YML
version: 0.1
log: { level: info, accesslog: { disabled: false } }
storage:
  filesystem: { rootdirectory: $1/storage }
  delete: { enabled: true }
  maintenance: { uploadpurging: { enabled: false } }
http: { addr: "127.0.0.1:0" }
YML
  : >"$registry_log" # the loop below may look before the registry writes
  OTEL_TRACES_EXPORTER=none docker-registry serve "$1/config.yml" >"$registry_log" 2>&1 &
  registry_pid=$!
  registries+=("$registry_pid")
  address=
  while [ -z "$address" ]; do
    kill -0 "$registry_pid" 2>/dev/null || die "docker-registry does not start: $(cat "$registry_log")"
    address=$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\).*/\1/p' "$registry_log")
  done
}

# stop_registry PID
stop_registry() {
  # A process that was ended by a signal counts as failed.
  { kill "$1" && wait "$1"; } 2>/dev/null || true
  local left=() pid
  for pid in "${registries[@]}"; do [ "$pid" = "$1" ] || left+=("$pid"); done
  registries=("${left[@]}")
}

# push_blob ADDRESS REPOSITORY FILE DIGEST: POST, then one PUT.
push_blob() {
  local location
  location=$(curl -sS -o /dev/null -w '%header{location}' -X POST "http://$1/v2/$2/blobs/uploads/" -H 'content-length: 0')
  curl -sS --fail -o /dev/null -X PUT -H 'content-type: application/octet-stream' -T "$3" "$location&digest=$4"
}

# push_manifest ADDRESS REPOSITORY NAME MEDIA_TYPE FILE
push_manifest() {
  curl -sS --fail -o /dev/null -X PUT -H "content-type: $4" --data-binary "@$5" "http://$1/v2/$2/manifests/$3"
}

# wanted NAME: whether ONLY, if it is set, names this contestant.
wanted() { [ -z "${only:-}" ] || [[ " $only " == *" $1 "* ]]; }

# median NAME FIELD: of a field in `samples`, whose lines begin with a name; nothing if it was not measured.
median() {
  awk -v name="$1" -v field="$2" '$1 == name { print $field }' "$samples" | sort -g |
    awk '{ value[NR] = $1 } END { if (NR) printf "%s", value[int((NR + 1) / 2)] }'
}

# ratio A B [FORMAT]
ratio() {
  if [ -n "$1" ] && [ -n "$2" ]; then awk -v a="$1" -v b="$2" -v f="${3:-%.2f}" 'BEGIN { printf f, a / b }'; else printf '–'; fi
}

# machine: what it was measured on, in two lines; `load` is that before the run.
machine() {
  echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n1), $(nproc) cores, $(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo) of memory,"
  echo "Linux $(uname -r), $(stat -f -c %T "$bench"); load before the run: $load."
}

# publish NAME: shows what the function `table` says, and puts it between the marks NAME of docs/performance.md, unless the run
# was not a full one.
publish() {
  local page=$root/docs/performance.md table=$bench/$1.md
  table >"$table"
  cat "$table"
  if [ -n "${only:-}" ] || [ "$rounds" -lt "${full_rounds:-5}" ]; then
    say "docs/performance.md is left alone: not a full run"
    return
  fi
  [ -e "$page" ] || cp "$here/performance.md" "$page"
  awk -v table="$table" -v name="$1" '
    index($0, "<!-- " name ":begin -->") { print; print ""; while ((getline line <table) > 0) print line; print ""; skip = 1 }
    index($0, "<!-- " name ":end -->") { skip = 0 }
    !skip' "$page" >"$work/page"
  cat "$work/page" >"$page"
  say "docs/performance.md is written"
}
