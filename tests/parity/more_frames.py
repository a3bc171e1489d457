"""Headers in odd dialects, commands of the wrong kind, codes that nobody serves."""
import json, pathlib, re, struct, time

from more import more
from rmq import Conn, binary_frame, frame

H = dict(code=105, language="JAVA", version=479, opaque=7, flag=0, serializeTypeCurrentRPC="JSON", extFields=dict(topic="m_fr_none"))
def h(*without, **kw): return {k: v for k, v in dict(H, **kw).items() if k not in without}


@more
def headers_in_json(e):
    for k in H: e.header("without " + k, h(k), wait=1.0)
    for label, kw in (("code as text", dict(code="105")), ("code as fraction", dict(code=105.0)), ("code null", dict(code=None)), ("code true", dict(code=True)), ("code overflows", dict(code=2**40)), ("code negative", dict(code=-5)), ("flag as text", dict(flag="0")), ("flag null", dict(flag=None)), ("flag 4", dict(flag=4)), ("flag -2", dict(flag=-2)),
                      ("opaque 0", dict(opaque=0)), ("opaque -1", dict(opaque=-1)), ("opaque largest", dict(opaque=2**31 - 1)), ("opaque smallest", dict(opaque=-2**31)), ("opaque overflows", dict(opaque=2**31)), ("opaque as text", dict(opaque="12")), ("opaque is none", dict(opaque="abc")), ("opaque null", dict(opaque=None)),
                      ("version as text", dict(version="479")), ("version -1", dict(version=-1)), ("version overflows", dict(version=2**33)), ("language empty", dict(language="")), ("language unknown", dict(language="KLINGON")), ("language null", dict(language=None)), ("language lower case", dict(language="java")), ("language 0", dict(language=0)), ("language 12", dict(language=12)), ("language 99", dict(language=99)), ("language -1", dict(language=-1)), ("language a list", dict(language=[])),
                      ("remark number", dict(remark=5)), ("remark", dict(remark="hello")), ("serialize type other", dict(serializeTypeCurrentRPC="ROCKETMQ")), ("serialize type unknown", dict(serializeTypeCurrentRPC="XYZ")), ("serialize type number", dict(serializeTypeCurrentRPC=1)),
                      ("ext empty", dict(extFields={})), ("ext a list", dict(extFields=[])), ("ext a text", dict(extFields="x")), ("ext a number", dict(extFields=5)), ("ext value null", dict(extFields=dict(topic=None))), ("ext value a list", dict(extFields=dict(topic=[1, "a"]))), ("ext value an object", dict(extFields=dict(topic={"a": 1}))), ("ext value a fraction", dict(extFields=dict(topic=1.50))), ("ext value large", dict(extFields=dict(topic=10**30))), ("ext value true", dict(extFields=dict(topic=True))),
                      ("ext key empty", dict(extFields={"": "x", "topic": "m_fr_none"})), ("names of other case", dict(extFields=dict(TOPIC="m_fr_none"))), ("custom header", dict(customHeader=dict(a=1))), ("body member", dict(body="xyz")), ("more members", dict(a=1, b=[{}], c=None))):
        e.header(label, h(**kw), wait=1.0)
    for label, raw in (("members in other case", b'{"CODE":105,"Opaque":7,"ExtFields":{"topic":"m_fr_none"},"flag":0,"version":479}'), ("the same member twice", b'{"code":106,"code":105,"opaque":7,"extFields":{"topic":"m_fr_none"},"flag":0,"version":479}'), ("the same ext twice", b'{"code":105,"opaque":7,"extFields":{"topic":"a1","topic":"m_fr_none"},"flag":0,"version":479}'), ("blanks", b' \n{ "code" : 105 , "opaque" : 7 , "extFields" : { "topic" : "m_fr_none" } , "flag" : 0 , "version" : 479 } \n'),
                       ("text behind", b'{"code":105,"opaque":7,"extFields":{"topic":"m_fr_none"}}xyz'), ("comma too many", b'{"code":105,"opaque":7,"extFields":{"topic":"m_fr_none",},}'), ("single quotes", b"{'code':105,'opaque':7,'extFields':{'topic':'m_fr_none'}}"), ("bare names", b'{code:105,opaque:7,extFields:{topic:"m_fr_none"}}'), ("comments", b'{/*x*/"code":105,"opaque":7,"extFields":{"topic":"m_fr_none"}}'), ("escapes", b'{"code":105,"opaque":7,"extFields":{"topic":"m_\\u0066r\\/n\\x6fne"}}'), ("unknown escape", b'{"code":105,"opaque":7,"extFields":{"topic":"m\\q"}}'),
                       ("bad UTF-8", b'{"code":105,"opaque":7,"extFields":{"topic":"m\xff\xfe"}}'), ("mark of byte order", b'\xef\xbb\xbf{"code":105,"opaque":7,"extFields":{"topic":"m_fr_none"}}'), ("control character", b'{"code":105,"opaque":7,"extFields":{"topic":"m\x01\x7f"}}'), ("new line in a text", b'{"code":105,"opaque":7,"extFields":{"topic":"m\n"}}'), ("exponent", b'{"code":1.05e2,"opaque":7,"extFields":{"topic":"m_fr_none"}}'), ("plus", b'{"code":+105,"opaque":7,"extFields":{"topic":"m_fr_none"}}'), ("zeros in front", b'{"code":0105,"opaque":7,"extFields":{"topic":"m_fr_none"}}'),
                       ("empty object", b"{}"), ("null", b"null"), ("list", b"[]"), ("text", b'"x"'), ("true", b"true"), ("nothing", b""), ("blanks only", b"   "), ("cut short", b'{"code":105,"opaque":7,"extFields":{"topic":"m_fr'), ("type named", b'{"@type":"java.lang.Object","code":105,"opaque":7,"extFields":{"topic":"m_fr_none"}}')):
        e.header(label, raw, wait=1.0)


