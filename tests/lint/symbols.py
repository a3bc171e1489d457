#!/usr/bin/env python3
"""
Every global symbol of a file of core/ begins with one of
- the file's name, or its folder's name;
- the name of a struct or enum that the file's header defines (`struct thing`, `thing_verb()`);
- a short form that the first line of its header, or of the folder's own (namesrv/namesrv.h), gives:
  `name (short_, OTHER_) - what it is`;
- on_, in a folder whose handlers.h declares the request handlers.

usage: symbols.py BUILD_FOLDER    (of a build that is done)
"""
import fnmatch
import pathlib
import re
import subprocess
import sys

from lint import ROOT, Report, exceptions

CORE = ROOT / "core"
FREE = {"base"}  # shares tl_, x*alloc and its own words


def short_forms(path):
    """What stands in parentheses in `name (a_, b_*) - ...` of the first lines of @path."""
    if not path.exists():
        return []
    head = "\n".join(path.read_text(encoding="utf-8").splitlines()[:3])
    m = re.search(r"^(?:/\*| \*) ?\w+ \(([^)]*)\) - ", head, re.M)
    return [form.strip() for form in m[1].split(",")] if m else []


def things_of(header):
    """Prefixes from the structs and enums that @header defines."""
    if not header.exists():
        return []
    text = header.read_text(encoding="utf-8")
    return [tag + "_" for tag in re.findall(r"^(?:struct|enum)\s+(\w+) \{", text, re.M)]


def patterns(source):
    """The names a file may define, as shell patterns."""
    folder, stem = source.parent, source.stem
    found = {stem + "_", folder.name + "_"}
    found.update(things_of(source.with_suffix(".h")))
    found.update(short_forms(source))
    found.update(short_forms(source.with_suffix(".h")))
    found.update(short_forms(folder / (folder.name + ".h")))
    for header in folder.glob("*.h"):  # header_json.c is a part of header
        if stem.startswith(header.stem + "_"):
            found.add(header.stem + "_")
            found.update(short_forms(header) + things_of(header))
    if (folder / "handlers.h").exists():
        found.add("on_")
    return [form if "*" in form else form + "*" for form in found] + [stem, "main"]


def objects(build):
    for path in sorted(build.rglob("*.o")):
        m = re.search(r"CMakeFiles/tl_\w+\.dir/core/(\w+)/(\w+)\.c\.o$", str(path))
        if m:
            yield path, CORE / m[1] / (m[2] + ".c")


def globals_of(obj):
    out = subprocess.run(["nm", "--defined-only", "--extern-only", "--format=posix", str(obj)],
                         stdout=subprocess.PIPE, check=True).stdout.decode()
    return [line.split()[0] for line in out.splitlines() if line.strip()]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    report = Report("symbols")
    allowed = exceptions("symbols_allowed.txt", report)
    seen = set()
    count = 0
    for obj, source in objects(pathlib.Path(sys.argv[1])):
        if source.parent.name in FREE or not source.exists():
            continue
        count += 1
        may = patterns(source)
        for symbol in globals_of(obj):
            if symbol.startswith(("__", "_")) or any(fnmatch.fnmatchcase(symbol, p) for p in may):
                continue
            seen.add(symbol)
            if symbol not in allowed:
                report.fault(source, 0, f"{symbol} does not begin with {source.stem}_")
    if not count:
        report.fault(pathlib.Path(sys.argv[1]), 0, "no objects of core/ found")
    for symbol in sorted(set(allowed) - seen):
        report.fault(pathlib.Path("tests/lint/symbols_allowed.txt"), allowed[symbol],
                     f"{symbol} needs no exception (any more)")
    return report.done()


if __name__ == "__main__":
    raise SystemExit(main())
