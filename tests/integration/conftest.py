"""Servers for the tests: each on free ports and a store of its own, stopped and shown when something failed."""
import collections, os, pathlib, queue, shutil, signal, socket, subprocess, sys, threading, time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TL_BIN", ROOT / "build/release/bin"))
APACHE = ROOT / "tests/apache"
sys.path.insert(0, str(ROOT / "tests/parity"))


def free_ports(offsets, low=20000):
    """A port P for which P + each offset is free."""
    for base in range(low + os.getpid() % 5000, 60000, 7):
        held = []
        try:
            for o in offsets:
                s = socket.socket()
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                held.append(s)
                s.bind(("127.0.0.1", base + o))
            return base
        except OSError:
            continue
        finally:
            for s in held:
                s.close()
    raise RuntimeError("no free ports")


class Broker:
    """mqbroker --standalone; restart() keeps ports and store."""

    def __init__(self, folder, **settings):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_ports((-2, 0, 1, 100))
        self.nsport = self.port + 100
        self.ns = "127.0.0.1:%d" % self.nsport
        self.addr = "127.0.0.1:%d" % self.port
        self.settings = dict(brokerClusterName="DefaultCluster", brokerName="broker-a", brokerId=0, listenPort=self.port, brokerIP1="127.0.0.1",
                             bindAddress="127.0.0.1", storePathRootDir=folder / "store", mappedFileSizeCommitLog=64 << 20)
        self.settings.update(settings)
        self.process = None
        self.env = {}

    def write_conf(self):
        conf = self.folder / "broker.conf"
        conf.write_text("".join("%s=%s\n" % kv for kv in self.settings.items()))
        return conf

    def start(self):
        conf = self.write_conf()
        self.log = open(self.folder / "broker.log", "ab")
        self.process = subprocess.Popen([BIN / "mqbroker", "--standalone=%d" % self.nsport, "-c", conf], stdout=subprocess.PIPE, stderr=self.log,
                                        stdin=subprocess.DEVNULL, text=True, env={**os.environ, **self.env})
        lines = queue.Queue()
        threading.Thread(target=lambda: [lines.put(line) for line in self.process.stdout] + [lines.put(None)], daemon=True).start()
        end = time.time() + 30
        while True:
            line = lines.get(timeout=max(0.1, end - time.time()))
            if line is None:
                raise RuntimeError("the broker did not start:\n" + (self.folder / "broker.log").read_text())
            if "boot success" in line:
                return self

    def stop(self, sig=signal.SIGTERM):
        if not self.process:
            return None
        self.process.send_signal(sig)
        rc = self.process.wait(20)
        self.log.close()
        self.process = None
        return rc

    def kill(self):
        return self.stop(signal.SIGKILL)

    def restart(self):
        self.stop()
        return self.start()

    def text(self):
        return (self.folder / "broker.log").read_text()


def mqadmin(*args, check=True):
    r = subprocess.run([BIN / "mqadmin", *map(str, args)], capture_output=True, text=True, timeout=60)
    if check and r.returncode:
        raise AssertionError("mqadmin %s: %s%s" % (args, r.stdout, r.stderr))
    return r


def got(lines, word="got"):
    return [line[len(word) + 1:] for line in lines if line.startswith(word + " ")]


def once(lines, numbers, word="got", tail=""):
    """Each message arrived exactly once, and no other."""
    assert collections.Counter(got(lines, word)) == collections.Counter("m%d%s" % (n, tail) for n in numbers)


def scenarios(command, **env):
    """run(ARGS...) runs a client's scenario runner and gives its lines; .start() leaves it running."""
    env = dict(os.environ, **env)

    def run(*args, timeout=120):
        r = subprocess.run(command + list(map(str, args)), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, env=env)
        assert r.returncode == 0, "%s\n%s\n%s" % (args, r.stdout[-3000:], r.stderr[-3000:])
        return r.stdout.splitlines()

    run.start = lambda *args: subprocess.Popen(command + list(map(str, args)), stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env=env)
    return run


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for b in item.funcargs.values():
            if isinstance(b, Broker) and (b.folder / "broker.log").exists():
                report.sections.append(("broker.log", b.text()[-4000:]))


@pytest.fixture
def make_broker(tmp_path):
    made = []

    def make(**settings):
        b = Broker(tmp_path / ("b%d" % len(made)), **settings)
        made.append(b)
        return b

    yield make
    for b in made:
        b.stop()


@pytest.fixture
def broker(make_broker):
    return make_broker().start()


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory):
    """For cases that use topics and groups of their own."""
    b = Broker(tmp_path_factory.mktemp("shared")).start()
    yield b
    b.stop()


@pytest.fixture(scope="session")
def apache_lib():
    """The jars of the real 5.3.3: client, tools, servers."""
    lib = APACHE / "target/lib"
    if not list(lib.glob("rocketmq-tools-*.jar")):
        subprocess.run(["mvn", "-q", "-B", "process-resources"], cwd=APACHE, check=True, stdin=subprocess.DEVNULL, timeout=900)
    return lib


@pytest.fixture(scope="session")
def java(apache_lib, tmp_path_factory):
    """Scenarios with the unmodified Java client."""
    out = tmp_path_factory.mktemp("classes")
    subprocess.run(["javac", "-nowarn", "-cp", "%s/*" % apache_lib, "-d", out, ROOT / "tests/integration/java/Scenario.java"], check=True,
                   stdin=subprocess.DEVNULL, timeout=300)
    return scenarios(["java", "-Xmx256m", "-Duser.home=%s" % tmp_path_factory.mktemp("home"), "-cp", "%s:%s/*" % (out, apache_lib), "Scenario"])


@pytest.fixture(scope="session")
def go(tmp_path_factory):
    """Scenarios with the unmodified Go client, which keeps the offsets of broadcasting groups at home."""
    out = tmp_path_factory.mktemp("go")
    subprocess.run(["go", "build", "-buildvcs=false", "-o", out / "scenario", "."], cwd=ROOT / "tests/integration/go", check=True,
                   stdin=subprocess.DEVNULL, timeout=600)
    return scenarios([out / "scenario"], HOME=str(out))


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """Scenarios with the unmodified Node client, installed as the lock file says."""
    out = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", ".npmrc", "scenario.js"):
        shutil.copy(ROOT / "tests/integration/node" / name, out)
    subprocess.run(["npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=out, check=True,
                   stdin=subprocess.DEVNULL, timeout=300)
    return scenarios(["node", out / "scenario.js"])


@pytest.fixture(scope="session")
def apache_admin(apache_lib, tmp_path_factory):
    """Apache's own mqadmin."""
    home = tmp_path_factory.mktemp("admin")

    def run(ns, *args):
        r = subprocess.run(["java", "-Xmx256m", "-Duser.home=%s" % home, "-Drocketmq.home.dir=%s" % home, "-cp", "%s/*" % apache_lib,
                            "org.apache.rocketmq.tools.command.MQAdminStartup", args[0], "-n", ns, *map(str, args[1:])],
                           capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)
        assert "Exception" not in r.stdout + r.stderr, r.stdout + r.stderr
        return r.stdout

    return run
