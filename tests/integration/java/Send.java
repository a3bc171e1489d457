import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.compression.CompressionType;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Ports, queues, bodies and properties of what is sent. */
class Send extends Scenario {
    static void add() {
        all.put("vip", a -> vip(a[0], a[1], Integer.parseInt(a[2])));
        all.put("bodies", a -> bodies(a[0], a[1], Integer.parseInt(a[2])));
        all.put("over", a -> over(a[0], Integer.parseInt(a[1])));
        all.put("select", a -> select(a[0], a[1]));
        all.put("odd", a -> odd(a[0], a[1]));
    }

    /** Remembers "code port" of each request. */
    static class Ports implements RPCHook {
        final Set<String> seen = new ConcurrentSkipListSet<>();

        public void doBeforeRequest(String addr, RemotingCommand request) {
            seen.add(request.getCode() + " " + addr.substring(addr.lastIndexOf(':') + 1));
        }

        public void doAfterResponse(String addr, RemotingCommand request, RemotingCommand response) {
        }
    }

    /** vip GROUP TOPIC COUNT: both sides with vipChannelEnabled; prints which code went to which port. */
    static void vip(String group, String topic, int count) throws Exception {
        Ports sent = new Ports(), consumed = new Ports();
        DefaultMQProducer p = newProducer("PG_" + topic, sent);
        p.setVipChannelEnabled(true);
        p.start();
        Got got = new Got();
        DefaultMQPushConsumer c = newConsumer(group, consumed, got);
        c.setVipChannelEnabled(true);
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        c.subscribe(topic, "*");
        c.start();
        if (!until(20000, () -> queues(c, topic) == 4)) say("has not all queues");
        for (int i = 0; i < count; i++) p.send(message(topic, "A", i));
        got.await(count);
        c.shutdown();
        p.shutdown();
        for (String s : sent.seen) say("producer %s", s);
        for (String s : consumed.seen) say("consumer %s", s);
        say("received %d", got.size());
    }

    static byte[] words(int size) {
        byte[] b = new byte[size];
        for (int i = 0; i < size; i++) b[i] = (byte) "what is said thrice is true; ".charAt(i % 29);
        return b;
    }

    static byte[] noise(int size) {
        byte[] b = new byte[size];
        new Random(size).nextBytes(b);
        return b;
    }

    /** Sends and tells how: the name of the case, or the refusal. */
    static void send(DefaultMQProducer p, Map<String, byte[]> bodies, String topic, String name, byte[] body) throws Exception {
        bodies.put(name, body.clone());
        if (!refused(name, () -> p.send(new Message(topic, "T", name, body), 20000))) return;
        bodies.remove(name);
    }

    interface Attempt {
        void run() throws Exception;
    }

    static boolean refused(String name, Attempt attempt) throws Exception {
        try {
            attempt.run();
            return false;
        } catch (MQBrokerException e) {
            say("refused %s %d %s", name, e.getResponseCode(), e.getErrorMessage());
        } catch (MQClientException e) {
            say("refused %s by the client %d %s", name, e.getResponseCode(), e.getErrorMessage());
        }
        return true;
    }

    /** bodies GROUP TOPIC MAX: each compression, small to MAX bytes; what comes back is compared byte by byte. */
    static void bodies(String group, String topic, int max) throws Exception {
        Map<String, byte[]> bodies = new ConcurrentHashMap<>();
        Got got = new Got();
        DefaultMQPushConsumer c = consumer(group, topic, got);
        DefaultMQProducer p = newProducer("PG_" + topic, null);
        p.setMaxMessageSize(max + (1 << 20));
        p.setRetryTimesWhenSendFailed(0);
        p.start();
        for (CompressionType type : new CompressionType[] {CompressionType.ZLIB, CompressionType.LZ4, CompressionType.ZSTD}) {
            p.setCompressType(type);
            for (int size : new int[] {1, 4095, 4096, 100000, max, max + (1 << 20)}) send(p, bodies, topic, type + ".words." + size, words(size));
            send(p, bodies, topic, type + ".noise.100000", noise(100000));
            send(p, bodies, topic, type + ".noise." + (max - 100000), noise(max - 100000));
        }
        send(p, bodies, topic, "ZSTD.noise." + max, noise(max)); // compressing makes it longer than it may be
        p.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        send(p, bodies, topic, "none.noise." + max, noise(max));
        send(p, bodies, topic, "none.words." + max, words(max));
        got.await(bodies.size());
        p.shutdown();
        c.shutdown();
        int same = 0;
        Map<String, Integer> flags = new HashMap<>();
        for (MessageExt m : got.copy()) {
            if (Arrays.equals(bodies.remove(m.getKeys()), m.getBody())) same++;
            else say("differs %s", m.getKeys());
            flags.merge((m.getSysFlag() & 1) == 1 ? CompressionType.findByValue((m.getSysFlag() >> 8) & 7).name() : "none", 1, Integer::sum);
        }
        say("same %d left %s", same, new TreeSet<>(bodies.keySet()));
        say("compressed ZLIB %d LZ4 %d ZSTD %d none %d", flags.get("ZLIB"), flags.get("LZ4"), flags.get("ZSTD"), flags.get("none"));
    }

