#!/usr/bin/env python3
"""
mqbroker under load over sockets, killed with -9 at random moments and started again on the same store.  What it acknowledged stands in a ledger of
this process: topic, queue, offset, position, key, checksum.
"""
import argparse, os, pathlib, random, shutil, struct, sys, threading, time, zlib

from common import ROOT, Table, check, copy, finish, scratch

sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "tests/parity")]
from conftest import Broker
from rmq import Conn, records

SEND, SEND_BATCH, PULL, QUERY_OFFSET, UPDATE_OFFSET, MAX_OFFSET, MIN_OFFSET, DELETE_TOPIC = 310, 320, 11, 14, 15, 30, 31, 215
TOPICS, QUEUES, PRODUCERS, GROUP = ["T0", "T1", "T2"], 4, 4, "crash_group"
SHAPE = ["--log-bytes", 262144, "--queue-bytes", 2000, "--index-slots", 500, "--index-entries", 2000]


class Ledger:
    """The file the checker reads, and the newest offsets for a quick look over the socket."""

    def __init__(self, path):
        self.file, self.lock, self.acked, self.count = open(path, "a", buffering=1), threading.Lock(), {}, 0
        self.committed, self.path = {}, path

    def write(self, text):
        with self.lock:
            self.file.write(text)

    def ack(self, topic, queue, offset, messages, positions):
        with self.lock:
            self.file.write("".join("A %s %s %d %d %d 0\n" % (m[0], topic, queue, offset + i, p) for i, (m, p) in enumerate(zip(messages, positions))))
            self.count += len(messages)
            if offset + len(messages) > self.acked.get((topic, queue), (0,))[0]:
                self.acked[topic, queue] = offset + len(messages), messages[-1]

    def drop(self, topic, done):
        with self.lock:
            self.file.write("%s %s\n" % ("d" if done else "D", topic))
            for table in (self.acked, self.committed):
                for k in [k for k in table if k[0] == topic]:
                    del table[k]


def message(rng, key):
    body = rng.randbytes(rng.randint(1, 30) if rng.random() < 0.2 else rng.randint(100, 1500))
    crc = zlib.crc32(body) & 0x7fffffff
    return key, body, crc, "KEYS\x01%s\x02TAGS\x01T%d\x02" % (key, crc % 5)


def pack(m):
    p = m[3].encode()
    return struct.pack(">iiiii", 22 + len(m[1]) + len(p), 0, 0, 0, len(m[1])) + m[1] + struct.pack(">h", len(p)) + p


def ext(topic, queue, props, batch):
    return dict(a="PG", b=topic, c="TBW102", d=str(QUEUES), e=str(queue), f="0", g="1", h="0", i=props, j="0", k="false", m="true" if batch else "false")


class Round:
    def __init__(self, broker, ledger, seed, number):
        self.b, self.l, self.seed, self.number = broker, ledger, seed, number
        self.faults = []

    def send(self, c, rng, topic, keys):
        """False when the connection is gone."""
        queue, messages = rng.randrange(QUEUES), [message(rng, k) for k in keys]
        self.l.write("".join("S %s %s %d %d %d\n" % (m[0], topic, queue, m[2], len(m[1])) for m in messages))
        batch = len(messages) > 1
        r = c.call(SEND_BATCH if batch else SEND, ext(topic, queue, "" if batch else messages[0][3], batch),
                   b"".join(map(pack, messages)) if batch else messages[0][1], timeout=5)
        if r is None:
            return False
        if r["code"] == 0:
            e = r["extFields"]
            self.l.ack(topic, int(e["queueId"]), int(e["queueOffset"]), messages, [int(i[-16:], 16) for i in e["msgId"].split(",")])
        elif r["code"] != 10:
            self.faults.append("a send was answered with %s %s" % (r["code"], r.get("remark")))
        return True

    def produce(self, p):
        rng = random.Random("%d %d %d" % (self.seed, self.number, p))
        own, n = "Own%d" % p, 0
        try:
            c = Conn(self.b.addr)
            while True:
                mine = rng.random() < 0.2
                k = rng.randint(2, 6) if rng.random() < 0.2 else 1
                if not self.send(c, rng, own if mine else rng.choice(TOPICS), ["r%dp%dn%d" % (self.number, p, n + i) for i in range(k)]):
                    return
                n += k
                if mine and rng.random() < 0.05 and not self.delete(c, own):
                    return
        except (OSError, EOFError):
            pass

    def delete(self, c, topic):
        """With an offset of a group, which must go too."""
        for queue in range(QUEUES):
            self.pull(c, topic, queue, 0)
            end = self.l.acked.get((topic, queue), (0,))[0]
            if self.commit(c, topic, queue, end) is None:
                return False
        self.l.drop(topic, False)
        r = c.call(DELETE_TOPIC, dict(topic=topic), timeout=5)
        if r is None:
            return False
        if r["code"] == 0:
            self.l.drop(topic, True)
        return True

    def commit(self, c, topic, queue, offset):
        r = c.call(UPDATE_OFFSET, dict(consumerGroup=GROUP, topic=topic, queueId=str(queue), commitOffset=str(offset)), timeout=5)
        if r is not None and r["code"] == 0:
            self.l.committed[topic, queue] = offset
        return r

    def pull(self, c, topic, queue, offset):
        return c.call(PULL, dict(consumerGroup=GROUP, topic=topic, queueId=str(queue), queueOffset=str(offset), maxMsgNums="32", sysFlag="4",
                                 commitOffset="0", suspendTimeoutMillis="0", subscription="*", subVersion="0"), timeout=5)

    def consume(self):
        """Commit what was pulled, queue by queue."""
        try:
            c, at = Conn(self.b.addr), dict(self.l.committed)
            while True:
                for topic in TOPICS:
                    for queue in range(QUEUES):
                        r = self.pull(c, topic, queue, at.get((topic, queue), 0))
                        if r is None:
                            return
                        if r["code"] in (0, 21):
                            at[topic, queue] = int(r["extFields"]["nextBeginOffset"])
                            if self.commit(c, topic, queue, at[topic, queue]) is None:
                                return
        except (OSError, EOFError):
            pass

    def load(self, seconds):
        threads = [threading.Thread(target=self.produce, args=(p,)) for p in range(PRODUCERS)] + [threading.Thread(target=self.consume)]
        for t in threads:
            t.start()
        threads[0].join(seconds)
        self.b.kill()
        for t in threads:
            t.join()

    def look(self, c, before):
        """What clients see right after the start."""
        for (topic, queue), (end, last) in sorted(self.l.acked.items()):
            bounds = [int(c.call(code, dict(topic=topic, queueId=str(queue)))["extFields"]["offset"]) for code in (MIN_OFFSET, MAX_OFFSET)]
            if bounds[1] < end:
                self.faults.append("LOST %s-%d ends at %d, %d was acknowledged" % (topic, queue, bounds[1], end - 1))
                continue
            r = self.pull(c, topic, queue, end - 1)
            got = records(r["body"])[0] if r["code"] == 0 else None
            if end - 1 >= bounds[0] and (not got or got["queueOffset"] != end - 1 or got["crc"] & 0x7fffffff != last[2] or not got["crc_ok"]):
                self.faults.append("LOST %s-%d offset %d: %s" % (topic, queue, end - 1, r.get("remark")))
            r = c.call(QUERY_OFFSET, dict(consumerGroup=GROUP, topic=topic, queueId=str(queue)))
            offset = int(r["extFields"]["offset"]) if r["code"] == 0 else -1
            if offset > bounds[1]:
                self.faults.append("the offset of %s-%d is %d, behind the end at %d" % (topic, queue, offset, bounds[1]))
            if topic in TOPICS and offset < before.get((topic, queue), -1):
                self.faults.append("the offset of %s-%d was %d on the disk and is %d" % (topic, queue, before[topic, queue], offset))


