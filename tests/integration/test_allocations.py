"""A warm broker handles messages without asking for memory: counted from outside, by a library that is preloaded into it."""
import struct

import pytest
from conftest import BIN
from rmq import Conn, frame, props

WINDOW, ROUNDS = 250, 5
# What is allowed: one allocation for so many messages.
ALLOWED_PER = 100


@pytest.fixture
def counted(make_broker, tmp_path):
    def start(**settings):
        b = make_broker(**settings)
        b.count = tmp_path / "count"
        b.env = {"LD_PRELOAD": str(BIN / "libcount_malloc.so"), "COUNT_MALLOC": str(b.count)}
        b.start()
        assert allocations(b) > 1000, "the counter is not loaded"
        return b
    return start


def allocations(b):
    return struct.unpack("=Q", b.count.read_bytes()[:8])[0]


def spent(b, work):
    """work() is done some times; what the cheapest took: tables are saved meanwhile and connections made, but not each time."""
    work()
    counts = []
    for _ in range(ROUNDS):
        before = allocations(b)
        work()
        counts.append(allocations(b) - before)
    print("allocations by round:", counts)
    return min(counts)


def sends(topic, first, n, body, code=310):
    """Frames of send requests in the short form all clients use, as one string of bytes."""
    def ext(i):
        return dict(a="PG", b=topic, c="TBW102", d="4", e=str(i % 4), f="0", g="1700000000000", h="0", i=props(UNIQ_KEY="%032X" % i, KEYS="k%d" % i, WAIT="true"),
                    j="0", k="false", m="false")
    return b"".join(frame(code, ext(i), body, opaque=i) for i in range(first, first + n))


def send_all(conns, topic, n, body):
    """Pipelined: each connection has WINDOW requests under way."""
    for at in range(0, n // len(conns), WINDOW):
        burst = sends(topic, at, WINDOW, body)
        for c in conns:
            c.raw(burst)
        for c in conns:
            for i in range(at, at + WINDOW):
                r = c.wait(i, 30)
                assert r and r["code"] == 0, r


@pytest.mark.parametrize("body,messages,settings", [(1024, 4000, {}), (100, 4000, {}), (40000, 1000, {}), (1024, 4000, {"flushDiskType": "SYNC_FLUSH"})],
                         ids=["1 KB", "100 bytes", "40 KB", "1 KB flushed"])
def test_sending_does_not_allocate_per_message(counted, body, messages, settings):
    b = counted(**settings)
    conns = [Conn(b.addr) for _ in range(2)]
    n = spent(b, lambda: send_all(conns, "Warm", messages, b"x" * body))
    assert n * ALLOWED_PER < messages
    for c in conns:
        c.close()


def pull(c, queue, offset, wait_ms=0):
    return c.send(11, dict(consumerGroup="CG", topic="Read", queueId=queue, queueOffset=offset, maxMsgNums=32, sysFlag=6 if wait_ms else 4, commitOffset=0,
                           suspendTimeoutMillis=wait_ms, subVersion=0, subscription="*", expressionType="TAG"))


def test_pulling_does_not_allocate_per_pull(counted):
    b = counted()
    c = Conn(b.addr)
    send_all([c], "Read", 4000, b"x" * 1024)
    pulls = 0

    def read_all():
        nonlocal pulls
        pulls = 0
        for q in range(4):
            offset = 0
            while offset < 1000:
                r = c.wait(pull(c, q, offset))
                assert r and r["code"] == 0, r
                offset = int(r["extFields"]["nextBeginOffset"])
                pulls += 1

    n = spent(b, read_all)
    assert pulls >= 4000 // 32
    assert n * 10 < pulls
    c.close()


def test_a_waiting_pull_that_is_woken_does_not_allocate(counted):
    b = counted()
    reader, sender = Conn(b.addr), Conn(b.addr)
    send_all([sender], "Read", WINDOW, b"x")
    offset = [int(reader.call(30, {"topic": "Read", "queueId": q})["extFields"]["offset"]) for q in range(4)]

    def follow():
        for i in range(200):
            q = i % 4
            waits = pull(reader, q, offset[q], 20000)
            sender.raw(sends("Read", i, 1, b"x"))
            assert sender.wait(i)["code"] == 0
            r = reader.wait(waits)
            assert r["code"] == 0, r
            offset[q] = int(r["extFields"]["nextBeginOffset"])

    n = spent(b, follow)
    assert n * 10 < 200
    reader.close()
    sender.close()
