#!/usr/bin/env python3
"""
Damaged files.  Whatever is damaged, the broker starts, or refuses with a sentence that names the file or its folder; what is acknowledged and not in
the damaged place is there; what can be made again is; removing the store is never the way out.
"""
import argparse, os, random, re, shutil, subprocess, sys

from common import RELEASE, ROOT, Table, check, copy, finish, run, scratch

sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "tests/parity")]
from conftest import BIN, Broker
from rmq import Conn, records

LOG, QUEUE = 16384, 400
SHAPE = ["--log-bytes", LOG, "--queue-bytes", QUEUE]
WAYS = ["flip", "zero page", "truncate", "empty", "missing", "noise"]


def damage(path, way, rng):
    """Returns the range of bytes that are not what they were."""
    size = path.stat().st_size
    if way == "missing":
        path.unlink()
        return 0, size
    if way in ("truncate", "empty"):
        n = 0 if way == "empty" else rng.randrange(size) if size else 0
        os.truncate(path, n)
        return n, size
    data = bytearray(path.read_bytes())
    if not data:
        return 0, 0
    at = rng.randrange(len(data.rstrip(b"\0")) or 1)
    if way == "flip":
        data[at] ^= 1 << rng.randrange(8)
        end = at + 1
    else:
        at = at // 4096 * 4096
        end = min(at + 4096, len(data))
        data[at:end] = bytes(end - at) if way == "zero page" else rng.randbytes(end - at)
    path.write_bytes(data)
    return at, end


def make_store(work, seed, clean, drops):
    root, ledger = work / "s", work / "ledger"
    root.mkdir()
    ledger.write_bytes(b"")
    rc, out = run(RELEASE / "crash_store", "run", root, ledger, "--seed", seed, "--count", 250, "--step-ms", 300, *SHAPE, *["--close"] * clean, *["--drops"] * drops)
    assert rc == 0, out
    return root, ledger


def files_of(root, kind):
    return {"log": sorted((root / "commitlog").glob("0*")), "queue": sorted((root / "consumequeue").rglob("0*0")), "index": sorted((root / "index").glob("2*")),
            "checkpoint": [root / "checkpoint"], "abort": [root / "abort"], "lock": [root / "lock"], "deleted topics": [root / "deletedTopics"]}[kind]


def log_end(ledger):
    return max(int(x.split()[5]) + int(x.split()[6]) for x in ledger.read_text().splitlines() if x.startswith("A "))


def open_damaged(table, where, root, ledger, options, names, twice, stable):
    """
    It opens and all is there, or it refuses and names one of @names.  @twice: a first run may find the damage, an ordinary restart must heal it.
    True when it opened.
    """
    if twice:
        rc, out = run(RELEASE / "crash_store", "check", root, ledger, *SHAPE, "--no-keys", "--close", *options)
        if rc not in (0, 1) or "LOST" in out and "is not its record" not in out:
            table.fault(where, out[-2500:])
            return False
    rc, out = run(RELEASE / "crash_store", "check", root, ledger, *SHAPE, *options)
    if rc == 3:
        table.count("refused")
        line = next(x for x in out.splitlines() if x.startswith("refused: "))
        if not any(n in line for n in names):
            table.fault(where, "the refusal names no file: %s" % line)
        return False
    if rc:
        table.fault(where, "exit code %d\n%s" % (rc, out[-2500:]))
        return False
    return check(table, where, root, ledger, *SHAPE, *options, times=1, refusal=names[-1], stable=stable)


def log_options(path, at, end, way):
    start = int(path.name)
    if way == "missing":
        at, end = 0, LOG
    return ["--damaged-from", start + at, "--damaged-to", start + end, "--no-keys"] if at < end else []


