#!/usr/bin/env python3
"""Makes image layouts from real packages: one layout for each release of each application.

    pack_layouts.py WORK GO-GZIP KLAUSPOST-GZIP

WORK/APPLICATION/RELEASE/ has the package's files as their registry gives them (wheels, npm tarballs). A layout is
WORK/layouts/APPLICATION-RELEASE. Layers are gzip by the encoder that the application's usual builder has: Go's level 6
(docker, BuildKit), pgzip's default (podman, buildah) or zlib (Python, jib).
"""
import gzip
import hashlib
import io
import json
import pathlib
import struct
import subprocess
import sys
import tarfile
import zipfile

work, go, klauspost = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def framed(command, content):
    made = subprocess.run(command, input=struct.pack("<I", len(content)) + content, stdout=subprocess.PIPE, check=True)
    return made.stdout[4:]


ENCODERS = {
    "go": lambda content: framed([go, "6"], content),
    "pgzip": lambda content: framed([klauspost, str(1 << 20), "5"], content),
    "zlib": lambda content: gzip.compress(content, 6, mtime=0),
}


def files(package):
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            for name in sorted(archive.namelist()):
                yield name, archive.read(name)
    else:
        with tarfile.open(package) as archive:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                if member.isfile():
                    yield member.name, archive.extractfile(member).read()


def tar(folder):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for package in sorted(folder.iterdir()):
            for name, content in files(package):
                entry = tarfile.TarInfo("opt/app/" + name)
                entry.size = len(content)
                entry.mtime = 1_700_000_000
                archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def layout(application, release, encoder, folder):
    out = work / "layouts" / f"{application}-{release}"
    (out / "blobs/sha256").mkdir(parents=True, exist_ok=True)

    def put(media_type, content):
        digest = hashlib.sha256(content).hexdigest()
        (out / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    content = tar(folder)
    layer = put("application/vnd.oci.image.layer.v1.tar+gzip", ENCODERS[encoder](content))
    diff = f"sha256:{hashlib.sha256(content).hexdigest()}"
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff]}}
    config = put("application/vnd.oci.image.config.v1+json", json.dumps(config).encode())
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
    manifest = put(MANIFEST, json.dumps(manifest).encode())
    manifest["annotations"] = {"org.opencontainers.image.ref.name": f"bench.example/{application}:{release}"}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [manifest]}
    (out / "index.json").write_text(json.dumps(index))
    (out / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


for line in (work / "applications").read_text().splitlines():
    application, encoder, *releases = line.split()
    for release in releases:
        layout(application, release, encoder, work / application / release)
