"""Delayed messages, and those a consumer sends back."""
import collections, json, re, time

import pytest
import rmq
from conftest import Broker, topic
from raw import pull, pull_all, send


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A broker all of whose levels are 1 s, but for level 2."""
    b = Broker(tmp_path_factory.mktemp("delay"), messageDelayLevel="1s 2s " + "1s " * 16).start()
    b.c = rmq.Conn(b.addr)
    yield b
    b.c.close()
    b.stop()


def test_a_delayed_message_comes_when_its_level_says_and_as_it_was(quick):
    topic(quick, "delay_t", 4)
    for level in (1, 2, 99):
        sent = send(quick.c, "delay_t", "body%d" % level, 2, DELAY=level, TAGS="A", KEYS="k%d" % level)
        assert sent["queueId"] == "2"
    assert pull(quick.c, "delay_t", 0, 2) == []
    got = {r["body"]: r for r in pull_all(quick.c, "delay_t", 3, 10, 2)}
    waiting = {r["body"]: r for q in (0, 1, 17) for r in pull(quick.c, "SCHEDULE_TOPIC_XXXX", 0, q)}
    for body, delay in (("body1", 1000), ("body2", 2000), ("body99", 1000)):
        r, w = got[body], waiting[body]
        late = r["stored"] - w["stored"] - delay
        assert 0 <= late <= 100, "%s %d ms late" % (body, late)
        assert (r["topic"], r["queueId"], r["props"]["TAGS"], r["props"]["REAL_TOPIC"]) == ("delay_t", 2, "A", "delay_t")
        assert (r["born"], r["bornHost"], r["storeHost"], r["flag"]) == (w["born"], w["bornHost"], w["storeHost"], w["flag"])
    assert waiting["body99"]["props"]["DELAY"] == "18"


def test_progress_is_in_delayOffset_json_and_in_the_runtime_information(quick):
    topic(quick, "delay_p", 1)
    send(quick.c, "delay_p", "x", DELAY=3)
    assert len(pull_all(quick.c, "delay_p", 1, 5)) == 1
    table = json.loads(quick.c.call(28)["body"])["table"]
    delivered, stored = map(int, table["scheduleMessageOffset_3"].split(","))
    assert delivered == stored >= 1
    quick.c.close()
    quick.restart()
    quick.c = rmq.Conn(quick.addr)
    text = (quick.folder / "store/config/delayOffset.json").read_text()
    assert re.search(r'"?3"?\s*:\s*%d' % delivered, text)


def test_delayed_messages_are_delivered_exactly_once_over_kills(make_broker):
    b = make_broker(messageDelayLevel="1s " * 18).start()
    topic(b, "delay_k", 1)
    c = rmq.Conn(b.addr)
    sent = 0
    for _ in range(3):
        for _ in range(200):
            send(c, "delay_k", "m%d" % sent, DELAY=1 + sent % 3)
            sent += 1
        while len(pull(c, "delay_k", sent - 190)) == 0:  # some of these are delivered, the rest is about to be
            assert pull(c, "delay_k", sent - 200, wait=3000)
        b.kill()
        b.start()
        c = rmq.Conn(b.addr)
    got = pull_all(c, "delay_k", sent, 10)
    time.sleep(0.3)
    got += pull(c, "delay_k", len(got))
    assert collections.Counter(r["body"] for r in got) == collections.Counter("m%d" % n for n in range(sent))
    c.close()


def back(c, record, group, level=0, **more):
    r = c.call(36, dict(offset=str(record["physical"]), group=group, delayLevel=str(level), originMsgId="", originTopic=record["topic"], unitMode="false", **more))
    assert r["code"] == 0, r


def test_a_message_sent_back_comes_again_with_its_attempts_counted(quick):
    c = quick.c
    topic(quick, "retry_t", 1)
    send(c, "retry_t", "again", TAGS="A")
    (r,) = pull_all(c, "retry_t", 1, 3)
    for attempt in range(1, 4):
        back(c, r, "RG", maxReconsumeTimes="16")
        again = pull_all(c, "%RETRY%RG", attempt, 5)
        assert len(again) == attempt
        r = again[-1]
        assert (r["body"], r["reconsumeTimes"], r["topic"]) == ("again", attempt, "%RETRY%RG")
        assert r["props"]["RETRY_TOPIC"] == "retry_t" and r["props"]["DELAY"] == str(2 + attempt)
        assert r["props"]["ORIGIN_MESSAGE_ID"] == again[0]["props"]["ORIGIN_MESSAGE_ID"]


def test_after_its_last_attempt_or_at_the_consumers_wish_a_message_is_laid_aside(quick):
    c = quick.c
    topic(quick, "dead_t", 1)
    send(c, "dead_t", "one")
    send(c, "dead_t", "two")
    first, second = pull_all(c, "dead_t", 2, 3)
    back(c, first, "DG", maxReconsumeTimes="0")
    back(c, second, "DG", -1)
    dead = pull_all(c, "%DLQ%DG", 2, 3)
    assert [r["body"] for r in dead] == ["one", "two"]
    assert all(r["reconsumeTimes"] == 1 and r["props"]["RETRY_TOPIC"] == "dead_t" for r in dead)


def test_sending_back_nothing_is_an_error(quick):
    r = quick.c.call(36, dict(offset="999999999", group="RG", delayLevel="0"))
    assert r["code"] == 1 and r["remark"] == "look message by offset failed, 999999999"
