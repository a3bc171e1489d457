#!/usr/bin/env python3
"""No file over 1,200 lines, no C function over 90; longer functions stand in long_functions.txt."""
import re

from lint import HERE, ROOT, Report, exceptions, lines_of, tree

FILE_MAX = 1200
FUNCTION_MAX = 90
TEXT = {".c", ".h", ".def", ".lua", ".py", ".sh", ".java", ".go", ".js", ".md"}


def functions(path):
    """(name, first line, lines) of each function: bodies open and close in column 0."""
    head = []
    start = None
    for n, line in lines_of(path):
        if line == "{":
            start = n
        elif line == "}" and start is not None:
            m = re.search(r"([A-Za-z_]\w*)\s*\(", " ".join(head[-4:]))
            names = re.findall(r"([A-Za-z_]\w*)\s*\(", " ".join(head[-4:]))
            names = [x for x in names if x not in ("__attribute__", "format", "TEST")]
            name = names[0] if names else (m[1] if m else "?")
            yield name, start, n - start + 1
            start = None
            head = []
        elif start is None:
            head = [] if not line.strip() or line.startswith(("#", "/", " *")) else head + [line]


def main():
    report = Report("size")
    allowed = exceptions("long_functions.txt", report)
    seen = set()
    for path in tree():
        if path.suffix not in TEXT:
            continue
        name = str(path.relative_to(ROOT))
        count = sum(1 for _ in lines_of(path))
        if count > FILE_MAX:
            report.fault(path, 0, f"{count} lines; {FILE_MAX} are allowed: which second idea moved in?")
        if path.suffix not in (".c", ".h"):
            continue
        for function, line, length in functions(path):
            if length <= FUNCTION_MAX:
                continue
            key = f"{name}:{function}"
            seen.add(key)
            if key not in allowed:
                report.fault(path, line, f"{function}() has {length} lines; {FUNCTION_MAX} are allowed")
    for key in sorted(set(allowed) - seen):
        report.fault(HERE / "long_functions.txt", allowed[key], f"{key} is not that long (any more)")
    return report.done()


if __name__ == "__main__":
    raise SystemExit(main())
