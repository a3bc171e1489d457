"""What the drivers of tests/crash share: programs, folders, the check of a store, the sums for the table."""
import os, pathlib, re, shutil, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = ROOT / "build/release/bin"
ASAN = ROOT / "build/asan/bin"
STOPPED = 57  # exit code of a fault point that stops the process


class Table:
    """What was tried and what was found; the faults are printed when they are found."""

    def __init__(self, name):
        self.name, self.counts, self.faults, self.lost, self.messages = name, {}, 0, 0, 0

    def count(self, what, n=1):
        self.counts[what] = self.counts.get(what, 0) + n

    def fault(self, where, text):
        self.faults += 1
        self.lost += text.count("LOST")
        print("FAULT %s, %s:\n    %s" % (self.name, where, text.strip().replace("\n", "\n    ")), flush=True)


def finish(table):
    """The end of a part that runs by itself."""
    print(table.counts, "faults", table.faults, "lost", table.lost)
    sys.exit(table.faults > 0)


def scratch(disk=False):
    """A folder of our own, in memory unless the disk's file system is part of what is tried."""
    base = tempfile.gettempdir() if disk or not os.access("/dev/shm", os.W_OK) else "/dev/shm"
    return pathlib.Path(tempfile.mkdtemp(prefix="tl-crash-", dir=base))


def run(program, *args, env=None, timeout=120):
    e = dict(os.environ, ASAN_OPTIONS="detect_leaks=0", **(env or {}))
    r = subprocess.run([program, *map(str, args)], capture_output=True, text=True, errors="replace", env=e, timeout=timeout, stdin=subprocess.DEVNULL)
    return r.returncode, r.stdout + r.stderr


def check(table, where, root, ledger, *options, bin=RELEASE, times=2, refusal=None, stable=True):
    """
    Open the store as after a crash, @times times over: everything must be there each time, and from the second time on nothing may change; then
    once with an orderly close.  @refusal: a text a refusal to open must have; None: it must open.  True when it opened.
    """
    sums = []
    for n in range(times + 1):
        args = ["check", root, ledger, *options] + (["--close"] if n == times else [])
        rc, out = run(bin / "crash_store", *args)
        if rc == 3 and refusal is not None and n == 0:
            text = out[out.index("refused: "):].splitlines()[0]
            if refusal not in text:
                table.fault(where, "the refusal does not name %s: %s" % (refusal, text))
            table.count("refused")
            return False
        if rc:
            table.fault("%s, opened %d times before" % (where, n), "exit code %d\n%s" % (rc, "\n".join(out.splitlines()[-25:])))
            return False
        sums.append(re.search(r"sum=(\w+)", out)[1])
        if n == 0:
            table.messages += int(re.search(r"required=(\d+)", out)[1])
    if stable and len(set(sums)) > 1:
        table.fault(where, "a further recovery changed the files: %s" % " ".join(sums))
    return True


def copy(source, target):
    if target.exists():
        shutil.rmtree(target)
    subprocess.run(["cp", "-a", "--sparse=always", source, target], check=True)
