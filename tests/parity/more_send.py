"""Sends: numbers that are none, flags, properties, topics and permissions, batches."""
import struct

from more import more
from rmq import props

NUMBERS = ("abc", "", "99999999999", "1.5", "+1", " 1", "-0", "0x1", "1L")


@more
def send_v2_numbers_that_are_none(e):
    e.topic("m_num", 2)
    for k in "degefhj":
        for v in ("abc", ""): e.send("%s=%r" % (k, v), "m_num", **{k: v})
    for v in NUMBERS[2:]: e.send("e=%r" % v, "m_num", e=v)
    for v in ("99999999999999999999", "-1", "0", "+7"): e.send("g=%r" % v, "m_num", g=v)
    for k in "km":
        for v in ("TRUE", "yes", ""): e.send("%s=%r" % (k, v), "m_num", **{k: v})
    for v in ("abc", "", "-1", "99999999999"): e.send("l=%r" % v, "m_num", l=v)
    e.do("max offset of 0", 30, dict(topic="m_num", queueId=0)); e.do("max offset of 1", 30, dict(topic="m_num", queueId=1))


@more
def send_v1_numbers_that_are_none(e):
    e.topic("m_num1", 2)
    for k in ("queueId", "sysFlag", "bornTimestamp", "flag", "reconsumeTimes", "defaultTopicQueueNums", "unitMode", "batch"):
        for v in ("abc", ""): e.send1("%s=%r" % (k, v), "m_num1", **{k: v})
    for v in NUMBERS[2:]: e.send1("queueId=%r" % v, "m_num1", **{"queueId": v})
    for k in ("sysFlag", "flag", "defaultTopic", "defaultTopicQueueNums", "unitMode", "batch"): e.send1("without " + k, "m_num1", **{k: None})
    e.do("no fields at all", 10, {}, b"x"); e.do("no fields at all, v2", 310, {}, b"x"); e.do("no fields at all, batch", 320, {}, b"x")
    e.do("long names in v2", 310, dict(producerGroup="PG", topic="m_num1", defaultTopic="TBW102", defaultTopicQueueNums=4, queueId=1, sysFlag=0, bornTimestamp=e.t0, flag=0), b"x")
    e.do("short names in v1", 10, dict(a="PG", b="m_num1", c="TBW102", d=4, e=0, f=0, g=e.t0, h=0, i="", j=0), b"x")


@more
def send_values_that_are_not_text(e):
    e.topic("m_typed", 2)
    for label, kw in (("queue as number", dict(e=1)), ("queue as fraction", dict(e=1.5)), ("queue as boolean", dict(e=True)), ("unit mode as boolean", dict(k=False)), ("time as number", dict(g=e.t0)),
                      ("flag as list", dict(h=[1])), ("flag as object", dict(h={"a": 1})), ("flag null", dict(h=None)), ("topic as number", dict(b=12345)), ("properties as object", dict(i={"a": "b"}, b="m_typed2"))):
        ext = dict(a="PG", b="m_typed", c="TBW102", d="4", e="0", f="0", g=str(e.t0), h="0", i=props(UNIQ_KEY="7F0000010001000000000000000A%04d" % len(label)), j="0", k="false", m="false")
        e.do(label, 310, dict(ext, **kw), b"typed", typed=True)
    e.pull("what was stored", "m_typed"); e.pull("what was stored in 1", "m_typed", queue=1); e.config("12345")


@more
def send_flags_and_times(e):
    e.topic("m_flags", 1)
    for f in (1, 2, 3, 4, 8, 12, 64, 128, 256, 1 << 20, -2147483648 & ~0x3c): e.send("sysFlag %d" % f, "m_flags", sysflag=f)
    for v in (-1, 0, 2**63 - 1, -2**63): e.send("born %d" % v, "m_flags", g=v)
    for v in (-1, 2**31 - 1, -2**31): e.send("flag %d" % v, "m_flags", h=v)
    for v in (-1, 1, 17, 2**31 - 1): e.send("reconsumed %d" % v, "m_flags", j=v)
    e.send("unit mode", "m_flags", k="true"); e.send("another broker's name", "m_flags", n="broker-z"); e.send("no broker's name", "m_flags", n=None)
    e.send("empty group", "m_flags", a=""); e.send("illegal group", "m_flags", a="a b/c")
    e.pull("what was stored", "m_flags", n=64)


