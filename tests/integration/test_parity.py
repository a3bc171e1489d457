"""What the real server 5.3.3 answered to raw requests, ours answers, too."""
import json, re, subprocess, sys

import pytest

from conftest import ROOT

PARITY = ROOT / "tests/parity"
CLASSES = ("STOPPED", "SILENCE", "CODE", "FIELD", "BODY", "PUSH", "CONN", "TIME", "REMARK")
# what an exception says of Java's own names is not for us to say
EXCEPTION = re.compile(r"(java|com|org)\.[a-z]+\.|Cannot (invoke|read)|Index \w+ out of|For input string|Duplicate key")


@pytest.mark.parametrize("script, recording, enough", [("record.py", "real-5.3.3.jsonl", 200), ("more.py", "real-5.3.3-more.jsonl", 1900)])
def test_every_scenario_answers_as_the_real_server_did_but_for_what_is_listed(make_broker, tmp_path, script, recording, enough):
    b = make_broker(enablePropertyFilter="true").start()
    out = tmp_path / "ours.jsonl"
    subprocess.run([sys.executable, PARITY / script, b.ns, out], check=True, cwd=PARITY, timeout=400, stdin=subprocess.DEVNULL)
    import compare
    real, ours = compare.load(PARITY / recording, None), compare.load(out, None)
    allowed = json.loads((PARITY / "allowed.json").read_text())[recording]
    seen, bad, equal = set(), [], 0
    for key in list(real) + [k for k in ours if k not in real]:
        scenario, step = key
        label, a = real.get(key, (None, {"SILENCE": True}))
        other, o = ours.get(key, (None, {"SILENCE": True}))
        diff = [c for c in CLASSES if a.get(c) != o.get(c) and not (c == "REMARK" and EXCEPTION.match(a.get(c) or ""))]
        if not diff:
            equal += 1
            continue
        labels = allowed.get(scenario, {}).get("labels", [])
        if (label or other) in labels or "*" in labels:
            seen.add((scenario, "*" if "*" in labels else label))
        else:
            bad.append((scenario, step, label or other, diff, {c: (a.get(c), o.get(c)) for c in diff}))
    assert not bad, bad
    assert equal >= enough
    listed = {(s, l) for s, entry in allowed.items() for l in (["*"] if "*" in entry["labels"] else entry["labels"])}
    assert seen == listed, "listed but equal now: %s" % (listed - seen)


def test_every_code_that_is_not_served_is_refused_in_the_real_servers_words(shared_broker):
    from rmq import Conn
    codes = {n: int(c) for n, c in re.findall(r"^X\((\w+), (\d+),", (ROOT / "core/proto/request_code.def").read_text(), re.M)}
    assert len(codes) > 150
    for addr, routes in ((shared_broker.ns, "namesrv"), (shared_broker.addr, "broker")):
        served = set(re.findall(r"\{RQ_(\w+),", (ROOT / "core" / routes / "routes.c").read_text()))
        assert served <= set(codes) and len(served) > 20
        c = Conn(addr)
        for name in sorted(set(codes) - served):
            r = c.call(codes[name], {}, timeout=5)
            assert r is not None, name
            assert (r["code"], r["remark"]) == (3, " request type %d not supported" % codes[name]), name
        c.close()
