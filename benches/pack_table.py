"""Prints the tables of compare-pack.sh from its samples."""
import collections
import sys

NAMES = "size packed pack pack_rss import_ import_rss zstd patch recipe gzip".split()
Sample = collections.namedtuple("Sample", NAMES)
KINDS = {"update": "an update, beside the release before", "one": "one release alone", "three": "three releases in one bundle"}
GOALS = {"update": 20, "one": 68, "three": 42}

samples = collections.defaultdict(list)
for line in open(sys.argv[1], encoding="utf-8"):
    kind, image, *numbers = line.split()
    samples[kind, image].append(Sample(*map(float, numbers)))


def total(found):
    return Sample(*(max(column) if "rss" in name else sum(column) for name, column in zip(NAMES, zip(*found))))


def share(part, whole):
    return f"{100 * part / whole:.1f} %" if part else "–"


def rate(found, seconds):
    return f"{found.size / seconds / 1e6:.0f}"


images = list(dict.fromkeys(image for _, image in samples))
print("| what | image | MB | packed | `zstd -19 --long=30` | `zstd --patch-from` | pack, MB/s | import, MB/s | peak MiB, pack and import |")
print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
for kind, name in KINDS.items():
    rows = [(image, total(samples[kind, image])) for image in images]
    everything = total([found for _, found in rows])
    for image, found in [*rows, ("**all**", everything)]:
        print(
            f"| {name} | {image} | {found.size / 1e6:.1f} | {share(found.packed, found.size)} | {share(found.zstd, found.size)} | "
            f"{share(found.patch, found.size)} | {rate(found, found.pack)} | {rate(found, found.import_)} | "
            f"{found.pack_rss:.0f}, {found.import_rss:.0f} |"
        )
whole = {kind: total([found for image in images for found in samples[kind, image]]) for kind in KINDS}
print()
print("| figure | goal | found |")
print("|---|---|---:|")
for kind, name in KINDS.items():
    print(f"| {name}, of its bytes | ≤ {GOALS[kind]} % | {share(whole[kind].packed, whole[kind].size)} |")
print(f"| gzip bytes that are made again by recipe | ≥ 98 % | {share(whole['three'].recipe, whole['three'].gzip)} |")
print(f"| packing, MB/s | ≥ 15 | {rate(whole['update'], whole['update'].pack)} |")
print()
print("Minutes until an update of all six images is in the target: packing, sending and importing, beside sending the bundle and importing it.")
print("The plain bundle is taken to be imported in no time.")
print()
print("| link | plain bundle | packed | packed, of the plain time |")
print("|---|---:|---:|---:|")
found = whole["update"]
for megabits in (10, 50, 100, 1000):
    plain = found.size * 8 / megabits / 1e6
    packed = found.packed * 8 / megabits / 1e6 + found.pack + found.import_
    print(f"| {megabits} Mbit/s | {plain / 60:.1f} | {packed / 60:.1f} | {share(packed, plain)} |")