@more
def send_properties(e):
    e.topic("m_props", 1)
    u = "UNIQ_KEY\x017F0000010001000000000000000B%04d\x02"
    for n, (label, text) in enumerate((("no separator", "abc"), ("no end", "a\x01b"), ("empty pair", "\x01\x02"), ("empty value", "a\x01\x02"), ("empty name", "\x01b\x02"), ("ends only", "\x02\x02\x02"),
                                       ("two values", "a\x01b\x01c\x02"), ("the same twice", "a\x01b\x02a\x01c\x02"), ("keys with blanks", "KEYS\x01k1 k2  k3\x02"), ("empty tag", "TAGS\x01\x02"),
                                       ("blank tag", "TAGS\x01 \x02"), ("wait false", "WAIT\x01false\x02"), ("wait odd", "WAIT\x01maybe\x02"), ("the broker's own", "MSG_REGION\x01elsewhere\x02TRACE_ON\x01false\x02CLUSTER\x01X\x02"),
                                       ("offsets", "MIN_OFFSET\x015\x02MAX_OFFSET\x019\x02"), ("delay 0", "DELAY\x010\x02"), ("delay -1", "DELAY\x01-1\x02"), ("delay abc", "DELAY\x01abc\x02"), ("not a transaction", "TRAN_MSG\x01false\x02"),
                                       ("transaction odd", "TRAN_MSG\x01maybe\x02"), ("retry topic", "RETRY_TOPIC\x01x\x02REAL_TOPIC\x01y\x02REAL_QID\x017\x02"), ("non-ASCII", "name\x01\u00e9\u4e2d\U0001f600\x02"), ("control", "c\x01\x03\x04\n\x02"))):
        e.send(label, "m_props", i=text + ("\x02" if label == "no end" else "") + u % n if not text.endswith("b") and text != "abc" else (u % n) + text)
    e.pull("what was stored", "m_props", n=64); e.topic("m_props2", 1)
    e.send("inner number", "m_props2", p=dict(INNER_NUM="1")); e.send("unique key empty", "m_props", i="UNIQ_KEY\x01\x02"); e.send("unique key odd", "m_props", i="UNIQ_KEY\x01my own\x02"); e.send("unique key twice", "m_props", i="UNIQ_KEY\x01K1\x02UNIQ_KEY\x01K2\x02")
    e.send("properties null", "m_props", i=None); e.send("properties empty", "m_props", i="")
    e.do("max offset", 30, dict(topic="m_props", queueId=0))


@more
def send_to_system_topics(e):
    for t in ("BenchmarkTest", "DefaultCluster", "broker-a", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT", "RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC", "DefaultCluster_REPLY_TOPIC",
              "rmq_sys_wheel_timer", "rmq_sys_SYNC_BROKER_MEMBER_broker-a", "rmq_sys_REVIVE_LOG_DefaultCluster", "rmq_sys_anything", "%SYS%x", "CID_RMQ_SYS_x", "%DLQ%nobody", "%RETRY%", "%DLQ%", "tbw102", "t\u00e9", "a.b", "a:b", "a,b", " a", "a "):
        e.send("topic %r" % t, t)
    e.config("OFFSET_MOVED_EVENT"); e.config("%DLQ%nobody"); e.config("rmq_sys_anything")


