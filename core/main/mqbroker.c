/*
 * mqbroker - the broker, alone or with a name server of its own in the same process
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/routes.h"
#include "broker/scripts.h"
#include "main/daemon.h"
#include "main/settings.h"
#include "namesrv/namesrv.h"

static struct {
    const char *config, *namesrv, *standalone;
    struct cli_list sets;
    bool print, important, reference, requests;
} args;

static const struct cli_option options[] = {
    {'c', "configFile", "FILE", "read settings from FILE (broker.conf)", CLI_TEXT,
     &args.config},
    {'n', "namesrvAddr", "ADDRS", "name servers, 'host:port;host:port'", CLI_TEXT,
     &args.namesrv},
    {0, "standalone", "PORT", "run a name server in this process, too (default port 9876)",
     CLI_OPTIONAL, &args.standalone},
    {0, "set", "KEY=VALUE", "set one key; may be repeated", CLI_LIST, &args.sets},
    {'p', "printConfigItem", NULL, "print all settings and exit", CLI_FLAG, &args.print},
    {'m', "printImportantConfig", NULL, "print the important settings and exit", CLI_FLAG,
     &args.important},
    {0, "reference", NULL, "print the documentation of all settings and exit", CLI_FLAG,
     &args.reference},
    {0, "requests", NULL, "list the request codes served and exit", CLI_FLAG, &args.requests},
};

static const char program_name[] = "mqbroker";

static _Noreturn void print_requests(void)
{
    struct route_table *t;
    struct strbuf text;

    strbuf_init(&text);
    if (route_table_new(&t, broker_routes, broker_routes_count))
        settings_die(program_name, "requests");
    route_print(t, &text);
    fwrite(text.data, 1, text.len, stdout);
    exit(0);
}

static void set_key(struct broker_conf *conf, const char *key, const char *value)
{
    if (conf_set(&broker_conf_table, conf, tl_str_of(key), tl_str_of(value)))
        settings_die(program_name, "");
}

/* -n, then the environment; the command line wins over the file. */
static void load(struct broker_conf *conf)
{
    const char *env = getenv("NAMESRV_ADDR");

    settings_load(program_name, &broker_conf_table, conf, args.config, &args.sets);
    if (args.namesrv)
        set_key(conf, "namesrvAddr", args.namesrv);
    else if (!conf->namesrv_addr.len && env)
        set_key(conf, "namesrvAddr", env);
    if (broker_conf_finish(conf))
        settings_die(program_name, "");
}

/* The name server in this process: asked for, or there is no other. */
static struct namesrv *start_namesrv(struct broker_conf *broker)
{
    struct namesrv_conf conf;
    struct namesrv *n;
    char *port = xasprintf("%d", broker->embedded_namesrv_port), *kv, *addr;

    if (args.standalone && *args.standalone) {
        free(port);
        port = xstrdup(args.standalone);
    }
    conf_defaults(&namesrv_conf_table, &conf);
    kv = xasprintf("%.*s/config/kvConfig.json", TL_STR_ARG(broker->store_path_root_dir));
    if (conf_set(&namesrv_conf_table, &conf, TL_STR("listenPort"), tl_str_of(port)))
        settings_die(program_name, "--standalone");
    conf_set(&namesrv_conf_table, &conf, TL_STR("kvConfigPath"), tl_str_of(kv));
    if (broker->bind_address.len)
        conf_set(&namesrv_conf_table, &conf, TL_STR("bindAddress"), broker->bind_address);
    if (namesrv_start(&n, &conf))
        settings_die(program_name, "can't start the name server");
    conf_release(&namesrv_conf_table, &conf);
    addr = xasprintf("127.0.0.1:%d%s%.*s", namesrv_port(n), broker->namesrv_addr.len ? ";" : "",
                     TL_STR_ARG(broker->namesrv_addr));
    set_key(broker, "namesrvAddr", addr);
    free(addr);
    free(kv);
    free(port);
    return n;
}

static void on_fatal(void *arg, const char *text)
{
    (void)arg;
    daemon_fail(text);
}

static void on_hup(void *arg)
{
    struct broker *b = arg;
    scripts_reload(b->scripts);
}

int main(int argc, char **argv)
{
    const struct cli_program program = {program_name,
                                        "message broker, compatible with Apache RocketMQ",
                                        options, sizeof(options) / sizeof(options[0])};
    struct broker_conf conf;
    struct namesrv *n = NULL;
    struct broker *b;

    cli_parse(&program, argc, argv);
    if (args.requests)
        print_requests();
    if (args.reference)
        settings_reference(&broker_conf_table, "Settings of the broker");
    load(&conf);
    if (args.print || args.important)
        settings_print(&broker_conf_table, &conf, args.important ? CONF_IMPORTANT : 0);
    daemon_begin();
    settings_log(program_name, conf.log_file, conf.log_level);
    if (args.standalone || !conf.namesrv_addr.len)
        n = start_namesrv(&conf);
    if (broker_start(&b, &(struct broker_opts){.conf = &conf, .on_fatal = on_fatal}))
        settings_die(program_name, "can't start");
    printf("The broker[%.*s, %s] boot success. serializeType=JSON and name server is %.*s\n",
           TL_STR_ARG(conf.broker_name), b->addr, TL_STR_ARG(conf.namesrv_addr));
    fflush(stdout);
    int rc = daemon_wait(on_hup, b);
    broker_stop(b);
    if (n)
        namesrv_stop(n);
    log_stop();
    conf_release(&broker_conf_table, &conf);
    cli_list_release(&args.sets);
    return rc;
}
