"""Pulls and the offsets of queues and groups."""
import json, time

from more import more
from record import loose_json
from rmq import Conn


def fill(e, t, n=5, queues=1):
    e.topic(t, queues)
    for i in range(n): e.send("send %d" % i, t, b"m%d" % i, p=dict(TAGS="ab"[i % 2]))


@more
def pull_places_and_counts(e):
    fill(e, "m_pl")
    for q in (1, 2**31 - 1, -2, -2**31): e.pull("queue %d of 1" % q, "m_pl", queue=q)
    for o in (-2, -2**63, 4, 5, 6, 100, 2**31, 2**63 - 1): e.pull("offset %d" % o, "m_pl", off=o)
    for n in (1, 3, 33, 1000, 2**31 - 1, -2**31): e.pull("count %d" % n, "m_pl", n=n)
    e.topic("m_pl_empty", 1)
    for o in (-1, 0, 1, 100): e.pull("empty queue from %d" % o, "m_pl_empty", off=o)
    e.pull("topic empty", ""); e.pull("topic illegal", "a b"); e.pull("group empty", "m_pl", group=""); e.pull("group illegal", "m_pl", group="a b"); e.pull("group too long", "m_pl", group="g" * 256)
    e.pull("system topic", "RMQ_SYS_TRANS_HALF_TOPIC"); e.pull("SCHEDULE_TOPIC_XXXX", "SCHEDULE_TOPIC_XXXX"); e.pull("TBW102", "TBW102")
    e.do("group made by a pull", 352, dict(group="CG"))


@more
def pull_fields(e):
    fill(e, "m_pf", 2)
    for k in ("queueId", "queueOffset", "maxMsgNums", "sysFlag", "commitOffset", "suspendTimeoutMillis", "subVersion", "maxMsgBytes"):
        for v in ("abc", ""): e.pull("%s=%r" % (k, v), "m_pf", **{k: v})
    for k in ("topic", "queueId", "maxMsgNums", "sysFlag", "commitOffset", "suspendTimeoutMillis", "subscription", "subVersion", "expressionType", "bname"): e.pull("without " + k, "m_pf", **{k: None})
    e.do("no fields", 11, {}); e.do("no fields, lite", 361, {})
    e.do("numbers and booleans", 11, dict(consumerGroup="CG", topic="m_pf", queueId=0, queueOffset=1, maxMsgNums=5, sysFlag=4, commitOffset=0, suspendTimeoutMillis=0, subscription="*", subVersion=1, expressionType="TAG"), typed=True, kind="records")
    e.pull("subscription null", "m_pf", subscription=None); e.pull("queue +0", "m_pf", queueId="+0"); e.pull("bytes 1", "m_pf", maxMsgBytes=1); e.pull("bytes -1", "m_pf", maxMsgBytes=-1); e.pull("bytes 0", "m_pf", maxMsgBytes=0)
    for v in (0, 2, 3, -1, 9): e.pull("request source %d" % v, "m_pf", requestSource=v)
    e.pull("other broker's name", "m_pf", bname="broker-z"); e.pull("proxy's client", "m_pf", proxyFrowardClientId="x")


@more
def pull_tags(e):
    fill(e, "m_pt", 4)
    for s in ("a||b", " a  ||  b ", "||", "a||", "||a", "*||a", "a||*", "**", " * ", " ", "a b", "A", "a||a", "x" * 300): e.pull("tags %r" % s[:30], "m_pt", sub=s)
    for t in ("tag", "Tag", "", " TAG", "TAG "): e.pull("type %r" % t, "m_pt", sub="a", expressionType=t)
    e.pull("no type", "m_pt", sub="a", expressionType=None); e.pull("old version number", "m_pt", sub="a", subVersion=0); e.pull("negative version number", "m_pt", sub="a", subVersion=-5)
    e.pull("tags from 3", "m_pt", sub="a", off=3); e.pull("tags at the end", "m_pt", sub="a", off=4); e.pull("tags, one wanted", "m_pt", sub="b", n=1)


