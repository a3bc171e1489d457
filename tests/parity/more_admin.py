"""Topics, groups, figures and settings of a broker, as tools ask for them."""
import json, time

from more import keys_of, more
from rmq import Conn


def create(e, label, t, **kw):
    ext = dict(dict(topic=t, defaultTopic="TBW102", readQueueNums=1, writeQueueNums=1, perm=6, topicFilterType="SINGLE_TAG", topicSysFlag=0, order="false"), **kw)
    return e.do(label, 17, {k: v for k, v in ext.items() if v is not None}, timeout=4.0)


@more
def topics_with_odd_settings(e):
    for t in ("", " ", "m%t", "m_ok-1", "x" * 127, "x" * 128, "%RETRY%m_tg", "%DLQ%m_tg", "%RETRY%", "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "broker-a", "DefaultCluster", "rmq_sys_mine", "t\u00e9", "a.b", "m|t"): create(e, "name %r" % t[:40], t); e.config(t)
    for k in ("readQueueNums", "writeQueueNums"):
        for v in (0, -1, -2**31, 65536, "abc", "", "99999999999"): create(e, "%s=%s" % (k, v), "m_tq", **{k: v}); e.config("m_tq")
    for v in (-1, 0, 1, 3, 5, 7, 8, 16, 255, "abc", ""): create(e, "perm=%s" % v, "m_tp", perm=v); e.config("m_tp")
    for v in ("MULTI_TAG", "single_tag", "", "XYZ", None): create(e, "filter type %s" % v, "m_tf", topicFilterType=v); e.config("m_tf")
    for v in (1, 2, 3, -1, 2**31 - 1, "abc"): create(e, "system flag %s" % v, "m_ts", topicSysFlag=v); e.config("m_ts")
    for v in ("true", "TRUE", "yes", "", None): create(e, "order %s" % v, "m_to", order=v); e.config("m_to")
    for k in ("topic", "defaultTopic", "readQueueNums", "writeQueueNums", "perm", "topicSysFlag"): create(e, "without " + k, "m_tn", **{k: None})
    e.config("m_tn"); e.do("without anything", 17, {}); create(e, "force", "m_tforce", force="true"); create(e, "numbers as text with a sign", "m_tsign", readQueueNums="+3"); e.config("m_tsign")
    e.do("numbers as numbers", 17, dict(topic="m_tnum", defaultTopic="TBW102", readQueueNums=3, writeQueueNums=2, perm=6, topicFilterType="SINGLE_TAG", topicSysFlag=0, order=True), typed=True); e.config("m_tnum")
    e.quiet("one-way", 17, dict(topic="m_tow", defaultTopic="TBW102", readQueueNums=1, writeQueueNums=1, perm=6, topicFilterType="SINGLE_TAG"), flag=2); e.config("m_tow")


@more
def topics_with_too_many_queues(e):
    create(e, "reads", "m_tq2", readQueueNums=65537); create(e, "writes", "m_tq3", writeQueueNums=2**31 - 1); e.do("delete", 215, dict(topic="m_tq2")); e.do("delete", 215, dict(topic="m_tq3"))


@more
def topics_with_attributes(e):
    for n, a in enumerate(("+message.type=NORMAL", "+message.type=FIFO", "+message.type=DELAY", "+message.type=TRANSACTION", "+message.type=MIXED", "+message.type=normal", "+message.type=XYZ", "+message.type=", "message.type=FIFO", "-message.type", "+queue.type=SimpleCQ",
                           "+cleanup.policy=DELETE", "+cleanup.policy=XYZ", "+reserve.time=100", "+reserve.time=-1", "+reserve.time=abc", "+max.version=3", "+no.such=1", "", ",", "+", "+=", "+a", "=", "+message.type=FIFO,+message.type=NORMAL", "+message.type=FIFO,+cleanup.policy=DELETE", " +message.type=FIFO ", "+message.type=FIFO,")):
        create(e, "attributes %r" % a, "m_at%d" % n, attributes=a); e.config("m_at%d" % n)
    create(e, "set", "m_atu", attributes="+message.type=FIFO"); create(e, "no attributes keep them", "m_atu"); e.config("m_atu")
    for a in ("+message.type=NORMAL", "message.type=NORMAL", "-message.type", "-message.type", "+cleanup.policy=COMPACTION", "-cleanup.policy", "-no.such", "+reserve.time=7", "+message.type=DELAY,-reserve.time"): create(e, "then %r" % a, "m_atu", attributes=a); e.config("m_atu")


@more
def topics_by_list(e):
    def c(n, **kw): return dict(dict(topicName=n, readQueueNums=2, writeQueueNums=2, perm=6, topicFilterType="SINGLE_TAG", topicSysFlag=0, order=False, attributes={}), **kw)
    def one(label, items, **kw): return e.do(label, 18, {}, items if isinstance(items, bytes) else json.dumps(dict(topicConfigList=items, **kw)).encode(), timeout=4.0)
    one("two", [c("m_l1"), c("m_l2", readQueueNums=5)]); e.config("m_l1"); e.config("m_l2"); one("empty", []); one("null", b"null"); one("no body", b""); one("not JSON", b"zz"); one("no list", b"{}"); one("list null", b'{"topicConfigList":null}')
    one("one illegal", [c("m_l3"), c("a b")]); e.config("m_l3"); one("one of the system's", [c("m_l4"), c("TBW102")]); e.config("m_l4"); one("no name", [dict(readQueueNums=1)]); one("settings missing", [dict(topicName="m_l5")]); e.config("m_l5")
    one("attributes", [c("m_l6", attributes={"+message.type": "FIFO"})]); e.config("m_l6"); one("attributes that are none", [c("m_l7", attributes={"+no.such": "1"})]); e.config("m_l7"); one("the same twice", [c("m_l8"), c("m_l8", readQueueNums=7)]); e.config("m_l8")
    one("attributes null", [c("m_l9", attributes=None)]); e.config("m_l9"); one("strings for numbers", [c("m_l10", readQueueNums="3", perm="4")]); e.config("m_l10"); one("again, unchanged", [c("m_l1"), c("m_l2", readQueueNums=5)])


@more
def topics_deleted(e):
    e.topic("m_del", 2); e.send("send", "m_del"); e.heartbeat(e.b, "cid-del", "m_delg", "m_del"); e.do("offset", 15, dict(consumerGroup="m_delg", topic="m_del", queueId=0, commitOffset=1)); e.until_routed("m_del")
    for t in ("", " ", "m_none", "a b", "SCHEDULE_TOPIC_XXXX", "%RETRY%m_none", "x" * 300): e.do("delete %r" % t[:30], 215, dict(topic=t))
    e.do("delete without topic", 215, {}); e.do("delete", 215, dict(topic="m_del")); e.config("m_del"); e.do("max after", 30, dict(topic="m_del", queueId=0)); e.do("offset after", 14, dict(consumerGroup="m_delg", topic="m_del", queueId=0)); e.pull("pull after", "m_del", group="m_delg")
    e.do("by id", 202, dict(topic="m_del")); e.send("send after", "m_del"); e.do("max of the new one", 30, dict(topic="m_del", queueId=0)); e.config("m_del"); e.do("leave", 35, dict(clientID="cid-del", consumerGroup="m_delg"))


@more
def topic_questions(e):
    e.topic("m_tqs", 2); e.send("send", "m_tqs"); e.send("send", "m_tqs", queue=1)
    for code, nm in ((202, "stats"), (351, "config"), (300, "groups")):
        for t in ("m_tqs", "m_none", "", "a b", "TBW102", "SCHEDULE_TOPIC_XXXX", "%RETRY%m_none"): e.do("%s of %r" % (nm, t), code, dict(topic=t))
        e.do(nm + " without topic", code, {}); e.do(nm + ", more fields", code, dict(topic="m_tqs", lo="false", x=1)); e.quiet(nm + ", one-way", code, dict(topic="m_tqs"), flag=2, wait=0.3)
    e.heartbeat(e.b, "cid-tqs", "m_tqsg", "m_tqs"); e.do("groups with one alive", 300, dict(topic="m_tqs")); e.do("offset", 15, dict(consumerGroup="m_tqsg", topic="m_tqs", queueId=0, commitOffset=1)); e.do("topics of it", 343, dict(group="m_tqsg"))
    e.do("leave", 35, dict(clientID="cid-tqs", consumerGroup="m_tqsg")); e.do("groups after it left", 300, dict(topic="m_tqs")); e.do("topics of nobody", 343, dict(group="m_none")); e.do("topics, no group", 343, {}); e.do("topics, empty group", 343, dict(group=""))
    e.do("system topics", 305, {}); e.do("system topics with fields", 305, dict(x=1))


def names(key):
    return lambda body: sorted(k for k in json.loads(body)[key] if not k.startswith("%RETRY%") and len(k) < 100)


@more
def all_of_them(e):
    for ext in ({}, dict(topicSeq=0, maxTopicNum=5), dict(topicSeq=10**6, maxTopicNum=5), dict(topicSeq=-1, maxTopicNum=-1), dict(topicSeq="x"), dict(dataVersion="x"), dict(dataVersion='{"stateVersion":0,"timestamp":1,"counter":1}', topicSeq=0)):
        e.do("topics by %s: members" % ext, 21, ext, shape=lambda b: sorted(json.loads(b)), timeout=3.0)
    e.do("topics: names", 21, {}, shape=names("topicConfigTable")); e.do("groups: members", 201, {}, shape=lambda b: sorted(json.loads(b))); e.do("groups: names", 201, {}, shape=names("subscriptionGroupTable"))
    for ext in (dict(groupSeq=0, maxGroupNum=2), dict(groupSeq=10**6), dict(groupSeq=-1), dict(groupSeq="x", dataVersion="x")): e.do("groups by %s: members" % ext, 201, ext, shape=lambda b: sorted(json.loads(b)), timeout=3.0)
    e.do("a system group's settings", 352, dict(group="TOOLS_CONSUMER")); e.do("a system topic's settings", 351, dict(topic="RMQ_SYS_TRANS_HALF_TOPIC")); e.do("offsets: members", 43, {}, shape=lambda b: sorted(k for k in ("dataVersion", "offsetTable") if k.encode() in b))


@more
def figures(e):
    e.do("runtime", 28, {}, shape=keys_of); e.do("runtime with fields", 28, dict(x=1), shape=keys_of); e.do("runtime, body", 28, {}, b"zz", shape=keys_of); e.quiet("runtime, one-way", 28, {}, flag=2, wait=0.4)
    e.do("settings: ext", 26, {}, shape=lambda b: "text" if b"brokerName=broker-a" in b and b"flushDiskType" in b else "none"); e.do("settings with fields", 26, dict(x=1), shape=lambda b: "text")
    e.do("settings: names", 26, {}, shape=lambda b: sorted({l.split("=")[0] for l in b.decode().splitlines() if "=" in l and not l.startswith("script")}))


G = dict(groupName="m_g", consumeEnable=True, consumeFromMinEnable=True, consumeBroadcastEnable=True, consumeMessageOrderly=False, retryQueueNums=1, retryMaxTimes=3, brokerId=0, whichBrokerWhenConsumeSlowly=1, notifyConsumerIdsChangedEnable=True, groupSysFlag=0, consumeTimeoutMinute=15)


@more
def groups_with_odd_settings(e):
    def one(label, **kw):
        e.do(label, 200, {}, json.dumps({k: v for k, v in dict(G, **kw).items() if v != "-"}).encode(), timeout=4.0); g = kw.get("groupName", "m_g")
        if isinstance(g, str) and g != "-": e.do("config of %r" % g[:30], 352, dict(group=g))
    one("plain"); one("again, other numbers", retryQueueNums=4, retryMaxTimes=-1, consumeEnable=False); one("unknown member", more=1)
    for g in ("", " ", None, "-", "m%g", "m g", "g" * 255, "g" * 256, "%RETRY%g", "TOOLS_CONSUMER", "CID_RMQ_SYS_X", "m\u00e9", "m|g"): one("name %r" % (g and g[:30]), groupName=g)
    for k, vs in (("retryQueueNums", (-1, 0, 2**31 - 1, "2", None, "-")), ("retryMaxTimes", (-2, 0, 2**31 - 1, None, "-")), ("consumeEnable", ("true", None, 0, "-")), ("brokerId", (-1, 5, "-")), ("groupSysFlag", (1, -1)), ("consumeTimeoutMinute", (0, -1, "-")), ("consumeMessageOrderly", (True,))):
        for v in vs: one("%s=%s" % (k, v), groupName="m_g2", **{k: v})
    for n, p in enumerate((dict(type="CUSTOMIZED"), dict(type="EXPONENTIAL", exponentialRetryPolicy=dict(initial=1000, max=2000, multiplier=3)), dict(type="CUSTOMIZED", customizedRetryPolicy=dict(next=[1000, 2000])), dict(type="XYZ"), None, {})): one("retry policy %d" % n, groupName="m_gp%d" % n, groupRetryPolicy=p)
    one("subscriptions of a simple consumer", groupName="m_gs", subscriptionDataSet=[dict(topic="t", filterExpression="*")]); one("subscriptions null", groupName="m_gs", subscriptionDataSet=None)
    for n, a in enumerate(({"+no.such": "1"}, {"no.such": "1"}, {"-no.such": ""}, {"+priority.factor": "50"}, {"+priority.factor": "abc"}, {"+message.type": "FIFO"}, None)): one("attributes %s" % a, groupName="m_ga%d" % n, attributes=a)
    for label, b in (("no body", b""), ("null", b"null"), ("not JSON", b"zz"), ("a list", b"[]"), ("empty", b"{}")): e.do(label, 200, {}, b, timeout=4.0)


@more
def groups_by_list(e):
    def one(label, items): return e.do(label, 225, {}, items if isinstance(items, bytes) else json.dumps(dict(groupConfigList=items)).encode(), timeout=4.0)
    def conf(g): e.do("config of " + g, 352, dict(group=g))
    one("two", [dict(G, groupName="m_gl1"), dict(G, groupName="m_gl2", retryMaxTimes=7)]); conf("m_gl1"); conf("m_gl2"); one("empty", []); one("null", b"null"); one("no body", b""); one("not JSON", b"zz"); one("no list", b"{}"); one("list null", b'{"groupConfigList":null}')
    one("one illegal", [dict(G, groupName="m_gl3"), dict(G, groupName="a b")]); conf("m_gl3"); one("one without a name", [dict(G, groupName=None)]); one("a bare list", json.dumps([dict(G, groupName="m_gl4")]).encode()); conf("m_gl4")


@more
def groups_deleted(e):
    e.topic("m_gdt", 1); e.send("send", "m_gdt")
    def offset(g): e.do("offset of " + g, 14, dict(consumerGroup=g, topic="m_gdt", queueId=0, setZeroIfNotFound="false"))
    for g, ext in (("m_gd1", {}), ("m_gd2", dict(cleanOffset="true")), ("m_gd3", dict(cleanOffset="false")), ("m_gd4", dict(cleanOffset="yes"))):
        e.do("create " + g, 200, {}, json.dumps(dict(G, groupName=g)).encode()); e.do("commit", 15, dict(consumerGroup=g, topic="m_gdt", queueId=0, commitOffset=1)); offset(g)
        e.do("delete %s %s" % (g, ext), 207, dict(groupName=g, **ext)); offset(g); e.do("commit after", 15, dict(consumerGroup=g, topic="m_gdt", queueId=0, commitOffset=1)); offset(g)
    for g in ("m_none", "", "a b", "TOOLS_CONSUMER"): e.do("delete %r" % g, 207, dict(groupName=g))
    e.do("delete, no field", 207, {}); e.do("delete, wrong field", 207, dict(group="m_gd1")); e.do("config of a system group after", 352, dict(group="TOOLS_CONSUMER"))
    for g in ("m_never_seen", "", "a b", "g" * 300): e.do("config of %r" % g[:20], 352, dict(group=g))
    e.do("config, no field", 352, {}); e.do("was made by the question", 352, dict(group="m_never_seen"))


@more
def progress_of_groups(e):
    e.topic("m_cs", 2); e.topic("m_cs2", 1)
    for i in range(3): e.send("send %d" % i, "m_cs", queue=i % 2)
    def one(label, **kw): return e.do(label, 208, {k: v for k, v in dict(dict(consumerGroup="m_csg"), **kw).items() if v is not None})
    one("unknown"); e.heartbeat(e.b, "cid-cs", "m_csg", "m_cs"); one("no offsets"); one("no offsets, topic named", topic="m_cs"); e.do("commit", 15, dict(consumerGroup="m_csg", topic="m_cs", queueId=0, commitOffset=1)); one("one offset"); one("topic named", topic="m_cs")
    e.pull("pull", "m_cs", group="m_csg", sysflag=4); one("after a pull"); one("missing topic named", topic="m_none"); one("another topic named", topic="m_cs2"); one("topic empty", topic=""); one("group empty", consumerGroup=""); one("no group", consumerGroup=None)
    e.do("commit on the other", 15, dict(consumerGroup="m_csg", topic="m_cs2", queueId=0, commitOffset=1)); one("a topic not subscribed"); e.do("leave", 35, dict(clientID="cid-cs", consumerGroup="m_csg")); one("after it left"); one("two by list", topicList="m_cs;m_cs2"); one("a list with a missing one", topicList="m_cs;m_none")
    e.do("commit far", 15, dict(consumerGroup="m_csg", topic="m_cs", queueId=0, commitOffset=99)); one("far"); e.do("commit queue 9", 15, dict(consumerGroup="m_csg", topic="m_cs", queueId=9, commitOffset=99)); one("queue 9 is not shown")
