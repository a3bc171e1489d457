#!/usr/bin/env python3
"""
What a power cut may leave: record.so writes down what a store under load does to its files; for many moments of that record, states of the disk
that POSIX allows are built and recovered.

On the disk is what an fsync that has ended had found when it began.  Of the rest, any page may be there or not, in any version it had since, and
some pages sector by sector; a name made, moved or removed without an fsync of its folder may be there or not.  Only the size of a file keeps its
place among the writes: data never survives without the size it needed.
"""
import argparse, random, shutil, struct, sys

from common import RELEASE, Table, check, finish, run, scratch

CREATE, WRITE, SIZE, GROW, ZERO, SYNC_BEGIN, SYNC_END, DIR_BEGIN, DIR_END, RENAME, LINK, UNLINK, MKDIR, RMDIR, LEDGER = range(1, 16)
PAGE, SECTOR = 4096, 512
NEVER = 1 << 60
WAYS = ["nothing", "all", "prefix", "late", "pages", "few pages", "many pages", "names", "data"]


class Inode:
    def __init__(self):
        self.ops, self.syncs = [], []  # (seq, kind, offset, data or length); (begin, end)


class Record:
    def __init__(self, path, base=None, inodes=None):
        self.inodes, self.names, self.dirs, self.ledger, self.base = [], [], {}, [], {}
        self.current, self.paths = {}, {}
        if base:
            self.take_base(base, inodes)
        data, at, self.n = path.read_bytes(), 0, 0
        while at < len(data):
            kind, l1, l2, ld, ino, off, length = struct.unpack_from("=IIIIQqq", data, at)
            at += 40
            p1, p2, body = data[at:at + l1].decode(), data[at + l1:at + l1 + l2].decode(), data[at + l1 + l2:at + l1 + l2 + ld]
            at += l1 + l2 + ld
            self.add(self.n, kind, p1, p2, ino, off, length, body)
            self.n += 1

    def take_base(self, base, inodes):
        """The files that were there at the beginning, on the disk."""
        for p in sorted(base.rglob("*")):
            name = str(p.relative_to(base))
            if p.is_dir():
                self.base[name] = "dir"
            else:
                node = self.node(inodes[name])
                node.ops.append((-1, WRITE, 0, p.read_bytes()))
                node.ops.append((-1, SIZE, 0, p.stat().st_size))
                self.base[name] = self.paths[name] = node

    def node(self, ino, new=False):
        if new or ino not in self.current:
            self.current[ino] = Inode()
            self.inodes.append(self.current[ino])
        return self.current[ino]

    def add(self, seq, kind, p1, p2, ino, off, length, body):
        if kind == CREATE:
            self.paths[p1] = self.node(ino, new=True)
            self.names.append((seq, kind, p1, None, self.paths[p1]))
        elif kind == WRITE:
            self.node(ino).ops.append((seq, kind, off, body))
        elif kind in (SIZE, GROW, ZERO):
            self.node(ino).ops.append((seq, kind, off, length))
        elif kind == SYNC_BEGIN:
            self.node(ino).syncs.append([seq, NEVER])
        elif kind == SYNC_END:
            ended(self.node(ino).syncs, seq)
        elif kind == DIR_BEGIN:
            self.dirs.setdefault(p1, []).append([seq, NEVER])
        elif kind == DIR_END:
            ended(self.dirs.get(p1, []), seq)
        elif kind == RENAME:
            node = self.paths.pop(p1)
            self.paths[p2] = node
            self.names.append((seq, kind, p1, p2, node))
        elif kind == LINK:
            self.paths[p2] = self.paths[p1]
            self.names.append((seq, kind, p1, p2, self.paths[p1]))
        elif kind == UNLINK:
            self.names.append((seq, kind, p1, None, self.paths.pop(p1, None)))
        elif kind in (MKDIR, RMDIR):
            self.names.append((seq, kind, p1, None, None))
        elif kind == LEDGER:
            self.ledger.append((seq, body))


def ended(syncs, seq):
    """One that began before the record did proves nothing."""
    for s in syncs:
        if s[1] == NEVER:
            s[1] = seq
            return


def synced(syncs, cut):
    """What began before this seq is on the disk."""
    return max((b for b, e in syncs if e <= cut), default=0)


def folder(path):
    return path.rpartition("/")[0]


