"""Translune and RocketMQ 5.3.3 in turn on the same disk, driven by mqbench.

Each round starts a name server and a broker with the same broker.conf on an empty store, waits for their ready lines,
reads their memory when idle, warms them up, then measures.  Rounds alternate; a figure is the median over the rounds.
"""
import argparse, json, os, pathlib, re, select, shutil, signal, socket, statistics, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/release/bin"
JARS = ROOT / "tests/apache/target/lib"
# The flags of RocketMQ's runserver.sh and runbroker.sh with a smaller heap, and without touching it all at the start.
JVM = ["-server", "-XX:+UseG1GC", "-XX:G1HeapRegionSize=16m", "-XX:G1ReservePercent=25", "-XX:InitiatingHeapOccupancyPercent=30"]
METRICS = [  # key, what, unit, better, wanted ratio (of theirs to ours for less, of ours to theirs for more), wanted figure of ours
    ("async", "async send 1 KB, 8 connections x 32", "msg/s", "more", 3, None),
    ("sync_p99", "sync send 1 KB, 1 connection, p99", "us", "less", 2, None),
    ("pull", "hot pull of the backlog", "msg/s", "more", 3, None),
    ("start", "broker start, empty store, to the ready line", "ms", "less", None, 50),
    ("broker_rss", "broker idle, RSS", "MiB", "less", None, 32),
    ("broker_anon", "broker idle, RssAnon", "MiB", "less", None, 16),
    ("namesrv_rss", "name server idle, RSS", "MiB", "less", None, 8),
]


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        if 20000 < port < 60000:
            try:
                for p in (port - 2, port + 1):
                    with socket.socket() as s:
                        s.bind(("127.0.0.1", p))
                return port
            except OSError:
                pass


class Program:
    """A server, started and waited for until its ready line."""

    def __init__(self, command, folder, name, env=None):
        self.log = open(folder / (name + ".log"), "wb")
        began = time.monotonic()
        self.p = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, env=env)
        seen = b""
        while b"boot success" not in seen:
            if not select.select([self.p.stdout], [], [], 120)[0]:
                raise SystemExit("%s: no ready line within 120 s" % name)
            piece = os.read(self.p.stdout.fileno(), 65536)
            if not piece:
                raise SystemExit("%s ended:\n%s%s" % (name, seen.decode(), (folder / (name + ".log")).read_text()))
            seen += piece
        self.started_ms = (time.monotonic() - began) * 1000

    def memory(self, field):
        text = pathlib.Path("/proc/%d/status" % self.p.pid).read_text()
        return int(re.search(field + r":\s+(\d+)", text).group(1)) / 1024

    def cpu(self):
        fields = pathlib.Path("/proc/%d/stat" % self.p.pid).read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        try:
            self.p.wait(60)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.p.stdout.close()
        self.log.close()


def commands(server, folder, conf, ns, heap):
    if server == "translune":
        (folder / "ns.conf").write_text("listenPort=%d\nbindAddress=127.0.0.1\n" % ns)
        return [BIN / "mqnamesrv", "-c", folder / "ns.conf"], [BIN / "mqbroker", "-c", conf, "-n", "127.0.0.1:%d" % ns]
    home = ["-Duser.home=%s" % folder, "-Drocketmq.home.dir=%s" % folder, "-cp", "%s/*" % JARS]
    (folder / "ns.conf").write_text("listenPort=%d\nbindAddress=127.0.0.1\nkvConfigPath=%s/kv.json\n" % (ns, folder))
    return (["java", *JVM, "-Xms512m", "-Xmx512m", *home, "org.apache.rocketmq.namesrv.NamesrvStartup", "-c", folder / "ns.conf"],
            ["java", *JVM, "-Xms" + heap, "-Xmx" + heap, "-XX:MaxDirectMemorySize=4g", *home, "org.apache.rocketmq.broker.BrokerStartup", "-c", conf,
             "-n", "127.0.0.1:%d" % ns])


def mqbench(ns, broker, *args):
    before = broker.cpu()
    r = subprocess.run([BIN / "mqbench", args[0], "-n", "127.0.0.1:%d" % ns, "--json", "--quiet", *map(str, args[1:])], capture_output=True, text=True,
                       timeout=900)
    if not r.stdout:
        raise SystemExit("mqbench %s: %s" % (args, r.stderr))
    result = json.loads(r.stdout)
    if r.returncode:
        say("    mqbench %s: %s" % (args[0], r.stderr.strip()))
    result["cpu"] = broker.cpu() - before
    return result


