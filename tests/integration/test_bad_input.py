"""Bad input gets a clear error and costs nothing else."""
import os, signal, socket, struct, subprocess, threading, time

import pytest
from conftest import BIN, Broker
from rmq import Conn, frame, props


def send(b, topic, body=b"hello", code=310, **over):
    c = Conn(b.addr)
    ext = dict(a="PG", b=topic, c="TBW102", d="4", e="0", f="0", g="1", h="0", i=props(), j="0", k="false", m="false")
    ext.update(over)
    r = c.call(code, {k: v for k, v in ext.items() if v is not None}, body)
    c.close()
    return r


def still_serves(b):
    assert send(b, "after_bad")["code"] == 0


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096), struct.pack(">i", -1), struct.pack(">iI", 0x7fffffff, 10),
    struct.pack(">iI", 20, 0xffffff) + b"x" * 16, struct.pack(">iI", 12, (9 << 24) | 8) + b"abcdefgh",
    frame(0, header=b"{" * 5000), frame(0, header=b'{"code":' + b"[" * 5000), frame(0, header=b"null"),
    frame(0, header=b'{"code":10,"extFields":{"a":"\\u12"}}'),
], ids=["http", "noise", "negative length", "huge length", "header over frame", "unknown type", "deep objects", "deep arrays", "null",
        "bad escape"])
def test_garbage_closes_the_connection_and_nothing_else(shared_broker, data):
    for addr in (shared_broker.addr, shared_broker.ns):
        c = Conn(addr)
        c.raw(data)
        assert c.closed.wait(5), "the connection is still open"
        c.close()
    still_serves(shared_broker)


@pytest.mark.parametrize("header", [b"", b"  ", b"{}", b"12", b"[1]"], ids=["empty", "blank", "no member", "number", "list"])
def test_a_header_that_says_nothing_is_passed_over(shared_broker, header):
    for addr in (shared_broker.addr, shared_broker.ns):
        c = Conn(addr)
        c.raw(frame(0, header=header))
        assert c.call(9998)["code"] == 3, "the connection goes on"
        assert not c.replies
        c.close()


def test_a_truncated_frame_waits_and_harms_nobody(shared_broker):
    c = Conn(shared_broker.addr)
    c.raw(frame(105, {"topic": "x"})[:-3])
    still_serves(shared_broker)
    c.close()


def test_an_unknown_code_is_answered_with_3(shared_broker):
    for addr in (shared_broker.addr, shared_broker.ns):
        c = Conn(addr)
        r = c.call(9999)
        assert (r["code"], r["remark"]) == (3, " request type 9999 not supported")
        assert c.call(9998)["code"] == 3, "the connection goes on"
        c.close()


def test_a_missing_field_is_named(shared_broker):
    r = send(shared_broker, None)
    assert r["code"] == 1 and "topic" in r["remark"]


@pytest.mark.parametrize("topic", ["..", "a/b", "a b", "x" * 128, ""])
def test_an_illegal_topic_name_is_refused_with_29(shared_broker, topic):
    assert send(shared_broker, topic)["code"] == 29


def test_a_body_over_the_limit_is_refused_with_13(shared_broker):
    r = send(shared_broker, "big", b"x" * ((4 << 20) + 1))
    assert r["code"] == 13 and "4194304" in r["remark"]
    still_serves(shared_broker)


def start_and_fail(b):
    conf = b.write_conf()
    r = subprocess.run([BIN / "mqbroker", "--standalone=%d" % b.nsport, "-c", conf], capture_output=True, text=True, timeout=20)
    assert r.returncode == 1, r.stdout
    return r.stderr


def test_a_port_in_use_is_named(broker, make_broker):
    other = make_broker(listenPort=broker.port)
    assert "%d: Address already in use" % broker.port in start_and_fail(other)


def test_a_second_broker_on_the_same_store_is_refused(broker, make_broker):
    other = make_broker(storePathRootDir=broker.settings["storePathRootDir"])
    assert "in use by another broker" in start_and_fail(other)
    still_serves(broker)


def test_an_unusable_store_directory_is_named(make_broker, tmp_path):
    (tmp_path / "file").write_text("x")
    assert str(tmp_path / "file") in start_and_fail(make_broker(storePathRootDir=tmp_path / "file" / "store"))


def test_a_bad_value_names_key_value_and_line(make_broker):
    b = make_broker(maxMessageSize="lots")
    err = start_and_fail(b)
    assert "maxMessageSize=lots" in err and "broker.conf:" in err


