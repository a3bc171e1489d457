"""The name server: KV, registrations, routes, lists, write permission."""
import json, time, zlib

from more import keys_of, more
from rmq import Conn


def ns(e, label, code, ext=None, body=b"", **kw): return e.do(label, code, ext, body, to="ns", **kw)


def topic(n, **kw): return dict(dict(topicName=n, readQueueNums=2, writeQueueNums=2, perm=6, topicFilterType="SINGLE_TAG", topicSysFlag=0, order=False), **kw)


def body(*topics, counter=1, at=1700000000000, wrapper=None, filters=(), **kw):
    w = dict(dict(topicConfigTable={t["topicName"]: t for t in topics}, dataVersion=dict(stateVersion=0, timestamp=at, counter=counter)), **(wrapper or {}))
    return json.dumps(dict(dict(topicConfigSerializeWrapper=w, filterServerList=list(filters)), **kw)).encode()


def register(e, label, b, name="m-bx", addr="10.9.9.1:10911", cluster="MX", id=0, conn=None, **kw):
    h = {k: v for k, v in dict(dict(brokerName=name, brokerAddr=addr, clusterName=cluster, haServerAddr="10.9.9.1:10912", brokerId=id, compressed="false", bodyCrc32=zlib.crc32(b) & 0x7fffffff), **kw).items() if v is not None}
    return ns(e, label, 103, h, b, conn=conn, timeout=3.0)


def leave(e, label="leave", name="m-bx", addr="10.9.9.1:10911", cluster="MX", id=0, **kw):
    return ns(e, label, 104, {k: v for k, v in dict(dict(brokerName=name, brokerAddr=addr, clusterName=cluster, brokerId=id), **kw).items() if v is not None}, timeout=3.0)


def settled(e, t, there):
    """Departures are worked off in the background."""
    e.until(lambda: (e.ns.call(105, dict(topic=t))["code"] == 0) == there, 3.0)


@more
def ns_kv(e):
    N = "M_KV"
    for label, ext in (("put", dict(namespace=N, key="k", value="v")), ("empty value", dict(namespace=N, key="k2", value="")), ("empty key", dict(namespace=N, key="", value="v")), ("empty namespace", dict(namespace="", key="k", value="v")), ("no namespace", dict(key="k", value="v")), ("no key", dict(namespace=N, value="v")), ("no value", dict(namespace=N, key="k3")), ("nothing", {}), ("odd text", dict(namespace=N, key="a b;c", value="x=1\ny\u00e9")), ("over", dict(namespace=N, key="k", value="w"))): ns(e, "put: " + label, 100, ext)
    for label, ext in (("it", dict(namespace=N, key="k")), ("empty value", dict(namespace=N, key="k2")), ("empty key", dict(namespace=N, key="")), ("empty namespace", dict(namespace="", key="k")), ("never put", dict(namespace=N, key="k3")), ("no namespace", dict(key="k")), ("no key", dict(namespace=N)), ("nothing", {}), ("odd text", dict(namespace=N, key="a b;c")), ("missing namespace", dict(namespace="M_NONE", key="k"))): ns(e, "get: " + label, 101, ext)
    for label, ext in (("it", dict(namespace=N)), ("missing", dict(namespace="M_NONE")), ("empty", dict(namespace="")), ("nothing", {})): ns(e, "list: " + label, 219, ext)
    for label, ext in (("it", dict(namespace=N, key="k")), ("again", dict(namespace=N, key="k")), ("missing namespace", dict(namespace="M_NONE", key="k")), ("no key", dict(namespace=N)), ("no namespace", dict(key="k")), ("nothing", {}), ("the rest", dict(namespace=N, key="k2")), ("the rest", dict(namespace=N, key="a b;c")), ("the rest", dict(namespace=N, key="")), ("the rest", dict(namespace="", key="k"))): ns(e, "delete: " + label, 102, ext)
    ns(e, "list when all is gone", 219, dict(namespace=N)); e.quiet("put, one-way", 100, dict(namespace=N, key="o", value="1"), flag=2, to="ns", wait=0.3); ns(e, "it was put", 101, dict(namespace=N, key="o")); ns(e, "numbers", 100, dict(namespace=N, key=5, value=True), typed=True); ns(e, "by text", 101, dict(namespace=N, key="5"))


