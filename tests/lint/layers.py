#!/usr/bin/env python3
"""A file of core/ includes only folders that core/layers.txt lets its folder see."""
import re

from lint import ROOT, Report, lines_of, sources

CORE = ROOT / "core"


def read_map(report):
    allowed = {}
    for n, line in lines_of(CORE / "layers.txt"):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, rest = line.partition(":")
        if not colon:
            report.fault(CORE / "layers.txt", n, "expected `folder : folders it may see`")
            continue
        allowed[name.strip()] = set(rest.split())
    return allowed


def check_map(allowed, report):
    """The map names real folders and has no cycle: a folder stands below whom it sees."""
    above = set()
    for name, sees in allowed.items():
        if not (CORE / name).is_dir():
            report.fault(CORE / "layers.txt", 0, f"there is no folder core/{name}")
        for other in sorted(sees - above):
            report.fault(CORE / "layers.txt", 0, f"{name} sees {other}, which is not above it")
        above.add(name)
    for folder in sorted(p.name for p in CORE.iterdir() if p.is_dir()):
        if folder not in allowed:
            report.fault(CORE / "layers.txt", 0, f"core/{folder} is not in the map")


def check_file(path, allowed, report):
    folder = path.relative_to(CORE).parts[0]
    for n, line in lines_of(path):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not m:
            continue
        target = m[1].split("/")[0]
        if "/" not in m[1]:
            report.fault(path, n, f'write the folder too: "{folder}/{m[1]}"')
        elif target != folder and target in allowed and target not in allowed.get(folder, set()):
            report.fault(path, n, f"{folder}/ may not include {target}/")


def main():
    report = Report("layers")
    allowed = read_map(report)
    check_map(allowed, report)
    for path in sources("core", ".c", ".h", ".def"):
        check_file(path, allowed, report)
    return report.done()


if __name__ == "__main__":
    raise SystemExit(main())
