import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/**
 * Scenarios with the unmodified client. Each line of standard input is one: name, name server and arguments, separated by US (0x1f); its
 * results are lines, the last one "== ok" or "== " and what went wrong. Without a terminal on the other side: `Scenario NAME NS ARGS...`.
 */
public class Scenario {
    static String ns;
    static BufferedReader in;
    static final Map<String, Run> all = new HashMap<>();

    interface Run {
        void run(String[] a) throws Exception;
    }

    /** What a listener was given; waits for more of it. */
    static class Got implements Consumer<MessageExt> {
        final List<MessageExt> list = new ArrayList<>();

        public synchronized void accept(MessageExt m) {
            list.add(m);
            notifyAll();
        }

        synchronized int size() {
            return list.size();
        }

        synchronized List<MessageExt> copy() {
            return new ArrayList<>(list);
        }

        synchronized List<String> bodies() {
            List<String> out = new ArrayList<>();
            for (MessageExt m : list) out.add(text(m));
            return out;
        }

        /** True once @done, looked at after each message. */
        synchronized boolean await(int ms, BooleanSupplier done) throws InterruptedException {
            long end = System.currentTimeMillis() + ms;
            for (long left = ms; !done.getAsBoolean(); left = end - System.currentTimeMillis()) {
                if (left <= 0) return false;
                wait(left);
            }
            return true;
        }

        boolean await(int count) throws InterruptedException {
            return await(40000, () -> list.size() >= count);
        }
    }

    static void say(String format, Object... a) {
        System.out.printf(format + "%n", a);
    }

    /** The other side's next line: it has done its part. */
    static String told() throws Exception {
        return in.readLine();
    }

    static String text(MessageExt m) {
        return new String(m.getBody(), StandardCharsets.UTF_8);
    }

    static Message message(String topic, String tag, int i) {
        Message m = new Message(topic, tag, "k" + i, ("m" + i).getBytes(StandardCharsets.UTF_8));
        m.putUserProperty("n", Integer.toString(i));
        return m;
    }

    static DefaultMQProducer newProducer(String group, RPCHook hook) {
        DefaultMQProducer p = new DefaultMQProducer(group, hook);
        p.setNamesrvAddr(ns);
        p.setInstanceName("p" + System.nanoTime());
        return p;
    }

    static DefaultMQProducer producer(String group) throws Exception {
        DefaultMQProducer p = newProducer(group, null);
        p.start();
        return p;
    }

    /** Not started, nothing subscribed. */
    static DefaultMQPushConsumer newConsumer(String group, RPCHook hook, Consumer<MessageExt> seen) {
        DefaultMQPushConsumer c = new DefaultMQPushConsumer(group, hook);
        c.setNamesrvAddr(ns);
        c.setInstanceName("c" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.registerMessageListener((MessageListenerConcurrently) (list, context) -> {
            list.forEach(seen);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return c;
    }

    static DefaultMQPushConsumer consumer(String group, String topic, String tags, MessageModel model, Consumer<MessageExt> seen) throws Exception {
        DefaultMQPushConsumer c = newConsumer(group, null, seen);
        c.setMessageModel(model);
        c.subscribe(topic, tags);
        c.start();
        return c;
    }

    static DefaultMQPushConsumer consumer(String group, String topic, Consumer<MessageExt> seen) throws Exception {
        return consumer(group, topic, "*", MessageModel.CLUSTERING, seen);
    }

    /** How many queues of the topic the client has. */
    static long queues(DefaultMQPushConsumer c, String topic) {
        return c.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream().filter(q -> q.getTopic().equals(topic)).count();
    }

    static List<MessageQueue> route(DefaultMQProducer p, String topic) throws Exception {
        List<MessageQueue> list = new ArrayList<>(p.fetchPublishMessageQueues(topic));
        list.sort(null);
        return list;
    }

    /** For what the client changes without telling: looked at until it is so. */
    static boolean until(int ms, BooleanSupplier done) throws InterruptedException {
        long end = System.currentTimeMillis() + ms;
        while (!done.getAsBoolean()) {
            if (System.currentTimeMillis() > end) return false;
            Thread.sleep(10);
        }
        return true;
    }

    static String run(String[] a) {
        try {
            Run run = all.get(a[0]);
            if (run == null) return "no scenario " + a[0];
            ns = a[1];
            run.run(Arrays.copyOfRange(a, 2, a.length));
            return "ok";
        } catch (Throwable e) {
            e.printStackTrace();
            return e.toString().replace('\n', ' ');
        }
    }

    public static void main(String[] a) throws Exception {
        in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Basic.add();
        Send.add();
        Receive.add();
        Pull.add();
        Later.add();
        if (a.length > 0) {
            say("== %s", run(a));
        } else {
            for (String line; (line = in.readLine()) != null;) say("== %s", run(line.split("\u001f", -1)));
        }
        System.exit(0);
    }
}