class Choice:
    """Which of the things that were under way survive."""

    def __init__(self, rng, way, cut, since):
        self.rng, self.way, self.cut = rng, way, cut
        self.point = rng.randint(since, cut) if since < cut else cut
        self.share = dict(pages=0.5).get(way, 0.15 if way == "few pages" else 0.85)

    def name(self, seq):
        if self.way in ("nothing", "data"):
            return False
        if self.way in ("all",):
            return True
        if self.way == "prefix":
            return seq <= self.point
        if self.way == "late":
            return seq > self.point
        return self.rng.random() < (0.5 if self.way == "names" else self.share)

    def version(self, seqs):
        """How many of a page's changes survive."""
        if self.way in ("nothing", "names"):
            return 0
        if self.way == "all":
            return len(seqs)
        if self.way == "prefix":
            return sum(s <= self.point for s in seqs)
        if self.way == "late":
            return len(seqs) if seqs[-1] > self.point else 0
        return self.rng.randint(1, len(seqs)) if self.rng.random() < self.share else 0

    def torn(self):
        return self.way not in ("nothing", "all", "names") and self.rng.random() < 0.1


def contents(node, cut, choice):
    """The file's bytes on the disk."""
    done = synced(node.syncs, cut)
    out, pages, size, sizes = bytearray(), {}, 0, []
    for seq, kind, off, what in node.ops:
        if seq > cut:
            break
        if kind in (SIZE, GROW):
            if seq < done:
                size = what if kind == SIZE else max(size, what)
                out = out[:size].ljust(size, b"\0")
            else:
                sizes.append((seq, kind, what))
        else:
            data = what if kind == WRITE else bytes(what)
            if seq < done:
                if len(out) < off + len(data):
                    out = out.ljust(off + len(data), b"\0")
                out[off:off + len(data)] = data
                size = len(out)
            else:
                for page in range(off // PAGE, (off + len(data) - 1) // PAGE + 1):
                    a, b = max(off, page * PAGE), min(off + len(data), (page + 1) * PAGE)
                    pages.setdefault(page, []).append((seq, a, data[a - off:b - off]))
    last = -1
    for page, changes in pages.items():
        seqs = [c[0] for c in changes]
        kept = choice.version(seqs)
        per_sector = [choice.version(seqs) for _ in range(PAGE // SECTOR)] if choice.torn() else [kept] * (PAGE // SECTOR)
        for sector, keep in enumerate(per_sector):
            low, high = page * PAGE + sector * SECTOR, page * PAGE + (sector + 1) * SECTOR
            for seq, a, data in changes[:keep]:
                b, e = max(a, low), min(a + len(data), high)
                if b < e:
                    if len(out) < e:
                        out = out.ljust(e, b"\0")
                    out[b:e] = data[b - a:e - a]
                    last = max(last, seq)
    for seq, kind, what in sizes:
        if seq < last or choice.version([seq]):
            size = what if kind == SIZE else max(size, what)
            if kind == SIZE and len(out) > size:
                out = out[:size]
    return bytes(out).ljust(size, b"\0")


def build(record, cut, way, rng, since, target):
    """Write the image; returns the log position up to which everything was on the disk, and whether each thing acknowledged lies before."""
    choice = Choice(rng, way, cut, since)
    tree, durable_names = dict(record.base), dict(record.base)
    for seq, kind, p1, p2, node in record.names:
        if seq > cut:
            break
        on_disk = seq < synced(record.dirs.get(folder(p1), []), cut)
        for t in [tree] * (on_disk or choice.name(seq)) + [durable_names] * on_disk:
            if kind == CREATE:
                t[p1] = node
            elif kind == MKDIR:
                t[p1] = "dir"
            elif kind == RENAME:
                t.pop(p1, None)
                t[p2] = node
            elif kind == LINK:
                t[p2] = node
            else:
                t.pop(p1, None)
    for path in sorted(tree):
        parent = folder(path)
        if not (target / parent).is_dir():
            continue
        if tree[path] == "dir":
            (target / path).mkdir(exist_ok=True)
        else:
            (target / path).write_bytes(contents(tree[path], cut, choice))
    durable = NEVER
    for seq, kind, p1, p2, node in [(-1, CREATE, p, None, n) for p, n in record.base.items() if n != "dir"] + record.names:
        if kind != CREATE or seq > cut or not p1.startswith("commitlog/"):
            continue
        start, done = int(p1[10:]), synced(node.syncs, cut)
        waiting = [off for s, k, off, _ in node.ops if k == WRITE and done <= s <= cut and s >= 0]
        if waiting:
            removed = any(s <= cut and k == UNLINK and n is node for s, k, _, _, n in record.names)
            if not removed:
                durable = min(durable, start + min(waiting) if durable_names.get(p1) is node else start)
    return durable


def write_ledger(record, cut, path, before=b""):
    path.write_bytes(before + b"".join(body for seq, body in record.ledger if seq <= cut))


def cut_points(record, rng, n):
    """Moments worth a look: most at random, some right behind acknowledgements, syncs and changes of names."""
    special = [seq for seq, _ in record.ledger] + [op[0] for op in record.names] + [e for i in record.inodes for b, e in i.syncs if e < NEVER]
    return [rng.choice(special) if rng.random() < 0.5 else rng.randrange(record.n) for _ in range(n)]


def acked_beyond(ledger, durable):
    return [line for line in ledger.read_text().splitlines() if line.startswith("A ") and int(line.split()[5]) + int(line.split()[6]) > durable]


def one_record(table, seed, images, disk, deep, keep=False):
    rng = random.Random(seed)
    work = scratch(disk)
    base, base_ledger, sync = None, b"", rng.random() < 0.5
    try:
        for generation in range(2 if deep else 1):
            root, ledger, rec = work / "s", work / "ledger", work / "record"
            if not root.exists():
                root.mkdir()
            ledger.write_bytes(b"")
            options = ["--seed", seed * 10 + generation, "--count", rng.choice([60, 250, 600]), "--step-ms", rng.choice([1, 20, 200, 1000])]
            # Not both at once: see "what is known to go wrong" in README.md.
            options += [["--retention"], ["--drops"], []][rng.randrange(3)] + ["--close"] * (rng.random() < 0.5)
            shape = ["--queue-bytes", rng.choice([400, 2000, 10000]), "--log-bytes", rng.choice([16384, 65536])] + ["--sync"] * sync
            snapshot = work / "base"
            if base:
                shutil.copytree(root, snapshot)
                inodes = {str(p.relative_to(root)): p.stat().st_ino for p in root.rglob("*")}
            rc, out = run(RELEASE / "crash_store", "run", root, ledger, *options, *shape, "--boot-id", "before%d" % generation,
                          env=dict(LD_PRELOAD=str(RELEASE / "crash_record.so"), CRASH_RECORD=str(rec), CRASH_ROOT=str(root), CRASH_LEDGER=str(ledger)))
            if rc:
                table.fault("seed %d" % seed, "the recorded run ended with %d\n%s" % (rc, out[-2000:]))
                return
            record = Record(rec, snapshot, inodes) if base else Record(rec)
            kept = None
            for n, cut in enumerate(cut_points(record, rng, images)):
                way = rng.choice(WAYS)
                where = "seed %d generation %d image %d (cut %d of %d, %s, %s) %s" % (
                    seed, generation, n, cut, record.n, way, "SYNC_FLUSH" if sync else "ASYNC_FLUSH", " ".join(map(str, options + shape)))
                image, image_ledger = work / "image", work / "image-ledger"
                shutil.rmtree(image, ignore_errors=True)
                image.mkdir()
                since = max((e for i in record.inodes for b, e in i.syncs if e <= cut), default=0) - 200
                durable = build(record, cut, way, random.Random(seed * 1000003 + generation * 1009 + n), max(0, since), image)
                write_ledger(record, cut, image_ledger, base_ledger)
                if sync and acked_beyond(image_ledger, durable):
                    table.fault(where, "acknowledged before it was on the disk: %s" % acked_beyond(image_ledger, durable)[0])
                shutil.rmtree(work / "kept", ignore_errors=True)
                if keep:
                    shutil.copytree(image, work / "kept")
                before = table.faults
                ok = check(table, where, image, image_ledger, *shape, "--durable", durable, "--boot-id", "after%d" % generation, times=1)
                table.count("images")
                if table.faults > before and keep:
                    print("kept: %s" % work)
                    sys.exit(1)
                if ok and (kept is None or rng.random() < 0.3):
                    kept = (image, cut)
                    shutil.rmtree(work / "next", ignore_errors=True)
                    shutil.copytree(image, work / "next")
                    rc, out = run(RELEASE / "crash_store", "check", work / "next", image_ledger, *shape, "--durable", durable, "--rewrite", work / "next-ledger")
            if kept is None:
                return
            shutil.rmtree(root)
            shutil.move(work / "next", root)
            base, base_ledger = True, (work / "next-ledger").read_bytes()
        table.count("records")
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)


def main(seeds, images, first=1, keep=False):
    table = Table("images")
    for seed in range(first, first + seeds):
        one_record(table, seed, images, disk=seed % 10 == 0, deep=seed % 3 == 0, keep=keep)
    return table


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--seeds", type=int, default=20)
    p.add_argument("--first", type=int, default=1)
    p.add_argument("--images", type=int, default=20)
    p.add_argument("--keep", action="store_true", help="stop at the first fault and keep its folder")
    args = p.parse_args()
    finish(main(args.seeds, args.images, args.first, args.keep))
