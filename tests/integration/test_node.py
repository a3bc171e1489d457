"""The unmodified Node client ali-ons 3.12.0.

What it lacks by itself, whatever the broker: one-way and batch sends (MQProducer has only send), creation of topics by sending
(getTopicRouteInfoFromNameServer throws before send comes to the default topic), and an ear for the broker's notices (MQClient
does not listen to requests), so that it learns of members that come and go by a timer of 10 s, `rebalanceInterval`.
"""
import pytest
from conftest import mqadmin, once

EVEN = "return { filter = function(msg) return msg:num('n') % 2 == 0 end }\n"


def topic(b, name):
    mqadmin("updateTopic", "-n", b.ns, "-b", b.addr, "-t", name, "-r", 4, "-w", 4)
    return name


@pytest.mark.parametrize("mode", ["sync", "async", "big"])
def test_everything_sent_is_received_once(shared_broker, node, mode):
    assert "sent 300" in node("produce", shared_broker.ns, topic(shared_broker, "node_" + mode), 0, 300, mode)
    once(node("consume", shared_broker.ns, "CG_node_" + mode, "node_" + mode, "*", 300), range(300), tail="." * 6000 if mode == "big" else "")


def test_a_thousand_messages_filtered_by_tags_arrive_once(shared_broker, node):
    node("produce", shared_broker.ns, topic(shared_broker, "node_tags"), 0, 1800, "async")
    once(node("consume", shared_broker.ns, "CG_node_tags", "node_tags", "A || C", 1200), [n for n in range(1800) if n % 3 != 1])


def test_a_consumer_that_leaves_is_replaced_at_the_others_next_rebalance(shared_broker, node):
    lines = node("rebalance", shared_broker.ns, "CG_node_rebalance", topic(shared_broker, "node_rebalance"), 1000)
    assert "shared true" in lines
    _, queues, took = next(line for line in lines if line.startswith("rebalanced")).split()
    assert int(queues) == 4 and int(took) < 3000
    once(lines, range(100), "later")


def test_every_member_of_a_broadcasting_group_receives_everything_once(shared_broker, node):
    lines = node("broadcast", shared_broker.ns, "CG_node_broadcast", topic(shared_broker, "node_broadcast"), 100)
    once(lines, range(100), "first")
    once(lines, range(100), "second")


def test_a_waiting_consumer_sees_a_message_within_50_ms(shared_broker, node):
    lines = node("latency", shared_broker.ns, "CG_node_latency", topic(shared_broker, "node_latency"), 50)
    once(lines, range(50))
    assert int(next(line for line in lines if line.startswith("median_us")).split()[1]) < 50000


def test_a_group_goes_on_at_its_offset_after_the_consumer_and_the_broker_restart(broker, node):
    def receives_only(first, count):
        node("produce", broker.ns, "node_resume", first, count, "sync")
        once(node("consume", broker.ns, "CG_node_resume", "node_resume", "*", count), range(first, first + count))

    topic(broker, "node_resume")
    receives_only(0, 100)
    receives_only(100, 50)
    broker.restart()
    receives_only(150, 50)


def test_only_the_group_with_the_filter_receives_a_subset(shared_broker, node, tmp_path):
    where = ("-n", shared_broker.ns, "-b", shared_broker.addr)
    (tmp_path / "node_even.lua").write_text(EVEN)
    node("produce", shared_broker.ns, topic(shared_broker, "node_lua"), 0, 1000, "async")
    mqadmin("putScript", *where, "-f", tmp_path / "node_even.lua")
    mqadmin("bindScript", *where, "-g", "CG_node_even", "-s", "node_even")
    once(node("consume", shared_broker.ns, "CG_node_even", "node_lua", "A || B", 333), [n for n in range(0, 1000, 2) if n % 3 != 2])
    once(node("consume", shared_broker.ns, "CG_node_all", "node_lua", "*", 1000), range(1000))
