// Scenarios with the unmodified client; results are lines on standard output.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

var (
	ns  primitive.NamesrvAddr
	bg  = context.Background()
	big = strings.Repeat(".", 6000) // more than the client sends uncompressed
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	must(err)
	return n
}

// What a consumer received, in the order of arrival; news tells of more.
type bag struct {
	sync.Mutex
	got  []string
	news chan struct{}
}

func newBag() *bag {
	return &bag{news: make(chan struct{}, 1)}
}

func (b *bag) take(body string) {
	b.Lock()
	b.got = append(b.got, body)
	b.Unlock()
	select {
	case b.news <- struct{}{}:
	default:
	}
}

func (b *bag) all() []string {
	b.Lock()
	defer b.Unlock()
	return append([]string(nil), b.got...)
}

func (b *bag) waitFor(count int, patience time.Duration) {
	end := time.After(patience)
	for len(b.all()) < count {
		select {
		case <-b.news:
		case <-end:
			return
		}
	}
}

func (b *bag) print(word string) {
	for _, s := range b.all() {
		fmt.Println(word, s)
	}
}

// The client's own type has no name outside of its package.
type member struct {
	Shutdown func() error
	held     func(topic string) int // how many of its queues
}

func newConsumer(group, topic, tags string, model consumer.MessageModel, seen func(body string)) member {
	c, err := consumer.NewPushConsumer(
		consumer.WithNameServer(ns), consumer.WithGroupName(group), consumer.WithInstance(fmt.Sprintf("c%d", time.Now().UnixNano())),
		consumer.WithConsumerModel(model), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	must(err)
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: tags}
	must(c.Subscribe(topic, selector, func(_ context.Context, list ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range list {
			seen(string(m.Body))
		}
		return consumer.ConsumeSuccess, nil
	}))
	must(c.Start())
	held := func(topic string) (count int) {
		for queue := range c.GetConsumerRunningInfo(false).MQTable {
			if queue.Topic == topic {
				count++
			}
		}
		return
	}
	return member{c.Shutdown, held}
}

func newProducer(group string) rocketmq.Producer {
	p, err := rocketmq.NewProducer(
		producer.WithNameServer(ns), producer.WithGroupName(group), producer.WithInstanceName(fmt.Sprintf("p%d", time.Now().UnixNano())))
	must(err)
	must(p.Start())
	return p
}

func message(topic, tag, body string, n int) *primitive.Message {
	m := primitive.NewMessage(topic, []byte(body)).WithTag(tag).WithKeys([]string{"k" + strconv.Itoa(n)})
	m.WithProperty("n", strconv.Itoa(n))
	return m
}

// produce TOPIC FIRST COUNT sync|async|oneway|batch|big: tags A, B, C in turn.
func produce(topic string, first, count int, mode string) {
	p := newProducer("PG_" + topic)
	var lock sync.Mutex
	var left sync.WaitGroup
	ok := 0
	sent := func(_ context.Context, r *primitive.SendResult, err error) {
		lock.Lock()
		defer lock.Unlock()
		if err != nil || r.Status != primitive.SendOK || len(r.OffsetMsgID) != 32 {
			fmt.Println("error", r, err)
			return
		}
		ok++
	}
	var batch []*primitive.Message
	for n := first; n < first+count; n++ {
		m := message(topic, "ABC"[n%3:n%3+1], "m"+strconv.Itoa(n), n)
		switch mode {
		case "oneway":
			must(p.SendOneWay(bg, m))
			ok++
		case "batch":
			batch = append(batch, m)
		case "async":
			left.Add(1)
			must(p.SendAsync(bg, func(c context.Context, r *primitive.SendResult, err error) {
				sent(c, r, err)
				left.Done()
			}, m))
		case "big":
			m.Body = append(m.Body, big...)
			fallthrough
		default:
			r, err := p.SendSync(bg, m)
			sent(bg, r, err)
		}
	}
	left.Wait()
	if mode == "batch" {
		r, err := p.SendSync(bg, batch...)
		must(err)
		if r.Status == primitive.SendOK {
			ok = count
		}
	}
	if mode == "oneway" {
		// This client does not mark requests as one-way, so they are answered; closing with unread answers resets the connection
		// and loses what is under way, with RocketMQ's broker, too. A sync send on the same connection comes behind all of them.
		_, err := p.SendSync(bg, message(topic+"_end", "A", "end", 0))
		must(err)
	}
	fmt.Println("sent", ok)
	must(p.Shutdown())
}