@more
def ns_order_conf_in_routes(e):
    e.topic("m_ord", 2); e.until_routed("m_ord")
    ns(e, "put", 100, dict(namespace="ORDER_TOPIC_CONFIG", key="m_ord", value="broker-a:2")); ns(e, "route", 105, dict(topic="m_ord")); ns(e, "for a missing topic", 100, dict(namespace="ORDER_TOPIC_CONFIG", key="m_ord_none", value="x:1")); ns(e, "no route for it", 105, dict(topic="m_ord_none"))
    register(e, "a broker gets the table", body(topic("m_ord_x"))); ns(e, "delete", 102, dict(namespace="ORDER_TOPIC_CONFIG", key="m_ord")); ns(e, "route after", 105, dict(topic="m_ord")); ns(e, "delete", 102, dict(namespace="ORDER_TOPIC_CONFIG", key="m_ord_none")); leave(e)
    settled(e, "m_ord_x", False)


@more
def ns_routes(e):
    e.topic("m_rt", 3, perm=4); e.until_routed("m_rt")
    for t in ("m_rt", "", " ", "a b", "broker-a", "DefaultCluster", "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT", "BenchmarkTest", "DefaultCluster_REPLY_TOPIC", "RMQ_SYS_TRACE_TOPIC", "%RETRY%m_none", "TRANS_CHECK_MAX_TIME_TOPIC", "rmq_sys_wheel_timer"): ns(e, "route of %r" % t, 105, dict(topic=t))
    for v in ("true", "false", "TRUE", "yes", ""): ns(e, "standard JSON %r" % v, 105, dict(topic="m_rt", acceptStandardJsonOnly=v), kind="raw", version=300)
    for v in (-1, 400, 401, 500, 2**31 - 1): ns(e, "version %d" % v, 105, dict(topic="m_rt"), kind="raw", version=v, wire="json")
    ns(e, "topic as number", 105, dict(topic=5), typed=True); ns(e, "topic null", 105, dict(topic=None), typed=True); ns(e, "cluster named", 105, dict(topic="m_rt", clusterName="none", lo="true")); ns(e, "by a body", 105, dict(topic="m_rt"), b"zzz")


@more
def ns_registrations(e):
    register(e, "one", body(topic("m_rg1"), topic("m_rg2", perm=4, topicSysFlag=1, readQueueNums=5), filters=["f:1"])); ns(e, "route", 105, dict(topic="m_rg1")); ns(e, "route", 105, dict(topic="m_rg2")); ns(e, "clusters", 106)
    register(e, "the same again", body(topic("m_rg1"), topic("m_rg2"))); register(e, "newer, one topic less", body(topic("m_rg1", readQueueNums=4), counter=2)); ns(e, "route", 105, dict(topic="m_rg1")); ns(e, "route of the lost one", 105, dict(topic="m_rg2"))
    register(e, "older", body(topic("m_rg1", readQueueNums=9), counter=1)); ns(e, "route", 105, dict(topic="m_rg1")); register(e, "slave", body(topic("m_rg1", readQueueNums=6), counter=7), addr="10.9.9.2:10911", id=1, haServerAddr="10.9.9.2:10912"); ns(e, "route", 105, dict(topic="m_rg1"))
    register(e, "slave becomes master", body(topic("m_rg1"), counter=8), addr="10.9.9.2:10911", id=0); ns(e, "route", 105, dict(topic="m_rg1")); ns(e, "members", 901, dict(clusterName="MX", brokerName="m-bx"))
    leave(e, "old address leaves"); leave(e, "leave", addr="10.9.9.2:10911"); settled(e, "m_rg1", False); ns(e, "route after", 105, dict(topic="m_rg1")); ns(e, "clusters after", 106)


