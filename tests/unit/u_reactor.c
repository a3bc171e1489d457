#include "net/reactor.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/timer.h"
#include "net/wheel.h"
#include "t.h"
#include "tally.h"

/*
 * A reactor on the test's own thread: step(n) is a mail of turn n and returns false in the last
 * one.  Mails come before timers and hooks in a turn, so a step sees what the turn before did.
 */
static struct drive {
    struct mail mail;
    struct reactor *r;
    bool (*step)(int n);
    int n;
} drive;

static void drive_run(struct mail *m)
{
    if (drive.step(drive.n++))
        reactor_post(drive.r, m);
    else
        reactor_stop(drive.r);
}

static void run_steps(bool (*step)(int n))
{
    drive = (struct drive){.mail.run = drive_run, .step = step};
    CHECK_OK(reactor_new(&drive.r, "test"));
    reactor_post(drive.r, &drive.mail);
    reactor_run(drive.r);
    reactor_free(drive.r);
}

/* ---- mails -------------------------------------------------------------------------------- */

enum { LETTERS = 1000, CALLERS = 4 };

static struct letter {
    struct mail mail;
    int number;
    struct reactor *r;
} letters[LETTERS];
static int received[LETTERS], nreceived;
static bool at_home;

static void receive(struct mail *m)
{
    struct letter *l = (struct letter *)m;
    at_home &= reactor_is_own(l->r) && reactor_current() == l->r;
    received[nreceived++] = l->number;
}

static void write_letters(struct reactor *r)
{
    nreceived = 0;
    at_home = true;
    for (int i = 0; i < LETTERS; i++)
        letters[i] = (struct letter){.mail.run = receive, .number = i, .r = r};
}

static void check_all_received(void)
{
    CHECK_INT(nreceived, LETTERS);
    for (int i = 0; i < LETTERS; i++)
        CHECK_INT(received[i], i);
    CHECK(at_home);
}

static void end_thread(struct reactor *r)
{
    reactor_stop(r);
    reactor_join(r);
    reactor_free(r);
}

TEST(mails_posted_before_the_stop_are_run_in_order_on_the_reactor)
{
    struct reactor *r;

    CHECK_OK(reactor_start(&r, "test", ROLE_ANY));
    CHECK(!reactor_is_own(r));
    CHECK(!reactor_current());
    write_letters(r);
    for (int i = 0; i < LETTERS; i++)
        reactor_post(r, &letters[i].mail);
    reactor_stop(r);
    reactor_join(r);
    check_all_received();
    reactor_free(r);
}

TEST(mails_left_when_the_loop_has_ended_are_run_by_free)
{
    struct reactor *r;

    CHECK_OK(reactor_start(&r, "test", ROLE_ANY));
    reactor_stop(r);
    reactor_join(r);
    write_letters(r);
    for (int i = 0; i < LETTERS; i++)
        reactor_post(r, &letters[i].mail);
    CHECK_INT(nreceived, 0);
    reactor_free(r);
    check_all_received();
    CHECK(!reactor_current());
}

static void pass_on(struct mail *m)
{
    struct letter *l = (struct letter *)m;

    receive(m);
    if (l->number + 1 < LETTERS)
        reactor_post(l->r, &letters[l->number + 1].mail);
}

TEST(mails_that_mails_post_are_run_even_after_the_stop)
{
    struct reactor *r;

    CHECK_OK(reactor_new(&r, "test"));
    write_letters(r);
    for (int i = 0; i < LETTERS; i++)
        letters[i].mail.run = pass_on;
    reactor_stop(r);
    reactor_post(r, &letters[0].mail);
    reactor_run(r);
    check_all_received();
    CHECK_INT(reactor_turns(r), LETTERS);
    reactor_free(r);
}

TEST(mails_left_for_free_may_post_further_ones)
{
    struct reactor *r;

    CHECK_OK(reactor_new(&r, "test"));
    write_letters(r);
    for (int i = 0; i < LETTERS; i++)
        letters[i].mail.run = pass_on;
    reactor_post(r, &letters[0].mail);
    reactor_free(r);
    check_all_received();
}