def one_file(table, seed, kind, way, clean):
    rng = random.Random("%d %s %s %s" % (seed, kind, way, clean))
    work = scratch()
    try:
        root, ledger = make_store(work, seed, clean, kind == "deleted topics")
        files = files_of(root, kind)
        if not files or not files[0].exists():
            return
        path = rng.choice(files)
        before = work / "before"
        copy(root, before)
        at, end = damage(path, way, rng)
        where = "%s %s: %s [%d, %d), %s, seed %d" % (kind, path.name, way, at, end, "after an orderly stop" if clean else "after a kill", seed)
        table.count("damages")
        options, names = [], [str(path)]
        if kind == "log":
            options, names = log_options(path, at, end, way), [str(path), str(path.parent)]
        elif kind == "queue":
            options = ["--no-tags"]
        elif kind == "index":
            header = way in ("truncate", "empty") or at == 0
            options = [] if header and path == files[-1] and way != "missing" else ["--no-keys"]
        elif kind == "abort":
            options = ["--no-keys"]
        elif kind == "deleted topics":
            ledger.write_text("".join(x for x in ledger.read_text().splitlines(True) if x[0] == "S" or x[0] == "A" and " Own" not in x))
            options = ["--no-keys"]
        opened = open_damaged(table, where, root, ledger, options, names, kind == "queue", kind != "deleted topics")
        if not opened and kind == "log" and table.faults == 0:  # a good copy of the file is all that is needed
            shutil.copy2(before / path.relative_to(root), path)
            check(table, where + ", the file put back", root, ledger, *SHAPE, times=1)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def extra_files(table, seed):
    for name, refusal in [("commitlog/notes.txt", "commitlog/notes.txt"), ("commitlog/.hidden", None), ("consumequeue/notes.txt", None),
                          ("consumequeue/T0/notes.txt", None), ("consumequeue/T0/0/notes.txt", None), ("index/notes.txt", None), ("index/20991231235959999", None),
                          ("config/notes.txt", None), ("checkpoint.tmp", None), ("deletedTopics.tmp", None), ("consumequeue/T0/7/00000000000000000000", None)]:
        work = scratch()
        try:
            root, ledger = make_store(work, seed, True, False)
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("something else")
            table.count("damages")
            if not check(table, "extra file %s" % name, root, ledger, *SHAPE, times=1, refusal=refusal):
                (root / name).unlink()
                check(table, "extra file %s taken away" % name, root, ledger, *SHAPE, times=1)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def make_broker(work):
    """Topics, groups and offsets in their files, twice each so that there is a .bak."""
    b = Broker(work / "b", flushConsumerOffsetInterval=20).start()
    c = Conn(b.addr)
    sent = []
    for n in range(40):
        topic = "topic%d" % (n % 4)
        r = c.call(310, dict(a="PG", b=topic, c="TBW102", d="4", e="0", f="0", g="1", h="0", i="", j="0"), b"message %d" % n)
        sent.append((topic, int(r["extFields"]["queueOffset"]), "message %d" % n))
        c.call(11, dict(consumerGroup="group%d" % (n % 3), topic=topic, queueId="0", queueOffset="0", maxMsgNums="32", sysFlag="4", commitOffset="0",
                        suspendTimeoutMillis="0", subscription="*", subVersion="0"))
        c.call(15, dict(consumerGroup="group%d" % (n % 3), topic=topic, queueId="0", commitOffset=str(n // 4)))
    c.close()
    b.stop()
    return b, sent


def all_there(b, sent):
    c, found = Conn(b.addr), {}
    for topic in {t for t, _, _ in sent}:
        r = c.call(11, dict(consumerGroup="reader", topic=topic, queueId="0", queueOffset="0", maxMsgNums="32", sysFlag="4", commitOffset="0",
                            suspendTimeoutMillis="0", subscription="*", subVersion="0"))
        for m in records(r["body"]):
            found[topic, m["queueOffset"]] = m["body"]
    c.close()
    return [s for s in sent if found.get((s[0], s[1])) != s[2]]


def one_config(table, b, sent, good, names, way, rng):
    """The named files of config/ are damaged in the same way."""
    store = b.folder / "store"
    copy(good, store)
    for name in names:
        damage(store / "config" / name, way, rng)
    where = "config %s: %s" % (" and ".join(names), way)
    table.count("damages")
    try:
        b.start()
    except RuntimeError as e:
        b.process.wait(20)
        b.process = None
        table.count("refused")
        if not any(str(store / "config" / n) in str(e) for n in names):
            table.fault(where, "the refusal names no file: %s" % str(e)[-1500:])
        return
    lost = all_there(b, sent)
    if lost and way != "flip":  # a flip may make another topic's name of it
        table.fault(where, "LOST %s" % lost[:3])
    if b.stop() != 0:
        table.fault(where, "the broker did not stop in order\n%s" % b.text()[-1500:])


def configs(table, seed):
    rng = random.Random(seed)
    work = scratch()
    try:
        b, sent = make_broker(work)
        good = work / "good"
        copy(b.folder / "store", good)
        for name in sorted(p.name for p in (good / "config").glob("*.json")):
            for way in WAYS:
                for names in [[name], [name + ".bak"], [name, name + ".bak"]]:
                    if all((good / "config" / n).exists() for n in names):
                        (b.folder / "broker.log").write_text("")
                        one_config(table, b, sent, good, names, way, rng)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main(rounds=1, first=1):
    table = Table("damage")
    for seed in range(first, first + rounds):
        for kind in ["log", "queue", "index", "checkpoint", "abort", "lock", "deleted topics"]:
            for way in WAYS:
                for clean in (True, False):
                    for k in range(3 if kind in ("log", "queue") and way in ("flip", "zero page") else 1):
                        one_file(table, seed * 10 + k, kind, way, clean)
    extra_files(table, first)
    configs(table, first)
    return table


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--first", type=int, default=1)
    args = p.parse_args()
    finish(main(args.rounds, args.first))
