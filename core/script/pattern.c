#include "script/pattern.h"

#include <ctype.h>

#include "base/err.h"

/* ---- compiling ---------------------------------------------------------------------------- */

static void set_add(uint64_t set[4], uint8_t c)
{
    set[c >> 6] |= 1ull << (c & 63);
}

static bool set_has(const uint64_t set[4], uint8_t c)
{
    return set[c >> 6] >> (c & 63) & 1;
}

static void set_negate(uint64_t set[4])
{
    for (int i = 0; i < 4; i++)
        set[i] = ~set[i];
}

/* The ASCII classes: a locale changes nothing. */
static bool in_class(uint8_t c, char class)
{
    if (c >= 0x80)
        return false;
    switch (class) {
    case 'a': return isalpha(c);
    case 'c': return iscntrl(c);
    case 'd': return isdigit(c);
    case 'l': return islower(c);
    case 'p': return ispunct(c);
    case 's': return isspace(c);
    case 'u': return isupper(c);
    case 'w': return isalnum(c);
    case 'x': return isxdigit(c);
    default: return c == 0; /* z */
    }
}

/* Behind a %: a class (upper case: its complement) or the byte itself. */
static void set_add_escape(uint64_t set[4], uint8_t c)
{
    char class = (char)tolower(c);

    if (!strchr("acdlpsuwxz", class) || !class) {
        set_add(set, c);
        return;
    }
    for (int i = 0; i < 256; i++)
        if (in_class((uint8_t)i, class) != (c != (uint8_t) class))
            set_add(set, (uint8_t)i);
}

struct compiler {
    struct tl_str text;
    size_t at;
    struct pattern *out;
    uint8_t open[PATTERN_CAPTURES_MAX]; /* captures not closed yet */
    int open_count;
};

static int bad(const struct compiler *c, const char *what)
{
    return tl_fail(TL_EFORMAT, "pattern: %s at character %zu", what, c->at + 1);
}

static int peek(const struct compiler *c)
{
    return c->at < c->text.len ? (uint8_t)c->text.data[c->at] : -1;
}

static int next(struct compiler *c)
{
    int b = peek(c);
    if (b >= 0)
        c->at++;
    return b;
}

/* Behind the [. */
static int compile_set(struct compiler *c, uint64_t set[4])
{
    bool negate = peek(c) == '^', first = true;

    if (negate)
        c->at++;
    for (;; first = false) {
        int from = next(c);
        if (from < 0)
            return bad(c, "[ without its ]");
        if (from == ']' && !first)
            break;
        if (from == '%') {
            int escaped = next(c);
            if (escaped < 0)
                return bad(c, "% at the end");
            set_add_escape(set, (uint8_t)escaped);
            continue;
        }
        int to = from;
        if (peek(c) == '-' && c->at + 1 < c->text.len && c->text.data[c->at + 1] != ']') {
            c->at++;
            to = next(c);
        }
        for (int b = from; b <= to; b++)
            set_add(set, (uint8_t)b);
    }
    if (negate)
        set_negate(set);
    return 0;
}

static int compile_capture(struct compiler *c, struct pattern_item *item, int byte)
{
    struct pattern *p = c->out;

    if (byte == ')') {
        if (!c->open_count)
            return bad(c, ") without its (");
        item->kind = PATTERN_CLOSE;
        item->a = c->open[--c->open_count];
        return 0;
    }
    if (p->captures_count == PATTERN_CAPTURES_MAX)
        return bad(c, "more than 32 captures");
    item->a = (uint8_t)p->captures_count++;
    if (peek(c) == ')') {
        c->at++;
        item->kind = PATTERN_POSITION;
        return 0;
    }
    item->kind = PATTERN_OPEN;
    c->open[c->open_count++] = item->a;
    return 0;
}

static int compile_back(struct compiler *c, struct pattern_item *item, int digit)
{
    int index = digit - '1';
    bool usable = index >= 0 && index < c->out->captures_count;

    for (int i = 0; i < c->open_count; i++)
        usable = usable && c->open[i] != index;
    if (!usable)
        return bad(c, "% with the number of a capture that is not complete");
    item->kind = PATTERN_BACK;
    item->a = (uint8_t)index;
    return 0;
}

/* Behind the %; what it says is no plain set gets its kind. */
static int compile_escape(struct compiler *c, struct pattern_item *item)
{
    int byte = next(c);

    if (byte < 0)
        return bad(c, "% at the end");
    if (byte == 'b') {
        int a = next(c), b = next(c);
        if (b < 0)
            return bad(c, "%b needs two characters");
        item->kind = PATTERN_BALANCE;
        item->a = (uint8_t)a;
        item->b = (uint8_t)b;
        return 0;
    }
    if (byte == 'f') {
        if (next(c) != '[')
            return bad(c, "%f needs a set");
        item->kind = PATTERN_FRONTIER;
        return compile_set(c, item->set);
    }
    if (isdigit(byte))
        return compile_back(c, item, byte);
    set_add_escape(item->set, (uint8_t)byte);
    return 0;
}

