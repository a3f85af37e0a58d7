#!/usr/bin/env bash
# Files of real packages for compare-pack.sh: three adjacent releases of six images, each as a folder WORK/trees/IMAGE/RELEASE.
# Everything comes through the usual clients: apt-get, pip, npm, go and mvn. Releases that are there already are kept.
#
#   pack_corpus.sh WORK [IMAGE...]
set -euo pipefail
work=$1
shift
only=" ${*:-debian python node go rust java} "
trees=$work/trees
mkdir -p "$trees" "$work/debs"

# tree IMAGE RELEASE COMMAND...: runs COMMAND with the folder to fill, unless that was done.
tree() {
  local image=$1 release=$2 goal=$trees/$1/$2
  [[ $only == *" $image "* ]] || return 0
  shift 2
  [ ! -e "$goal.done" ] || return 0
  rm -rf "$goal"
  mkdir -p "$goal"
  "$@" "$goal"
  touch "$goal.done"
  printf '%s %s: %s\n' "$image" "$release" "$(du -sh "$goal" | cut -f1)" >&2
}

# A Debian root: the packages of a minimal system, and what serves programs usually have. The three releases are the versions that
# the archive and its updates hold now: of a package with two versions, every second one moves at the first step, the others at the
# second.
root_packages="base-files bash coreutils dash debconf dpkg apt findutils gpgv grep gzip hostname init-system-helpers libapt-pkg6.0
  libattr1 libaudit1 libc-bin libc6 libcrypt1 libgcc-s1 libgcrypt20 libgnutls30 libhogweed6 libnettle8 libp11-kit0 libpam-modules
  libpam0g libpcre2-8-0 libseccomp2 libselinux1 libstdc++6 libsystemd0 libtasn1-6 libudev1 libunistring2 libzstd1 login
  mount ncurses-bin passwd perl-base sed sysvinit-utils tar tzdata util-linux zlib1g ca-certificates curl libcurl4 libnghttp2-14
  libldap-2.5-0 libssl3 openssl netbase python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libexpat1 libxml2 libicu72
  libsqlite3-0 git perl libkrb5-3"
debian_versions() {
  # shellcheck disable=SC2086 # the words are packages
  apt-cache madison $root_packages | awk -F'|' '{ gsub(/ /, ""); print $1, $2 }' | sort -uk1,1 -k2,2V |
    awk '$1 != name { name = $1; number += 1; found = 0 } { print number, name, $2 }' | python3 -c '
import collections, sys
found = collections.OrderedDict()
for line in sys.stdin:
    number, name, version = line.split()
    found.setdefault((int(number), name), []).append(version)
for release in 0, 1, 2:
    for (number, name), versions in found.items():
        at = len(versions) - 3 + release if len(versions) > 2 else (release + number % 2) // 2 if release < 2 else 1
        print(release + 1, name, versions[min(at, len(versions) - 1)])'
}
debian() { # RELEASE-NUMBER FOLDER
  local name version wanted=()
  [ -s "$work/debian.versions" ] || debian_versions >"$work/debian.versions"
  while read -r _ name version; do
    compgen -G "$work/debs/${name}_${version//:/%3a}_*.deb" >/dev/null || wanted+=("$name=$version")
  done < <(sort -uk2,3 "$work/debian.versions")
  [ ${#wanted[@]} -eq 0 ] || (cd "$work/debs" && apt-get download -qq "${wanted[@]}" 2>/dev/null)
  while read -r _ name version; do
    dpkg-deb -x "$work/debs/${name}_${version//:/%3a}"_*.deb "$2"
  done < <(grep "^$1 " "$work/debian.versions")
}

python_application() { # "REQUIREMENT..." FOLDER
  # shellcheck disable=SC2086 # the words are requirements
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --root-user-action ignore --target "$2" $1
}

node_application() { # "PACKAGE..." FOLDER
  # shellcheck disable=SC2086 # the words are packages
  (cd "$2" && npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional --omit=dev $1 >/dev/null)
}

go_toolchain() { # RELEASE FOLDER
  local zip
  zip=$(cd "$work" && go mod download -json "golang.org/toolchain@v0.0.1-go$1.linux-amd64" | sed -n 's/^\t"Zip": "\(.*\)",$/\1/p')
  python3 - "$zip" "$2" "$1" <<'PY'
import pathlib, sys, zipfile
# The layer has /usr/local/go; the module has test files and folders that the image has, too.
with zipfile.ZipFile(sys.argv[1]) as archive:
    for name in archive.namelist():
        to = pathlib.Path(sys.argv[2]) / "go" / name.split("/", 2)[2]
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(archive.read(name))
PY
}

rust_binary() { # REQUIREMENT FOLDER
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --root-user-action ignore --target "$2/wheel" "$1"
  mv "$2/wheel/bin" "$2/bin"
  rm -rf "$2/wheel"
}

java_application() { # RELEASE FOLDER
  cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<parent><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-parent</artifactId><version>$1</version></parent>
<groupId>bench</groupId><artifactId>application</artifactId><version>1</version>
<dependencies>$(for starter in web data-jpa security actuator validation; do
    echo "<dependency><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-$starter</artifactId></dependency>"
  done)<dependency><groupId>org.postgresql</groupId><artifactId>postgresql</artifactId></dependency></dependencies></project>
POM
  mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$2/app/libs" >/dev/null
}

for release in 1 2 3; do tree debian "$release" debian "$release"; done
python_fixed="gunicorn==23.0.0 requests==2.32.5 celery==5.5.3 urllib3==2.5.0 kombu==5.5.4"
tree python 1 python_application "$python_fixed django==5.2.17 botocore==1.44.6 numpy==2.4.4 pandas==3.0.5 pillow==12.2.0 cryptography==50.0.0 psycopg-binary==3.3.8"
tree python 2 python_application "$python_fixed django==5.2.18 botocore==1.44.7 numpy==2.4.5 pandas==3.0.5 pillow==12.2.0 cryptography==50.0.1 psycopg-binary==3.3.8"
tree python 3 python_application "$python_fixed django==5.2.19 botocore==1.44.8 numpy==2.4.5 pandas==3.0.6 pillow==12.2.0 cryptography==50.0.1 psycopg-binary==3.3.9"
for release in 16.4.4 16.4.5 16.4.6; do tree node "$release" node_application "next@$release react@19 react-dom@19"; done
for release in 1.25.1 1.25.2 1.25.3; do tree go "$release" go_toolchain "$release"; done
for release in 0.17.4 0.17.5 0.17.6; do tree rust "$release" rust_binary "ruff==$release"; done
for release in 3.3.1 3.3.2 3.3.3; do tree java "$release" java_application "$release"; done
