import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.header.PullMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Where a group begins, order, subscriptions that change, filters that hang, brokers that go and come. */
class Receive extends Scenario {
    static void add() {
        all.put("from", a -> from(a[0], a[1], ConsumeFromWhere.valueOf(a[2]), a[3]));
        all.put("orderly", a -> orderly(a[0], a[1], Integer.parseInt(a[2])));
        all.put("subscriptions", a -> subscriptions(a[0], a[1], a[2]));
        all.put("beside", a -> beside(a[0], a[1], a[2], Integer.parseInt(a[3])));
        all.put("endure", a -> endure(a[0], a[1]));
    }

    /** from GROUP TOPIC WHERE yyyyMMddHHmmss: how many of those that were there, and of four new ones, a new group gets. */
    static void from(String group, String topic, ConsumeFromWhere where, String time) throws Exception {
        Got got = new Got();
        DefaultMQPushConsumer c = newConsumer(group, null, got);
        c.setConsumeFromWhere(where);
        c.setConsumeTimestamp(time);
        c.setConsumeThreadMin(1);
        c.setConsumeThreadMax(1);
        c.subscribe(topic, "*");
        c.start();
        if (!until(20000, () -> queues(c, topic) == 4)) say("has not all queues");
        DefaultMQProducer p = producer("PG_" + topic);
        for (MessageQueue q : route(p, topic)) p.send(message(topic, group, 0), q);
        boolean all = got.await(75000, () -> got.list.stream().filter(m -> m.getTags().equals(group)).count() == 4);
        c.shutdown(); // with one thread the last one of a queue is behind all the others
        p.shutdown();
        say("new %s old %d", all, got.copy().stream().filter(m -> m.getTags().length() == 1).count());
    }

