#!/usr/bin/env python3
"""What `airlift find` finds beside the rules of two other tools, over the same text.

  benches/compare-find.py TEXTS        TEXTS has one NAME.yaml for each benches/find/NAME.txt

The head of each list says which text it was read from: a public repository at a commit, rendered by `helm template` where
it is a chart. None of that text is kept here. A list names every image that the text names outright; comments, descriptions
and words that are put together at run time are not images.

Recall is the part of the list that was found, by whatever rule. Precision is the part of the finds that is on the list,
among those that a tool takes without a person: sure and likely of airlift, the "matched" images of zarf.

The rules of the others are written down here from their sources: zarf `dev find-images` (typed pod specs, a pattern on the
JSON of other kinds, a second pattern for "maybe" images, which it then looks up in registries) and hauler
`store add chart --add-images` (one pattern, line by line).

  AIRLIFT=path/to/airlift              another binary than target/release/airlift
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
AIRLIFT = os.environ.get("AIRLIFT", str(HERE.parent / "target/release/airlift"))
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML 1.1 has a type for a lone "=", which the schemas of some operators hold.
LOADER.add_constructor("tag:yaml.org,2002:value", LOADER.construct_scalar)

ZARF_IMAGE = re.compile(r'(?mi)"image":"((([a-z0-9._-]+)/)?([a-z0-9._-]+)(:([a-z0-9._-]+))?)"')
ZARF_MAYBE = re.compile(r'(?mi)["|=]([a-z0-9\-_.\/:]+:[\w.\-_]*[a-z\.\-_][\w.\-_]*)"')
HAULER = re.compile(r"""(?m)^[ \t-]*image:[ \t]*['"]?([^\s'"#]+)""")
POD_SPECS = {
    "Pod": ["spec"],
    "CronJob": ["spec", "jobTemplate", "spec", "template", "spec"],
    **{
        kind: ["spec", "template", "spec"]
        for kind in ["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "ReplicationController", "Job"]
    },
}


def in_full(name):
    """A reference as airlift writes it."""
    first = name.split("/")[0]
    if "/" not in name or not ("." in first or ":" in first or first == "localhost"):
        name = "docker.io/" + (name if "/" in name else "library/" + name)
    last = name.split("@")[0].rsplit("/", 1)[-1]
    return name if ":" in last or "@" in name else name + ":latest"


def zarf(text):
    matched, maybe = set(), set()
    for document in yaml.load_all(text, Loader=LOADER):
        if not isinstance(document, dict):
            continue
        items = document.get("items") if document.get("kind", "").endswith("List") else [document]
        for item in items or []:
            compact = json.dumps(item, separators=(",", ":"), default=str)
            path = POD_SPECS.get(item.get("kind"))
            if path:
                spec = item
                for key in path:
                    spec = (spec or {}).get(key)
                for key in ["initContainers", "containers", "ephemeralContainers"]:
                    matched |= {c["image"] for c in (spec or {}).get(key) or [] if c.get("image")}
            else:
                matched |= {found[0] for found in ZARF_IMAGE.findall(compact)}
            maybe |= set(ZARF_MAYBE.findall(compact))
    return {in_full(name) for name in matched}, {in_full(name) for name in matched | maybe}


def hauler(text):
    found = {in_full(name) for name in HAULER.findall(text)}
    return found, found


def airlift(path):
    ran = subprocess.run([AIRLIFT, "find", path, "--json", "--quiet"], capture_output=True, check=False, text=True)
    artifacts = json.loads(ran.stdout)["artifacts"]
    return (
        {artifact["reference"] for artifact in artifacts if artifact["confidence"] != "guess"},
        {artifact["reference"] for artifact in artifacts},
    )


def share(part, whole):
    return len(part) / len(whole) if whole else 1.0


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    texts = pathlib.Path(sys.argv[1])
    tools = ["airlift", "zarf", "hauler"]
    total = {tool: [0, 0, 0, 0, 0] for tool in tools}
    print("| text | images | " + " | ".join(f"{tool} recall | {tool} precision" for tool in tools) + " |")
    print("|---|---:|" + "---:|" * 2 * len(tools))
    for list_file in sorted((HERE / "find").glob("*.txt")):
        wanted = {line.strip() for line in list_file.read_text().splitlines() if line.strip() and line[0] != "#"}
        path = texts / f"{list_file.stem}.yaml"
        text = path.read_text()
        cells = []
        for tool, (taken, everything) in zip(tools, [airlift(path), zarf(text), hauler(text)]):
            cells += [f"{share(wanted & everything, wanted):.2f}", f"{share(wanted & taken, taken):.2f}"]
            sums = total[tool]
            for place, number in enumerate([wanted & everything, wanted, wanted & taken, taken, everything]):
                sums[place] += len(number)
            for kind, names in [("missed", wanted - everything), ("wrong", taken - wanted)]:
                if os.environ.get("VERBOSE") and names:
                    print(f"{list_file.stem}: {tool} {kind} {sorted(names)}", file=sys.stderr)
        print(f"| {list_file.stem} | {len(wanted)} | " + " | ".join(cells) + " |")
    cells = [f"{a / b:.2f} | {c / d:.2f}" for a, b, c, d, _ in total.values()]
    print(f"| all | {total['airlift'][1]} | " + " | ".join(cells) + " |")
    taken = ", ".join(f"{tool} {sums[2]}" for tool, sums in total.items())
    print(f"\nOf these images, taken without a person: {taken}.")
    offered = ", ".join(f"{tool} {sums[4]}" for tool, sums in total.items())
    print(f"Finds of any kind that a person is shown: {offered}.")


if __name__ == "__main__":
    main()