@more
def pull_system_flags(e):
    fill(e, "m_ps", 3)
    e.heartbeat(e.b, "cid-ps", "m_psg", "m_ps", sub="a", tags=["a"])
    for f in (0, 1, 4, 5, 8, 12, 16, 32, 64, 255 & ~2, -1 & ~2): e.pull("flags %d" % f, "m_ps", group="m_psg", sysflag=f, off=1, commitOffset=1)
    e.do("what was committed", 14, dict(consumerGroup="m_psg", topic="m_ps", queueId=0))
    e.pull("by the heartbeat's", "m_ps", group="m_psg", sysflag=0); e.pull("newer version than the heartbeat", "m_ps", group="m_psg", sysflag=0, subVersion=e.t0 + 1); e.pull("older version", "m_ps", group="m_psg", sysflag=0, subVersion=0)
    e.pull("topic not subscribed", "m_pt", group="m_psg", sysflag=0); e.pull("group not known", "m_ps", group="m_psg_none", sysflag=0)
    e.pull("commit without suspend", "m_ps", group="m_psg", sysflag=5, commitOffset=2); e.do("committed", 14, dict(consumerGroup="m_psg", topic="m_ps", queueId=0))
    e.pull("commit -1", "m_ps", group="m_psg", sysflag=5, commitOffset=-1); e.do("committed", 14, dict(consumerGroup="m_psg", topic="m_ps", queueId=0))
    e.pull("commit far", "m_ps", group="m_psg", sysflag=5, commitOffset=10**12); e.do("committed", 14, dict(consumerGroup="m_psg", topic="m_ps", queueId=0))
    e.pull("commit of a missing topic", "m_ps_none", group="m_psg", sysflag=5, commitOffset=1); e.do("committed", 14, dict(consumerGroup="m_psg", topic="m_ps_none", queueId=0))
    e.do("leave", 35, dict(clientID="cid-ps", consumerGroup="m_psg"))


@more
def pull_other_expressions_by_heartbeat(e):
    fill(e, "m_pe", 3)
    for n, (model, sub, expr) in enumerate((("CLUSTERING", "*", "TAG"), ("CLUSTERING", "", "TAG"), ("CLUSTERING", "a || b", ""), ("BROADCASTING", "*", "TAG"))):
        g = "m_peg%d" % n
        e.heartbeat(e.b, "cid-pe", g, "m_pe", sub=sub, model=model, expr=expr); e.pull("%s %r %r" % (model, sub, expr), "m_pe", group=g, sysflag=0); e.do("connection", 203, dict(consumerGroup=g))
    e.do("no broadcasting for this group", 200, {}, json.dumps(dict(groupName="m_peg3", consumeEnable=True, consumeBroadcastEnable=False, retryQueueNums=1, retryMaxTimes=16)).encode())
    e.pull("broadcasting, forbidden", "m_pe", group="m_peg3", sysflag=0); e.pull("with its own subscription", "m_pe", group="m_peg3", sysflag=4)
    e.do("no consumption for this group", 200, {}, json.dumps(dict(groupName="m_peg0", consumeEnable=False, retryQueueNums=1, retryMaxTimes=16)).encode()); e.pull("forbidden", "m_pe", group="m_peg0", sysflag=0); e.pull("forbidden, lite", "m_pe", group="m_peg0", code=361)
    for n in range(4): e.do("leave", 35, dict(clientID="cid-pe", consumerGroup="m_peg%d" % n))