    static DefaultMQPushConsumer orderedConsumer(String group, String topic, Consumer<MessageExt> seen) throws Exception {
        DefaultMQPushConsumer c = newConsumer(group, null, seen);
        c.registerMessageListener((MessageListenerOrderly) (list, context) -> {
            list.forEach(seen);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        c.subscribe(topic, "*");
        c.start();
        return c;
    }

    /** orderly GROUP TOPIC COUNT: two members with two queues each; every queue in its order, every message once. */
    static void orderly(String group, String topic, int count) throws Exception {
        Got got = new Got(), second = new Got();
        DefaultMQPushConsumer a = orderedConsumer(group, topic, got);
        DefaultMQPushConsumer b = orderedConsumer(group, topic, m -> {
            second.accept(m);
            got.accept(m);
        });
        say("divided %s", until(60000, () -> queues(a, topic) == 2 && queues(b, topic) == 2));
        DefaultMQProducer p = producer("PG_" + topic);
        List<MessageQueue> route = route(p, topic);
        for (int i = 0; i < count; i++) p.send(message(topic, "A", i), route.get(i % 4));
        got.await(60000, () -> got.list.size() >= count);
        Map<Integer, Integer> last = new HashMap<>();
        int disordered = 0;
        for (MessageExt m : got.copy()) {
            int n = Integer.parseInt(m.getUserProperty("n"));
            if (last.getOrDefault(m.getQueueId(), -1) >= n) disordered++;
            last.put(m.getQueueId(), n);
        }
        say("received %d disordered %d, the second one %d", got.size(), disordered, second.size());
        a.shutdown();
        b.shutdown();
        p.shutdown();
    }

    /** Counts the pulls of a topic that were answered. */
    static class Pulls implements RPCHook {
        final String topic;
        final AtomicInteger answered = new AtomicInteger();

        Pulls(String topic) {
            this.topic = topic;
        }

        public void doBeforeRequest(String addr, RemotingCommand request) {
        }

        public void doAfterResponse(String addr, RemotingCommand request, RemotingCommand response) {
            if (request.getCode() == 11 && ((PullMessageRequestHeader) request.readCustomHeader()).getTopic().equals(topic)) answered.incrementAndGet();
        }
    }

    /** subscriptions GROUP ONE TWO: two topics with tags of their own, one changed, one given up. */
    static void subscriptions(String group, String one, String two) throws Exception {
        Got got = new Got();
        DefaultMQPushConsumer c = newConsumer(group, null, got);
        c.subscribe(one, "A");
        c.subscribe(two, "B || C");
        c.start();
        DefaultMQProducer p = producer("PG_" + group);
        for (String topic : new String[] {one, two}) {
            for (int i = 0; i < 30; i++) p.send(message(topic, "ABC".substring(i % 3, i % 3 + 1), i));
        }
        got.await(30);
        say("both %s", counts(got));
        c.subscribe(one, "B");
        got.list.clear();
        for (int i = 0; i < 30; i++) p.send(message(one, "ABC".substring(i % 3, i % 3 + 1), i));
        got.await(10);
        say("changed %s", counts(got));
        c.unsubscribe(two);
        c.getDefaultMQPushConsumerImpl().doRebalance();
        say("queues of it left %d", queues(c, two));
        c.getDefaultMQPushConsumerImpl().getmQClientFactory().sendHeartbeatToAllBrokerWithLock();
        say("ready");
        told();
        got.list.clear();
        for (int i = 0; i < 12; i++) p.send(message(two, "B", i));
        for (MessageQueue q : route(p, one)) p.send(message(one, "B", 1), q);
        got.await(4);
        say("given up %s", counts(got));
        c.shutdown();
        p.shutdown();
    }

    /** TOPIC/TAG and how many, sorted. */
    static String counts(Got got) {
        Map<String, Long> n = got.copy().stream().collect(Collectors.groupingBy(m -> m.getTopic() + "/" + m.getTags(), Collectors.counting()));
        return new TreeSet<>(n.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue()).collect(Collectors.toSet())).toString();
    }

    /** beside LOOPING GROUP TOPIC COUNT: a group whose filter never ends pulls the same topic as another one. */
    static void beside(String looping, String group, String topic, int count) throws Exception {
        Got none = new Got(), got = new Got();
        Pulls pulls = new Pulls(topic);
        DefaultMQPushConsumer hung = newConsumer(looping, pulls, none);
        hung.subscribe(topic, "*");
        hung.start();
        DefaultMQPushConsumer c = consumer(group, topic, got);
        if (!until(20000, () -> queues(hung, topic) == 4 && queues(c, topic) == 4)) say("has not all queues");
        DefaultMQProducer p = producer("PG_" + topic);
        List<Long> ms = new ArrayList<>();
        int before = pulls.answered.get();
        for (int i = 0; i < count; i++) {
            int want = i + 1;
            long sent = System.nanoTime();
            p.send(message(topic, "A", i));
            got.await(want);
            ms.add((System.nanoTime() - sent) / 1000000);
        }
        int during = pulls.answered.get() - before;
        ms.sort(null);
        say("received %d median_ms %d max_ms %d", got.size(), ms.get(count / 2), ms.get(count - 1));
        say("looping pulls %d received %d", during, none.size());
        hung.shutdown();
        c.shutdown();
        p.shutdown();
    }

    /** endure GROUP TOPIC: sends and receives while the broker goes and comes; told when it is back. */
    static void endure(String group, String topic) throws Exception {
        Set<String> acked = ConcurrentHashMap.newKeySet(), received = ConcurrentHashMap.newKeySet();
        AtomicInteger refused = new AtomicInteger(), stop = new AtomicInteger();
        Got got = new Got();
        DefaultMQPushConsumer c = consumer(group, topic, m -> {
            received.add(text(m));
            got.accept(m);
        });
        DefaultMQProducer p = producer("PG_" + topic);
        p.setSendMsgTimeout(1000);
        p.setRetryTimesWhenSendFailed(0);
        Thread sender = new Thread(() -> {
            for (int i = 0; stop.get() == 0; i++) {
                try {
                    p.send(message(topic, "A", i));
                    acked.add("m" + i);
                } catch (Exception e) {
                    refused.incrementAndGet();
                    try {
                        Thread.sleep(20);
                    } catch (InterruptedException interrupted) {
                        return;
                    }
                }
            }
        });
        sender.start();
        got.await(500);
        say("flowing");
        told();
        int then = acked.size();
        long since = System.currentTimeMillis();
        say("sends again %s", until(60000, () -> acked.size() >= then + 500));
        stop.set(1);
        sender.join();
        say("receives again %s", got.await(60000, () -> received.containsAll(acked)));
        Set<String> lost = new HashSet<>(acked);
        lost.removeAll(received);
        say("acked %d refused %d lost %d received %d after_ms %d", acked.size(), refused.get(), lost.size(), got.size(), System.currentTimeMillis() - since);
        c.shutdown();
        p.shutdown();
    }
}
