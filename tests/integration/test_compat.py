"""Stores that the real server 5.3.3 wrote, opened in place by ours and handed back (tests/compat)."""
import hashlib, json, shutil, subprocess, time

import pytest
import rmq
from conftest import ROOT, mqadmin
from raw import pull, send

STORES = ROOT / "tests/compat/stores"


def unpack(name, folder):
    folder.mkdir(parents=True)
    subprocess.run(["tar", "--zstd", "-xf", STORES / name / "store.tar.zst", "-C", folder], check=True)


def manifest_of(text):
    """The messages as {(topic, queue, offset): message} and the queues' bounds as {(topic, queue): (min, max)}."""
    messages, bounds = {}, {}
    for line in text.splitlines():
        m = json.loads(line)
        if "physicalOffset" in m:
            messages[m["queue"], m["queueId"], m["queueOffset"]] = m
        else:
            bounds[m["topic"], m["queueId"]] = (m["min"], m["max"])
    return messages, bounds


def manifest(name):
    return manifest_of(subprocess.run(["zstd", "-dc", STORES / name / "manifest.jsonl.zst"], capture_output=True, text=True, check=True).stdout)


def open_store(make_broker, name, **more):
    """Our broker on the store, with the file sizes it was written with."""
    conf = dict(line.split("=", 1) for line in (STORES / name / "broker.conf").read_text().split() if "=" in line)
    b = make_broker(**dict(conf, **more))
    unpack(name, b.folder / "unpacked")
    (b.folder / "unpacked/store").rename(b.folder / "store")
    return b


def read_queue(c, topic, queue, start, end):
    got = {}
    while start < end:
        records = pull(c, topic, start, queue, group="compat")
        if not records:
            break
        for r in records:
            got[r["queueOffset"]] = r
        start = records[-1]["queueOffset"] + 1
    return got


def same(record, m):
    body = record["body"].encode("latin1")
    return (hashlib.sha256(body).hexdigest() == m["bodySha256"] and record["crc_ok"]
            and (record["topic"], record["queueId"], record["flag"], record["sysFlag"], record["physical"], record["size"], record["born"], record["stored"],
                 "/" + record["bornHost"], "/" + record["storeHost"], record["reconsumeTimes"], record["prepared"], record["props"])
            == (m["topic"], m["queueId"], m["flag"], m["sysFlag"], m["physicalOffset"], m["storeSize"], m["bornTimestamp"], m["storeTimestamp"],
                m["bornHost"], m["storeHost"], m["reconsumeTimes"], m["preparedTransactionOffset"], m["properties"]))


def check_messages(b, messages, bounds, grown=()):
    c = rmq.Conn(b.addr)
    for (topic, queue), (low, high) in bounds.items():
        got = read_queue(c, topic, queue, low, high)
        wanted = {o: m for (t, q, o), m in messages.items() if (t, q) == (topic, queue)}
        assert sorted(got) == sorted(wanted), (topic, queue)
        wrong = [o for o in wanted if not same(got[o], wanted[o])]
        assert not wrong, (topic, queue, got[wrong[0]], wanted[wrong[0]])
        if topic not in grown:
            r = c.call(30, dict(topic=topic, queueId=str(queue)))
            assert int(r["extFields"]["offset"]) == high
        r = c.call(31, dict(topic=topic, queueId=str(queue)))
        assert int(r["extFields"]["offset"]) == low
    c.close()


# What is due by now is delivered, and asked about, as soon as a broker runs.
GROWN = ("fx_delay", "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC")


@pytest.mark.parametrize("name", ["clean-mixed", "unclean"])
def test_every_message_of_the_real_servers_store_is_read_as_it_read_it(make_broker, name):
    messages, bounds = manifest(name)
    assert len(messages) > 300
    b = open_store(make_broker, name).start()
    check_messages(b, messages, bounds, GROWN)


def test_what_the_real_server_acknowledged_before_it_was_killed_is_there(make_broker):
    b = open_store(make_broker, "unclean").start()
    c = rmq.Conn(b.addr)
    acked = [line.split() for line in (STORES / "unclean/acked.txt").read_text().splitlines()]
    queues = {q: read_queue(c, "fx_pour", q, 0, 10000) for q in range(4)}
    assert len(acked) > 900
    for queue, offset, offset_id, key in acked:
        r = queues[int(queue)][int(offset)]
        assert r["props"]["KEYS"] == key and r["physical"] == int(offset_id[-16:], 16)
    c.close()


