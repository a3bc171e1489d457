/*
 * config - the broker's keys (config.def: one line, one truth)
 *
 * All keys of Apache 5.3.3's broker.conf are taken; those without a meaning here are
 * CONF_INERT and say so.  Immutable once the broker runs.
 */
#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H

#include "base/conf.h"

struct broker_conf {
#define X(type, member, ...) conf_##type member;
#include "broker/config.def"
#undef X
};
extern const struct conf_table broker_conf_table;

/*
 * Defaults that depend on the host or on other keys: storePathRootDir ($HOME/store),
 * brokerIP1, brokerName (host name), scriptDir, haListenPort...; then what must hold
 * between keys: TL_EINVAL with a sentence that names the key (foreign store formats, roles
 * that are not served, bad addresses, sizes).
 */
int broker_conf_finish(struct broker_conf *conf);
/* messageDelayLevel as milliseconds; returns how many, or -TL_EINVAL. */
int broker_conf_delay_levels(const struct broker_conf *conf, int64_t *out_ms, int max);

#endif
