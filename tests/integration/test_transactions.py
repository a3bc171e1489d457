"""Transactional messages: commit, rollback, and the broker's questions about what is undecided."""
import collections, json, time

import pytest
import rmq
from conftest import Broker, topic
from raw import pull, pull_all, send

COMMIT, ROLLBACK = 8, 12


@pytest.fixture(scope="module")
def txn(tmp_path_factory):
    """A broker that asks soon and three times at most."""
    b = Broker(tmp_path_factory.mktemp("txn"), transactionCheckInterval=300, transactionTimeOut=200, transactionCheckMax=3).start()
    yield b
    b.stop()


def producer(b, group):
    c = rmq.Conn(b.addr)
    body = dict(clientID="%s@test" % group, producerDataSet=[dict(groupName=group)], consumerDataSet=[])
    assert c.call(34, {}, json.dumps(body).encode())["code"] == 0
    return c


def half(c, to, body, group, **properties):
    """The two offsets by which it is decided."""
    r = send(c, to, body, TRAN_MSG="true", PGROUP=group, **properties)
    return dict(tranStateTableOffset=r["queueOffset"], commitLogOffset=str(int(r["msgId"][-16:], 16)), transactionId=r["transactionId"])


def decide(c, group, h, how, check=False):
    return c.call(37, dict(producerGroup=group, topic="", commitOrRollback=str(how), fromTransactionCheck=str(check).lower(), msgId="x", **h))


def question(c, seconds=5):
    q = c.pushed.get(timeout=seconds)
    assert q["code"] == 39 and q["flag"] & 2
    ext = q["extFields"]
    return ext, dict(tranStateTableOffset=ext["tranStateTableOffset"], commitLogOffset=ext["commitLogOffset"], transactionId=ext["transactionId"]), rmq.records(q["body"])[0]


def test_a_commit_shows_the_message_and_a_rollback_does_not(txn):
    topic(txn, "txn_t", 1)
    c = producer(txn, "PT")
    a, b = half(c, "txn_t", "yes", "PT", TAGS="A"), half(c, "txn_t", "no", "PT")
    assert pull(c, "txn_t", 0) == []
    assert decide(c, "PT", a, COMMIT)["code"] == 0 and decide(c, "PT", b, ROLLBACK)["code"] == 0
    (r,) = pull_all(c, "txn_t", 1, 3)
    assert (r["body"], r["sysFlag"] & 12, r["prepared"]) == ("yes", COMMIT, int(a["commitLogOffset"]))
    assert r["props"]["TRAN_MSG"] == "true" and r["props"]["TAGS"] == "A"
    c.close()


def test_who_is_undecided_is_asked_and_his_answer_counts(txn):
    topic(txn, "txn_ask", 1)
    c = producer(txn, "PA")
    half(c, "txn_ask", "asked", "PA")
    ext, h, record = question(c)
    assert (record["body"], record["topic"], record["props"]["TRANSACTION_CHECK_TIMES"]) == ("asked", "txn_ask", "1")
    assert ext["msgId"] == record["props"]["UNIQ_KEY"]
    assert decide(c, "PA", h, COMMIT, True)["code"] == 0
    assert [r["body"] for r in pull_all(c, "txn_ask", 1, 3)] == ["asked"]
    time.sleep(1)  # three rounds in which nobody asks again
    assert c.pushed.empty() and pull(c, "txn_ask", 1) == []
    c.close()


def test_a_commit_of_the_first_copy_ends_the_questions_about_its_copies(txn):
    topic(txn, "txn_late", 1)
    c = producer(txn, "PL")
    h = half(c, "txn_late", "late", "PL")
    question(c)
    assert decide(c, "PL", h, COMMIT)["code"] == 0
    time.sleep(1.5)
    assert c.pushed.empty()
    assert [r["body"] for r in pull_all(c, "txn_late", 1, 3)] == ["late"]
    c.close()


def test_after_the_last_question_it_is_laid_aside_and_can_be_taken_up_again(txn):
    topic(txn, "txn_give_up", 1)
    c = producer(txn, "PG")
    half(c, "txn_give_up", "never", "PG")
    asked = [question(c)[2]["props"]["TRANSACTION_CHECK_TIMES"] for _ in range(3)]
    assert asked == ["1", "2", "3"]
    (r,) = [r for r in pull_all(c, "TRANS_CHECK_MAX_TIME_TOPIC", 1, 8) if r["body"] == "never"]
    assert c.call(323, dict(msgId="7F000001%08X%016X" % (txn.port, r["physical"])))["code"] == 0
    _, h, record = question(c)
    assert record["body"] == "never" and record["props"]["TRANSACTION_CHECK_TIMES"] == "1"
    assert decide(c, "PG", h, ROLLBACK, True)["code"] == 0
    c.close()


def test_a_question_nobody_can_be_asked_does_not_count(txn):
    topic(txn, "txn_away", 1)
    c = producer(txn, "PW")
    half(c, "txn_away", "patient", "PW")
    c.close()
    time.sleep(2)  # as many rounds as would have used up the questions
    c = producer(txn, "PW")
    _, h, record = question(c)
    assert record["props"]["TRANSACTION_CHECK_TIMES"] == "1"
    assert decide(c, "PW", h, COMMIT, True)["code"] == 0
    assert [r["body"] for r in pull_all(c, "txn_away", 1, 3)] == ["patient"]
    c.close()


def test_a_message_with_a_long_immunity_is_left_alone(txn):
    topic(txn, "txn_immune", 1)
    c = producer(txn, "PI")
    h = half(c, "txn_immune", "immune", "PI", CHECK_IMMUNITY_TIME_IN_SECONDS="60")
    half(c, "txn_immune", "other", "PI")
    _, other, record = question(c)
    assert record["body"] == "other"
    decide(c, "PI", other, ROLLBACK, True)
    assert decide(c, "PI", h, COMMIT)["code"] == 0
    assert [r["body"] for r in pull_all(c, "txn_immune", 1, 3)] == ["immune"]
    c.close()


def test_the_states_of_transactions_survive_kills(make_broker):
    b = make_broker(transactionCheckInterval=300, transactionTimeOut=100).start()
    topic(b, "txn_kill", 1)
    wanted, undecided = set(), {}
    for life in range(4):
        c = producer(b, "PK")
        for n in range(30):
            body = "m%d-%d" % (life, n)
            h = half(c, "txn_kill", body, "PK")
            if n % 3 == 0:
                assert decide(c, "PK", h, COMMIT)["code"] == 0
                wanted.add(body)
            elif n % 3 == 1:
                assert decide(c, "PK", h, ROLLBACK)["code"] == 0
            else:
                undecided[body] = True
        if life % 2:
            time.sleep(0.5)  # into a round of questions
        b.kill()
        b.start()
    c = producer(b, "PK")
    end = time.time() + 20
    while undecided and time.time() < end:
        _, h, record = question(c, 10)
        if record["body"] in undecided:
            assert decide(c, "PK", h, COMMIT, True)["code"] == 0
            wanted.add(record["body"])
            del undecided[record["body"]]
    got = pull_all(c, "txn_kill", len(wanted), 10)
    time.sleep(0.8)
    got += pull(c, "txn_kill", len(got))
    assert collections.Counter(r["body"] for r in got) == collections.Counter(wanted)
    c.close()
