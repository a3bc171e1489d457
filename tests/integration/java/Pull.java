import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullCallback;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers that ask when they want. */
@SuppressWarnings("deprecation")
class Pull extends Scenario {
    static void add() {
        all.put("lite", a -> lite(a[0], a[1], Integer.parseInt(a[2])));
        all.put("assign", a -> assign(a[0], a[1]));
        all.put("pull", a -> pull(a[0], a[1]));
    }

    static DefaultLitePullConsumer newLite(String group) {
        DefaultLitePullConsumer c = new DefaultLitePullConsumer(group);
        c.setNamesrvAddr(ns);
        c.setInstanceName("l" + System.nanoTime());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.setAutoCommit(false);
        return c;
    }

    /** Polls until @want messages or 30 s. */
    static List<MessageExt> poll(DefaultLitePullConsumer c, int want) {
        List<MessageExt> out = new ArrayList<>();
        for (long end = System.currentTimeMillis() + 30000; out.size() < want && System.currentTimeMillis() < end;) out.addAll(c.poll(1000));
        return out;
    }

    static Set<String> texts(List<MessageExt> list) {
        Set<String> out = new HashSet<>();
        for (MessageExt m : list) out.add(text(m));
        return out;
    }

    /** lite GROUP TOPIC COUNT: the first member takes and commits a part, the second one gets the rest. */
    static void lite(String group, String topic, int count) throws Exception {
        DefaultMQProducer p = producer("PG_" + topic);
        for (int i = 0; i < count; i++) p.send(message(topic, "A", i));
        DefaultLitePullConsumer first = newLite(group), second = newLite(group);
        first.subscribe(topic, "A || B");
        first.start();
        List<MessageExt> part = poll(first, count);
        first.commit();
        first.shutdown();
        say("first %d %d", part.size(), texts(part).size());
        for (int i = count; i < count + 10; i++) p.send(message(topic, "B", i));
        for (int i = count; i < count + 10; i++) p.send(message(topic, "C", i));
        second.subscribe(topic, "A || B");
        second.start();
        part = poll(second, 10);
        part.addAll(second.poll(300));
        second.shutdown();
        say("second %d %s", part.size(), Collections.min(texts(part)));
        p.shutdown();
    }

    /** assign GROUP TOPIC: queues by hand; seek, commit. */
    static void assign(String group, String topic) throws Exception {
        DefaultMQProducer p = producer("PG_" + topic);
        MessageQueue q = route(p, topic).get(0), other = route(p, topic).get(1);
        for (int i = 0; i < 10; i++) p.send(message(topic, "A", i), q);
        DefaultLitePullConsumer c = newLite(group);
        c.start();
        say("queues %d", c.fetchMessageQueues(topic).size());
        c.assign(Arrays.asList(q, other));
        c.seekToBegin(q);
        List<MessageExt> all = poll(c, 10);
        say("begin %d %s", all.size(), text(all.get(0)));
        c.seek(q, 6);
        List<MessageExt> some = poll(c, 4);
        say("seek %d %s", some.size(), text(some.get(0)));
        c.commit();
        say("committed %d", c.committed(q));
        c.seekToEnd(q);
        p.send(message(topic, "A", 10), q);
        say("end %s", texts(poll(c, 1)));
        say("bytime %d %d", c.offsetForTimestamp(q, all.get(3).getStoreTimestamp()) <= 3 ? 1 : 0, c.offsetForTimestamp(q, System.currentTimeMillis() + 60000));
        c.shutdown();
        p.shutdown();
    }

    static String result(PullResult r) {
        List<MessageExt> found = r.getMsgFoundList() == null ? new ArrayList<>() : r.getMsgFoundList();
        return r.getPullStatus() + " " + found.size() + " next " + r.getNextBeginOffset() + " of " + r.getMinOffset() + ".." + r.getMaxOffset();
    }

    static long committed(DefaultMQPullConsumer c, MessageQueue q) {
        try {
            return c.fetchConsumeOffset(q, true);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** pull GROUP TOPIC: the old consumer that does everything itself. */
    static void pull(String group, String topic) throws Exception {
        DefaultMQProducer p = producer("PG_" + topic);
        MessageQueue q = route(p, topic).get(2);
        DefaultMQPullConsumer c = new DefaultMQPullConsumer(group);
        c.setNamesrvAddr(ns);
        c.setInstanceName("o" + System.nanoTime());
        c.setRegisterTopics(new HashSet<>(Arrays.asList(topic)));
        c.start();
        say("queues %d", c.fetchSubscribeMessageQueues(topic).size());
        say("nothing %s", result(c.pull(q, "*", 0, 32)));
        long before = System.currentTimeMillis() - 1;
        for (int i = 0; i < 20; i++) p.send(message(topic, i % 2 == 0 ? "A" : "B", i), q);
        say("bounds %d %d", c.minOffset(q), c.maxOffset(q));
        say("bytime %d %d", c.searchOffset(q, before), c.searchOffset(q, System.currentTimeMillis() + 60000));
        say("earliest %d", c.earliestMsgStoreTime(q) >= before ? 1 : 0);
        say("all %s", result(c.pull(q, "*", 0, 32)));
        say("some %s", result(c.pull(q, "*", 5, 4)));
        say("tags %s", result(c.pull(q, "B || C", 0, 32)));
        say("none %s", result(c.pull(q, "C", 0, 32)));
        say("end %s", result(c.pull(q, "*", 20, 32)));
        say("beyond %s", result(c.pull(q, "*", 100, 32)));
        say("unknown %d", c.fetchConsumeOffset(q, true));
        c.updateConsumeOffset(q, 7);
        c.getOffsetStore().persist(q); // one-way
        say("committed %s", until(10000, () -> committed(c, q) == 7));
        AtomicReference<PullResult> woken = new AtomicReference<>();
        CountDownLatch done = new CountDownLatch(1);
        c.pullBlockIfNotFound(q, "*", 20, 32, new PullCallback() {
            public void onSuccess(PullResult r) {
                woken.set(r);
                done.countDown();
            }

            public void onException(Throwable e) {
                e.printStackTrace();
                done.countDown();
            }
        });
        p.send(message(topic, "A", 20), q);
        done.await(30, TimeUnit.SECONDS);
        say("woken %s", result(woken.get()));
        c.shutdown();
        p.shutdown();
    }
}
