/*
 * bench_filter - nanoseconds per call of a filter
 *
 * usage: bench_filter SCRIPT.lua ARGS [CALLS]
 *
 * The message has eight properties, among them region=eu and amount=250.  The script is called in batches; the
 * best and the median batch are printed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "proto/properties.h"
#include "proto/record.h"
#include "script/script.h"

enum { BATCHES = 21, CALLS = 100000 };

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench_filter: %s: %s\n", what, tl_error_text());
    exit(1);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void encode(struct strbuf *out)
{
    static const char *const names[] = {"UNIQ_KEY", "WAIT",   "CLUSTER", "trace",
                                        "tenant",   "region", "amount",  "TAGS"};
    static const char *const values[] = {"7F0000010BB82A139A55000000000001",
                                         "true",
                                         "DefaultCluster",
                                         "4bf92f3577b34da6",
                                         "acme",
                                         "eu",
                                         "250",
                                         "new"};
    struct strbuf props;

    strbuf_init(&props);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        properties_add(&props, tl_str_of(names[i]), tl_str_of(values[i]));
    struct record r = {
        .topic = TL_STR("Orders"), .body = TL_STR("{}"), .properties = strbuf_str(&props)};
    size_t size = record_size(&r);
    if (record_encode(&r, (uint8_t *)strbuf_reserve(out, size)))
        die("message");
    strbuf_commit(out, size);
    strbuf_release(&props);
}

int main(int argc, char **argv)
{
    const struct script_limits limits = {20000, 2000, 16 << 20};
    struct script_binding b = {.id = script_binding_id(), .script = xstrdup("bench")};
    struct strbuf source, message;
    struct script_engine *e;
    struct script_vm *vm;
    double ns[BATCHES];
    int64_t calls = argc > 3 ? strtoll(argv[3], NULL, 10) : CALLS, accepted = 0;

    if (argc < 3 || calls < 1) {
        fprintf(stderr, "usage: bench_filter SCRIPT.lua ARGS [CALLS]\n");
        return 1;
    }
    strbuf_init(&source);
    strbuf_init(&message);
    encode(&message);
    if (fs_read(argv[1], SCRIPT_SOURCE_MAX, &source) || script_engine_new(&e, &limits) ||
        script_vm_new(&vm, e, NULL) || script_deploy(e, TL_STR("bench"), strbuf_str(&source)))
        die(argv[1]);
    struct script_bundle *bundle = script_find(e, TL_STR("bench"));
    if (script_args_parse(bundle, tl_str_of(argv[2]), &b.args))
        die(argv[2]);
    script_bundle_unref(bundle);
    for (int i = 0; i < BATCHES; i++) {
        int64_t began = clock_mono_ns();
        for (int64_t n = 0; n < calls; n++) {
            struct script_message m = {message.data, message.len, n};
            bool accept = false;
            if (script_filter(vm, &b, &m, &accept))
                die("call");
            accepted += accept;
        }
        ns[i] = (double)(clock_mono_ns() - began) / (double)calls;
        script_vm_idle(vm);
    }
    qsort(ns, BATCHES, sizeof(ns[0]), compare);
    printf(
        "filter: best %.0f ns, median %.0f ns per call; %.1f instructions; accepted %lld of %lld; heap %lld KiB\n",
        ns[0], ns[BATCHES / 2],
        (double)stats_get(&b.counters.instructions) / (double)stats_get(&b.counters.calls),
        (long long)accepted, (long long)(calls * BATCHES),
        (long long)(script_vm_heap(vm) / 1024));
    script_vm_free(vm);
    script_engine_free(e);
    json_decref(b.args);
    free(b.script);
    strbuf_release(&source);
    strbuf_release(&message);
    return 0;
}
