"""The unmodified Node client ali-ons 3.12.0.

What it lacks by itself, whatever the broker: one-way and batch sends (MQProducer has only send), creation of topics by sending
(getTopicRouteInfoFromNameServer throws before send comes to the default topic), and an ear for the broker's notices (MQClient
does not listen to requests), so that it learns of members that come and go by a timer of 10 s, `rebalanceInterval`.
"""
import pytest
from conftest import once, topic


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
