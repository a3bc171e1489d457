#include <pthread.h>
#include <stdlib.h>

#include "base/mailbox.h"
#include "base/mem.h"
#include "base/thread.h"
#include "t.h"

enum { THREADS = 4, EACH = 20000 };

struct letter {
    struct mail mail;
    int sender, number;
};

struct run {
    struct mailbox box;
    _Atomic int next_sender;
    int last[THREADS]; /* number of the last letter of each sender */
    int received;
};

static struct run run;

static void receive(struct mail *m)
{
    struct letter *l = (struct letter *)m;
    CHECK_INT(l->number, run.last[l->sender] + 1);
    run.last[l->sender] = l->number;
    run.received++;
    free(l);
}

static void post(int sender, int number)
{
    struct letter *l = xmalloc(sizeof(*l));
    *l = (struct letter){{NULL, receive}, sender, number};
    mailbox_push(&run.box, &l->mail);
}

static void *send_many(void *arg)
{
    int me = run.next_sender++;
    (void)arg;
    for (int i = 1; i <= EACH; i++)
        post(me, i);
    return NULL;
}

TEST(letters_arrive_once_and_in_order_of_each_sender)
{
    pthread_t t[THREADS];
    memset(&run, 0, sizeof(run));
    mailbox_init(&run.box);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(thread_start(&t[i], "sender", ROLE_ANY, send_many, NULL));
    while (run.received < THREADS * EACH)
        mail_run_all(mailbox_take(&run.box));
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    CHECK(mailbox_empty(&run.box));
    CHECK_INT(run.received, THREADS * EACH);
}

TEST(only_the_first_push_asks_for_a_wake_up)
{
    struct mailbox b;
    struct mail a = {0};
    struct mail c = {0};
    mailbox_init(&b);
    CHECK(mailbox_empty(&b));
    CHECK(mailbox_push(&b, &a));
    CHECK(!mailbox_push(&b, &c));
    struct mail *list = mailbox_take(&b);
    CHECK(list == &a && a.next == &c && !c.next);
    CHECK(!mailbox_take(&b));
    CHECK(mailbox_push(&b, &a));
}

static void *say_role(void *arg)
{
    int *seen = arg;
    char name[16];
    *seen = (int)thread_role();
    pthread_getname_np(pthread_self(), name, sizeof(name));
    return strcmp(name, "a-name-of-more-") == 0 ? arg : NULL;
}

TEST(a_thread_has_its_role_and_name)
{
    pthread_t t;
    int seen = -1;
    void *same = NULL;
    CHECK_OK(thread_start(&t, "a-name-of-more-than-15", ROLE_FLUSH, say_role, &seen));
    pthread_join(t, &same);
    CHECK_INT(seen, ROLE_FLUSH);
    CHECK(same == &seen);
    CHECK_INT(thread_role(), ROLE_ANY);
}
