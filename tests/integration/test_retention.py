"""How long messages are kept, and a disk that fills."""
import os, time

from conftest import mqadmin, mqbench


def wait_until(what, seconds=20):
    end = time.time() + seconds
    while not what():
        assert time.time() < end
        time.sleep(0.05)


def log_files(b):
    return sorted(p.name for p in (b.folder / "store/commitlog").iterdir())


def fill(b, topic, count=6000):
    mqbench(b.ns, "produce", "-t", topic, "-q", 2, "--count", count, "-s", 1000)


def make_old(b):
    for p in (b.folder / "store/commitlog").iterdir():
        os.utime(p, (time.time() - 73 * 3600,) * 2)


def test_expired_files_are_deleted_when_an_operator_asks_and_consumers_go_on_behind(make_broker, apache_admin):
    b = make_broker(mappedFileSizeCommitLog=1 << 20, deleteWhen=(time.localtime().tm_hour + 12) % 24, diskMaxUsedSpaceRatio=95, cleanResourceInterval=200).start()
    fill(b, "retain_t")
    assert len(log_files(b)) >= 7
    make_old(b)
    time.sleep(0.5)  # two rounds that delete nothing: it is not the hour
    assert log_files(b)[0] == "0" * 20
    assert "success" in apache_admin(b.ns, "deleteExpiredCommitLog", "-b", b.addr)
    wait_until(lambda: len(log_files(b)) <= 2)
    first = int(log_files(b)[0])
    assert first > 4 << 20
    left = mqbench(b.ns, "consume", "-t", "retain_t")["received"]
    assert 0 < left < 2000
    b.restart()
    assert mqbench(b.ns, "consume", "-t", "retain_t")["received"] == left
    fill(b, "retain_t", 100)
    assert mqbench(b.ns, "consume", "-t", "retain_t")["received"] == left + 100
    assert "success" in apache_admin(b.ns, "cleanExpiredCQ", "-b", b.addr)
    assert "success" in apache_admin(b.ns, "cleanUnusedTopic", "-b", b.addr)


def test_a_full_disk_refuses_sends_with_the_reason_and_serves_the_rest(make_broker):
    b = make_broker(cleanResourceInterval=200).start()
    fill(b, "full_t", 100)
    b.settings.update(diskReservedBytes=1 << 60, cleanFileForciblyEnable="false")
    b.restart()
    wait_until(lambda: "sends are refused" in b.text())
    r = mqadmin("sendMessage", "-n", b.ns, "-t", "full_t", "-p", "x", check=False)
    assert r.returncode == 1 and "CODE: 14" in r.stderr and "diskReservedBytes" in r.stderr
    assert mqbench(b.ns, "consume", "-t", "full_t")["received"] == 100
    b.settings.update(diskReservedBytes=0)
    b.restart()
    fill(b, "full_t", 10)
