"""Heartbeats in many dialects, who is in a group, queue locks."""
import json, time

from more import more
from rmq import Conn


def consumer(group, topic, sub="*", tags=(), **kw):
    s = dict(classFilterMode=False, codeSet=[], expressionType="TAG", subString=sub, subVersion=1, tagsSet=list(tags), topic=topic)
    s.update(kw.pop("s", {}))
    return dict(dict(consumeFromWhere="CONSUME_FROM_LAST_OFFSET", consumeType="CONSUME_PASSIVELY", groupName=group, messageModel="CLUSTERING", subscriptionDataSet=[s] if topic else [], unitMode=False), **kw)


def beat(cid, consumers=(), producers=(), **kw):
    return dict(dict(clientID=cid, consumerDataSet=list(consumers), producerDataSet=[dict(groupName=p) for p in producers], heartbeatFingerprint=0, withoutSub=False), **kw)


def say(e, label, h, conn=None, **kw): return e.do(label, 34, {}, h if isinstance(h, bytes) else json.dumps(h).encode(), conn=conn, **kw)
def who(e, g, label="list of"): return e.do("%s %s" % (label, g), 38, dict(consumerGroup=g))
def connections(e, g): return e.do("connection of " + g, 203, dict(consumerGroup=g))


@more
def heartbeats_that_are_odd(e):
    e.topic("m_hb", 1)
    for label, h in (("no body", b""), ("not JSON", b"hello"), ("a number", b"12"), ("a list", b"[]"), ("null", b"null"), ("empty object", b"{}"), ("only an id", dict(clientID="c0")), ("id null", beat(None)), ("id empty", beat("")), ("id a number", beat(17)),
                     ("sets null", dict(clientID="c1", consumerDataSet=None, producerDataSet=None)), ("no sets", dict(clientID="c1")), ("unknown members", beat("c1", more=[1], other={"a": None})),
                     ("group null", beat("c1", [consumer(None, "m_hb")])), ("group empty", beat("c1", [consumer("", "m_hb")])), ("producer null", beat("c1", (), [None])), ("producer empty", beat("c1", (), [""])),
                     ("illegal group", beat("c1", [consumer("a b/c", "m_hb")])), ("group too long", beat("c1", [consumer("g" * 256, "m_hb")]))):
        c = Conn(e.baddr); say(e, label, h, c, timeout=3.0); c.close()
    who(e, "m_hbg")


@more
def heartbeat_dialects(e):
    e.topic("m_hb", 1)
    for n, kw in enumerate((dict(), dict(consumeType="CONSUME_ACTIVELY"), dict(consumeType="CONSUME_POP"), dict(consumeType="push"), dict(consumeType=None), dict(messageModel="BROADCASTING"), dict(messageModel="LITE_SELECTIVE"), dict(messageModel=None), dict(consumeFromWhere="CONSUME_FROM_TIMESTAMP"),
                            dict(consumeFromWhere=None), dict(consumeFromWhere="XYZ"), dict(unitMode=True), dict(unitMode="true"), dict(subscriptionDataSet=None), dict(subscriptionDataSet=[]), dict(s=dict(expressionType="SQL92", subString="a > 1")), dict(s=dict(expressionType=None)), dict(s=dict(subString=None)),
                            dict(s=dict(tagsSet=None, codeSet=None)), dict(s=dict(subVersion="5")), dict(s=dict(subVersion=-1)), dict(s=dict(classFilterMode=True)), dict(s=dict(filterClassSource="x")), dict(consumeType=1, messageModel=0, consumeFromWhere=0))):
        g, c = "m_hbd%d" % n, Conn(e.baddr)
        say(e, "%s" % kw, beat("cid-hbd", [consumer(g, "m_hb", **kw)]), c, timeout=3.0); connections(e, g); e.config("%RETRY%" + g); c.close()


