"""Sends and pulls by raw requests."""
import time

import rmq


def send(c, topic, body, queue=0, **properties):
    ext = dict(producerGroup="P", topic=topic, defaultTopic="TBW102", defaultTopicQueueNums="4", queueId=str(queue), sysFlag="0",
               bornTimestamp=str(int(time.time() * 1000)), flag="0", properties=rmq.props(**properties))
    r = c.call(10, ext, body.encode())
    assert r["code"] == 0, r
    return r["extFields"]


def pull(c, topic, offset, queue=0, group="G", wait=0):
    ext = dict(consumerGroup=group, topic=topic, queueId=str(queue), queueOffset=str(offset), maxMsgNums="32", sysFlag="6" if wait else "4", commitOffset="0",
               suspendTimeoutMillis=str(wait), subscription="*", subVersion="0", expressionType="TAG")
    r = c.call(11, ext, timeout=wait / 1000 + 8)
    return rmq.records(r["body"]) if r["code"] == 0 else []


def pull_all(c, topic, want, seconds, queue=0):
    """Until @want records are there."""
    got, end = [], time.time() + seconds
    while len(got) < want and time.time() < end:
        got += pull(c, topic, len(got), queue, wait=1000)
    return got
