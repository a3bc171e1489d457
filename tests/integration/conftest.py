"""Servers for the tests: each on free ports and a store of its own, stopped and shown when something failed."""
import collections, json, os, pathlib, queue, shutil, signal, socket, subprocess, sys, threading, time

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


def mqbench(ns, *args, check=True):
    r = subprocess.run([BIN / "mqbench", args[0], "-n", ns, "--json", *map(str, args[1:])], capture_output=True, text=True, timeout=60)
    if check:
        assert r.returncode == 0, r.stdout + r.stderr
        return json.loads(r.stdout)
    return r


def topic(b, name, queues=4):
    """Some clients find a topic only if it is there when they start."""
    mqadmin("updateTopic", "-n", b.ns, "-b", b.addr, "-t", name, "-r", queues, "-w", queues)
    return name


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


class Jvm:
    """A process that reads a command a line, prints its results and ends them with "== ok" or "== " and what went wrong."""

    def __init__(self, *command):
        self.command, self.process = list(map(str, command)), None

    def begin(self, *args):
        """Start a command; its results come from line() and rest()."""
        if not self.process or self.process.poll() is not None:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, encoding="utf8", errors="replace")
            self.lines = queue.Queue()
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines), daemon=True).start()
        self.args = args
        self.tell("\x1f".join(map(str, args)))
        return self

    @staticmethod
    def _read(stdout, lines):
        for text in stdout:
            if "|-" not in text:  # the logging library tells how it is set up
                lines.put(text.rstrip("\n"))
        lines.put("== the process ended")

    def tell(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def line(self, timeout=120):
        """The next line of the running command; None at its end."""
        try:
            text = self.lines.get(timeout=timeout)
        except queue.Empty:
            text = "== nothing for %d s" % timeout
        if not text.startswith("== "):
            return text
        if text != "== ok":
            self.stop()  # whatever it still does, it shall not disturb the next one
            raise AssertionError("%s: %s" % (self.args, text[3:]))
        return None

    def rest(self, timeout=120):
        return list(iter(lambda: self.line(timeout), None))

    def __call__(self, *args, timeout=120):
        return self.begin(*args).rest(timeout)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(20)
            self.process = None


@pytest.fixture(scope="session")
def java_classes(apache_lib, tmp_path_factory):
    out = tmp_path_factory.mktemp("classes")
    subprocess.run(["javac", "-nowarn", "-Xlint:-deprecation", "-cp", "%s/*" % apache_lib, "-d", out, *(ROOT / "tests/integration/java").glob("*.java")],
                   check=True, stdin=subprocess.DEVNULL, timeout=300)
    return "%s:%s/*" % (out, apache_lib)


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
def java(java_classes, tmp_path_factory):
    """java(SCENARIO, NAME SERVER, ARGS...) runs one with the unmodified client and returns its lines; all share a process."""
    jvm = Jvm("java", "-Xmx512m", "-Duser.home=%s" % tmp_path_factory.mktemp("home"), "-Dfile.encoding=UTF-8", "-cp", java_classes, "Scenario")
    yield jvm
    jvm.stop()


@pytest.fixture(scope="session")
def apache_admin(java_classes, tmp_path_factory):
    """Apache's own mqadmin: apache_admin(NAME SERVER, COMMAND, ARGS...) returns what it prints."""
    home = tmp_path_factory.mktemp("admin")
    jvm = Jvm("java", "-Xmx256m", "-Duser.home=%s" % home, "-Drocketmq.home.dir=%s" % home, "-cp", java_classes, "Admin")

    def run(ns, command, *args, fails=False):
        out = "\n".join(jvm(command, "-n", ns, *args, timeout=60))
        assert ("Exception" in out) == fails, out
        return out

    yield run
    jvm.stop()
