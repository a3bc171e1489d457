import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Send, receive, share, broadcast. */
class Basic extends Scenario {
    static void add() {
        all.put("produce", a -> produce(a[0], Integer.parseInt(a[1]), a[2]));
        all.put("consume", a -> consume(a[0], a[1], a[2], Integer.parseInt(a[3])));
        all.put("rebalance", a -> rebalance(a[0], a[1]));
        all.put("broadcast", a -> broadcast(a[0], a[1], Integer.parseInt(a[2])));
        all.put("latency", a -> latency(a[0], a[1], Integer.parseInt(a[2])));
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
    static void consume(String group, String topic, String tags, int want) throws Exception {
        Got got = new Got();
        DefaultMQPushConsumer c = consumer(group, topic, tags, MessageModel.CLUSTERING, got);
        got.await(want);
        Thread.sleep(500);
        c.shutdown();
        for (String s : got.bodies()) say("got %s", s);
        say("end");
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
}