def saved_offsets(store):
    """What consumerOffset.json says."""
    import json, re
    found = {}
    for name in ("consumerOffset.json", "consumerOffset.json.bak"):
        try:
            text = (store / "config" / name).read_text()
        except OSError:
            continue
        table = json.loads(re.sub(r"([{,]\s*)(\d+)\s*:", r'\1"\2":', text))["offsetTable"]
        for key, queues in table.items():
            topic, _, group = key.partition("@")
            if group == GROUP:
                found.update({(topic, int(q)): o for q, o in queues.items()})
        return found
    return found


def make_old(store):
    for p in (store / "commitlog").iterdir():
        os.utime(p, (time.time() - 100 * 3600,) * 2)


def one_store(table, seed, rounds, first):
    rng = random.Random(seed)
    work = scratch(disk=True)
    ledger = Ledger(work / "ledger")
    b = Broker(work / "b", mappedFileSizeCommitLog=262144, mappedFileSizeConsumeQueue=2000, maxIndexNum=2000, maxHashSlotNum=500,
               flushConsumerOffsetInterval=30, cleanResourceInterval=100, deleteCommitLogFilesInterval=1, diskMaxUsedSpaceRatio=95,
               diskSpaceCleanForciblyRatio=85, cleanFileForciblyEnable="false", diskSpaceWarningLevelRatio=90)
    store = work / "b/store"
    good = False
    try:
        for n in range(first, first + rounds):
            retention = n % 4 == 3
            if retention:
                ledger.write("R\n")
                make_old(store) if store.exists() else None
            b.settings.update(flushDiskType="SYNC_FLUSH" if n % 2 else "ASYNC_FLUSH", fileReservedTime=50,
                              deleteWhen=";".join("%02d" % h for h in range(24)) if retention else "")
            r = Round(b, ledger, seed, n)
            before = saved_offsets(store)
            b.start()
            c = Conn(b.addr)
            r.look(c, before)
            c.close()
            where = "seed %d round %d, %s%s" % (seed, n, b.settings["flushDiskType"], ", old files deleted" if retention else "")
            acked = ledger.count
            r.load(rng.uniform(0.15, 0.7))
            for text in r.faults:
                table.fault(where, text)
            copy(store, work / "copy")
            check(table, where, work / "copy", ledger.path, *SHAPE, times=1)
            table.count("rounds")
            table.count("messages", ledger.count - acked)
            if table.faults:
                return
        b.start()
        c = Conn(b.addr)
        r = Round(b, ledger, seed, 0)
        r.look(c, saved_offsets(store))
        c.close()
        for text in r.faults:
            table.fault("seed %d at the end" % seed, text)
        if b.stop() != 0:
            table.fault("seed %d" % seed, "the broker did not stop in order")
        check(table, "seed %d at the end" % seed, store, ledger.path, *SHAPE, times=1)
        good = table.faults == 0
    finally:
        b.kill()
        if good or not os.environ.get("CRASH_KEEP"):
            shutil.rmtree(work, ignore_errors=True)
        else:
            print("kept: %s" % work)


def main(rounds=20, seed=None):
    table = Table("kills")
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 30)
    print("kills: seed %d" % seed, flush=True)
    for n in range(0, rounds, 50):
        one_store(table, seed + n, min(50, rounds - n), n)
    return table


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=20)
    p.add_argument("--seed", type=int)
    args = p.parse_args()
    finish(main(args.rounds, args.seed))
