#!/usr/bin/env python3
"""Bytes and time of an update against the whole bundle, for a made-up site of ten images.

    benches/compare-delta.py [AIRLIFT]      AIRLIFT: the program [default: target/dist/airlift]

Every image has a base that all share, a runtime that five share, its dependencies and its application. Content is noise, for layers are
left out whole or not at all. Prints a table in Markdown.
"""

import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
BASE, RUNTIME, DEPENDENCIES, APPLICATION = 30 * MIB, 60 * MIB, 20 * MIB, 5 * MIB
IMAGES = 10


def blob(folder, content):
    digest = hashlib.sha256(content).hexdigest()
    path = folder / "blobs" / "sha256" / digest
    if not path.exists():
        path.write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def layout(folder, layers_of):
    """An image layout in which image `n` has the layers `layers_of(n)`, pairs of a seed and a size."""
    (folder / "blobs" / "sha256").mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    manifests = []
    for n in range(IMAGES):
        layers = [blob(folder, random.Random(seed).randbytes(size)) for seed, size in layers_of(n)]
        for layer in layers:
            layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip"
        ids = [layer["digest"] for layer in layers]
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}}
        config = blob(folder, json.dumps(config).encode())
        config["mediaType"] = "application/vnd.oci.image.config.v1+json"
        kind = "application/vnd.oci.image.manifest.v1+json"
        image = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers}
        image = blob(folder, json.dumps(image).encode())
        name = f"registry.example/team/app-{n}:stable"
        manifests.append({"mediaType": kind, **image, "annotations": {"io.containerd.image.name": name}})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    (folder / "index.json").write_text(json.dumps(index))


def release(base=0, applications=0, dependencies=()):
    def layers(n):
        changed = applications if n in dependencies else 0
        return [
            (f"base-{base}", BASE),
            (f"runtime-{base}-{n % 2}", RUNTIME),
            (f"dependencies-{base}-{n}-{changed}", DEPENDENCIES),
            (f"application-{n}-{applications}", APPLICATION),
        ]

    return layers


def run(*args):
    begin = time.monotonic()
    subprocess.run([str(arg) for arg in args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def main():
    airlift = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/dist/airlift").resolve()
    steps = [
        ("applications change", release(applications=1)),
        ("applications change, and the dependencies of two", release(applications=2, dependencies=(0, 1))),
        ("everything is built again on a new base", release(base=1, applications=3)),
        ("nothing changes", release()),
    ]
    with tempfile.TemporaryDirectory(prefix="airlift-delta-") as work:
        work = pathlib.Path(work)
        os.chdir(work)
        layout(work / "first", release())
        run(airlift, "export", "--from", "first", "-o", "first.tar")
        run(airlift, "import", "first.tar", "--store", "site", "--receipt", "receipt.json")
        sizes = [(work / name).stat().st_size for name in ("first.tar", "receipt.json")]
        print(f"The first bundle has {sizes[0] / MIB:.1f} MiB, its receipt {sizes[1] / 1024:.1f} KiB.\n")
        print("| step | whole | update | share | export whole | export update |\n|---|---|---|---|---|---|")
        for number, (name, layers) in enumerate(steps):
            source = work / f"source-{number}"
            layout(source, layers)
            whole = run(airlift, "export", "--from", source, "-o", f"whole-{number}.tar")
            part = run(airlift, "export", "--from", source, "-o", f"update-{number}.tar", "--base", "receipt.json")
            all_bytes, part_bytes = ((work / f"{kind}-{number}.tar").stat().st_size for kind in ("whole", "update"))
            print(
                f"| {name} | {all_bytes / MIB:.1f} MiB | {part_bytes / MIB:.2f} MiB | {100 * part_bytes / all_bytes:.2f} % "
                f"| {whole:.1f} s | {part:.1f} s |"
            )
            for kind in ("whole", "update"):
                (work / f"{kind}-{number}.tar").unlink()
            subprocess.run(["rm", "-r", source], check=True)


main()