static int compile_item(struct compiler *c, struct pattern_item *item)
{
    int byte = next(c), rc = 0;

    switch (byte) {
    case '(':
    case ')': return compile_capture(c, item, byte);
    case '$':
        if (c->at == c->text.len) {
            item->kind = PATTERN_FINISH;
            return 0;
        }
        set_add(item->set, '$');
        break;
    case '.': set_negate(item->set); break;
    case '[': rc = compile_set(c, item->set); break;
    case '%': rc = compile_escape(c, item); break;
    default: set_add(item->set, (uint8_t)byte);
    }
    if (!rc && item->kind == PATTERN_SET && peek(c) > 0 && strchr("*+-?", peek(c)))
        item->quantifier = (uint8_t)next(c);
    return rc;
}

int pattern_compile(struct tl_str text, struct pattern *out)
{
    struct compiler c = {.text = text, .out = out};

    out->items_count = out->captures_count = 0;
    out->anchored = text.len && text.data[0] == '^';
    c.at = out->anchored ? 1 : 0;
    while (c.at < text.len) {
        if (out->items_count == PATTERN_ITEMS_MAX)
            return tl_fail(TL_ELIMIT, "pattern: more than %d items", PATTERN_ITEMS_MAX);
        struct pattern_item *item = &out->items[out->items_count++];
        memset(item, 0, sizeof(*item));
        int rc = compile_item(&c, item);
        if (rc)
            return rc;
    }
    return c.open_count ? bad(&c, "( without its )") : 0;
}

/* ---- matching ----------------------------------------------------------------------------- */

struct run {
    const struct pattern *p;
    const char *start, *end;
    struct pattern_match *out;
    int64_t steps;
    bool over;
};

enum { OPEN_CAPTURE = -2 };

/* Recursion goes from item to item, so it is no deeper than PATTERN_ITEMS_MAX. */
static const char *match(struct run *r, int i, const char *s);

static bool spend(struct run *r)
{
    if (--r->steps < 0)
        r->over = true;
    return !r->over;
}

static bool fits(const struct run *r, const struct pattern_item *item, const char *s)
{
    return s < r->end && set_has(item->set, (uint8_t)*s);
}

/* As many as there are, then fewer until the rest fits. */
static const char *match_greedy(struct run *r, int i, const char *s, const char *least)
{
    const char *at = s;

    while (fits(r, &r->p->items[i], at)) {
        if (!spend(r))
            return NULL;
        at++;
    }
    for (; at >= least && !r->over; at--) {
        const char *to = match(r, i + 1, at);
        if (to)
            return to;
    }
    return NULL;
}

static const char *match_lazy(struct run *r, int i, const char *s)
{
    while (!r->over) {
        const char *to = match(r, i + 1, s);
        if (to)
            return to;
        if (!fits(r, &r->p->items[i], s) || !spend(r))
            return NULL;
        s++;
    }
    return NULL;
}

static const char *match_balance(struct run *r, const struct pattern_item *item, const char *s)
{
    int64_t level = 1;

    if (s >= r->end || (uint8_t)*s != item->a)
        return NULL;
    for (s++; s < r->end && spend(r); s++) {
        if ((uint8_t)*s == item->b) {
            if (--level == 0)
                return s + 1;
        } else if ((uint8_t)*s == item->a) {
            level++;
        }
    }
    return NULL;
}

static const char *match_back(struct run *r, const struct pattern_item *item, const char *s)
{
    const char *from = r->start + r->out->captures[item->a].from;
    ptrdiff_t len = r->out->captures[item->a].len;

    if (len <= 0)
        return s;
    r->steps -= len / 16;
    return r->end - s >= len && memcmp(from, s, (size_t)len) == 0 ? s + len : NULL;
}

static bool at_frontier(const struct run *r, const struct pattern_item *item, const char *s)
{
    uint8_t before = s == r->start ? 0 : (uint8_t)s[-1];
    uint8_t here = s == r->end ? 0 : (uint8_t)*s;
    return !set_has(item->set, before) && set_has(item->set, here);
}

