import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Scenarios with the unmodified client; results are lines on standard output. */
public class Scenario {
    static String ns;

    static DefaultMQProducer producer(String group) throws Exception {
        DefaultMQProducer p = new DefaultMQProducer(group);
        p.setNamesrvAddr(ns);
        p.setInstanceName("p" + System.nanoTime());
        p.start();
        return p;
    }

    static Message message(String topic, String tag, int i) {
        Message m = new Message(topic, tag, "k" + i, ("m" + i).getBytes(StandardCharsets.UTF_8));
        m.putUserProperty("n", Integer.toString(i));
        return m;
    }

    interface Seen {
        void take(MessageExt m);
    }

    static DefaultMQPushConsumer consumer(String group, String topic, String tags, MessageModel model, Seen seen) throws Exception {
        DefaultMQPushConsumer c = new DefaultMQPushConsumer(group);
        c.setNamesrvAddr(ns);
        c.setInstanceName("c" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.setMessageModel(model);
        c.subscribe(topic, tags);
        c.registerMessageListener((MessageListenerConcurrently) (list, context) -> {
            for (MessageExt m : list) seen.take(m);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        return c;
    }

    /** produce TOPIC COUNT sync|async|oneway|batch: tags A, B, C in turn. */
    static void produce(String topic, int count, String mode) throws Exception {
        DefaultMQProducer p = producer("PG_" + topic);
        AtomicInteger ok = new AtomicInteger();
        CountDownLatch latch = new CountDownLatch(mode.equals("async") ? count : 0);
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            Message m = message(topic, "ABC".substring(i % 3, i % 3 + 1), i);
            if (mode.equals("sync")) {
                SendResult r = p.send(m);
                if (r.getSendStatus() == SendStatus.SEND_OK && r.getOffsetMsgId().length() == 32) ok.incrementAndGet();
            } else if (mode.equals("oneway")) {
                p.sendOneway(m);
                ok.incrementAndGet();
            } else if (mode.equals("batch")) {
                batch.add(m);
            } else {
                p.send(m, new SendCallback() {
                    public void onSuccess(SendResult r) {
                        if (r.getSendStatus() == SendStatus.SEND_OK) ok.incrementAndGet();
                        latch.countDown();
                    }

                    public void onException(Throwable e) {
                        System.out.println("error " + e);
                        latch.countDown();
                    }
                });
            }
        }
        if (mode.equals("batch") && p.send(batch).getSendStatus() == SendStatus.SEND_OK) ok.addAndGet(count);
        latch.await(60, TimeUnit.SECONDS);
        System.out.println("sent " + ok.get());
        p.shutdown();
    }

    /** consume GROUP TOPIC TAGS WANT: waits for WANT messages, then half a second for too many. */
    static void consume(String group, String topic, String tags, int want, MessageModel model) throws Exception {
        List<String> got = new ArrayList<>();
        DefaultMQPushConsumer c = consumer(group, topic, tags, model, m -> {
            synchronized (got) {
                got.add(new String(m.getBody(), StandardCharsets.UTF_8));
                got.notifyAll();
            }
        });
        long end = System.currentTimeMillis() + 40000;
        synchronized (got) {
            while (got.size() < want && System.currentTimeMillis() < end) got.wait(500);
        }
        Thread.sleep(500);
        c.shutdown();
        synchronized (got) {
            for (String s : got) System.out.println("got " + s);
        }
        System.out.println("end");
    }

    static long queues(DefaultMQPushConsumer c, String topic) {
        return c.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream().filter(q -> q.getTopic().equals(topic)).count();
    }

    /** rebalance GROUP TOPIC: two consumers share; one leaves; the other takes over. */
    static void rebalance(String group, String topic) throws Exception {
        Set<String> first = ConcurrentHashMap.newKeySet(), second = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer a = consumer(group, topic, "*", MessageModel.CLUSTERING, m -> first.add(new String(m.getBody())));
        DefaultMQPushConsumer b = consumer(group, topic, "*", MessageModel.CLUSTERING, m -> second.add(new String(m.getBody())));
        DefaultMQProducer p = producer("PG_" + topic);
        int i = 0;
        // When this client rebalances during its first timed heartbeat, it raises its subscription's version without telling the broker,
        // which then refuses its pulls until the next heartbeat, 30 s later. With RocketMQ's broker it is the same.
        long end = System.currentTimeMillis() + 75000;
        while ((first.isEmpty() || second.isEmpty()) && System.currentTimeMillis() < end) {
            p.send(message(topic, "A", i++));
            Thread.sleep(20);
        }
        System.out.println("shared " + (!first.isEmpty() && !second.isEmpty()));
        Thread.sleep(500);
        long left = System.currentTimeMillis();
        Thread leaving = new Thread(a::shutdown); // tells the broker first, then takes its time
        leaving.start();
        while (queues(b, topic) < 4 && System.currentTimeMillis() < left + 10000) Thread.sleep(10);
        System.out.println("rebalanced " + queues(b, topic) + " " + (System.currentTimeMillis() - left));
        leaving.join();
        Set<String> last = new HashSet<>();
        for (int n = 100000; n < 100100; n++) {
            Message m = message(topic, "A", n);
            last.add(new String(m.getBody()));
            p.send(m);
        }
        long patience = System.currentTimeMillis() + 75000;
        while (!second.containsAll(last) && System.currentTimeMillis() < patience) Thread.sleep(10);
        System.out.println("tookover " + second.containsAll(last));
        b.shutdown();
        p.shutdown();
    }

    /** broadcast GROUP TOPIC COUNT: both members get everything. */
    static void broadcast(String group, String topic, int count) throws Exception {
        Set<String> first = ConcurrentHashMap.newKeySet(), second = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer a = consumer(group, topic, "*", MessageModel.BROADCASTING, m -> first.add(new String(m.getBody())));
        DefaultMQPushConsumer b = consumer(group, topic, "*", MessageModel.BROADCASTING, m -> second.add(new String(m.getBody())));
        DefaultMQProducer p = producer("PG_" + topic);
        for (int i = 0; i < count; i++) p.send(message(topic, "A", i));
        long end = System.currentTimeMillis() + 30000;
        while ((first.size() < count || second.size() < count) && System.currentTimeMillis() < end) Thread.sleep(20);
        System.out.println("each " + first.size() + " " + second.size());
        a.shutdown();
        b.shutdown();
        p.shutdown();
    }

    /** latency GROUP TOPIC COUNT: median from send to listener, consumer started first. */
    static void latency(String group, String topic, int count) throws Exception {
        List<Long> times = new ArrayList<>();
        DefaultMQPushConsumer c = consumer(group, topic, "*", MessageModel.CLUSTERING, m -> {
            synchronized (times) {
                times.add(System.nanoTime() - Long.parseLong(m.getUserProperty("at")));
                times.notifyAll();
            }
        });
        DefaultMQProducer p = producer("PG_" + topic);
        for (int i = 0; i < count; i++) {
            Message m = message(topic, "A", i);
            m.putUserProperty("at", Long.toString(System.nanoTime()));
            p.send(m);
            synchronized (times) {
                long end = System.currentTimeMillis() + 30000;
                while (times.size() <= i && System.currentTimeMillis() < end) times.wait(1000);
            }
        }
        synchronized (times) {
            times.sort(null);
            System.out.println("median_us " + times.get(times.size() / 2) / 1000 + " " + times.size());
        }
        c.shutdown();
        p.shutdown();
    }

    public static void main(String[] a) throws Exception {
        ns = a[1];
        switch (a[0]) {
            case "produce": produce(a[2], Integer.parseInt(a[3]), a[4]); break;
            case "consume": consume(a[2], a[3], a[4], Integer.parseInt(a[5]), MessageModel.CLUSTERING); break;
            case "rebalance": rebalance(a[2], a[3]); break;
            case "broadcast": broadcast(a[2], a[3], Integer.parseInt(a[4])); break;
            case "latency": latency(a[2], a[3], Integer.parseInt(a[4])); break;
            default: throw new IllegalArgumentException(a[0]);
        }
        System.exit(0);
    }
}