@more
def pull_suspended(e):
    fill(e, "m_pw", 1)
    for s in (0, -1, -2**63): e.pull("suspend %d" % s, "m_pw", off=1, sysflag=6, suspend=s, timeout=7.0)
    e.pull("suspend not a number", "m_pw", off=1, sysflag=6, suspendTimeoutMillis="x", timeout=7.0); e.pull("nothing to wait for", "m_pw", off=0, sysflag=6, suspend=5000)
    e.pull("past the end does not wait", "m_pw", off=7, sysflag=6, suspend=5000); e.pull("negative does not wait", "m_pw", off=-3, sysflag=6, suspend=5000)
    e.quiet("one-way pull", 11, dict(consumerGroup="CG", topic="m_pw", queueId=0, queueOffset=0, maxMsgNums=1, sysFlag=4, commitOffset=0, suspendTimeoutMillis=0, subscription="*", subVersion=0), flag=2)
    c = Conn(e.baddr)
    o = c.send(11, {k: str(v) for k, v in dict(consumerGroup="CG", topic="m_pw", queueId=0, queueOffset=1, maxMsgNums=32, sysFlag=6, commitOffset=0, suspendTimeoutMillis=20000, subscription="b", subVersion=e.t0, expressionType="TAG").items()})
    time.sleep(0.3); e.send("a does not wake b", "m_pw", b"a", p=dict(TAGS="a")); r = c.wait(o, 1.0); e.note("still waits", "broker", dict(code=11), r, "records", extra=dict(band="ok" if r is None else "answered"))
    e.send("b wakes it", "m_pw", b"b", p=dict(TAGS="b")); r = c.wait(o, 7.0); e.note("woken", "broker", dict(code=11), r, "records")
    o = c.send(11, {k: str(v) for k, v in dict(consumerGroup="CG", topic="m_pw", queueId=0, queueOffset=3, maxMsgNums=32, sysFlag=6, commitOffset=0, suspendTimeoutMillis=20000, subscription="*", subVersion=e.t0, expressionType="TAG").items()})
    time.sleep(0.3); e.topic("m_pw", 1, perm=2); e.topic("m_pw", 1, perm=6); e.send("wakes it after the topic's changes", "m_pw", b"c"); r = c.wait(o, 7.0); e.note("woken after changes", "broker", dict(code=11), r, "records"); c.close()


@more
def lite_pull(e):
    fill(e, "m_lp", 3)
    for o in (0, 2, 3, 4, -1): e.pull("from %d" % o, "m_lp", off=o, code=361)
    e.pull("tag a", "m_lp", sub="a", code=361); e.pull("no subscription, no heartbeat", "m_lp", sysflag=0, code=361); e.pull("missing topic", "m_lp_none", code=361); e.pull("queue 3", "m_lp", queue=3, code=361)
    e.pull("waits a little", "m_lp", off=3, sysflag=6, suspend=300, code=361, timeout=7.0); e.pull("flag of lite pulls", "m_lp", sysflag=20, code=361); e.pull("the flag in an ordinary pull", "m_lp", sysflag=20); e.pull("count 0", "m_lp", n=0, code=361)


@more
def offsets_of_groups(e):
    fill(e, "m_of", 3, 2)
    def q(label, **kw): return e.do(label, 14, dict(dict(consumerGroup="m_ofg", topic="m_of", queueId=0), **kw))
    def u(label, typed=False, **kw): return e.do(label, 15, {k: v for k, v in dict(dict(consumerGroup="m_ofg", topic="m_of", queueId=0, commitOffset=1), **kw).items() if v is not None}, typed=typed)
    q("unknown group"); q("unknown group, missing topic", topic="m_of_none"); q("unknown group, queue 9", queueId=9); q("unknown group, queue -1", queueId=-1); q("unknown group, empty queue", queueId=1)
    for z in ("true", "false", "TRUE", "FALSE", "no", ""): q("zero if not found: %r" % z, setZeroIfNotFound=z)
    q("empty queue, no zero", queueId=1, setZeroIfNotFound="false"); q("queue is none", queueId="abc"); q("no such zero", setZeroIfNotFound="0")
    for k in ("consumerGroup", "topic", "queueId"): e.do("query without " + k, 14, {a: b for a, b in dict(consumerGroup="m_ofg", topic="m_of", queueId=0).items() if a != k})
    e.do("query without anything", 14, {}); e.do("update without anything", 15, {})
    e.do("a group by its settings", 200, {}, json.dumps(dict(groupName="m_ofg", retryQueueNums=1, retryMaxTimes=16)).encode())
    u("update"); q("after"); u("queue 9", queueId=9); q("queue 9", queueId=9); u("queue -1", queueId=-1); q("queue -1", queueId=-1)
    u("offset is none", commitOffset="abc"); u("offset empty", commitOffset=""); u("offset overflows", commitOffset="9" * 25); u("queue is none", queueId="abc"); u("queue overflows", queueId="9" * 12); u("largest", commitOffset=2**63 - 1); q("after"); u("smallest", commitOffset=-2**63); q("after")
    for k in ("consumerGroup", "topic", "queueId", "commitOffset"): u("update without " + k, **{k: None})
    u("group empty", consumerGroup=""); u("group illegal", consumerGroup="a b"); u("topic empty", topic=""); u("other broker's name", bname="broker-z"); u("numbers", typed=True, queueId=1, commitOffset=2); q("after numbers", queueId=1)
    e.quiet("one-way", 15, dict(consumerGroup="m_ofg", topic="m_of", queueId=0, commitOffset=2), flag=2, wait=0.4); q("after one-way"); e.quiet("one-way query", 14, dict(consumerGroup="m_ofg", topic="m_of", queueId=0), flag=2, wait=0.4)
    q("a system group", consumerGroup="TOOLS_CONSUMER"); u("a system group", consumerGroup="TOOLS_CONSUMER"); q("a system group after", consumerGroup="TOOLS_CONSUMER"); e.do("all offsets", 43, {}, shape=lambda b: {k: {x: y for x, y in v.items() if not x.endswith("@broadcast")} for k, v in loose_json(b).items() if k != "dataVersion"})