def test_an_unknown_key_is_a_warning_that_names_key_and_line(make_broker):
    b = make_broker(noSuchKey=1).start()
    assert "broker.conf:9: unknown key noSuchKey" in b.text()


def test_a_killed_broker_has_every_acknowledged_message_at_its_offset(make_broker):
    b = make_broker(mappedFileSizeCommitLog=1 << 20).start()
    acked, stop = [], threading.Event()

    def sender(queue_id):
        c = Conn(b.addr)
        n = 0
        while not stop.is_set():
            body = ("%d-%d" % (queue_id, n)).encode() + b"x" * 200
            r = c.call(310, dict(a="PG", b="killed", c="TBW102", d="4", e=str(queue_id), f="0", g="1", h="0", i="", j="0"), body, timeout=2)
            if r is None:
                return
            if r["code"] == 0:
                acked.append((queue_id, int(r["extFields"]["queueOffset"]), body))
            n += 1

    threads = [threading.Thread(target=sender, args=(q,)) for q in range(4)]
    for t in threads:
        t.start()
    while len(acked) < 6000:
        threads[0].join(0.05)
    b.kill()
    stop.set()
    for t in threads:
        t.join()
    b.start()
    from rmq import records
    found, c = {}, Conn(b.addr)
    for q in range(4):
        at = 0
        while True:
            r = c.call(11, dict(consumerGroup="CG", topic="killed", queueId=str(q), queueOffset=str(at), maxMsgNums="32", sysFlag="4", commitOffset="0",
                                suspendTimeoutMillis="0", subscription="*", subVersion="0"))
            if r["code"] != 0:
                break
            for m in records(r["body"]):
                assert m["queueOffset"] == at and m["crc_ok"]
                found[(q, at)] = m["body"].encode("latin1")
                at += 1
    assert len(acked) >= 6000
    for q, offset, body in acked:
        assert found[(q, offset)] == body


def test_a_thousand_requests_in_one_write_are_all_answered(shared_broker):
    assert send(shared_broker, "pipelined")["code"] == 0
    ext = dict(a="PG", b="pipelined", c="TBW102", d="4", e="0", f="0", g="1", h="0", i="", j="0")
    c = Conn(shared_broker.addr)
    c.raw(b"".join(frame(310, ext, b"x" * 100, opaque=n) for n in range(1, 1001)))
    assert [c.wait(n, 20)["code"] for n in range(1, 1001)] == [0] * 1000
    c.close()


def offset_of(b, topic, group="og"):
    c = Conn(b.addr)
    r = c.call(14, dict(consumerGroup=group, topic=topic, queueId="0"))
    c.close()
    return int(r["extFields"]["offset"]) if r["code"] == 0 else None


def commit_saved(b, topic, offset, group="og"):
    c = Conn(b.addr)
    c.call(11, dict(consumerGroup=group, topic=topic, queueId="0", queueOffset="0", maxMsgNums="1", sysFlag="4", commitOffset="0",
                    suspendTimeoutMillis="0", subscription="*", subVersion="0"))
    assert c.call(15, dict(consumerGroup=group, topic=topic, queueId="0", commitOffset=str(offset)))["code"] == 0
    c.close()
    file, end = b.folder / "store/config/consumerOffset.json", time.time() + 10
    while not (file.exists() and "0:%d" % offset in file.read_text().replace(" ", "").replace('"', "")):
        assert time.time() < end
        time.sleep(0.01)


def test_an_offset_behind_the_end_is_pulled_back_after_a_crash(make_broker):
    b = make_broker(flushConsumerOffsetInterval=20).start()
    for _ in range(3):
        assert send(b, "ahead")["code"] == 0
    commit_saved(b, "ahead", 50)  # as if a power cut had taken 47 messages
    b.kill()
    b.start()
    assert offset_of(b, "ahead") == 3


def test_offsets_of_a_deleted_topic_do_not_come_back_after_a_crash(make_broker):
    b = make_broker(flushConsumerOffsetInterval=20).start()
    for _ in range(3):
        assert send(b, "anew")["code"] == 0
    commit_saved(b, "anew", 3)
    b.settings.update(flushConsumerOffsetInterval=600000)
    b.restart()
    c = Conn(b.addr)
    assert c.call(215, dict(topic="anew"))["code"] == 0
    c.close()
    assert send(b, "anew", b"the first")["extFields"]["queueOffset"] == "0"
    b.kill()
    b.start()
    assert offset_of(b, "anew") in (None, 0)
    c = Conn(b.addr)
    assert int(c.call(30, dict(topic="anew", queueId="0"))["extFields"]["offset"]) == 1
    c.close()
