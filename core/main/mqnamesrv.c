/*
 * mqnamesrv - the name server
 */
#include <stdio.h>

#include "base/log.h"
#include "main/daemon.h"
#include "main/settings.h"
#include "namesrv/namesrv.h"

static struct {
    const char *config;
    struct cli_list sets;
    bool print, reference;
} args;

static const struct cli_option options[] = {
    {'c', "configFile", "FILE", "read settings from FILE", CLI_TEXT, &args.config},
    {0, "set", "KEY=VALUE", "set one key; may be repeated", CLI_LIST, &args.sets},
    {'p', "printConfigItem", NULL, "print all settings and exit", CLI_FLAG, &args.print},
    {0, "reference", NULL, "print the documentation of all settings and exit", CLI_FLAG,
     &args.reference},
};

int main(int argc, char **argv)
{
    const struct cli_program program = {"mqnamesrv", "name server of Translune", options,
                                        sizeof(options) / sizeof(options[0])};
    struct namesrv_conf conf;
    struct namesrv *n;

    cli_parse(&program, argc, argv);
    settings_load(program.name, &namesrv_conf_table, &conf, args.config, &args.sets);
    namesrv_conf_finish(&conf);
    if (args.print)
        settings_print(&namesrv_conf_table, &conf, 0);
    if (args.reference)
        settings_reference(&namesrv_conf_table, "Settings of the name server");
    if (args.config)
        printf("load config properties file OK, %s\n", args.config);
    daemon_begin();
    settings_log(program.name, conf.log_file, conf.log_level);
    if (namesrv_start(&n, &conf))
        settings_die(program.name, "can't start");
    printf("The Name Server boot success. serializeType=JSON, address %.*s:%d\n",
           TL_STR_ARG(conf.bind_address), namesrv_port(n));
    fflush(stdout);
    int rc = daemon_wait(NULL, NULL);
    namesrv_stop(n);
    log_stop();
    conf_release(&namesrv_conf_table, &conf);
    cli_list_release(&args.sets);
    return rc;
}
