#!/usr/bin/env python3
"""more.py NAMESRV OUT.jsonl [PART-OF-A-NAME] - a second set of scenarios, asked as record.py asks; the themes stand in more_*.py.

A third of the requests goes out with the binary header, unless a step needs values that only JSON can say.
"""
import base64, json, re, sys, time

import record
from compare import unordered
from rmq import *

SCEN = []
def more(f): SCEN.append(("more", f)); return f


class More(record.Env):
    def __init__(self, ns, out):
        super().__init__(ns, out)
        self.asked = 0

    def do(self, label, code, ext=None, body=b"", to="broker", conn=None, kind=None, timeout=8.0, typed=False, wire=None, opaque=None, shape=None, **kw):
        """typed: ext values as they are, not as text; wire: "json" or "binary" where it matters; shape: what of the body is kept."""
        c = conn or (self.ns if to == "ns" else self.b)
        if code in (10, 310, 320): self.sent = time.time()
        elif time.time() - self.sent < 0.3: time.sleep(0.3)
        if not typed: ext = {k: str(v) for k, v in (ext or {}).items()}
        self.asked += 1
        binary = wire == "binary" or (wire is None and not typed and self.asked % 3 == 0 and not set(kw) - {"flag", "version"} and ext and code < 32768)
        if opaque is None: c.opaque += 1; opaque = c.opaque
        make = binary_frame if binary else frame
        c.raw(make(code, ext, body, opaque=opaque, **kw))
        r = c.wait(opaque, timeout)
        req = dict(code=code, ext=ext, **kw)
        if binary: req["binary"] = True
        if body: req["body"] = base64.b64encode(body[:512]).decode(); req["bodyLen"] = len(body)
        if code in (202, 208) and r: r["body"] = re.sub(rb'("(?:topicPutTps|consumeTps)":)[0-9.E-]+', rb'\1"a rate"', r["body"])
        if shape and r and r["body"]: r["body"] = json.dumps(shape(r["body"])).encode()
        self.note(label, to, req, r, kind)
        return r

    def quiet(self, label, code, ext=None, body=b"", wait=0.7, **kw):
        """One that is not to be answered."""
        return self.do(label, code, ext, body, timeout=wait, **kw)

    def header(self, label, h, addr=None, wait=2.0, body=b""):
        """A header as it stands (bytes, or an object to be JSON) on a connection of its own; any answer counts, and whether it stays open."""
        addr = addr or self.nsaddr
        raw = h if isinstance(h, bytes) else json.dumps(h, ensure_ascii=False).encode()
        self.frame(label, frame(0, header=raw, body=body), addr, wait, dict(header=raw.decode("latin1")), isinstance(h, bytes) or h.get("opaque") is not None)

    def frame(self, label, data, addr=None, wait=2.0, asked=None, numbered=True):
        addr = addr or self.nsaddr
        c = Conn(addr)
        c.raw(data)
        with c.cv: c.cv.wait_for(lambda: c.replies or c.closed.is_set(), wait)
        opaque, r = next(iter(c.replies.items()), (None, None))
        if r: time.sleep(0.05)
        head = r and dict(opaque=opaque if numbered else "its own", language=r["language"], version=r["version"])
        self.note(label, "ns" if addr == self.nsaddr else "broker", asked or dict(hex=data[:300].hex()), r, extra=dict(closed=c.closed.is_set(), record=[head, r and unordered(record.canon(r["body"], None))]))
        c.close()

    def until(self, what, seconds=5.0):
        """Wait for something that comes about on its own, such as a registration."""
        end = time.time() + seconds
        while not what() and time.time() < end: time.sleep(0.1)

    def until_routed(self, t): self.until(lambda: self.ns.call(105, dict(topic=t))["code"] == 0)

    def send(self, label, t, body=b"hello", queue=0, group="PG", sysflag=0, p=None, code=310, **over):
        """With a unique key, so that records do not depend on the address that servers make keys of."""
        kw = {k: over.pop(k) for k in ("typed", "wire", "conn", "timeout", "version", "language", "flag", "opaque") if k in over}
        self.key = getattr(self, "key", 0) + 1
        p = dict(dict(UNIQ_KEY="7F00000100010000000000000001%04d" % self.key), **(p or {}))
        ext = dict(a=group, b=t, c="TBW102", d=4, e=queue, f=sysflag, g=self.t0, h=0, i=props(**p), j=0, k="false", m="false", n=self.broker_name)
        ext.update(over)
        return self.do(label, code, {k: v for k, v in ext.items() if v is not None}, body, **kw)

    def send1(self, label, t, body=b"hello", queue=0, **over):
        """The first form, with long names."""
        kw = {k: over.pop(k) for k in ("typed", "wire") if k in over}
        self.key = getattr(self, "key", 0) + 1
        ext = dict(producerGroup="PG", topic=t, defaultTopic="TBW102", defaultTopicQueueNums=4, queueId=queue, sysFlag=0, bornTimestamp=self.t0, flag=0,
                   properties=props(UNIQ_KEY="7F00000100010000000000000001%04d" % self.key), reconsumeTimes=0, unitMode="false", batch="false")
        ext.update(over)
        return self.do(label, 10, {k: v for k, v in ext.items() if v is not None}, body, **kw)

    def pull(self, label, t, off=0, queue=0, group="CG", sub="*", n=32, sysflag=4, suspend=0, code=11, **over):
        kw = {k: over.pop(k) for k in ("timeout", "conn", "typed", "wire", "version", "language", "flag") if k in over}
        ext = dict(consumerGroup=group, topic=t, queueId=queue, queueOffset=off, maxMsgNums=n, sysFlag=sysflag, commitOffset=0, suspendTimeoutMillis=suspend,
                   subscription=sub, subVersion=self.t0, expressionType="TAG", bname=self.broker_name)
        ext.update(over)
        return self.do(label, code, {k: v for k, v in ext.items() if v is not None}, kind="records", **kw)

    def config(self, t, label="config"): return self.do("%s of %s" % (label, t[:40]), 351, dict(topic=t))


def keys_of(body):
    """The names in a body of figures that differ from machine to machine."""
    o = record.loose_json(body)
    return sorted(re.sub(r"_/.*", "_<path>", k) for k in o.get("table", o))


def main():
    import more_admin, more_clients, more_frames, more_names, more_pull, more_send  # they fill SCEN
    record.run([(k, f) for k, f in SCEN if len(sys.argv) < 4 or sys.argv[3] in f.__name__], More, sys.argv[1], sys.argv[2])


if __name__ == "__main__":
    sys.modules["more"] = sys.modules["__main__"]
    main()
