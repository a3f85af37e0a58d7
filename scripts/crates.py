#!/usr/bin/env python3
"""What other people wrote and the binary has in it: their notices as text, or the list of them as CycloneDX JSON.

    scripts/crates.py notices|sbom [--target TRIPLE]

Everything comes from `cargo metadata`, Cargo.lock and the crates' own files, in an order that depends on nothing else.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTICE = re.compile(r"^(licen[sc]e|copying|notice|copyright|unlicense|patents)", re.IGNORECASE)

# What is linked beside the crates, and what its licence asks of whoever passes the binary on.
SYSTEM = """\
The GNU C Library (static binaries for *-linux-gnu)
===================================================
Copyright (C) 1991-2026 Free Software Foundation, Inc. GNU Lesser General Public License, version 2.1 or later: the text is at
https://www.gnu.org/licenses/old-licenses/lgpl-2.1.txt and, on Debian, in /usr/share/common-licenses/LGPL-2.1.
airlift's complete source code and scripts/dist, which builds this binary from it, are public: with them, you can link it with
another version of the library. The source code of the library is at https://sourceware.org/glibc/ and in Debian's package glibc.

The Rust standard library
=========================
Copyright (c) The Rust Project Contributors. MIT OR Apache-2.0; https://github.com/rust-lang/rust, COPYRIGHT.

GCC's runtime library (libgcc, libgcc_eh)
=========================================
GNU General Public License, version 3, with the GCC Runtime Library Exception, version 3.1.
"""


def metadata(target):
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def linked(data):
    """The packages that the program is made of, and for each the ones that it uses. Not those of tests and of builds."""
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    root = data["resolve"]["root"]
    uses, todo = {}, [root]
    while todo:
        one = todo.pop()
        if one in uses:
            continue
        normal = [each["pkg"] for each in nodes[one]["deps"] if any(kind["kind"] is None for kind in each["dep_kinds"])]
        uses[one] = sorted(set(normal) - {one})
        todo.extend(uses[one])
    packages = {each["id"]: each for each in data["packages"]}
    return root, {one: packages[one] for one in uses}, uses


def in_order(packages):
    return sorted(packages.values(), key=lambda package: (package["name"], package["version"], package["id"]))


def notices(data):
    root, packages, _ = linked(data)
    texts = {}
    for package in in_order(packages):
        if package["id"] == root:
            continue
        folder = pathlib.Path(package["manifest_path"]).parent
        files = [path for path in folder.iterdir() if path.is_file() and NOTICE.match(path.name)]
        found = [path.read_text(encoding="utf-8", errors="replace").strip() for path in sorted(files)]
        head = f'{package["name"]} {package["version"]}\n  licence: {package["license"] or "see its text"}'
        if package["repository"]:
            head += f'\n  source: {package["repository"]}'
        if not found and package["authors"]:
            head += f'\n  authors: {", ".join(package["authors"])}'
        texts.setdefault("\n\n".join(found), []).append(head)
    print("What others wrote and airlift's binary has in it, with their licences.\n")
    print(SYSTEM)
    # One text is printed once, for all crates that have it.
    for text, heads in texts.items():
        print("=" * 100)
        print("\n".join(heads))
        print("-" * 100)
        print(text or "(No text of its own: the licence named above, as published by SPDX, applies.)")
        print()


def purl(package):
    return f'pkg:cargo/{package["name"]}@{package["version"]}'


def component(package, sums):
    # SPDX's own expressions; crates of old write "/" for "or".
    expression = (package["license"] or "").replace("/", " OR ").replace("  ", " ")
    result = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package["description"]:
        result["description"] = " ".join(package["description"].split())
    if expression:
        result["licenses"] = [{"expression": expression}]
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        result["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        result["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return result


def system(target):
    """The C library that is linked, which scanners look for, too."""
    if not target.endswith("-gnu"):
        return []
    version = subprocess.run(["getconf", "GNU_LIBC_VERSION"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]
    reference = f"pkg:generic/glibc@{version}"
    return [{
        "type": "library",
        "bom-ref": reference,
        "name": "glibc",
        "version": version,
        "purl": reference,
        "licenses": [{"expression": "LGPL-2.1-or-later"}],
    }]


def sbom(data, target):
    root, packages, uses = linked(data)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    sums = {(each["name"], each["version"]): each.get("checksum") for each in lock["package"]}
    time = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    own = component(packages[root], sums) | {"type": "application"}
    others = system(target)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": own,
            "properties": [{"name": "airlift:target", "value": target}],
        },
        "components": [component(each, sums) for each in in_order(packages) if each["id"] != root] + others,
        "dependencies": [
            {"ref": purl(each), "dependsOn": sorted(purl(packages[use]) for use in uses[each["id"]])}
            for each in in_order(packages)
        ],
    }
    # The number of a document is one of its content, so that the same content has the same number.
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).digest()
    document["serialNumber"] = f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["notices", "sbom"])
    parser.add_argument("--target", default="x86_64-unknown-linux-gnu")
    chosen = parser.parse_args()
    data = metadata(chosen.target)
    notices(data) if chosen.what == "notices" else sbom(data, chosen.target)


if __name__ == "__main__":
    main()