@more
def heartbeat_members(e):
    e.topic("m_hm", 1)
    a, b, g = Conn(e.baddr), Conn(e.baddr), "m_hmg"
    say(e, "a", beat("cid-a", [consumer(g, "m_hm")], ["m_hmp"]), a); who(e, g); say(e, "a again", beat("cid-a", [consumer(g, "m_hm")], ["m_hmp"]), a); e.pushes("a hears at most of itself", a, 2, 1.0)
    say(e, "b", beat("cid-b", [consumer(g, "m_hm")]), b); e.pushes("a hears of b", a, 1, 2); e.pushes("b hears of b", b, 1, 2)
    say(e, "the same id on two connections", beat("cid-a", [consumer(g, "m_hm")]), b); who(e, g); say(e, "b is b again", beat("cid-b", [consumer(g, "m_hm")]), b); connections(e, g)
    say(e, "a newer subscription", beat("cid-a", [consumer(g, "m_hm", "x || y", ["x", "y"], s=dict(subVersion=9))]), a); connections(e, g)
    say(e, "an older subscription", beat("cid-a", [consumer(g, "m_hm", "z", ["z"], s=dict(subVersion=3))]), a); connections(e, g)
    say(e, "two topics", beat("cid-a", [dict(consumer(g, "m_hm"), subscriptionDataSet=[consumer(g, t)["subscriptionDataSet"][0] for t in ("m_hm", "m_hb")])]), a); connections(e, g)
    say(e, "one topic again", beat("cid-a", [consumer(g, "m_hm")]), a); connections(e, g)
    say(e, "without subscription", beat("cid-a", [consumer(g, None)], withoutSub=True, heartbeatFingerprint=77), a); connections(e, g)
    say(e, "V2 with fingerprint", beat("cid-a", [consumer(g, "m_hm", s=dict(subVersion=20))], heartbeatFingerprint=77), a); say(e, "V2 with the same, no subscription", beat("cid-a", [consumer(g, None)], withoutSub=True, heartbeatFingerprint=77), a); connections(e, g)
    say(e, "another model", beat("cid-a", [consumer(g, "m_hm", messageModel="BROADCASTING", consumeType="CONSUME_ACTIVELY")]), a); connections(e, g)
    e.do("producers", 204, dict(producerGroup="m_hmp")); e.do("producers of none", 204, dict(producerGroup="m_none")); e.do("producers, no field", 204, {}); e.do("producers, empty", 204, dict(producerGroup=""))
    e.do("leave as a producer", 35, dict(clientID="cid-a", producerGroup="m_hmp"), conn=a); e.do("producers after", 204, dict(producerGroup="m_hmp"))
    e.do("leave on another's connection", 35, dict(clientID="cid-b", consumerGroup=g)); who(e, g)
    e.do("leave", 35, dict(clientID="cid-a", consumerGroup=g), conn=a); who(e, g); e.do("leave twice", 35, dict(clientID="cid-a", consumerGroup=g), conn=a)
    e.do("leave without id", 35, dict(consumerGroup=g), conn=b); e.do("leave without group", 35, dict(clientID="cid-b"), conn=b); e.do("leave, both groups", 35, dict(clientID="cid-b", consumerGroup=g, producerGroup="m_none"), conn=b); e.do("leave with nothing", 35, {}, conn=b); who(e, g)
    a.close(); b.close(); time.sleep(0.5); who(e, g); connections(e, g)


@more
def heartbeat_by_other_clients(e):
    e.topic("m_hm", 1)
    for n, (lang, version) in enumerate((("CPP", 0), ("GO", 317), ("PYTHON", 1), ("NODE_JS", 479), ("RUST", 500), ("KLINGON", 479))):
        c, g = Conn(e.baddr), "m_hl%d" % n
        say(e, "%s %d" % (lang, version), beat("cid-hl", [consumer(g, "m_hm")], [g + "p"]), c, language=lang, version=version, timeout=3.0); connections(e, g); e.do("producers of " + g, 204, dict(producerGroup=g + "p")); c.close()
    c = Conn(e.baddr)
    e.do("binary header", 34, dict(x=1), json.dumps(beat("cid-hl", [consumer("m_hlb", "m_hm")])).encode(), conn=c, wire="binary"); connections(e, "m_hlb"); e.quiet("one-way", 34, {}, json.dumps(beat("cid-hl", [consumer("m_hlo", "m_hm")])).encode(), conn=c, flag=2, wait=0.3); who(e, "m_hlo")
    say(e, "many groups", beat("cid-hl", [consumer("m_hlm%d" % i, "m_hm") for i in range(4)], ["m_hlp%d" % i for i in range(3)]), c); who(e, "m_hlm3"); e.do("all producers", 328, {}); c.close(); time.sleep(0.4); e.do("all producers after", 328, {})


