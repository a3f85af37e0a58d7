"""Prints the tables of compare-pack.sh from its samples; what was not measured is a dash.

pack_table.py FOLDER
"""
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
NAMES = {
    "update-2": "an update, packed against the release before",
    "update-3": "the next update",
    "one": "one release alone",
    "three": "three releases in one bundle",
}
GOALS = {"update-2": 20, "update-3": 20, "one": 68, "three": 42}
samples = {}
for line in (folder / "samples").read_text().splitlines():
    name, *numbers = line.split()
    samples[name] = dict(zip(("input", "output", "seconds", "cpu", "rss", "load"), map(float, numbers)))


def share(name):
    found = samples.get(name)
    return f"{100 * found['output'] / found['input']:.1f} %" if found else "–"


def column(name, key, scale=1.0):
    found = samples.get(name)
    return f"{found[key] / scale:.0f}" if found else "–"


print("| bundle | MB | packed | goal | `zstd -19 --long=30` of the bundle | `zstd -19 --patch-from` the release before |")
print("|---|---:|---:|---:|---:|---:|")
for kind, name in NAMES.items():
    size = column(f"pack:{kind}", "input", 1e6)
    # Alone, an update is the same file as the release.
    alone = share("zstd:one" if kind == "update-2" else f"zstd:{kind}")
    print(f"| {name} | {size} | {share(f'pack:{kind}')} | ≤ {GOALS[kind]} % | {alone} | {share(f'patch:{kind}')} |")
print()
print("| layer | gzip, MB | update | alone |")
print("|---|---:|---:|---:|")
layers = {}
for kind in ("update-2", "one"):
    path = folder / f"{kind}.json"
    blobs = json.loads(path.read_text())["blobs"] if path.exists() else []
    for blob in blobs:
        if blob["size"] > 1 << 16:
            layers.setdefault(blob["digest"], {"size": blob["size"]})[kind] = (blob["packed"], blob["coding"])
for image in "debian python node go rust java".split():
    for path in folder.glob(f"layouts/{image}-2/blobs/sha256/*"):
        layer = layers.get(f"sha256:{path.name}")
        if layer:
            cells = [f"{100 * layer[kind][0] / layer['size']:.1f} %, {layer[kind][1]}" if kind in layer else "–" for kind in ("update-2", "one")]
            print(f"| {image} | {layer['size'] / 1e6:.1f} | {cells[0]} | {cells[1]} |")
made = whole = 0
for path in folder.glob("*.json"):
    for blob in json.loads(path.read_text())["blobs"]:
        if blob["coding"] != "plain":
            whole += blob["size"]
            made += blob["size"] if blob["coding"] == "recipe" else 0
jobs = [{name.rsplit(":", 1)[1] for name in samples if name.startswith(f"same:{kind}:")} for kind in NAMES]
print()
if made:
    print(f"Of all gzip bytes in these bundles {100 * made / whole:.1f} % are made again by a recipe (goal 98 %).", end=" ")
if all(found >= {"1", "2", "8"} for found in jobs):
    print("Unpacked at `--jobs` 1, 2 and 8, each bundle has the SHA-256 that it had.", end="")
print()
print()
ENCODERS = {
    "debian": "Go, level 6",
    "python": "pgzip 1.2.6 (klauspost 1.18.2), level 5",
    "node": "Go, level 1",
    "go": "Go, level 6",
    "rust": "pgzip 1.2.6 (klauspost 1.15.15), level 5",
    "java": "Java (zlib), level 6",
}
print("The update of each image by itself, packed against the release before and imported into a store:")
print()
print("| image | its layer is gzip by | gzip, MB | packed | pack, s · CPU s | import, s · CPU s | import, MB of gzip in two CPU seconds |")
print("|---|---|---:|---:|---:|---:|---:|")
for image, encoder in ENCODERS.items():
    pack, back = samples.get(f"pack:image-{image}"), samples.get(f"import:image-{image}")
    if pack and back:
        rate = back["input"] * 2 / max(back["cpu"], 0.01) / 1e6
        print(
            f"| {image} | {encoder} | {pack['input'] / 1e6:.1f} | {share(f'pack:image-{image}')} | {pack['seconds']:.1f} · "
            f"{pack['cpu']:.1f} | {back['seconds']:.1f} · {back['cpu']:.1f} | {rate:.0f} |"
        )
print()
print("| step | seconds | CPU seconds | MB of gzip in a CPU second | peak MiB | load at the beginning |")
print("|---|---:|---:|---:|---:|---:|")
for name, found in samples.items():
    if found["seconds"] and not name.startswith(("zstd", "patch")) and ":image-" not in name:
        rate = found["input"] / max(found["cpu"], 0.01) / 1e6
        print(
            f"| {name.replace(':', ' ')} | {found['seconds']:.0f} | {found['cpu']:.0f} | {rate:.1f} | "
            f"{found['rss'] / 1024:.0f} | {found['load']:.1f} |"
        )
print()
pack, back = samples["pack:update-2"], samples["import:update-2"]
print("Minutes until the update is in the target, with two free cores for packing and importing (half their CPU seconds); the plain bundle")
print("is taken to be imported in no time:")
print()
print("| link | plain bundle | packed | packed, of the plain time |")
print("|---|---:|---:|---:|")
for megabits in (10, 50, 100, 1000):
    plain = pack["input"] * 8 / megabits / 1e6
    packed = pack["output"] * 8 / megabits / 1e6 + (pack["cpu"] + back["cpu"]) / 2
    print(f"| {megabits} Mbit/s | {plain / 60:.1f} | {packed / 60:.1f} | {100 * packed / plain:.0f} % |")
