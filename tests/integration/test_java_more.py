"""The unmodified Java client 5.3.3: ports, bodies, order, pull consumers, subscriptions, brokers that go and come."""
import pytest
from conftest import mqadmin, topic


def test_with_the_vip_channel_all_but_pulls_and_heartbeats_go_to_the_second_port(shared_broker, java):
    topic(shared_broker, "jm_vip")
    lines = java("vip", shared_broker.ns, "GM_vip", "jm_vip", 20)
    assert "received 20" in lines
    port = shared_broker.port
    assert "producer 310 %d" % (port - 2) in lines and "consumer 11 %d" % port in lines
    assert {"consumer %d %d" % (code, port - 2) for code in (14, 15, 38)} <= set(lines)


def test_bodies_come_back_byte_by_byte_however_they_were_compressed(shared_broker, java):
    topic(shared_broker, "jm_bodies")
    lines = java("bodies", shared_broker.ns, "GM_bodies", "jm_bodies", 4 << 20)
    assert "same 26 left []" in lines and not [line for line in lines if line.startswith("differs")]
    refused = [line for line in lines if line.startswith("refused")]
    assert len(refused) == 1 and refused[0].startswith("refused ZSTD.noise.4194304 13 the message is illegal")


def test_what_is_too_large_is_refused_and_the_next_one_is_taken(shared_broker, java):
    topic(shared_broker, "jm_over")
    lines = java("over", shared_broker.ns, "jm_over", 4 << 20)
    for case in ("body", "batch", "properties"):
        assert any(line.startswith("refused %s 13 the message is illegal" % case) for line in lines), lines
    assert "then SEND_OK" in lines


def test_the_sender_chooses_the_queue(shared_broker, java):
    topic(shared_broker, "jm_select")
    assert "received 44 of 44, elsewhere 0 0" in java("select", shared_broker.ns, "GM_select", "jm_select")


def test_odd_keys_and_properties_come_back_as_they_were(shared_broker, java):
    topic(shared_broker, "jm_odd")
    assert "same 17 of 17" in java("odd", shared_broker.ns, "GM_odd", "jm_odd")


def test_ordered_consumption_keeps_the_order_of_each_queue_over_two_members(shared_broker, java):
    topic(shared_broker, "jm_ordered")
    lines = java("orderly", shared_broker.ns, "GM_ordered", "jm_ordered", 400)
    assert "divided true" in lines and any(line.startswith("received 400 disordered 0,") for line in lines), lines


def test_a_lite_pull_consumer_takes_up_where_the_one_before_committed(shared_broker, java):
    topic(shared_broker, "jm_lite")
    lines = java("lite", shared_broker.ns, "GM_lite", "jm_lite", 100)
    assert "first 100 100" in lines and "second 10 m100" in lines


def test_queues_are_assigned_and_sought_by_hand(shared_broker, java):
    topic(shared_broker, "jm_assign")
    lines = java("assign", shared_broker.ns, "GM_assign", "jm_assign")
    assert "queues 4" in lines and "begin 10 m0" in lines and "bytime 1 11" in lines, "|".join(lines)


def test_the_old_pull_consumer_sees_bounds_times_tags_and_ends(shared_broker, java):
    topic(shared_broker, "jm_pull")
    lines = java("pull", shared_broker.ns, "GM_pull", "jm_pull")
    assert "queues 4" in lines and "earliest 1" in lines and "unknown 0" in lines and "committed true" in lines, "|".join(lines)
    # "unknown 0": of a young queue a new group is to have everything.
    for word, status in (("nothing", "NO_NEW_MSG"), ("all", "FOUND"), ("tags", "FOUND"), ("end", "NO_NEW_MSG"), ("beyond", "OFFSET_ILLEGAL"), ("woken", "FOUND")):
        assert any(line.startswith("%s %s" % (word, status)) for line in lines), (word, lines)


def test_a_new_group_begins_where_it_says(shared_broker, java):
    topic(shared_broker, "jm_from")
    assert "sent 40" in java("produce", shared_broker.ns, "jm_from", 40, "sync")
    for where in ("CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_TIMESTAMP"):
        # Of a young queue, which still has its first message in memory, a new group gets everything.
        assert "new true old 40" in java("from", shared_broker.ns, "GM_" + where, "jm_from", where, "20200101000000")


def test_subscriptions_of_two_topics_change_while_consuming(shared_broker, java):
    topic(shared_broker, "jm_one")
    topic(shared_broker, "jm_two")
    run = java.begin("subscriptions", shared_broker.ns, "GM_subs", "jm_one", "jm_two")
    lines = []
    while True:
        line = run.line()
        if line == "ready":
            run.tell("go on")
        if line is None:
            break
        lines.append(line)
    assert "both [jm_one/A=10, jm_two/B=10, jm_two/C=10]" in lines and "changed [jm_one/B=10]" in lines, lines
    assert "queues of it left 0" in lines and "given up [jm_one/B=4]" in lines, lines


LOOP = "local M = {}\nfunction M.filter(msg) while true do end end\nreturn M\n"


def test_while_one_groups_filter_hangs_another_group_receives_at_once(shared_broker, java, tmp_path):
    where = ("-n", shared_broker.ns, "-b", shared_broker.addr)
    topic(shared_broker, "jm_beside")
    (tmp_path / "hangs.lua").write_text(LOOP)
    mqadmin("putScript", *where, "-f", tmp_path / "hangs.lua")
    mqadmin("bindScript", *where, "-g", "GM_hangs", "-s", "hangs")
    words = [line for line in java("beside", shared_broker.ns, "GM_hangs", "GM_beside", "jm_beside", 200) if line.startswith(("received", "looping"))]
    received, looping = words[0].split(), words[1].split()
    assert int(received[1]) == 200 and int(received[3]) < 50
    assert int(looping[2]) > 0 and int(looping[4]) == 0


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_producers_and_consumers_go_on_by_themselves_when_the_broker_comes_back(make_broker, java, how):
    b = make_broker().start()
    topic(b, "jm_endure")
    run = java.begin("endure", b.ns, "GM_endure", "jm_endure")
    line = run.line()
    while line != "flowing":
        line = run.line()
    b.kill() if how == "kill" else b.stop()
    b.start()
    run.tell("it is back")
    lines = run.rest()
    assert "sends again true" in lines and "receives again true" in lines, lines
    counts = next(line for line in lines if line.startswith("acked")).split()
    assert int(counts[1]) >= 1000 and int(counts[5]) == 0
