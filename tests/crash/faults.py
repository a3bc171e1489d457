#!/usr/bin/env python3
"""
Fault points of a build with TL_ERRINJ: at each of them, at several passes, the call fails, writes less than it should, or the process ends there; first
under load, then within the recovery that follows.
"""
import argparse, random, re, shutil

from common import ASAN, ROOT, STOPPED, Table, check, copy, finish, run, scratch

CONFIG = [p for p in re.findall(r"^X\((\w+)", (ROOT / "core/base/errinj.def").read_text(), re.M) if p.startswith("CONFIG_")]
STORE = [p for p in re.findall(r"^X\((\w+)", (ROOT / "core/base/errinj.def").read_text(), re.M)
         if p not in ("TRY_MALLOC", "LOG_SYNC_STALL", "LOG_ZERO")]
FATAL = {"LOG_WRITE", "LOG_SYNC", "CHECKPOINT_WRITE", "CHECKPOINT_SYNC", "QUEUE_SYNC"}
WRITES = {"LOG_WRITE", "CHECKPOINT_WRITE", "CONFIG_WRITE"}
PASSES = [0, 1, 2, 5, 17, 60]


def hows(point):
    return ["error", "stop"] + (["short", "torn"] if point in WRITES else [])


def armed(point, after, how):
    return dict(TL_ERRINJ="%s:%d:1:%s" % (point, after, how))


def judge(table, where, point, how, rc, out):
    """Did the process end as it should?  False when the point was not reached."""
    if "TL_ERRINJ: %s fires" % point not in out:
        if rc:
            table.fault(where, "the point was not reached and the process ended with %d\n%s" % (rc, out[-2000:]))
        return False
    table.count("faults")
    text = "\n".join(line for line in out.splitlines() if line.startswith(("fatal: ", "refused: ")))
    if how in ("stop", "torn") and rc != STOPPED:
        table.fault(where, "the process should have ended there, and did with %d\n%s" % (rc, out[-2000:]))
    elif how == "short" and rc != 0:
        table.fault(where, "a short write is no error, and the process ended with %d\n%s" % (rc, out[-2000:]))
    elif how == "error" and rc not in (0, 3, 4):
        table.fault(where, "the process ended with %d\n%s" % (rc, out[-2000:]))
    elif how == "error" and point in FATAL and (rc == 0 or not re.search(r"/.*: Input/output error", text)):
        table.fault(where, "the failure was not fatal, or the text names no file or no reason: %d %s\n%s" % (rc, text, out[-1500:]))
    return True


def one_fault(table, seed, point, how, after):
    rng = random.Random("%s %s %d %d" % (point, how, after, seed))
    work = scratch()
    root, ledger, again = work / "s", work / "ledger", work / "again"
    shape = ["--queue-bytes", rng.choice([400, 2000]), "--log-bytes", rng.choice([16384, 65536])] + ["--sync"] * (rng.random() < 0.5)
    options = ["--seed", seed, "--count", 300, "--step-ms", rng.choice([20, 500]), "--drops", "--close"] + ["--retention"] * (point == "SEGMENT_REMOVE" or rng.random() < 0.5)
    where = "%s at pass %d: %s, seed %d %s" % (point, after, how, seed, " ".join(map(str, options + shape)))
    root.mkdir()
    ledger.write_bytes(b"")
    try:
        rc, out = run(ASAN / "crash_store", "run", root, ledger, *options, *shape, env=armed(point, after, how))
        if not judge(table, where, point, how, rc, out):
            table.count("not reached")
            return False
        copy(root, again)
        if not check(table, where, root, ledger, *shape, times=1):
            return True
        second = rng.choice(STORE + ["LOG_ZERO"] * 3)
        second_how, second_after = rng.choice(hows(second)), rng.choice([0, 1, 2, 4])
        where += ", then %s at pass %d of the recovery: %s" % (second, second_after, second_how)
        rc, out = run(ASAN / "crash_store", "check", again, ledger, "--no-keys", *shape, env=armed(second, second_after, second_how))
        if "fires" in out:
            table.count("faults in a recovery")
            if rc not in (0, 3, STOPPED):
                table.fault(where, "the recovery ended with %d\n%s" % (rc, out[-2000:]))
        elif rc:
            table.fault(where, "the recovery ended with %d\n%s" % (rc, out[-2000:]))
        check(table, where, again, ledger, *shape, times=1)
        return True
    finally:
        shutil.rmtree(work, ignore_errors=True)


def whole(text):
    """Number of a text as `crash_store replace` writes it; None when it is not all there."""
    n, _, rest = text.partition(" ")
    return int(n) if n.isdigit() and rest == str(int(n) % 10) * 3000 else None


def one_config(table, point, how, after):
    where = "%s at pass %d: %s" % (point, after, how)
    work = scratch()
    file = work / "topics.json"
    try:
        rc, out = run(ASAN / "crash_store", "replace", file, 8, env=armed(point, after, how))
        if not judge(table, where, point, how, rc, out):
            table.count("not reached")
            return
        done = max([int(line) for line in out.split() if line.isdigit()], default=0)
        got = whole(file.read_text()) if file.exists() else 0
        bak = file.with_name("topics.json.bak")
        if got is None or not done <= got <= done + 1:
            table.fault(where, "LOST: %s was saved, the file has %s" % (done, got))
        if bak.exists() and whole(bak.read_text()) not in (got, got - 1, done - 1):
            table.fault(where, "the .bak has %s, the file %s" % (bak.read_text()[:20], got))
        if how == "error" and rc == 4 and not re.search(r"fatal: .*topics.json.*Input/output error|fatal: .*%s.*Input/output error" % re.escape(str(work)), out):
            table.fault(where, "the text names no file or no reason: %s" % out[-500:])
        rc, out = run(ASAN / "crash_store", "replace", file, 3)
        if rc or whole(file.read_text()) != 3:
            table.fault(where, "the next save failed: %d %s" % (rc, out[-500:]))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main(rounds=1, first=1):
    table = Table("faults")
    for seed in range(first, first + rounds):
        for point in STORE:
            for how in hows(point):
                for after in PASSES:
                    if not one_fault(table, seed, point, how, after):
                        break
    for point in CONFIG + ["DIR_SYNC"]:
        for how in hows(point):
            for after in (0, 1, 4):
                one_config(table, point, how, after)
    return table


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--first", type=int, default=1)
    args = p.parse_args()
    finish(main(args.rounds, args.first))