@more
def headers_in_binary(e):
    def raw(code=105, lang=0, version=479, opaque=7, flag=0, remark=b"", ext=None, cut=None, ext_len=None, remark_len=None, tail=b""):
        x = b"".join(struct.pack(">h", len(k)) + k + struct.pack(">i", len(v)) + v for k, v in (ext if ext is not None else [(b"topic", b"m_fr_none")]))
        t = struct.pack(">hBhii", code, lang, version, opaque, flag) + struct.pack(">i", len(remark) if remark_len is None else remark_len) + remark + struct.pack(">i", len(x) if ext_len is None else ext_len) + x + tail
        if cut is not None: t = t[:cut]
        return struct.pack(">iI", 4 + len(t), len(t) | (1 << 24)) + t
    for label, kw in (("plain", {}), ("language 99", dict(lang=99)), ("language 255", dict(lang=255)), ("version -1", dict(version=-1)), ("version 0", dict(version=0)), ("opaque 0", dict(opaque=0)), ("opaque -1", dict(opaque=-1)), ("flag 4", dict(flag=4)), ("code -1", dict(code=-1)), ("code 32767", dict(code=32767)), ("remark", dict(remark=b"hello")), ("no ext", dict(ext=[])), ("ext length -1", dict(ext=[], ext_len=-1)), ("remark length -1", dict(remark_len=-1)),
                      ("remark too long", dict(remark_len=999)), ("ext too long", dict(ext_len=999)), ("ext too short", dict(ext_len=5)), ("cut in the head", dict(cut=10)), ("cut in the ext", dict(cut=30)), ("bytes behind", dict(tail=b"zz")), ("empty", dict(cut=0)), ("key empty", dict(ext=[(b"", b"x"), (b"topic", b"m_fr_none")])), ("value empty", dict(ext=[(b"topic", b"")])), ("the same twice", dict(ext=[(b"topic", b"a1"), (b"topic", b"m_fr_none")])), ("bad UTF-8", dict(ext=[(b"topic", b"m\xff")])), ("zero byte", dict(ext=[(b"topic", b"m\0x")]))):
        e.frame(label, raw(**kw), wait=1.0); e.frame("broker: " + label, raw(**dict(dict(ext=[(b"topic", b"m_fr_none"), (b"queueId", b"0")]), **dict(kw, code=kw.get("code", 30)))), e.baddr, wait=1.0)


@more
def commands_of_the_wrong_kind(e):
    for addr, code in ((e.nsaddr, 106), (e.baddr, 305)):
        for flag in (1, 3, 2, 5, 6, 7): e.header("flag %d" % flag, h(code=code, flag=flag, extFields={}), addr, wait=0.6)
        e.header("a response with a remark", h(code=0, flag=1, remark="OK"), addr, wait=0.6); e.header("a server's push", h(code=40, extFields=dict(consumerGroup="g")), addr); e.header("with a body", h(code=code, extFields={}), addr, body=b"zzz"); e.header("ext null", h(code=code, extFields=None), addr)
        c = Conn(addr); c.raw(frame(0, opaque=5, flag=1, body=b"x") + frame(code, opaque=6) + frame(31998, opaque=7) + frame(code, opaque=8)); r = [c.wait(o, 3) for o in (6, 7, 8)]; e.note("three in one write behind a response", "ns" if addr == e.nsaddr else "broker", {}, r[1], extra=dict(record=[x and x["code"] for x in r]))
        c.raw(frame(code, opaque=9) + frame(code, opaque=9)); r = c.wait(9, 3); e.note("one opaque for two", "ns" if addr == e.nsaddr else "broker", {}, None, extra=dict(record=r and r["code"])); c.close()


@more
def codes_that_nobody_serves(e):
    for code in (0, 1, 2, 9, 13, 16, 19, 20, 22, 23, 24, 27, 44, 47, 107, 209, 210, 211, 212, 213, 214, 218, 9999, 31999, 32767, 32768, 70000, 2**31 - 1, -1, -2**31):
        e.do("broker %d" % code, code, {}, timeout=2.0); e.do("name server %d" % code, code, {}, to="ns", timeout=2.0)
    for code in (10, 11, 14, 17, 28, 34, 41, 200, 310): e.do("a broker's code %d at the name server" % code, code, dict(topic="x"), to="ns", timeout=2.0)
    for code in (100, 101, 103, 105, 106, 205, 206, 216, 219, 322, 901): e.do("a name server's code %d at the broker" % code, code, dict(topic="x"), timeout=2.0)
    host, port = e.baddr.rsplit(":", 1); c = Conn("%s:%d" % (host, int(port) - 2))
    for code in (11, 361): e.pull("VIP port: pull %d" % code, "TBW102", code=code, conn=c)
    e.send("VIP port: send", "m_vip", conn=c); e.do("VIP port: max", 30, dict(topic="m_vip", queueId=0), conn=c); e.do("VIP port: unknown", 31999, {}, conn=c); e.do("VIP port: system topics", 305, {}, conn=c); c.close()
