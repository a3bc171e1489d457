/*
 * config - the name server's keys (NamesrvConfig, NettyServerConfig): config.def has one line each
 */
#ifndef NAMESRV_CONFIG_H
#define NAMESRV_CONFIG_H

#include "base/conf.h"

struct namesrv_conf {
#define X(type, member, ...) conf_##type member;
#include "namesrv/config.def"
#undef X
};
extern const struct conf_table namesrv_conf_table;

/* Defaults that depend on the host: kvConfigPath. */
void namesrv_conf_finish(struct namesrv_conf *conf);

#endif
