"""The load generator: what it counts is what the broker has."""
import json

from conftest import mqadmin, mqbench


def test_what_is_produced_is_consumed(shared_broker):
    ns = shared_broker.ns
    sent = mqbench(ns, "produce", "-t", "bench_a", "--topics", 2, "-q", 4, "--count", 20000, "-c", 3, "-w", 16, "-s", 200)
    assert sent["sent"] == 20000 and sent["refused"] == 0 and sent["sendUs"]["p50"] > 0
    received = mqbench(ns, "consume", "-t", "bench_a", "--topics", 2, "-c", 3)
    assert received["received"] == 20000 and received["bytesPerSecond"] > 0
    rows = [json.loads(line) for line in mqadmin("topicStatus", "-n", ns, "-t", "bench_a-1", "--json").stdout.splitlines()]
    assert len(rows) == 4 and sum(int(row["Max Offset"]) for row in rows) == 10000


def test_only_the_tag_that_is_asked_for_is_consumed(shared_broker):
    ns = shared_broker.ns
    mqbench(ns, "produce", "-t", "bench_tag", "--count", 300, "--tag", "A")
    mqbench(ns, "produce", "-t", "bench_tag", "--count", 200, "--tag", "B")
    assert mqbench(ns, "consume", "-t", "bench_tag", "--tag", "B")["received"] == 200
    assert mqbench(ns, "consume", "-t", "bench_tag")["received"] == 500


def test_every_message_of_an_open_loop_is_seen_end_to_end(shared_broker):
    result = mqbench(shared_broker.ns, "e2e", "-t", "bench_e2e", "-r", 2000, "--count", 1000, "-c", 2, "--threads", 2)
    assert result["sent"] == result["received"] == 1000 and result["notSentInTime"] == 0
    assert 0.4 < result["seconds"] < 5  # a thousand at two thousand a second
    assert result["endToEndUs"]["p50"] >= result["sendUs"]["p50"] / 2


def test_sends_that_are_due_and_cannot_be_made_are_told(shared_broker):
    result = mqbench(shared_broker.ns, "produce", "-t", "bench_behind", "-r", 10000000, "-d", 1, "-c", 1, "-w", 1)
    assert result["notSentInTime"] > 5000000
    assert result["sendUs"]["p50"] > 100000  # counted from when they were due


def test_a_refused_send_fails_the_run_and_is_shown(make_broker):
    b = make_broker(maxMessageSize=1000).start()
    r = mqbench(b.ns, "produce", "-t", "bench_big", "--count", 10, "-s", 2000, check=False)
    assert r.returncode == 1 and "10 requests were refused, the first with CODE: 13" in r.stderr
    assert json.loads(r.stdout)["sent"] == 0


def test_mistakes_are_named(shared_broker):
    for args, text in ((("produce", "-c", 0), "--connections 0: a number from 1 to"),
                       (("produce", "--rate", "fast"), "--rate fast: a number expected"),
                       (("consume", "-t", "bench_missing"), "topic bench_missing does not exist")):
        r = mqbench(shared_broker.ns, *args, check=False)
        assert r.returncode == 1 and text in r.stderr and not r.stdout
