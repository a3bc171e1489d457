import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** What comes later: delays, retries, transactions. */
class Later extends Scenario {
    static void add() {
        all.put("delayed", a -> delayed(a[0], a[1]));
        all.put("retried", a -> retried(a[0], a[1], Integer.parseInt(a[2])));
        all.put("transactions", a -> transactions(a[0], a[1], a[2]));
    }

    /** delayed GROUP TOPIC: levels 1 and 2, and one at once; how long after its birth each was stored. */
    static void delayed(String group, String topic) throws Exception {
        Got got = new Got();
        DefaultMQPushConsumer c = consumer(group, topic, got);
        DefaultMQProducer p = producer("PG_" + topic);
        for (int level : new int[] {2, 1, 0}) {
            Message m = message(topic, "A", level);
            m.setDelayTimeLevel(level);
            p.send(m);
        }
        got.await(3);
        for (MessageExt m : got.copy()) say("got %s after %d", text(m), (m.getStoreTimestamp() - m.getBornTimestamp() + 200) / 1000);
        c.shutdown();
        p.shutdown();
    }

    /** retried GROUP TOPIC ATTEMPTS: a listener that fails each message so often; how often each was given to it, and the attempts it was told. */
    static void retried(String group, String topic, int attempts) throws Exception {
        Map<String, Integer> given = new ConcurrentHashMap<>();
        Set<String> told = ConcurrentHashMap.newKeySet();
        Got done = new Got();
        DefaultMQPushConsumer c = newConsumer(group, null, done);
        c.registerMessageListener((MessageListenerConcurrently) (list, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            for (MessageExt m : list) {
                int n = given.merge(m.getKeys(), 1, Integer::sum);
                told.add(m.getTopic() + "/" + m.getReconsumeTimes());
                if (n <= attempts) return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                done.accept(m);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.subscribe(topic, "*");
        c.start();
        DefaultMQProducer p = producer("PG_" + topic);
        for (int i = 0; i < 10; i++) p.send(message(topic, "A", i));
        done.await(60000, () -> done.list.size() >= 10);
        say("given %s", new TreeSet<>(given.values()));
        say("told %s", new TreeSet<>(told));
        say("done %d", done.size());
        c.shutdown();
        p.shutdown();
    }

    /** transactions GROUP PRODUCERS TOPIC: commits, rollbacks, and answers given only when asked. */
    static void transactions(String group, String producers, String topic) throws Exception {
        Got got = new Got();
        Map<String, Integer> asked = new ConcurrentHashMap<>();
        DefaultMQPushConsumer c = consumer(group, topic, got);
        TransactionMQProducer p = new TransactionMQProducer(producers);
        p.setNamesrvAddr(ns);
        p.setInstanceName("t" + System.nanoTime());
        p.setTransactionListener(new TransactionListener() {
            public LocalTransactionState executeLocalTransaction(Message m, Object arg) {
                return new LocalTransactionState[] {LocalTransactionState.COMMIT_MESSAGE, LocalTransactionState.ROLLBACK_MESSAGE, LocalTransactionState.UNKNOW}[(Integer) arg % 3];
            }

            public LocalTransactionState checkLocalTransaction(MessageExt m) {
                asked.merge(m.getKeys(), 1, Integer::sum);
                return Integer.parseInt(m.getUserProperty("n")) % 2 == 0 ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE;
            }
        });
        p.start();
        Set<String> wanted = new TreeSet<>();
        for (int i = 0; i < 18; i++) {
            p.sendMessageInTransaction(message(topic, "A", i), i);
            if (i % 3 == 0 || i % 3 == 2 && i % 2 == 0) wanted.add("m" + i);
        }
        got.await(60000, () -> got.list.size() >= wanted.size() && asked.size() >= 6);
        Map<String, Integer> seen = new TreeMap<>();
        for (String body : got.bodies()) seen.merge(body, 1, Integer::sum);
        say("asked %d", asked.size());
        say("right %s once %s", seen.keySet().equals(wanted), seen.values().stream().allMatch(n -> n == 1));
        c.shutdown();
        p.shutdown();
    }
}
