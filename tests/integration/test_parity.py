"""What the real server 5.3.3 answered to raw requests, ours answers, too."""
import json, subprocess, sys

from conftest import ROOT

PARITY = ROOT / "tests/parity"


def test_every_scenario_answers_as_the_real_server_did_but_for_what_is_listed(make_broker, tmp_path):
    b = make_broker(enablePropertyFilter="true").start()
    out = tmp_path / "ours.jsonl"
    subprocess.run([sys.executable, PARITY / "record.py", b.ns, out], check=True, cwd=PARITY, timeout=300, stdin=subprocess.DEVNULL)
    import compare
    real, ours = compare.load(PARITY / "real-5.3.3.jsonl", None), compare.load(out, None)
    allowed = json.loads((PARITY / "allowed.json").read_text())
    seen, bad, equal = set(), [], 0
    for key in list(real) + [k for k in ours if k not in real]:
        scenario, step = key
        label, a = real.get(key, (None, {"SILENCE": True}))
        other, o = ours.get(key, (None, {"SILENCE": True}))
        diff = [c for c in ("STOPPED", "SILENCE", "CODE", "FIELD", "BODY", "PUSH", "CONN", "TIME") if a.get(c) != o.get(c)]
        if not diff:
            equal += 1
            continue
        labels = allowed.get(scenario, {}).get("labels", [])
        if (label or other) in labels or "*" in labels:
            seen.add(scenario)
        else:
            bad.append((scenario, step, label or other, diff, {c: (a.get(c), o.get(c)) for c in diff}))
    assert not bad, bad
    assert equal >= 200
    assert seen == set(allowed), "listed but equal now: %s" % (set(allowed) - seen)