@more
def offsets_of_queues(e):
    e.topic("m_oq", 2)
    t1 = None
    for i in range(4):
        e.send("send %d" % i, "m_oq", b"m%d" % i)
        time.sleep(0.05)
        if i == 1: t1 = int(time.time() * 1000); time.sleep(0.05)
    for code, nm in ((30, "max"), (31, "min"), (32, "earliest")):
        for q in (0, 1, 5, -1, 2**31 - 1): e.do("%s of queue %d" % (nm, q), code, dict(topic="m_oq", queueId=q))
        e.do(nm + " without topic", code, dict(queueId=0)); e.do(nm + " without queue", code, dict(topic="m_oq")); e.do(nm + ", queue is none", code, dict(topic="m_oq", queueId="x")); e.do(nm + ", topic empty", code, dict(topic="", queueId=0)); e.do(nm + " without anything", code, {})
        e.do(nm + ", more fields", code, dict(topic="m_oq", queueId=0, committed="false", bname="broker-z", lo="true"))
    def s(label, **kw): return e.do(label, 29, {k: v for k, v in dict(dict(topic="m_oq", queueId=0, timestamp=0), **kw).items() if v is not None})
    for v in (-1, -2**63, 0, 1, 2**63 - 1): s("time %d" % v, timestamp=v)
    for bt in ("LOWER", "UPPER", "lower", "upper", "Upper", "", "middle"):
        s("between, %r" % bt, timestamp=t1, boundaryType=bt); s("first, %r" % bt, timestamp=0, boundaryType=bt); s("last, %r" % bt, timestamp=t1 + 10**7, boundaryType=bt)
    s("between", timestamp=t1); s("empty queue", queueId=1); s("empty queue, upper", queueId=1, boundaryType="UPPER"); s("empty queue, later", queueId=1, timestamp=t1); s("queue 9", queueId=9); s("queue -1", queueId=-1); s("missing topic", topic="m_oq_none"); s("topic empty", topic="")
    for k in ("topic", "queueId", "timestamp"): s("without " + k, **{k: None})
    s("time is none", timestamp="x"); s("queue is none", queueId="x")


@more
def views(e):
    e.topic("m_vw", 1)
    r = e.send("send", "m_vw", b"look at me"); at = int(r["extFields"]["msgId"][-16:], 16)
    e.do("by position", 33, dict(offset=at), kind="records"); e.do("with topic", 33, dict(offset=at, topic="m_vw"), kind="records"); e.do("with another topic", 33, dict(offset=at, topic="zzz"), kind="records")
    e.do("inside a record", 33, dict(offset=at + 1)); e.do("at a record's magic", 33, dict(offset=at + 4)); e.do("-1", 33, dict(offset=-1)); e.do("largest", 33, dict(offset=2**63 - 1)); e.do("none", 33, dict(offset="x")); e.do("no field", 33, {}); e.do("empty", 33, dict(offset=""))
