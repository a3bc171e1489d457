"""What the Go and the Node client do alike; see test_go.py and test_node.py for the rest."""
import pytest
from conftest import mqadmin, once, topic

EVEN = "return { filter = function(msg) return msg:num('n') % 2 == 0 end }\n"


@pytest.fixture(params=["go", "node"])
def client(request):
    run = request.getfixturevalue(request.param)
    run.name = request.param
    return run


def test_every_member_of_a_broadcasting_group_receives_everything_once(shared_broker, client):
    lines = client("broadcast", shared_broker.ns, "CG_%s_broadcast" % client.name, topic(shared_broker, client.name + "_broadcast"), 100)
    once(lines, range(100), "first")
    once(lines, range(100), "second")


def test_a_waiting_consumer_sees_a_message_within_50_ms(shared_broker, client):
    lines = client("latency", shared_broker.ns, "CG_%s_latency" % client.name, topic(shared_broker, client.name + "_latency"), 50)
    once(lines, range(50))
    assert int(next(line for line in lines if line.startswith("median_us")).split()[1]) < 50000


def test_a_group_goes_on_at_its_offset_after_the_consumer_and_the_broker_restart(broker, client):
    name = client.name + "_resume"

    def receives_only(first, count):
        client("produce", broker.ns, name, first, count, "sync")
        once(client("consume", broker.ns, "CG_" + name, name, "*", count), range(first, first + count))

    if client.name == "node":  # which can't create one by sending
        topic(broker, name)
    receives_only(0, 100)
    receives_only(100, 50)
    broker.restart()
    receives_only(150, 50)


def test_only_the_group_with_the_filter_receives_a_subset(shared_broker, client, tmp_path):
    where = ("-n", shared_broker.ns, "-b", shared_broker.addr)
    script, name = client.name + "_even", client.name + "_lua"
    (tmp_path / (script + ".lua")).write_text(EVEN)
    if client.name == "node":
        topic(shared_broker, name)
    client("produce", shared_broker.ns, name, 0, 1000, "async")
    mqadmin("putScript", *where, "-f", tmp_path / (script + ".lua"))
    mqadmin("bindScript", *where, "-g", "CG_" + script, "-s", script)
    once(client("consume", shared_broker.ns, "CG_" + script, name, "A || B", 333), [n for n in range(0, 1000, 2) if n % 3 != 2])
    once(client("consume", shared_broker.ns, "CG_%s_all" % client.name, name, "*", 1000), range(1000))