struct sum {
    struct reactor *r;
    int64_t total; /* of the reactor's thread */
};

static void add_one(void *arg)
{
    struct sum *s = arg;
    s->total++;
}

static void *call_often(void *arg)
{
    struct sum *s = arg;
    for (int i = 0; i < LETTERS; i++)
        reactor_call(s->r, add_one, s);
    return NULL;
}

TEST(calls_of_many_threads_return_when_they_have_run)
{
    pthread_t callers[CALLERS];
    struct sum s = {.total = 0}, mine;

    CHECK_OK(reactor_start(&s.r, "test", ROLE_ANY));
    mine = (struct sum){.r = s.r};
    for (int i = 0; i < CALLERS; i++)
        CHECK_OK(thread_start(&callers[i], "caller", ROLE_ANY, call_often, &s));
    for (int i = 1; i <= LETTERS; i++) {
        reactor_call(s.r, add_one, &mine);
        CHECK_INT(mine.total, i);
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    end_thread(s.r);
    CHECK_INT(s.total, CALLERS * LETTERS);
}

/* ---- hooks -------------------------------------------------------------------------------- */

static struct named_hook {
    struct turn_hook hook;
    char letter;
} hooks[TURN_ORDERS];
static char order_seen[64];
static int nseen;

static void note_hook(struct turn_hook *h)
{
    order_seen[nseen++] = ((struct named_hook *)h)->letter;
    order_seen[nseen] = '\0';
}

static void prepare_hooks(void)
{
    nseen = 0;
    order_seen[0] = '\0';
    for (int i = 0; i < TURN_ORDERS; i++)
        hooks[i] = (struct named_hook){.hook.run = note_hook, .letter = (char)('a' + i)};
}

static bool schedule_backwards(int n)
{
    if (n > 0)
        return false;
    for (int i = TURN_ORDERS - 1; i >= 0; i--) {
        reactor_at_turn_end(drive.r, (enum turn_order)i, &hooks[i].hook);
        reactor_at_turn_end(drive.r, (enum turn_order)i, &hooks[i].hook);
    }
    CHECK_INT(nseen, 0);
    return true;
}

TEST(hooks_run_once_in_their_order_at_the_end_of_the_turn)
{
    prepare_hooks();
    run_steps(schedule_backwards);
    CHECK_STR(order_seen, "abcde");
}

static bool schedule_alike(int n)
{
    if (n == 0) {
        reactor_at_turn_end(drive.r, TURN_REPLY, &hooks[1].hook);
        reactor_at_turn_end(drive.r, TURN_REPLY, &hooks[0].hook);
        reactor_at_turn_end(drive.r, TURN_REPLY, &hooks[2].hook);
    } else {
        CHECK_STR(order_seen, "bac");
    }
    return n == 0;
}

TEST(hooks_of_one_order_run_as_they_were_scheduled)
{
    prepare_hooks();
    run_steps(schedule_alike);
    CHECK_STR(order_seen, "bac");
}

static int again_left;

/* The flush finds that something is to be appended, and that it has to come again. */
static void flush_schedules(struct turn_hook *h)
{
    note_hook(h);
    if (again_left-- > 0) {
        reactor_at_turn_end(drive.r, TURN_FLUSH, h);
        reactor_at_turn_end(drive.r, TURN_FREE, &hooks[TURN_FREE].hook);
        reactor_at_turn_end(drive.r, TURN_APPEND, &hooks[TURN_APPEND].hook);
    }
}

static bool schedule_a_scheduler(int n)
{
    if (n == 0) {
        hooks[TURN_FLUSH].hook.run = flush_schedules;
        reactor_at_turn_end(drive.r, TURN_FLUSH, &hooks[TURN_FLUSH].hook);
    } else {
        CHECK_STR(order_seen, "dbdbde"); /* all of it in the turn before */
    }
    return n == 0;
}

TEST(hooks_scheduled_by_hooks_run_in_the_same_turn_lower_orders_first)
{
    prepare_hooks();
    again_left = 2;
    run_steps(schedule_a_scheduler);
    CHECK_STR(order_seen, "dbdbde");
}

static void schedule_at_free(struct mail *m)
{
    (void)m;
    reactor_at_turn_end(drive.r, TURN_FREE, &hooks[TURN_FREE].hook);
    reactor_at_turn_end(drive.r, TURN_WAKE, &hooks[TURN_WAKE].hook);
}

TEST(hooks_of_mails_left_over_are_run_by_free)
{
    struct mail m = {.run = schedule_at_free};

    prepare_hooks();
    CHECK_OK(reactor_new(&drive.r, "test"));
    reactor_post(drive.r, &m);
    reactor_free(drive.r);
    CHECK_STR(order_seen, "ae");
}

TEST(the_layer_above_has_a_slot)
{
    struct reactor *r;

    CHECK_OK(reactor_new(&r, "test"));
    CHECK(!reactor_local(r));
    reactor_set_local(r, &drive);
    CHECK(reactor_local(r) == &drive);
    reactor_free(r);
}

/* ---- timers, on the fake clock ------------------------------------------------------------ */

enum { TIMERS = 64, ROUND_MS = WHEEL_SLOTS * WHEEL_TICK_MS };

static struct alarm {
    struct timer timer; /* first */
    int64_t fired_ms;   /* when it fired last; -1 = not yet */
    int fired;
} alarms[TIMERS];

static void ring(struct timer *t)
{
    struct alarm *a = (struct alarm *)t;
    CHECK(!timer_is_set(t));
    a->fired++;
    a->fired_ms = reactor_now_ms(drive.r);
}

static void run_timed(bool (*step)(int n))
{
    clock_fake(1700000000000);
    for (int i = 0; i < TIMERS; i++) {
        alarms[i] = (struct alarm){.fired_ms = -1};
        timer_init(&alarms[i].timer, ring);
    }
    run_steps(step);
    clock_real();
}

static void set_alarm(int i, int64_t delay_ms)
{
    timer_set(drive.r, &alarms[i].timer, delay_ms);
    CHECK(timer_is_set(&alarms[i].timer));
}

/* One turn per millisecond: timer i is due at i. */
static bool each_millisecond(int n)
{
    if (n == 0) {
        for (int i = 0; i < TIMERS; i++)
            set_alarm(i, i);
    }
    clock_advance_ms(1);
    return n < TIMERS + WHEEL_TICK_MS;
}

TEST(a_timer_fires_once_never_early_and_at_most_a_tick_late)
{
    run_timed(each_millisecond);
    for (int i = 0; i < TIMERS; i++) {
        CHECK_INT(alarms[i].fired, 1);
        CHECK(alarms[i].fired_ms >= i);
        CHECK(alarms[i].fired_ms <= i + WHEEL_TICK_MS);
    }
}

static bool clear_and_move(int n)
{
    if (n == 0) {
        set_alarm(0, 100);
        set_alarm(1, 100);
        set_alarm(2, 100);
        set_alarm(3, 100);
        timer_clear(drive.r, &alarms[0].timer);
        CHECK(!timer_is_set(&alarms[0].timer));
        timer_clear(drive.r, &alarms[0].timer); /* of no effect */
        set_alarm(1, 300);
        set_alarm(2, 20);
    }
    if (n == 5)
        timer_clear(drive.r, &alarms[3].timer);
    clock_advance_ms(10);
    return n < 50;
}

TEST(a_cleared_timer_stays_silent_and_a_moved_one_fires_at_its_new_time)
{
    run_timed(clear_and_move);
    CHECK_INT(alarms[0].fired, 0);
    CHECK_INT(alarms[1].fired, 1);
    CHECK_INT(alarms[1].fired_ms, 300);
    CHECK_INT(alarms[2].fired, 1);
    CHECK_INT(alarms[2].fired_ms, 20);
    CHECK_INT(alarms[3].fired, 0);
}

/* Whoever of a slot comes first clears all of its neighbours. */
static void ring_alone(struct timer *t)
{
    ring(t);
    for (int i = 0; i < TIMERS; i++)
        timer_clear(drive.r, &alarms[i].timer);
}

static bool neighbours(int n)
{
    for (int i = 0; i < TIMERS && n == 0; i++) {
        alarms[i].timer.fire = ring_alone;
        set_alarm(i, 50);
    }
    clock_advance_ms(10);
    return n < 10;
}

TEST(a_callback_may_clear_its_neighbours)
{
    int fired = 0;

    run_timed(neighbours);
    for (int i = 0; i < TIMERS; i++)
        fired += alarms[i].fired;
    CHECK_INT(fired, 1);
}

static void ring_again(struct timer *t)
{
    ring(t);
    timer_set(drive.r, t, t == &alarms[0].timer ? 30 : 0);
}

static bool periods(int n)
{
    if (n == 0) {
        alarms[0].timer.fire = alarms[1].timer.fire = ring_again;
        set_alarm(0, 30);
        set_alarm(1, 0);
    }
    clock_advance_ms(10);
    return n < 90;
}

TEST(a_callback_may_set_its_timer_again_without_keeping_the_turn)
{
    run_timed(periods);
    CHECK_INT(alarms[0].fired, 30);
    CHECK(alarms[1].fired >= 80 && alarms[1].fired <= 92); /* once a tick, not more */
}

static bool far(int n)
{
    if (n == 0) {
        set_alarm(0, ROUND_MS + 50);
        set_alarm(1, 3 * ROUND_MS);
        set_alarm(2, 50); /* the slot of the first one, two rounds before */
    }
    CHECK(alarms[0].fired == 0 || reactor_now_ms(drive.r) >= ROUND_MS + 50);
    clock_advance_ms(10);
    return n <= 3 * WHEEL_SLOTS + 1;
}

TEST(timers_beyond_the_wheels_turn_wait_for_their_round)
{
    run_timed(far);
    CHECK_INT(alarms[0].fired, 1);
    CHECK_INT(alarms[0].fired_ms, ROUND_MS + 50);
    CHECK_INT(alarms[1].fired, 1);
    CHECK_INT(alarms[1].fired_ms, 3 * ROUND_MS);
    CHECK_INT(alarms[2].fired, 1);
    CHECK_INT(alarms[2].fired_ms, 50);
}

static bool leap(int n)
{
    if (n == 0) {
        set_alarm(0, 50);
        set_alarm(1, 2 * ROUND_MS);
        set_alarm(2, 5 * ROUND_MS + 10);
        clock_advance_ms(5 * ROUND_MS); /* a process that was stopped */
    } else if (n == 1) {
        /* set before the wheel has caught up */
        set_alarm(3, 40);
        clock_advance_ms(10);
    } else {
        clock_advance_ms(10);
    }
    return n < 10;
}

TEST(timers_overtaken_by_a_leap_of_time_fire_at_once_and_later_ones_in_time)
{
    run_timed(leap);
    for (int i = 0; i < 4; i++)
        CHECK_INT(alarms[i].fired, 1);
    CHECK_INT(alarms[0].fired_ms, 5 * ROUND_MS);
    CHECK_INT(alarms[1].fired_ms, 5 * ROUND_MS);
    CHECK_INT(alarms[2].fired_ms, 5 * ROUND_MS + 10);
    CHECK_INT(alarms[3].fired_ms, 5 * ROUND_MS + 40);
}

static int64_t begun_ms;

static void ring_last(struct timer *t)
{
    (void)t;
    reactor_stop(drive.r);
}

static void set_last(struct mail *m)
{
    (void)m;
    begun_ms = reactor_now_ms(drive.r);
    timer_set(drive.r, &alarms[0].timer, 60);
}

TEST(the_loop_sleeps_until_the_next_timer)
{
    struct mail m = {.run = set_last};

    CHECK_OK(reactor_new(&drive.r, "test"));
    timer_init(&alarms[0].timer, ring_last);
    reactor_post(drive.r, &m);
    reactor_run(drive.r);
    CHECK(reactor_now_ms(drive.r) - begun_ms >= 60);
    CHECK(reactor_turns(drive.r) < 20); /* it slept */
    reactor_free(drive.r);
}
