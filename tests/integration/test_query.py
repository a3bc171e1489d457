"""Messages found again: by key, by id, by offset, by time (Apache's own mqadmin 5.3.3 and raw requests)."""
import re

import pytest
from conftest import mqadmin

import rmq


def send(broker, topic, key, body, tag="A"):
    """The unique key and the offset message id of a message."""
    out = mqadmin("sendMessage", "-n", broker.ns, "-t", topic, "-p", body, "-k", key, "-c", tag).stdout
    return re.search(r"[0-9A-F]{32}", out).group(0)


@pytest.fixture(scope="module")
def sent(shared_broker):
    mqadmin("updateTopic", "-n", shared_broker.ns, "-b", shared_broker.addr, "-t", "query_t", "-r", 1, "-w", 1)
    return [send(shared_broker, "query_t", "order%d" % (n % 3), "body%d" % n) for n in range(9)]


def test_apaches_mqadmin_finds_messages_by_key(shared_broker, sent, apache_admin):
    out = apache_admin(shared_broker.ns, "queryMsgByKey", "-t", "query_t", "-k", "order1")
    assert len(re.findall(r"^[0-9A-F]{32} ", out, re.M)) == 3
    assert all(i in out for i in sent[1::3])


def test_apaches_mqadmin_finds_a_message_by_its_unique_key(shared_broker, sent, apache_admin):
    out = apache_admin(shared_broker.ns, "queryMsgByUniqueKey", "-t", "query_t", "-i", sent[4])
    assert re.search(r"Topic: +query_t", out) and re.search(r"Keys: +\[?order1", out)
    c = rmq.Conn(shared_broker.addr)
    key = dict(topic="query_t", key=sent[4], maxNum="10", beginTimestamp="0", endTimestamp="9999999999999", _UNIQUE_KEY_QUERY="true")
    (record,) = rmq.records(c.call(12, key)["body"])
    c.close()
    offset_id = "7F000001%08X%016X" % (shared_broker.port, record["physical"])
    out = apache_admin(shared_broker.ns, "queryMsgById", "-t", "query_t", "-i", offset_id)
    assert re.search(r"Queue Offset: +4", out)


def test_apaches_mqadmin_shows_messages_by_offset_and_time(shared_broker, sent, apache_admin):
    out = apache_admin(shared_broker.ns, "queryMsgByOffset", "-t", "query_t", "-b", "broker-a", "-i", "0", "-o", "7")
    assert re.search(r"Queue Offset: +7", out) and sent[7] in out
    out = apache_admin(shared_broker.ns, "printMsg", "-t", "query_t", "-d", "true")
    assert len(re.findall("body[0-8]", out)) == 9
    out = apache_admin(shared_broker.ns, "queryCq", "-t", "query_t", "-q", "0", "-i", "2", "-c", "3", "-b", shared_broker.addr)
    assert out.count("physicOffset") == 3 or len(re.findall("phyOffset|physicOffset", out)) == 3


def test_keys_are_found_after_kill_9(make_broker, apache_admin):
    b = make_broker().start()
    ids = [send(b, "query_crash", "k", "x") for _ in range(3)]
    b.kill()
    b.start()
    out = apache_admin(b.ns, "queryMsgByKey", "-t", "query_crash", "-k", "k")
    assert all(i in out for i in ids)


def test_a_query_for_nothing_says_so(shared_broker, sent):
    c = rmq.Conn(shared_broker.addr)
    r = c.call(12, dict(topic="query_t", key="none", maxNum="10", beginTimestamp="0", endTimestamp="9999999999999"))
    c.close()
    assert r["code"] == 22 and r["remark"] == "can not find message, maybe time range not correct"
    assert r["extFields"]["indexLastUpdateTimestamp"] == "0"