@more
def send_to_auto_created_topics(e):
    for n in (-1, 0, 1, 8, 9, 100, 2**31 - 1):
        e.send("wants %d queues" % n, "m_auto_%d" % n, d=n); e.config("m_auto_%d" % n)
    e.send("count is none", "m_auto_x", d="x"); e.send("no count", "m_auto_none", d=None); e.config("m_auto_none")
    e.topic("m_plain", 2); e.send("after an ordinary topic", "m_auto_plain", c="m_plain"); e.config("m_auto_plain")
    e.topic("m_inherit", 3, perm=7); e.send("after one that is inherited", "m_auto_inherit", c="m_inherit"); e.config("m_auto_inherit")
    e.topic("m_inherit_r", 3, perm=5); e.send("after one that is read-only", "m_auto_inherit_r", c="m_inherit_r"); e.config("m_auto_inherit_r"); e.send("again", "m_auto_inherit_r", c="m_inherit_r")
    e.send("after nothing", "m_auto_nothing", c=""); e.send("no default topic", "m_auto_nothing", c=None); e.send("in v1 after nothing", "m_auto_nothing", code=310, c="no_such")
    e.send("unit mode", "m_auto_unit", k="true"); e.config("m_auto_unit")
    e.send("queue 5 of 4", "m_auto_q", queue=5); e.config("m_auto_q"); e.send("queue -7 of a new one", "m_auto_qn", queue=-7); e.config("m_auto_qn")
    e.send1("first form, unit mode", "m_auto_v1", unitMode="true"); e.config("m_auto_v1")
    e.send("an illegal name is not created", "m auto"); e.config("m auto")


@more
def send_and_pull_by_permission(e):
    for p in (0, 1, 2, 4, 6, 8, 12, 15):
        t = "m_perm_%d" % p
        e.topic(t, 1, perm=p); e.send("send, perm %d" % p, t); e.send1("send v1, perm %d" % p, t); e.pull("pull, perm %d" % p, t); e.do("max, perm %d" % p, 30, dict(topic=t, queueId=0)); e.config(t)
    e.topic("m_perm_6", 1, perm=4); e.send("send after the change", "m_perm_6"); e.pull("pull after the change", "m_perm_6")
    e.topic("m_perm_6", 1, perm=2); e.pull("pull, write only", "m_perm_6"); e.do("min", 31, dict(topic="m_perm_6", queueId=0)); e.do("stats", 202, dict(topic="m_perm_6"))


@more
def send_and_pull_uneven_queues(e):
    for r, w in ((2, 4), (4, 2), (0, 2), (2, 0)):
        t = "m_rw_%d_%d" % (r, w)
        e.do("create", 17, dict(topic=t, defaultTopic="TBW102", readQueueNums=r, writeQueueNums=w, perm=6, topicFilterType="SINGLE_TAG", topicSysFlag=0, order="false"))
        for q in range(5): e.send("%s to %d" % (t, q), t, queue=q); e.pull("%s from %d" % (t, q), t, queue=q)
        e.do("stats", 202, dict(topic=t))
    e.topic("m_shrink", 4); e.send("to 3", "m_shrink", queue=3); e.topic("m_shrink", 2); e.send("to 3 after", "m_shrink", queue=3); e.pull("from 3 after", "m_shrink", queue=3)
    e.do("max of 3 after", 30, dict(topic="m_shrink", queueId=3)); e.do("stats after", 202, dict(topic="m_shrink"))


@more
def send_retries_by_hand(e):
    e.send("to a group nobody has", "%RETRY%m_rg_none")
    e.heartbeat(e.b, "cid-rg", "m_rg", "m_flags")
    e.config("%RETRY%m_rg")
    for j, l in ((0, None), (3, None), (16, None), (17, None), (1, 0), (0, 0), (2, 1), (5, -1), (17, -1), (17, 100)):
        e.send("reconsumed %s of %s" % (j, l), "%RETRY%m_rg", j=j, l=l)
    e.send("reconsumed 3 of 1 by an old client", "%RETRY%m_rg", j=3, l=1, version=100); e.send("queue 1", "%RETRY%m_rg", queue=1); e.send("queue -1", "%RETRY%m_rg", queue=-1)
    e.send1("first form, reconsumed 20", "%RETRY%m_rg", reconsumeTimes=20); e.send1("first form, of 30", "%RETRY%m_rg", reconsumeTimes=20, maxReconsumeTimes=30)
    e.config("%DLQ%m_rg"); e.do("retry max", 30, dict(topic="%RETRY%m_rg", queueId=0)); e.do("dead letters", 30, dict(topic="%DLQ%m_rg", queueId=0))
    e.send("straight to the dead letters", "%DLQ%m_rg"); e.pull("from the dead letters", "%DLQ%m_rg")
    e.do("leave", 35, dict(clientID="cid-rg", consumerGroup="m_rg"))


