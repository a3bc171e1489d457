"""A topic made by sending to it."""
import socket, time

from rmq import Conn, props


def send(c, topic):
    ext = dict(a="PG", b=topic, c="TBW102", d="4", e="0", f="0", g="1", h="0", i=props(), j="0", k="false", m="false")
    return c.call(310, ext, b"first")["code"]


def has_route(c, topic):
    return c.call(105, {"topic": topic})["code"] == 0


def test_its_route_is_known_when_the_first_send_is_answered(shared_broker):
    sender, asker = Conn(shared_broker.addr), Conn(shared_broker.ns)
    for i in range(50):
        assert send(sender, "new_%d" % i) == 0
        assert has_route(asker, "new_%d" % i)
    sender.close()
    asker.close()


def test_a_name_server_that_does_not_answer_holds_the_first_answer_for_a_second_at_most(make_broker):
    silent = socket.create_server(("127.0.0.1", 0))
    b = make_broker(namesrvAddr="127.0.0.1:%d" % silent.getsockname()[1]).start()
    sender, asker = Conn(b.addr), Conn(b.ns)
    began = time.monotonic()
    assert send(sender, "new_held") == 0
    assert time.monotonic() - began < 2.5, "clients wait 3 s"
    assert has_route(asker, "new_held")
    began = time.monotonic()
    assert send(sender, "new_held") == 0
    assert time.monotonic() - began < 0.5, "only the first send waits"
    sender.close()
    asker.close()
    silent.close()