def test_offsets_topics_and_groups_are_taken_over(make_broker):
    b = open_store(make_broker, "clean-mixed")
    before = {p.name: p.read_bytes() for p in (b.folder / "store/config").iterdir()}
    b.start()
    c = rmq.Conn(b.addr)
    for queue, offset in ((0, 1), (1, 0), (2, 1), (3, 1)):
        r = c.call(14, dict(consumerGroup="fx_retry_group", topic="fx_retry", queueId=str(queue)))
        assert r["extFields"]["offset"] == str(offset)
    assert "fx_tags" in mqadmin("topicList", "-n", b.ns).stdout.split()
    config = json.loads(c.call(351, dict(topic="fx_tags"))["body"])
    assert (config["writeQueueNums"], config["perm"]) == (4, 6)
    c.close()
    b.stop()
    after = {p.name: p.read_bytes() for p in (b.folder / "store/config").iterdir()}
    for name in ("consumerFilter.json", "consumerOrderInfo.json", "timercheck", "timermetrics", "transactionMetrics"):
        assert after[name] == before[name], name + " is not ours to change"


@pytest.fixture(scope="session")
def lab(apache_lib, tmp_path_factory):
    """lab(ARGS...): StoreLab, which reads stores by the real server's classes."""
    out, home = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("labhome")
    subprocess.run(["javac", "-nowarn", "-cp", "%s/*" % apache_lib, "-d", out, ROOT / "tests/compat/StoreLab.java"], check=True, stdin=subprocess.DEVNULL,
                   capture_output=True, timeout=300)

    def run(*args):
        r = subprocess.run(["java", "-Xmx512m", "-Duser.home=%s" % home, "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED", "--add-opens=java.base/java.nio=ALL-UNNAMED",
                            "-cp", "%s:%s/*" % (out, apache_lib), "StoreLab", *map(str, args)], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
        return "\n".join(line for line in r.stdout.splitlines() if line.startswith("{"))

    return run


def read_by_the_real_classes(lab, b, tmp_path):
    copy = tmp_path / ("copy%d" % time.monotonic_ns())
    shutil.copytree(b.folder / "store", copy)
    return manifest_of(lab("manifest", copy, STORES / "clean-mixed/broker.conf"))


@pytest.mark.parametrize("name,how", [("clean-mixed", "stop"), ("unclean", "stop"), ("clean-mixed", "kill")])
def test_the_real_classes_read_what_ours_goes_on_writing(make_broker, lab, tmp_path, name, how):
    messages, bounds = manifest(name)
    b = open_store(make_broker, name).start()
    for life in range(2):
        c = rmq.Conn(b.addr)
        sent = {}
        for n in range(150):
            ext = send(c, "ours", "body %d %d" % (life, n), n % 4, TAGS="A", KEYS="k%d" % n)
            sent[int(ext["queueId"]), int(ext["queueOffset"])] = "body %d %d" % (life, n)
        topic = "fx_tags" if name == "clean-mixed" else "fx_pour"
        more = send(c, topic, "one more %d" % life)
        c.close()
        b.kill() if how == "kill" else b.stop()
        real, real_bounds = read_by_the_real_classes(lab, b, tmp_path)
        missing = {k: m for k, m in messages.items() if real.get(k) != m}
        assert not missing, list(missing.items())[0]
        for (queue, offset), body in sent.items():
            assert real["ours", queue, offset]["bodySha256"] == hashlib.sha256(body.encode()).hexdigest()
        assert real[topic, 0, int(more["queueOffset"])]["bodySha256"] == hashlib.sha256(b"one more %d" % life).hexdigest()
        b.start()
        check_messages(b, real, real_bounds, GROWN)


@pytest.mark.parametrize("folder,text", [("consumequeue_rocksdb", "RocksDB"), ("dledger", "DLedger"), ("config/metadata", "RocksDB"), ("batchconsumequeue", "BatchCQ")])
def test_a_store_of_another_kind_is_refused_with_what_to_do_and_left_alone(make_broker, folder, text):
    b = open_store(make_broker, "clean-mixed")
    (b.folder / "store" / folder).mkdir(parents=True)

    def sums():
        return {p: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in (b.folder / "store").rglob("*") if p.is_file() and p.name != "lock"}

    before = sums()
    with pytest.raises(RuntimeError, match=text):
        b.start()
    b.process.wait(10)
    assert b.process.returncode != 0 and sums() == before
    b.process = None