def item(body, text, flag=0, magic=0, crc=0, size=None, body_len=None, props_len=None):
    x = text.encode()
    n = 22 + len(body) + len(x) if size is None else size
    return struct.pack(">iiiii", n, magic, crc, flag, len(body) if body_len is None else body_len) + body + struct.pack(">h", len(x) if props_len is None else props_len) + x


@more
def send_batches(e):
    e.topic("m_batch", 2)
    a, b = item(b"one", props(TAGS="a", UNIQ_KEY="U1")), item(b"two", props(TAGS="b", UNIQ_KEY="U2"))
    def go(label, body, code=320, **kw): return e.send(label, "m_batch", body, code=code, **dict(dict(m="true", p=dict()), **kw))
    go("two", a + b); go("one", a); go("as v2 with the flag", a + b, code=310); go("as a batch without the flag", a + b, m="false"); go("no flag field", a + b, m=None)
    e.send1("as v1 with the flag", "m_batch", a + b, batch="true")
    go("no unique keys", item(b"x", "") + item(b"y", ""), i=""); go("unique key of the request only", item(b"x", "") + item(b"y", ""), i=props(UNIQ_KEY="REQ"))
    go("flags inside", item(b"x", props(UNIQ_KEY="U3"), flag=7)); go("magic and checksum inside", item(b"x", props(UNIQ_KEY="U4"), magic=99, crc=5))
    go("property without an end inside", item(b"x", "UNIQ_KEY\x01U5")); go("garbage property inside", item(b"x", "garbage"))
    go("to queue 1", a + b, queue=1); go("to queue 9", a + b, queue=9); go("system flag 1", a, sysflag=1); go("wait false", a, p=dict(WAIT="false"))
    go("tags of the request", a, p=dict(TAGS="req")); go("born -1, reconsumed 4", a, g=-1, j=4)
    e.pull("what was stored in 0", "m_batch", n=64); e.pull("what was stored in 1", "m_batch", queue=1)


@more
def send_batches_that_are_wrong(e):
    e.topic("m_bbad", 1)
    ok = item(b"one", props(UNIQ_KEY="U1"))
    def go(label, body, t="m_bbad", **kw): return e.send(label, t, body, code=320, **dict(dict(m="true"), **kw))
    go("empty", b""); go("size 0", item(b"x", "", size=0)); go("size -1", item(b"x", "", size=-1)); go("size too large", item(b"x", "", size=9999)); go("size too small", item(b"xyz", "", size=10))
    go("body length -1", item(b"x", "", body_len=-1)); go("body length too large", item(b"x", "", body_len=999)); go("properties length -1", item(b"x", "", props_len=-1)); go("properties length too large", item(b"x", "", props_len=999))
    go("empty body inside", item(b"", "")); go("garbage behind", ok + b"abc"); go("zeros behind", ok + b"\0" * 8)
    go("to the retry topic", ok, t="%RETRY%m_rg"); go("to a topic that is made now", ok, t="m_bbad_auto"); go("to a forbidden topic", ok, t="SCHEDULE_TOPIC_XXXX")
    e.do("max offset", 30, dict(topic="m_bbad", queueId=0)); e.pull("what was stored", "m_bbad")


@more
def send_one_way(e):
    e.topic("m_ow", 1)
    e.quiet("v2", 310, dict(a="PG", b="m_ow", c="TBW102", d=4, e=0, f=0, g=e.t0, h=0, i="", j=0), b"x", flag=2)
    e.quiet("v1", 10, dict(producerGroup="PG", topic="m_ow", defaultTopic="TBW102", defaultTopicQueueNums=4, queueId=0, sysFlag=0, bornTimestamp=e.t0, flag=0), b"x", flag=2)
    e.quiet("refused", 310, dict(a="PG", b="m ow", c="TBW102", d=4, e=0, f=0, g=e.t0, h=0), b"x", flag=2)
    e.quiet("fields missing", 310, dict(a="PG"), b"x", flag=2); e.quiet("unknown code", 31999, {}, flag=2); e.quiet("unknown code at the name server", 31999, {}, flag=2, to="ns")
    e.quiet("route", 105, dict(topic="TBW102"), flag=2, to="ns")
    e.do("both were stored", 30, dict(topic="m_ow", queueId=0)); e.do("name server still answers", 105, dict(topic="nothing_at_all"), to="ns")
