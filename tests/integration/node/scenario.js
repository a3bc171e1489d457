// Scenarios with the unmodified client; results are lines on standard output.
'use strict';

const { Consumer, Message, Producer } = require('ali-ons');

const [what, nameSrv, ...args] = process.argv.slice(2);
const big = '.'.repeat(6000); // more than the client sends uncompressed
const logger = { debug() {}, info() {}, warn: console.error, error: console.error };
// With the address of a name server given the client never asks an HTTP server for one, but insists on something that could.
const common = { nameSrv, logger, httpclient: { request() { throw new Error('no HTTP here'); } } };
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

async function until(condition, patience) {
  for (const end = Date.now() + patience; !condition() && Date.now() < end;) await sleep(5);
  return condition();
}

let members = 0;

async function consumer(group, topic, tags, options, seen) {
  const c = new Consumer({ ...common, consumerGroup: group, consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    instanceName: `c${process.pid}-${members++}`, ...options });
  c.on('error', err => console.log('error', err.message));
  c.subscribe(topic, tags, async msg => seen(msg.body.toString()));
  await c.ready();
  return c;
}

async function producer(group) {
  const p = new Producer({ ...common, producerGroup: group, instanceName: `p${process.pid}` });
  await p.ready();
  return p;
}

function message(topic, tag, body, n) {
  const m = new Message(topic, tag, body);
  m.keys = [`k${n}`];
  m.properties.n = String(n);
  return m;
}

const print = (word, list) => list.forEach(body => console.log(word, body));

// produce TOPIC FIRST COUNT sync|async|big: tags A, B, C in turn. The client has neither one-way sends nor batches.
async function produce(topic, first, count, mode) {
  const p = await producer(`PG_${topic}`);
  const pending = [];
  let ok = 0;
  const send = async n => {
    const r = await p.send(message(topic, 'ABC'[n % 3], `m${n}${mode === 'big' ? big : ''}`, n));
    if (r.sendStatus === 'SEND_OK' && r.msgId.length === 32) ok++;
  };
  for (let n = Number(first); n < Number(first) + Number(count); n++) {
    pending.push(send(n));
    if (mode !== 'async') await pending.pop();
  }
  await Promise.all(pending);
  console.log('sent', ok);
  await p.close();
}

// consume GROUP TOPIC TAGS WANT: waits for WANT messages, then half a second for too many.
async function consume(group, topic, tags, want) {
  const got = [];
  const c = await consumer(group, topic, tags, {}, body => got.push(body));
  await until(() => got.length >= Number(want), 40000);
  await sleep(500);
  await c.close();
  print('got', got);
}

// rebalance GROUP TOPIC INTERVAL: two consumers share; one leaves; the other takes over.
async function rebalance(group, topic, interval) {
  const first = [], second = [], later = [];
  const options = { rebalanceInterval: Number(interval) };
  const a = await consumer(group, topic, '*', options, body => first.push(body));
  const b = await consumer(group, topic, '*', options, body => {
    if (body.startsWith('later ')) later.push(body.slice(6));
    else second.push(body);
  });
  const held = () => [...b.processQueueTable.values()].filter(q => q.messageQueue.topic === topic).length;
  const p = await producer(`PG_${topic}`);
  let n = 0;
  for (const end = Date.now() + 60000; !(first.length && second.length) && Date.now() < end; n++) {
    await p.send(message(topic, 'A', `m${n}`, n));
    await sleep(20);
  }
  console.log('shared', first.length > 0 && second.length > 0);
  const left = Date.now();
  await a.close();
  await until(() => held() === 4, 20000);
  console.log('rebalanced', held(), Date.now() - left);
  for (let i = 0; i < 100; i++) await p.send(message(topic, 'A', `later m${i}`, i));
  await until(() => later.length >= 100, 30000);
  print('later', later);
  await b.close();
  await p.close();
}

// broadcast GROUP TOPIC COUNT: both members get everything.
async function broadcast(group, topic, count) {
  const first = [], second = [];
  const a = await consumer(group, topic, '*', { isBroadcast: true }, body => first.push(body));
  const b = await consumer(group, topic, '*', { isBroadcast: true }, body => second.push(body));
  await produce(topic, 0, count, 'sync');
  await until(() => first.length >= Number(count) && second.length >= Number(count), 30000);
  await sleep(500);
  await a.close();
  await b.close();
  print('first', first);
  print('second', second);
}

// latency GROUP TOPIC COUNT: median from send to listener, consumer started first.
async function latency(group, topic, count) {
  const times = [], got = [];
  const c = await consumer(group, topic, '*', {}, body => {
    times.push(process.hrtime.bigint());
    got.push(body);
  });
  const p = await producer(`PG_${topic}`);
  for (let n = 0; n < Number(count); n++) {
    const at = process.hrtime.bigint();
    await p.send(message(topic, 'A', `m${n}`, n));
    await until(() => times.length > n, 30000);
    times[n] -= at;
  }
  times.sort((x, y) => Number(x - y));
  console.log('median_us', Number(times[times.length >> 1] / 1000n));
  print('got', got);
  await c.close();
  await p.close();
}

// The client keeps a producer of its own that is never closed, so the process has to be ended, when all lines are written.
({ produce, consume, rebalance, broadcast, latency })[what](...args).then(() => process.stdout.write('', () => process.exit(0)), err => {
  console.error(err);
  process.exit(1);
});
