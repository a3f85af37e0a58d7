#!/usr/bin/env python3
"""Makes image layouts of the trees that pack_corpus.sh has fetched: one for each release of each image, with one layer.

    pack_layouts.py WORK IMAGE ENCODER...

An image's layouts are WORK/layouts/IMAGE-N, N from 1. The encoder is a command that compresses its input to its output; it is that of
the image's usual builder. `asked LEVEL BLOCK` before it says that it takes requests, as the programs of
tests/encoders want it.
"""
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import tarfile

work, image, encoder = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def tar(folder, goal):
    """What a builder makes of a folder: sorted, owned by root, with the times that files have; jib's are one second."""

    def entry(info):
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = 1 if image == "java" else int(info.mtime)
        return info

    with tarfile.open(goal, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(os.listdir(folder)):
            archive.add(folder / name, arcname=name, filter=entry)


def compress(content):
    if encoder[0] != "asked":
        return subprocess.run(encoder, input=content, stdout=subprocess.PIPE, check=True).stdout
    request = struct.pack("<bII", int(encoder[1]), int(encoder[2]), len(content)) + content
    return subprocess.run(encoder[3:], input=request, stdout=subprocess.PIPE, check=True).stdout[4:]


def layout(number, folder):
    out = work / "layouts" / f"{image}-{number}"
    (out / "blobs/sha256").mkdir(parents=True, exist_ok=True)

    def put(media_type, content):
        digest = hashlib.sha256(content).hexdigest()
        (out / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    tar(folder, work / "layer.tar")
    content = (work / "layer.tar").read_bytes()
    layer = put("application/vnd.oci.image.layer.v1.tar+gzip", compress(content))
    diff = f"sha256:{hashlib.sha256(content).hexdigest()}"
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff]}}
    config = put("application/vnd.oci.image.config.v1+json", json.dumps(config).encode())
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
    manifest = put(MANIFEST, json.dumps(manifest).encode())
    manifest["annotations"] = {"org.opencontainers.image.ref.name": f"bench.example/{image}:{number}"}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [manifest]}
    (out / "index.json").write_text(json.dumps(index))
    (out / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    print(f"{image} {number}: {len(content)} bytes of tar, {layer['size']} of gzip", file=sys.stderr)


releases = sorted(path for path in (work / "trees" / image).iterdir() if path.is_dir())
for number, folder in enumerate(releases, 1):
    layout(number, folder)
