#include "base/errinj.h"

#ifdef TL_ERRINJ

#    include <pthread.h>
#    include <stdatomic.h>
#    include <stdio.h>
#    include <stdlib.h>

#    include "base/str.h"

static struct {
    _Atomic int after, times; /* passes to let go; fires left, -1 = for ever */
} points[ERRINJ_COUNT];

static const char *const names[ERRINJ_COUNT] = {
#    define X(name, doc) #    name,
#    include "base/errinj.def"
#    undef X
};

static pthread_once_t environment = PTHREAD_ONCE_INIT;

static void set(enum errinj_point point, int after, int times)
{
    points[point].after = after;
    points[point].times = times;
}

/* NAME[:after[:times]], several separated by commas. */
static void arm_from_text(struct tl_str one)
{
    struct tl_str name = tl_str_cut(&one, ':');
    int32_t after = 0;
    int32_t times = -1;
    if (one.data)
        tl_str_i32(tl_str_cut(&one, ':'), &after);
    if (one.data)
        tl_str_i32(one, &times);
    for (int i = 0; i < ERRINJ_COUNT; i++) {
        if (tl_str_is(name, names[i])) {
            set((enum errinj_point)i, after, times);
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
    set(point, after, times);
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

bool errinj_fires(enum errinj_point point)
{
    pthread_once(&environment, read_environment);
    if (points[point].times == 0 || take_one(&points[point].after))
        return false;
    return points[point].times < 0 || take_one(&points[point].times);
}

#endif
