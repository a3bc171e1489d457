#!/usr/bin/env python3
"""
The tables of the tree agree with each other:
- every request code is routed by a server or stands in not_served.txt with a reason;
- the lines of each .def file are in order;
- every configuration key is documented, and the example files in conf/ show true defaults.
"""
import re

from lint import HERE, ROOT, Report, exceptions, lines_of

CORE = ROOT / "core"
ROUTES = ["broker/routes.c", "namesrv/routes.c"]
# .def file -> how a line is sorted: by the first name, by the quoted key, or by the number
TABLES = {
    "admin/commands.def": "name",
    "base/err.def": "name",
    "base/errinj.def": "name",
    "broker/config.def": "key",
    "namesrv/config.def": "key",
    "proto/properties.def": "name",
    "proto/request_code.def": "number",
    "proto/response_code.def": "number",
    "script/hooks.def": "name",
}
EXAMPLES = {"conf/broker.conf": "broker/config.def", "conf/namesrv.conf": "namesrv/config.def"}


def rows(path):
    """(line, text of the arguments) of each X(...) of a table, continuation lines joined."""
    at, text = 0, ""
    if not path.exists():
        return  # check_order() has told it
    for n, line in lines_of(path):
        if re.match(r"X\(", line):
            if text:
                yield at, text
            at, text = n, line[2:]
        elif text and line.startswith(" "):
            text += " " + line.strip()
        elif text:
            yield at, text
            text = ""
    if text:
        yield at, text


def strings(text):
    return [m.replace('\\"', '"') for m in re.findall(r'"((?:[^"\\]|\\.)*)"', text)]


def sort_value(text, by):
    if by == "number":
        return int(text.split(",")[1], 0)
    if by == "key":
        return strings(text)[0]
    return re.sub(r'[\s"]', "", text.split(",")[0])


def check_order(report):
    for name, by in TABLES.items():
        path = CORE / name
        if not path.exists():
            report.fault(path, 0, "is missing")
            continue
        before = None
        for n, text in rows(path):
            value = sort_value(text, by)
            if before is not None and value == before:
                report.fault(path, n, f"{value} stands here twice")
            elif before is not None and value < before:
                report.fault(path, n, f"{value} belongs before {before}")
            before = value
        if before is None:
            report.fault(path, 0, "has no line X(...)")
    for path in sorted(CORE.rglob("*.def")):
        if str(path.relative_to(CORE)) not in TABLES:
            report.fault(path, 0, "is not listed in tests/lint/tables.py")


def check_routes(report):
    path = CORE / "proto/request_code.def"
    codes = {text.split(",")[0].strip(): n for n, text in rows(path)}
    routed = set()
    for name in ROUTES:
        if not (CORE / name).exists():
            report.fault(CORE / name, 0, "is missing")
            continue
        for n, line in lines_of(CORE / name):
            m = re.match(r"\s*\{RQ_(\w+)", line)
            if m:
                routed.add(m[1])
    not_served = exceptions("not_served.txt", report)
    listed = HERE / "not_served.txt"
    for code, n in codes.items():
        if code not in routed and code not in not_served:
            report.fault(path, n, f"{code} is neither routed nor listed in tests/lint/not_served.txt")
    for code, n in not_served.items():
        if code in routed:
            report.fault(listed, n, f"{code} is served")
        elif code not in codes:
            report.fault(listed, n, f"{code} is no request code")


def check_documentation(report):
    for name in ("broker/config.def", "namesrv/config.def"):
        for n, text in rows(CORE / name):
            found = strings(text)
            if len(found) < 3 or len(found[-1]) < 10 or not found[-1].endswith((".", ")")):
                report.fault(CORE / name, n, f"{found[0]} needs a sentence that says what it does")
    for name in ("proto/request_code.def", "proto/response_code.def", "script/hooks.def"):
        for n, text in rows(CORE / name):
            if not strings(text) or len(strings(text)[-1]) < 3:
                report.fault(CORE / name, n, f"{text.split(',')[0]} needs a description")


def check_examples(report):
    for example, table in EXAMPLES.items():
        defaults = {strings(t)[0]: strings(t)[1] for _, t in rows(CORE / table)}
        path = ROOT / example
        if not defaults or not path.exists():
            report.fault(path, 0, "is missing")
            continue
        for n, line in lines_of(path):
            m = re.match(r"#?([A-Za-z]\w*)=(.*)$", line)
            if not m:
                continue
            if m[1] not in defaults:
                report.fault(path, n, f"{m[1]} is no key of core/{table}")
            elif line.startswith("#") and m[2] != defaults[m[1]]:
                report.fault(path, n, f"the default of {m[1]} is {defaults[m[1]]!r}")


def main():
    report = Report("tables")
    check_order(report)
    check_routes(report)
    check_documentation(report)
    check_examples(report)
    return report.done()


if __name__ == "__main__":
    raise SystemExit(main())
