"""The unmodified Java client 5.3.3: delays, retries, dead letters, transactions."""
import pytest
from conftest import Broker, topic


@pytest.fixture(scope="module")
def soon(tmp_path_factory):
    """A broker whose first two levels are short and that asks about transactions soon."""
    b = Broker(tmp_path_factory.mktemp("later"), messageDelayLevel="1s 2s 1s 1s 1s 1s", transactionCheckInterval=500, transactionTimeOut=500).start()
    yield b
    b.stop()


def test_delayed_messages_come_when_they_are_due(soon, java):
    topic(soon, "jl_delay")
    assert set(java("delayed", soon.ns, "GL_delay", "jl_delay")) >= {"got m0 after 0", "got m1 after 1", "got m2 after 2"}


def test_what_a_listener_fails_comes_again_under_its_own_topic_with_its_attempts(soon, java):
    topic(soon, "jl_retry")
    lines = java("retried", soon.ns, "GL_retry", "jl_retry", 2)
    assert "given [3]" in lines and "done 10" in lines, lines
    assert "told [jl_retry/0, jl_retry/1, jl_retry/2]" in lines, lines


def test_transactions_end_as_their_producer_says_at_once_or_when_asked(soon, java):
    topic(soon, "jl_txn")
    lines = java("transactions", soon.ns, "GL_txn", "PL_txn", "jl_txn")
    assert "asked 6" in lines and "right true once true" in lines, lines
