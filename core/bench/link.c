/*
 * link - a connection of the load: cuts frames, counts what goes wrong
 */
#include "base/err.h"
#include "bench/run.h"

static int64_t on_input(struct conn *conn, const uint8_t *data, size_t len, size_t *need)
{
    struct link *l = conn_owner(conn);
    size_t at = 0;

    while (at < len && conn_is_open(conn)) {
        struct frame f;
        struct command cmd;
        int64_t n = frame_cut(data + at, len - at, FRAME_MAX_DEFAULT, &f, need);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        arena_reset(&l->arena);
        if (command_decode(&f, &l->arena, &cmd))
            return -1;
        if (cmd.flag &
            COMMAND_RESPONSE) /* what a broker asks of its clients is not our business */
            l->on_reply(l, &cmd);
        at += (size_t)n;
    }
    return (int64_t)at;
}

static void on_close(struct conn *conn)
{
    struct link *l = conn_owner(conn);

    l->conn = NULL;
    l->up = false;
    if (!l->done)
        stats_add(&l->w->run->tally.lost_links, 1);
    link_done(l);
}

static void on_connected(struct conn *conn, int rc)
{
    struct link *l = conn_owner(conn);

    if (rc)
        return; /* on_close comes next */
    l->up = true;
    l->on_up(l);
}

static const struct conn_ops ops = {.on_input = on_input, .on_close = on_close};

int link_connect(struct link *l)
{
    struct conn_limits limits = conn_limits_default;
    struct addr peer;

    int rc = addr_parse_literal(tl_str_of(l->addr), &peer);
    if (rc)
        return rc;
    limits.idle_ms = 0;
    limits.turn_bytes = 256 * 1024;
    limits.high_water = SIZE_MAX;
    arena_init(&l->arena, 0);
    l->conn = conn_connect(l->w->r, &peer, 5000, &ops, &limits, l, on_connected);
    return l->conn ? 0 : TL_ECLOSED;
}

void link_done(struct link *l)
{
    struct run *run = l->w->run;

    if (l->done)
        return;
    l->done = true;
    pthread_mutex_lock(&run->lock);
    if (l->sends)
        run->busy_senders--;
    else
        run->busy_pullers--;
    pthread_cond_signal(&run->changed);
    pthread_mutex_unlock(&run->lock);
}

void link_refused(struct link *l, const struct command *reply)
{
    struct run *run = l->w->run;
    bool first = stats_get(&run->tally.refused) == 0;

    stats_add(&run->tally.refused, 1);
    if (!first)
        return;
    pthread_mutex_lock(&run->lock);
    if (!run->first_refusal[0])
        snprintf(run->first_refusal, sizeof(run->first_refusal), "CODE: %d  DESC: %.*s",
                 reply->code, TL_STR_ARG(reply->remark));
    pthread_mutex_unlock(&run->lock);
}
