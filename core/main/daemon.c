#include "main/daemon.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static _Atomic int failed;
static sigset_t waited;

void daemon_begin(void)
{
    struct rlimit files;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&waited);
    sigaddset(&waited, SIGTERM);
    sigaddset(&waited, SIGINT);
    sigaddset(&waited, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &waited, NULL);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int daemon_wait(void (*on_hup)(void *arg), void *arg)
{
    for (;;) {
        int sig;
        if (sigwait(&waited, &sig))
            continue;
        if (sig != SIGHUP)
            return atomic_load(&failed);
        if (on_hup)
            on_hup(arg);
    }
}

void daemon_fail(const char *text)
{
    if (atomic_exchange(&failed, 1))
        return;
    fprintf(stderr, "fatal: %s\n", text);
    kill(getpid(), SIGTERM);
}
