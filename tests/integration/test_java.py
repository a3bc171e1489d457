"""The unmodified Java client 5.3.3."""
import pytest
from conftest import got, mqadmin, once


@pytest.mark.parametrize("mode", ["sync", "async", "oneway", "batch"])
def test_everything_sent_is_received_once(shared_broker, java, mode):
    topic = "java_" + mode
    assert "sent 300" in java("produce", shared_broker.ns, topic, 300, mode)
    once(java("consume", shared_broker.ns, "CG_" + mode, topic, "*", 300), range(300))


def test_a_thousand_messages_filtered_by_tags_arrive_once(shared_broker, java):
    java("produce", shared_broker.ns, "java_tags", 1500, "async")
    once(java("consume", shared_broker.ns, "CG_tags", "java_tags", "A || C", 1000), [n for n in range(1500) if n % 3 != 1])


def test_a_consumer_that_leaves_is_replaced_within_three_seconds(shared_broker, java):
    mqadmin("updateTopic", "-n", shared_broker.ns, "-b", shared_broker.addr, "-t", "java_rebalance", "-r", 4, "-w", 4)
    lines = java("rebalance", shared_broker.ns, "CG_rebalance", "java_rebalance", timeout=200)
    assert "shared true" in lines
    _, queues, took = next(line for line in lines if line.startswith("rebalanced")).split()
    assert int(queues) == 4 and int(took) < 3000
    assert "tookover true" in lines


def test_every_member_of_a_broadcasting_group_receives_everything(shared_broker, java):
    mqadmin("updateTopic", "-n", shared_broker.ns, "-b", shared_broker.addr, "-t", "java_broadcast", "-r", 4, "-w", 4)
    assert "each 100 100" in java("broadcast", shared_broker.ns, "CG_broadcast", "java_broadcast", 100)


def test_a_waiting_consumer_sees_a_message_within_50_ms(shared_broker, java):
    mqadmin("updateTopic", "-n", shared_broker.ns, "-b", shared_broker.addr, "-t", "java_latency", "-r", 4, "-w", 4)
    words = next(line for line in java("latency", shared_broker.ns, "CG_latency", "java_latency", 50) if line.startswith("median_us")).split()
    assert int(words[2]) == 50 and int(words[1]) < 50000


def test_a_group_goes_on_at_its_offset_after_the_consumer_and_the_broker_restart(broker, java):
    java("produce", broker.ns, "java_resume", 100, "sync")
    once(java("consume", broker.ns, "CG_resume", "java_resume", "*", 100), range(100))
    broker.restart()
    assert got(java("consume", broker.ns, "CG_resume", "java_resume", "*", 0)) == []
    java("produce", broker.ns, "java_resume", 10, "sync")
    once(java("consume", broker.ns, "CG_resume", "java_resume", "*", 10), range(10))


EVEN = """
local M = { args = { part = "number" } }
function M.filter(msg, args)
  return msg:num("n") % args.part == 0 and msg.tags ~= "B"
end
return M
"""
LOOP = "local M = {}\nfunction M.filter(msg) while true do end end\nreturn M\n"


def test_only_the_group_with_the_filter_receives_a_subset(shared_broker, java, tmp_path):
    where = ("-n", shared_broker.ns, "-b", shared_broker.addr)
    (tmp_path / "even.lua").write_text(EVEN)
    (tmp_path / "loop.lua").write_text(LOOP)
    java("produce", shared_broker.ns, "java_lua", 10000, "async")
    mqadmin("putScript", *where, "-f", tmp_path / "even.lua")
    mqadmin("putScript", *where, "-f", tmp_path / "loop.lua")
    mqadmin("bindScript", *where, "-g", "CG_even", "-s", "even", "-a", "part=2")
    mqadmin("bindScript", *where, "-g", "CG_loop", "-s", "loop")
    wanted = [n for n in range(10000) if n % 2 == 0 and n % 3 != 1]
    once(java("consume", shared_broker.ns, "CG_even", "java_lua", "*", len(wanted)), wanted)
    assert got(java("consume", shared_broker.ns, "CG_loop", "java_lua", "*", 0)) == []
    once(java("consume", shared_broker.ns, "CG_all", "java_lua", "*", 10000), range(10000))
    status = mqadmin("scriptStatus", *where, "--json").stdout
    assert '"Script":"loop"' in status
    mqadmin("unbindScript", *where, "-g", "CG_even")
    once(java("consume", shared_broker.ns, "CG_even2", "java_lua", "A", 3334), [n for n in range(10000) if n % 3 == 0])