def one_round(server, base, o):
    folder = base / server
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.sync()
    ns, port = free_port(), free_port()
    conf = folder / "broker.conf"
    conf.write_text("brokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId=0\nlistenPort=%d\nbrokerIP1=127.0.0.1\n"
                    "storePathRootDir=%s/store\nstorePathCommitLog=%s/store/commitlog\n" % (port, folder, folder))
    namesrv_cmd, broker_cmd = commands(server, folder, conf, ns, o.heap)
    running, out = [], {}
    try:
        running.append(Program(namesrv_cmd, folder, "namesrv"))
        running.append(Program(broker_cmd, folder, "broker"))
        namesrv, broker = running
        out["start"], out["namesrv_start"] = broker.started_ms, namesrv.started_ms
        time.sleep(o.idle)
        out["broker_rss"], out["broker_anon"] = broker.memory("VmRSS"), broker.memory("RssAnon")
        out["namesrv_rss"] = namesrv.memory("VmRSS")
        load = ("-s", 1024, "-c", 8, "-w", 32, "-q", 8)
        mqbench(ns, broker, "produce", "-t", "warm", "-d", o.warm, *load)
        r = mqbench(ns, broker, "produce", "-t", "async", "-d", o.seconds, *load)
        out["async"], out["async_p99"], out["async_refused"] = r["sentPerSecond"], r["sendUs"]["p99"], r["refused"]
        out["async_cpu_us"] = r["cpu"] * 1e6 / max(1, r["sent"])
        mqbench(ns, broker, "produce", "-t", "sync", "-d", 2, "-c", 1, "-w", 1, "-q", 8)
        r = mqbench(ns, broker, "produce", "-t", "sync", "-d", o.seconds, "-c", 1, "-w", 1, "-q", 8)
        out["sync_p99"], out["sync_p50"], out["sync"] = r["sendUs"]["p99"], r["sendUs"]["p50"], r["sentPerSecond"]
        mqbench(ns, broker, "produce", "-t", "hot", "--count", o.backlog, *load)
        mqbench(ns, broker, "consume", "-t", "hot", "-c", 8)  # warms the reading up
        r = mqbench(ns, broker, "consume", "-t", "hot", "-c", 8)
        out["pull"], out["pull_p99"], out["pull_cpu_us"] = r["receivedPerSecond"], r["pullUs"]["p99"], r["cpu"] * 1e6 / max(1, r["received"])
        out["busy_rss"] = broker.memory("VmRSS")
        out["busy_anon"] = broker.memory("RssAnon")
    finally:
        for p in reversed(running):
            p.stop()
        shutil.rmtree(folder / "store", ignore_errors=True)
    return out


def table(medians):
    rows, missed = [], 0
    for key, what, unit, better, ratio, limit in METRICS:
        ours, theirs = medians["translune"][key], medians["rocketmq"][key]
        r = ours / theirs if better == "more" else theirs / ours
        wanted = ">= %gx" % ratio if ratio else "<= %g %s" % (limit, unit)
        ok = r >= ratio if ratio else ours <= limit
        missed += not ok
        rows.append((what, "%.5g %s" % (ours, unit), "%.5g %s" % (theirs, unit), "%.2fx" % r, wanted, "yes" if ok else "NO"))
    head = ("", "Translune", "RocketMQ 5.3.3", "ratio", "wanted", "met")
    width = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    for row in [head] + rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, width)).rstrip())
    return missed


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=10, help="each measurement of sending (10)")
    p.add_argument("--warm", type=int, default=15, help="load before the first measurement, seconds (15)")
    p.add_argument("--idle", type=float, default=5, help="quiet time before memory is read, seconds (5)")
    p.add_argument("--backlog", type=int, default=1000000, help="messages for the pull (1,000,000)")
    p.add_argument("--heap", default="4g", help="the JVM's heap (4g)")
    p.add_argument("--dir", type=pathlib.Path, default=ROOT / "build/versus", help="where the stores are made")
    o = p.parse_args()
    results = {"translune": [], "rocketmq": []}
    for n in range(o.rounds):
        for server in ("rocketmq", "translune") if n % 2 else ("translune", "rocketmq"):
            say("round %d of %d: %s" % (n + 1, o.rounds, server))
            out = one_round(server, o.dir, o)
            results[server].append(out)
            say("    " + "  ".join("%s %.5g" % kv for kv in out.items()))
    medians = {s: {k: statistics.median(r[k] for r in rounds) for k in rounds[0]} for s, rounds in results.items()}
    (ROOT / "build/versus.json").write_text(json.dumps({"rounds": results, "medians": medians}, indent=1))
    sys.exit(1 if table(medians) else 0)


main()