/* Set a capture, match the rest, take it back when that fails. */
static const char *match_capture(struct run *r, int i, const char *s)
{
    const struct pattern_item *item = &r->p->items[i];
    size_t from = r->out->captures[item->a].from;
    ptrdiff_t len = r->out->captures[item->a].len;

    if (item->kind == PATTERN_CLOSE) {
        r->out->captures[item->a].len = s - (r->start + from);
    } else {
        r->out->captures[item->a].from = (size_t)(s - r->start);
        r->out->captures[item->a].len = item->kind == PATTERN_POSITION ? -1 : OPEN_CAPTURE;
    }
    const char *to = match(r, i + 1, s);
    if (!to) {
        r->out->captures[item->a].from = from;
        r->out->captures[item->a].len = len;
    }
    return to;
}

/* Where a match of the items from @i on that begins at @s ends; NULL when there is none. */
static const char *match(struct run *r, int i, const char *s)
{
    for (; s && i < r->p->items_count; i++) {
        const struct pattern_item *item = &r->p->items[i];
        if (!spend(r))
            return NULL;
        switch ((enum pattern_kind)item->kind) {
        case PATTERN_OPEN:
        case PATTERN_CLOSE:
        case PATTERN_POSITION: return match_capture(r, i, s);
        case PATTERN_BACK: s = match_back(r, item, s); break;
        case PATTERN_BALANCE: s = match_balance(r, item, s); break;
        case PATTERN_FRONTIER: s = at_frontier(r, item, s) ? s : NULL; break;
        case PATTERN_FINISH: s = s == r->end ? s : NULL; break;
        case PATTERN_SET:
            switch (item->quantifier) {
            case '*': return match_greedy(r, i, s, s);
            case '+': return match_greedy(r, i, s, s + 1);
            case '-': return match_lazy(r, i, s);
            case '?': {
                const char *to = fits(r, item, s) ? match(r, i + 1, s + 1) : NULL;
                if (to)
                    return to;
                break;
            }
            default: s = fits(r, item, s) ? s + 1 : NULL;
            }
        }
    }
    return r->over ? NULL : s;
}

enum pattern_result pattern_find(const struct pattern *p, struct tl_str subject, size_t from,
                                 int64_t *steps, struct pattern_match *out)
{
    const char *start = subject.data ? subject.data : "";
    struct run r = {.p = p, .start = start, .end = start + subject.len, .out = out};
    enum pattern_result result = PATTERN_MISS;

    r.steps = *steps;
    out->captures_count = p->captures_count;
    for (const char *s = start + from; s <= r.end && !r.over; s++) {
        memset(out->captures, 0, sizeof(out->captures[0]) * (size_t)p->captures_count);
        const char *to = match(&r, 0, s);
        if (to) {
            out->from = (size_t)(s - start);
            out->to = (size_t)(to - start);
            result = PATTERN_HIT;
            break;
        }
        if (p->anchored || !spend(&r))
            break;
    }
    *steps = r.steps;
    return r.over ? PATTERN_OVER : result;
}

/* ---- wildcards ---------------------------------------------------------------------------- */

/* The item at @*at of @p against @c; moves *at behind the item. */
static bool wildcard_fits(struct tl_str p, size_t *at, char c)
{
    char kind = p.data[(*at)++];

    if (kind == '?')
        return true;
    if (kind == '\\' && *at < p.len)
        return p.data[(*at)++] == c;
    const char *close =
        kind == '[' && *at + 1 < p.len ? memchr(p.data + *at + 1, ']', p.len - *at - 1) : NULL;
    if (!close) /* an ordinary byte, also a [ that is never closed */
        return kind == c;
    const char *s = p.data + *at;
    bool negate = *s == '!' && s + 1 < close, found = false;
    for (s += negate; s < close; s++) {
        uint8_t low = (uint8_t)*s, high = low;
        if (s + 2 < close && s[1] == '-') {
            high = (uint8_t)s[2];
            s += 2;
        }
        found = found || ((uint8_t)c >= low && (uint8_t)c <= high);
    }
    *at = (size_t)(close - p.data) + 1;
    return found != negate;
}

enum pattern_result pattern_wildcard(struct tl_str pattern, struct tl_str text, int64_t *steps)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;

    /* A later star never needs an earlier one to give way, so one place to go back to is enough. */
    while (t < text.len || p < pattern.len) {
        if (--*steps < 0)
            return PATTERN_OVER;
        if (p < pattern.len && pattern.data[p] == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        if (p < pattern.len && t < text.len) {
            size_t next_p = p;
            if (wildcard_fits(pattern, &next_p, text.data[t])) {
                p = next_p;
                t++;
                continue;
            }
        }
        if (star == SIZE_MAX || star_text >= text.len)
            return PATTERN_MISS;
        p = star;
        t = ++star_text;
    }
    return PATTERN_HIT;
}