@more
def ns_registrations_that_are_odd(e):
    b = body(topic("m_ro1"))
    # a broker or a cluster without a name would stay in the real server's tables for good: not asked
    for k in ("brokerAddr", "haServerAddr", "brokerId", "compressed", "bodyCrc32", "heartbeatTimeoutMillis"): register(e, "without " + k, b, **{{"brokerAddr": "addr", "brokerId": "id"}.get(k, k): None})
    register(e, "checksum wrong", b, bodyCrc32=1); register(e, "checksum 0", b, bodyCrc32=0); register(e, "checksum is none", b, bodyCrc32="x"); register(e, "id is none", b, id="x"); register(e, "id -1", b, id=-1); ns(e, "route", 105, dict(topic="m_ro1")); leave(e, "leave", id=-1)
    for label, raw in (("no body", b""), ("not JSON", b"zz"), ("null", b"null"), ("empty", b"{}"), ("wrapper null", b'{"topicConfigSerializeWrapper":null}'), ("tables null", body(wrapper=dict(topicConfigTable=None))), ("no data version", body(topic("m_ro2"), wrapper=dict(dataVersion=None))), ("list of filters null", body(topic("m_ro3"), filterServerList=None)), ("no topic", body()), ("topic without name", body(dict(topicName="m_ro4")))): register(e, label, raw); ns(e, "route", 105, dict(topic="m_ro2" if "version" in label else "m_ro3" if "filters" in label else "m_ro4")); leave(e)
    z = zlib.compress(b); register(e, "compressed", z, compressed="true"); register(e, "compressed, but it is not", b, compressed="true"); register(e, "not compressed, but it is", z); leave(e)
    register(e, "address empty", b, addr=""); register(e, "HA address empty", b, haServerAddr=""); leave(e, "leave", addr=""); leave(e)
    register(e, "acting master", b, enableActingMaster="true", heartbeatTimeoutMillis=60000); ns(e, "route", 105, dict(topic="m_ro1")); leave(e); settled(e, "m_ro1", False)
    for k in ("name", "addr", "cluster", "id"): leave(e, "leave without " + k, **{k: None})
    leave(e, "leave of nobody", name="m-none"); leave(e, "leave, nothing", name=None, addr=None, cluster=None, id=None); ns(e, "clusters after", 106)


@more
def ns_brokers_whose_connection_closes(e):
    c = Conn(e.nsaddr); register(e, "by its own connection", body(topic("m_rc1")), conn=c); ns(e, "route", 105, dict(topic="m_rc1")); c.close(); settled(e, "m_rc1", False); time.sleep(1); ns(e, "route after", 105, dict(topic="m_rc1")); ns(e, "clusters after", 106)


@more
def ns_data_versions(e):
    register(e, "register", body(topic("m_dv"), counter=5)); q = dict(brokerName="m-bx", brokerAddr="10.9.9.1:10911", clusterName="MX", brokerId=0)
    def v(**kw): return json.dumps(dict(dict(stateVersion=0, timestamp=1700000000000, counter=5), **kw)).encode()
    for label, ext, b in (("same", q, v()), ("other counter", q, v(counter=6)), ("other time", q, v(timestamp=1)), ("other state version", q, v(stateVersion=3)), ("unknown address", dict(q, brokerAddr="1.1.1.1:1"), v()), ("unknown cluster", dict(q, clusterName="none"), v()), ("unknown name", dict(q, brokerName="none"), v()), ("no body", q, b""), ("null", q, b"null"), ("empty", q, b"{}"), ("not JSON", q, b"zz"), ("no fields", {}, v())): ns(e, label, 322, ext, b, timeout=3.0)
    for k in q: ns(e, "without " + k, 322, {a: b for a, b in q.items() if a != k}, v(), timeout=3.0)
    for label, ext in (("heartbeat", q), ("of nobody", dict(q, brokerAddr="1.1.1.1:1")), ("nothing", {}), ("without name", {k: x for k, x in q.items() if k != "brokerName"}), ("without address", {k: x for k, x in q.items() if k != "brokerAddr"}), ("without cluster", {k: x for k, x in q.items() if k != "clusterName"}), ("timeout", dict(q, heartbeatTimeoutMills=1000))): ns(e, "heartbeat: " + label, 904, ext, timeout=3.0)
    for label, ext in (("it", dict(clusterName="MX", brokerName="m-bx")), ("other cluster", dict(clusterName="none", brokerName="m-bx")), ("nobody", dict(clusterName="MX", brokerName="none")), ("no cluster", dict(brokerName="m-bx")), ("no name", dict(clusterName="MX")), ("nothing", {})): ns(e, "members: " + label, 901, ext, timeout=3.0)
    leave(e); settled(e, "m_dv", False)


@more
def ns_write_permission(e):
    register(e, "register", body(topic("m_wp1"), topic("m_wp2", perm=2), topic("m_wp3", perm=4))); routes = lambda: [ns(e, "route", 105, dict(topic=t)) for t in ("m_wp1", "m_wp2", "m_wp3")]
    ns(e, "wipe", 205, dict(brokerName="m-bx")); routes(); ns(e, "wipe again", 205, dict(brokerName="m-bx")); register(e, "it registers again", body(topic("m_wp1"), topic("m_wp2", perm=2), topic("m_wp3", perm=4))); routes(); ns(e, "add", 327, dict(brokerName="m-bx")); routes()
    for code, nm in ((205, "wipe"), (327, "add")):
        for label, ext in (("nobody", dict(brokerName="none")), ("empty", dict(brokerName="")), ("nothing", {}), ("cluster", dict(clusterName="MX"))): ns(e, "%s: %s" % (nm, label), code, ext)
    leave(e); settled(e, "m_wp1", False)


