/*
 * traffic - what the broker counts about messages in and out (BrokerStatsManager,
 * StoreStatsService)
 *
 * Totals are atomic counters; rates are sampled by the service thread every 10 s.
 */
#ifndef BROKER_TRAFFIC_H
#define BROKER_TRAFFIC_H

#include <jansson.h>
#include <stdint.h>

#include "base/str.h"

struct traffic;
struct broker;

struct traffic *traffic_new(void);
void traffic_free(struct traffic *t);
/* Any thread. */
void traffic_put(struct traffic *t, struct tl_str topic, uint64_t messages, uint64_t bytes);
void traffic_get(struct traffic *t, struct tl_str topic, struct tl_str group, uint64_t messages,
                 uint64_t bytes);
void traffic_pull_miss(struct traffic *t);
void traffic_sample(struct traffic *t, int64_t now_ms); /* service thread, each second */
double traffic_topic_put_tps(struct traffic *t, struct tl_str topic);
double traffic_group_get_tps(struct traffic *t, struct tl_str topic, struct tl_str group);
/* A rate as Java's Double.toString writes it ("0.0"); appended to @out. */
void traffic_rate_text(double rate, struct strbuf *out);
/* Put the keys of GET_BROKER_RUNTIME_INFO that are about rates and totals into @table. */
void traffic_runtime_info(struct traffic *t, json_t *table);

#endif
