#!/usr/bin/env python3
"""No machine's paths, no package registry's hosts, no unfinished business in the tree."""
import re

from lint import Report, lines_of, tree

# In two halves, so that this file does not find itself.
HOSTS = [a + b for a, b in [
    ("deb.", "debian.org"), ("security.", "debian.org"), ("registry.", "npmjs.org"),
    ("registry.", "yarnpkg.com"), ("proxy.", "golang.org"), ("sum.", "golang.org"),
    ("repo.maven.", "apache.org"), ("repo1.", "maven.org"), ("files.", "pythonhosted.org"),
    ("pypi.", "org"), ("static.", "crates.io"), ("index.", "crates.io"),
]]
PATHS = [r"(?<![\w.])/" + name + r"/" for name in ("work", "root", "home/[a-z]", "Users")]
UNFINISHED = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "not " + "implemented"]

BAD = (
    [(re.compile(re.escape(h), re.I), "names the host of a package registry") for h in HOSTS]
    + [(re.compile(p), "has a path of one machine") for p in PATHS]
    + [(re.compile(r"\b" + w + r"\b", re.I if " " in w else 0), "is unfinished") for w in UNFINISHED]
)
BINARY = {".bin", ".gz", ".jar", ".png", ".jsonl"}


def main():
    report = Report("words")
    for path in tree():
        if path.name == "LICENSE" or path.suffix in BINARY or "corpus" in path.parts:
            continue
        for n, line in lines_of(path):
            for pattern, text in BAD:
                m = pattern.search(line)
                if m:
                    report.fault(path, n, f"`{m[0]}` {text}")
    return report.done()


if __name__ == "__main__":
    raise SystemExit(main())