// consume GROUP TOPIC TAGS WANT: waits for WANT messages, then half a second for too many.
func consume(group, topic, tags string, want int) {
	b := newBag()
	c := newConsumer(group, topic, tags, consumer.Clustering, b.take)
	b.waitFor(want, 40*time.Second)
	time.Sleep(500 * time.Millisecond)
	must(c.Shutdown())
	b.print("got")
}

// rebalance GROUP TOPIC: two consumers share; one leaves; the other takes over.
func rebalance(group, topic string) {
	first, second, both, later := newBag(), newBag(), newBag(), newBag()
	a := newConsumer(group, topic, "*", consumer.Clustering, func(body string) { first.take(body); both.take(body) })
	b := newConsumer(group, topic, "*", consumer.Clustering, func(body string) {
		if strings.HasPrefix(body, "later ") {
			later.take(strings.TrimPrefix(body, "later "))
		} else {
			second.take(body)
			both.take(body)
		}
	})
	p := newProducer("PG_" + topic)
	send := func(body string, n int) {
		_, err := p.SendSync(bg, message(topic, "A", body, n))
		must(err)
	}
	n := 0
	for end := time.Now().Add(time.Minute); (len(first.all()) == 0 || len(second.all()) == 0) && time.Now().Before(end); n++ {
		send("m"+strconv.Itoa(n), n)
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Println("shared", len(first.all()) > 0 && len(second.all()) > 0)
	both.waitFor(n, 30*time.Second) // this client can crash when a message arrives while it shuts down
	left := time.Now()
	must(a.Shutdown())
	for b.held(topic) < 4 && time.Since(left) < 10*time.Second {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("rebalanced", b.held(topic), time.Since(left).Milliseconds())
	for i := 0; i < 100; i++ {
		send("later m"+strconv.Itoa(i), n+i)
	}
	later.waitFor(100, 30*time.Second)
	later.print("later")
	must(b.Shutdown())
	must(p.Shutdown())
}

// broadcast GROUP TOPIC COUNT: both members get everything.
func broadcast(group, topic string, count int) {
	first, second := newBag(), newBag()
	a := newConsumer(group, topic, "*", consumer.BroadCasting, first.take)
	b := newConsumer(group, topic, "*", consumer.BroadCasting, second.take)
	produce(topic, 0, count, "sync")
	first.waitFor(count, 30*time.Second)
	second.waitFor(count, 30*time.Second)
	time.Sleep(500 * time.Millisecond)
	must(a.Shutdown())
	must(b.Shutdown())
	first.print("first")
	second.print("second")
}

// latency GROUP TOPIC COUNT: median from send to listener, consumer started first.
func latency(group, topic string, count int) {
	b, arrived := newBag(), make(chan time.Time, count)
	c := newConsumer(group, topic, "*", consumer.Clustering, func(body string) { arrived <- time.Now(); b.take(body) })
	p := newProducer("PG_" + topic)
	var times []time.Duration
	for n := 0; n < count; n++ {
		at := time.Now()
		_, err := p.SendSync(bg, message(topic, "A", "m"+strconv.Itoa(n), n))
		must(err)
		times = append(times, (<-arrived).Sub(at))
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	fmt.Println("median_us", times[count/2].Microseconds())
	b.print("got")
	must(c.Shutdown())
	must(p.Shutdown())
}

func main() {
	rlog.SetLogLevel("warn")
	a := os.Args[1:]
	ns = primitive.NamesrvAddr{a[1]}
	switch a[0] {
	case "produce":
		produce(a[2], number(a[3]), number(a[4]), a[5])
	case "consume":
		consume(a[2], a[3], a[4], number(a[5]))
	case "rebalance":
		rebalance(a[2], a[3])
	case "broadcast":
		broadcast(a[2], a[3], number(a[4]))
	case "latency":
		latency(a[2], a[3], number(a[4]))
	default:
		panic(a[0])
	}
}
