"""The unmodified Go client v2.1.2."""
import pytest
from conftest import once, topic


@pytest.mark.parametrize("mode", ["sync", "async", "oneway", "batch", "big"])
def test_everything_sent_is_received_once(shared_broker, go, mode):
    assert "sent 300" in go("produce", shared_broker.ns, "go_" + mode, 0, 300, mode)
    once(go("consume", shared_broker.ns, "CG_go_" + mode, "go_" + mode, "*", 300), range(300), tail="." * 6000 if mode == "big" else "")


def test_a_thousand_messages_filtered_by_tags_arrive_once(shared_broker, go):
    go("produce", shared_broker.ns, "go_tags", 0, 1800, "async")
    once(go("consume", shared_broker.ns, "CG_go_tags", "go_tags", "A || C", 1200), [n for n in range(1800) if n % 3 != 1])


def test_a_consumer_that_leaves_is_replaced_within_three_seconds(shared_broker, go):
    lines = go("rebalance", shared_broker.ns, "CG_go_rebalance", topic(shared_broker, "go_rebalance"))
    assert "shared true" in lines
    _, queues, took = next(line for line in lines if line.startswith("rebalanced")).split()
    assert int(queues) == 4 and int(took) < 3000
    once(lines, range(100), "later")