@more
def consumer_lists(e):
    for g in ("m_nobody", "", "a b", "TOOLS_CONSUMER", "g" * 300): e.do("list %r" % g[:20], 38, dict(consumerGroup=g)); e.do("connection %r" % g[:20], 203, dict(consumerGroup=g))
    e.do("list, no field", 38, {}); e.do("connection, no field", 203, {}); e.do("list, wrong field", 38, dict(group="m_nobody")); e.quiet("list, one-way", 38, dict(consumerGroup="m_nobody"), flag=2, wait=0.3)


@more
def checks_of_filters(e):
    def s(**kw): return json.dumps(dict(clientId="c", group="m_cfg", subscriptionData=dict(topic="m_cf", subString="a", expressionType="TAG", **kw) if kw is not None else None)).encode()
    def one(label, b): e.do(label, 46, {}, b, timeout=3.0)
    one("TAG", s()); one("no body", b""); one("not JSON", b"zzz"); one("null", b"null"); one("empty", b"{}"); one("no subscription", json.dumps(dict(clientId="c", group="g")).encode()); one("subscription null", json.dumps(dict(subscriptionData=None)).encode())
    for expr, sub in (("TAG", None), (None, "a"), ("", "a"), ("SQL92", "a > 1"), ("SQL92", "a > > 1"), ("SQL92", ""), ("XYZ", "a")): one("%s %r" % (expr, sub), json.dumps(dict(clientId="c", group="m_cfg", subscriptionData=dict(topic="m_cf", subString=sub, expressionType=expr))).encode())


@more
def queue_locks_that_are_odd(e):
    def q(n, t="m_lk", b=None): return dict(topic=t, brokerName=b or e.broker_name, queueId=n)
    def one(label, code, **kw):
        return e.do(label, code, {}, json.dumps({k: v for k, v in dict(dict(consumerGroup="m_lkg", clientId="c1", mqSet=[q(0)], onlyThisBroker=False), **kw).items() if v != "-"}).encode(), timeout=3.0)
    for c, nm in ((41, "lock"), (42, "unlock")):
        for label, b in (("no body", b""), ("not JSON", b"zz"), ("null", b"null"), ("empty", b"{}"), ("a list", b"[]")): e.do("%s: %s" % (nm, label), c, {}, b, timeout=3.0)
        one(nm + " of a missing topic", c, mqSet=[q(0, "m_lk_none")]); one(nm + " nothing", c, mqSet=[]); one(nm + ", set null", c, mqSet=None); one(nm + ", no set", c, mqSet="-"); one(nm + ", no group", c, consumerGroup="-", mqSet=[q(41)]); one(nm + ", group null", c, consumerGroup=None, mqSet=[q(41)])
        one(nm + ", no client", c, clientId="-", mqSet=[q(40)]); one(nm + ", this broker only", c, onlyThisBroker=True); one(nm + ", no such flag", c, onlyThisBroker="-"); one(nm + " queue -1", c, mqSet=[q(-1)]); one(nm + " queue as text", c, mqSet=[dict(q(0), queueId="3")])
        one(nm + ", another broker", c, mqSet=[q(0, b="broker-z")]); one(nm + ", no broker", c, mqSet=[dict(topic="m_lk2", queueId=1)], consumerGroup="m_lkg3"); one(nm + ", no queue", c, mqSet=[dict(topic="m_lk", brokerName=e.broker_name)]); one(nm + ", the same twice", c, mqSet=[q(5), q(5)])
        one(nm + ", more members", c, x=1, y=None)
    one("c1 locks", 41, mqSet=[q(7), q(8)]); one("c2 gets the rest", 41, clientId="c2", mqSet=[q(7), q(9)]); one("another group is free", 41, consumerGroup="m_lkg2", clientId="c2", mqSet=[q(7)]); one("c2 cannot unlock c1's", 42, clientId="c2", mqSet=[q(7)])
    one("c2 still not", 41, clientId="c2", mqSet=[q(7)]); one("c1 unlocks", 42, mqSet=[q(7), q(8)]); one("c2 now", 41, clientId="c2", mqSet=[q(7), q(8)])