@more
def ns_lists_of_topics(e):
    register(e, "register", body(topic("m_lt1", topicSysFlag=1), topic("m_lt2", topicSysFlag=2), topic("m_lt3", topicSysFlag=3), topic("m_lt4")))
    mine = lambda b: sorted(t for t in json.loads(b)["topicList"] if t.startswith("m_lt"))
    for code in (206, 311, 312, 313): ns(e, "list %d" % code, code, {}, shape=mine); ns(e, "list %d with fields" % code, code, dict(cluster="none"), shape=mine)
    for label, ext in (("it", dict(cluster="MX")), ("missing", dict(cluster="none")), ("empty", dict(cluster="")), ("nothing", {}), ("wrong field", dict(clusterName="MX"))): ns(e, "of cluster: " + label, 224, ext, timeout=3.0)
    ns(e, "of the system", 304, {}); ns(e, "members of a list", 206, {}, shape=lambda b: sorted(json.loads(b)))
    e.topic("m_lt_gone", 1); e.until_routed("m_lt_gone")
    for label, ext in (("one", dict(topic="m_lt4")), ("again", dict(topic="m_lt4")), ("of a cluster", dict(topic="m_lt1", clusterName="MX")), ("of another cluster", dict(topic="m_lt2", clusterName="DefaultCluster")), ("of a missing cluster", dict(topic="m_lt2", clusterName="none")), ("of an empty cluster", dict(topic="m_lt2", clusterName="")), ("missing", dict(topic="m_none")), ("empty", dict(topic="")), ("nothing", {})): ns(e, "delete: " + label, 216, ext, timeout=3.0); ns(e, "what is left", 206, {}, shape=mine)
    r = dict(queueDatas=[dict(brokerName="m-bx", readQueueNums=1, writeQueueNums=1, perm=6, topicSysFlag=0)], brokerDatas=[])
    for label, ext, b in (("one", dict(topic="m_lt_new"), json.dumps(r).encode()), ("of an unknown broker", dict(topic="m_lt_new2"), json.dumps(dict(r, queueDatas=[dict(r["queueDatas"][0], brokerName="none")])).encode()), ("no queues", dict(topic="m_lt_new3"), b'{"queueDatas":[]}'), ("empty", dict(topic="m_lt_new4"), b"{}"), ("no body", dict(topic="m_lt_new5"), b""), ("not JSON", dict(topic="m_lt_new6"), b"zz"), ("no topic", {}, json.dumps(r).encode()), ("empty topic", dict(topic=""), json.dumps(r).encode())): ns(e, "register: " + label, 217, ext, b, timeout=3.0); ns(e, "list", 206, {}, shape=mine)
    ns(e, "route", 105, dict(topic="m_lt_new")); leave(e); settled(e, "m_lt_new", False); ns(e, "list after", 206, {}, shape=mine)


@more
def ns_settings(e):
    ns(e, "names", 319, {}, shape=lambda b: sorted({l.split("=")[0] for l in b.decode().splitlines() if "=" in l})); ns(e, "with fields", 319, dict(x=1), shape=lambda b: "text")
    for label, b in (("nothing", b""), ("unknown key", b"no.such=1"), ("forbidden key", b"kvConfigPath=/x"), ("forbidden key", b"configStorePath=/x"), ("forbidden key", b"rocketmqHome=/x"), ("forbidden key", b"configBlackList=x"), ("comment", b"#x"), ("garbage", b"\xff\xfe"), ("one", b"enableTopicList=false")): ns(e, "update: " + label, 318, {}, b)
    ns(e, "topics by cluster are off", 224, dict(cluster="DefaultCluster")); ns(e, "units are off", 311, {}); ns(e, "back", 318, {}, b"enableTopicList=true"); ns(e, "one that is no boolean", 318, {}, b"enableAllTopicList=maybe"); ns(e, "what that means", 206, {}, shape=lambda b: "list"); ns(e, "back", 318, {}, b"enableAllTopicList=true"); ns(e, "clusters, one-way", 106, {}, flag=2, timeout=0.3)
