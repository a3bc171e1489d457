"""The unmodified Go client v2.1.2."""
import pytest
from conftest import mqadmin, once

EVEN = "return { filter = function(msg) return msg:num('n') % 2 == 0 end }\n"


def topic(b, name):
    """Subscribers find a topic only if it is there when they start."""
    mqadmin("updateTopic", "-n", b.ns, "-b", b.addr, "-t", name, "-r", 4, "-w", 4)
    return name


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


def test_every_member_of_a_broadcasting_group_receives_everything_once(shared_broker, go):
    lines = go("broadcast", shared_broker.ns, "CG_go_broadcast", topic(shared_broker, "go_broadcast"), 100)
    once(lines, range(100), "first")
    once(lines, range(100), "second")


def test_a_waiting_consumer_sees_a_message_within_50_ms(shared_broker, go):
    lines = go("latency", shared_broker.ns, "CG_go_latency", topic(shared_broker, "go_latency"), 50)
    once(lines, range(50))
    assert int(next(line for line in lines if line.startswith("median_us")).split()[1]) < 50000


def test_a_group_goes_on_at_its_offset_after_the_consumer_and_the_broker_restart(broker, go):
    def receives_only(first, count):
        go("produce", broker.ns, "go_resume", first, count, "sync")
        once(go("consume", broker.ns, "CG_go_resume", "go_resume", "*", count), range(first, first + count))

    receives_only(0, 100)
    receives_only(100, 50)
    broker.restart()
    receives_only(150, 50)


def test_only_the_group_with_the_filter_receives_a_subset(shared_broker, go, tmp_path):
    where = ("-n", shared_broker.ns, "-b", shared_broker.addr)
    (tmp_path / "go_even.lua").write_text(EVEN)
    go("produce", shared_broker.ns, "go_lua", 0, 1000, "async")
    mqadmin("putScript", *where, "-f", tmp_path / "go_even.lua")
    mqadmin("bindScript", *where, "-g", "CG_go_even", "-s", "go_even")
    once(go("consume", shared_broker.ns, "CG_go_even", "go_lua", "A || B", 333), [n for n in range(0, 1000, 2) if n % 3 != 2])
    once(go("consume", shared_broker.ns, "CG_go_all", "go_lua", "*", 1000), range(1000))