    /** over TOPIC MAX: what the client would refuse itself, it is told to send. */
    static void over(String topic, int max) throws Exception {
        DefaultMQProducer p = newProducer("PG_" + topic, null);
        p.setMaxMessageSize(2 * max);
        p.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        p.setRetryTimesWhenSendFailed(0);
        p.start();
        send(p, new HashMap<>(), topic, "body", noise(max + 1));
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < 2; i++) batch.add(new Message(topic, noise(max / 2 + 1)));
        refused("batch", () -> p.send(batch, 20000));
        Message m = message(topic, "A", 0);
        m.putUserProperty("long", "x".repeat(Short.MAX_VALUE));
        refused("properties", () -> p.send(m));
        refused("empty", () -> p.send(new Message(topic, new byte[0])));
        say("then %s", p.send(message(topic, "A", 1)).getSendStatus());
        p.shutdown();
    }

    /** select GROUP TOPIC: the sender chooses the queue, by selector and by name. */
    static void select(String group, String topic) throws Exception {
        Map<String, Integer> asked = new HashMap<>();
        Got got = new Got();
        DefaultMQPushConsumer c = consumer(group, topic, got);
        DefaultMQProducer p = producer("PG_" + topic);
        int sentElsewhere = 0, receivedElsewhere = 0;
        for (int i = 0; i < 40; i++) {
            int want = i * 7 % 4;
            SendResult r = p.send(message(topic, "A", i), (list, m, arg) -> {
                for (MessageQueue q : list) {
                    if (q.getQueueId() == (Integer) arg) return q;
                }
                return null;
            }, want);
            asked.put("m" + i, want);
            if (r.getMessageQueue().getQueueId() != want) sentElsewhere++;
        }
        for (MessageQueue q : route(p, topic)) {
            int n = 100 + q.getQueueId();
            asked.put("m" + n, q.getQueueId());
            if (!p.send(message(topic, "A", n), q).getMessageQueue().equals(q)) sentElsewhere++;
        }
        got.await(asked.size());
        for (MessageExt m : got.copy()) {
            if (asked.get(text(m)) != m.getQueueId()) receivedElsewhere++;
        }
        say("received %d of %d, elsewhere %d %d", got.size(), asked.size(), sentElsewhere, receivedElsewhere);
        c.shutdown();
        p.shutdown();
    }

    /** odd GROUP TOPIC: names and values nobody expects come back as they were. */
    static void odd(String group, String topic) throws Exception {
        String[] odd = {"\u6f22\u5b57", "\ud83d\ude00 smile", "\u05e9\u05dc\u05d5\u05dd", "tab\there", "line\nbreak\r\n", "a=b,c;d", "\"quoted\" \\back\\slash/", "{\"json\":[1]}",
            "%RETRY%x", "\u0000zero\u0000", "\u007f\u0085\u2028", "e\u0301", " blank ", "x".repeat(9000), "\u6f22".repeat(3000)};
        List<Message> sent = new ArrayList<>();
        for (String s : odd) {
            Message m = new Message(topic, "T", "key " + s, s.getBytes(StandardCharsets.UTF_8));
            m.putUserProperty("value", s);
            if (!s.trim().isEmpty() && s.length() < 1000) m.putUserProperty("name " + s, "1");
            sent.add(m);
        }
        Message many = new Message(topic, "T", String.join(" ", new TreeSet<>(Arrays.asList(odd).subList(0, 3))), "many".getBytes());
        for (int i = 0; i < 1000; i++) many.putUserProperty("property" + i, "value of " + i);
        sent.add(many);
        sent.add(new Message(topic, "\u6807\u7b7e", "", "tag".getBytes()));
        Got got = new Got();
        DefaultMQPushConsumer c = consumer(group, topic, "T || \u6807\u7b7e", MessageModel.CLUSTERING, got);
        DefaultMQProducer p = producer("PG_" + topic);
        Map<String, Message> byId = new HashMap<>();
        for (Message m : sent) byId.put(p.send(m).getMsgId(), m);
        got.await(sent.size());
        int same = 0;
        for (MessageExt m : got.copy()) {
            Message s = byId.remove(m.getMsgId());
            Map<String, String> want = new HashMap<>(s.getProperties()), has = m.getProperties();
            want.remove("WAIT"); // is for the broker
            has.keySet().retainAll(want.keySet());
            if (want.equals(has) && Arrays.equals(s.getBody(), m.getBody())) same++;
            else say("differs %s", new String(s.getBody(), StandardCharsets.UTF_8).replace('\n', ' '));
        }
        say("same %d of %d", same, sent.size());
        c.shutdown();
        p.shutdown();
    }
}
