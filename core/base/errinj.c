#include "base/errinj.h"

#ifdef TL_ERRINJ

#    include <pthread.h>
#    include <stdatomic.h>
#    include <stdio.h>
#    include <stdlib.h>
#    include <unistd.h>

#    include "base/str.h"

enum how { ERROR, SHORT, TORN, STOP };

static struct {
    _Atomic int after, times; /* passes to let go; fires left, -1 = for ever */
    _Atomic int how;
    bool told; /* armed from outside: say when it fires */
} points[ERRINJ_COUNT];

static const char *const names[ERRINJ_COUNT] = {
#    define X(name, doc) #    name,
#    include "base/errinj.def"
#    undef X
};

static pthread_once_t environment = PTHREAD_ONCE_INIT;

static const char *const hows[] = {"error", "short", "torn", "stop"};

static void set(enum errinj_point point, int after, int times, int how)
{
    points[point].after = after;
    points[point].how = how;
    points[point].times = times;
}

static int how_of(struct tl_str text)
{
    for (int i = 0; i < (int)(sizeof(hows) / sizeof(hows[0])); i++) {
        if (tl_str_is(text, hows[i]))
            return i;
    }
    return ERROR;
}

/* NAME[:after[:times[:how]]], several separated by commas. */
static void arm_from_text(struct tl_str one)
{
    struct tl_str name = tl_str_cut(&one, ':');
    int32_t after = 0;
    int32_t times = -1;
    if (one.data)
        tl_str_i32(tl_str_cut(&one, ':'), &after);
    if (one.data)
        tl_str_i32(tl_str_cut(&one, ':'), &times);
    for (int i = 0; i < ERRINJ_COUNT; i++) {
        if (tl_str_is(name, names[i])) {
            points[i].told = true;
            set((enum errinj_point)i, after, times, one.data ? how_of(one) : ERROR);
            return;
        }
    }
    fprintf(stderr, "TL_ERRINJ: no fault point %.*s\n", TL_STR_ARG(name));
}

static void read_environment(void)
{
    struct tl_str list = tl_str_of(getenv("TL_ERRINJ"));
    while (list.data)
        arm_from_text(tl_str_cut(&list, ','));
}

void errinj_arm(enum errinj_point point, int after, int times)
{
    pthread_once(&environment, read_environment);
    set(point, after, times, ERROR);
}

/* Take one from *n if it is above zero. */
static bool take_one(_Atomic int *n)
{
    int now = atomic_load(n);
    while (now > 0)
        if (atomic_compare_exchange_weak(n, &now, now - 1))
            return true;
    return false;
}

static bool passes(enum errinj_point point)
{
    if (points[point].times == 0 || take_one(&points[point].after))
        return false;
    bool fires = points[point].times < 0 || take_one(&points[point].times);
    if (fires && points[point].told)
        fprintf(stderr, "TL_ERRINJ: %s fires\n", names[point]);
    return fires;
}

bool errinj_fires(enum errinj_point point)
{
    pthread_once(&environment, read_environment);
    int how = points[point].how;
    if (how == SHORT || how == TORN || !passes(point))
        return false;
    if (how == STOP)
        _exit(ERRINJ_STOPPED);
    return true;
}

size_t errinj_part(enum errinj_point point, size_t len, bool *torn)
{
    int how = points[point].how;

    *torn = false;
    if ((how != SHORT && how != TORN) || len < 2 || !passes(point))
        return len;
    *torn = how == TORN;
    return len / 2;
}

void errinj_wrote(bool torn)
{
    if (torn)
        _exit(ERRINJ_STOPPED);
}

#endif
