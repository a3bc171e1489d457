#include "net/alarm.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/reactor.h"

struct alarm {
    int fd;
    struct event *event;
    void (*fire)(void *arg);
    void *arg;
};

static void on_expired(evutil_socket_t fd, short what, void *arg)
{
    struct alarm *a = arg;
    uint64_t times;

    (void)what;
    if (read(fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
        a->fire(a->arg); /* else it was moved meanwhile */
}

struct alarm *alarm_new(struct reactor *r, void (*fire)(void *arg), void *arg)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    if (fd < 0) {
        tl_fail_errno(TL_EIO, errno, "timerfd");
        return NULL;
    }
    struct alarm *a = xzalloc(sizeof(*a));
    a->fd = fd;
    a->fire = fire;
    a->arg = arg;
    a->event = event_new(reactor_base(r), fd, EV_READ | EV_PERSIST, on_expired, a);
    if (!a->event || event_add(a->event, NULL)) {
        tl_fail(TL_ENOMEM, "no event for a timerfd");
        alarm_free(a);
        return NULL;
    }
    return a;
}

void alarm_free(struct alarm *a)
{
    if (!a)
        return;
    if (a->event)
        event_free(a->event);
    close(a->fd);
    free(a);
}

void alarm_set(struct alarm *a, int64_t mono_ns)
{
    struct itimerspec at = {.it_value = {mono_ns / 1000000000, mono_ns % 1000000000}};

    if (mono_ns <= 0)
        at.it_value = (struct timespec){0, 1}; /* all zero would disarm it */
    timerfd_settime(a->fd, TFD_TIMER_ABSTIME, &at, NULL);
}
