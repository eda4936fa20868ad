#include "ledger/books.h"

#include <string.h>

#include "ledger/budget.h"

static const struct span other = SPAN_INIT("other");

const char *books_kind_word(enum books_kind kind)
{
    switch (kind) {
    case BOOKS_KEY:
        return "key";
    case BOOKS_CLIENT:
        return "client";
    case BOOKS_MODEL:
        return "model";
    case BOOKS_PROVIDER:
    case BOOKS_KINDS:
        break;
    }
    return "provider";
}

const char *books_period_word(enum books_period period)
{
    switch (period) {
    case BOOKS_DAY:
        return "day";
    case BOOKS_MONTH:
        return "month";
    case BOOKS_ALL:
    case BOOKS_PERIODS:
        break;
    }
    return "all";
}

/* ---- rows ---- */

static void change(struct books *books, struct books_row *row)
{
    if (!list_is_linked(&row->changed))
        list_push_back(&books->changed, &row->changed);
}

/* The store takes no other, and refuses whatever is written beside it. */
static bool may_be_kept(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
            return false;
    }
    return name.len && name.len <= BOOKS_NAME_BYTES;
}

static struct books_row *row_of(struct books *books, enum books_kind kind, struct span name)
{
    struct roll *rows = &books->rows[kind];
    struct books_row *row = NULL;
    bool is_kept = may_be_kept(name);

    if (is_kept)
        row = roll_find(rows, name);
    /* The last place is kept for "other". */
    if (!row && is_kept && roll_count(rows) < BOOKS_MAX - 1)
        row = roll_find_or_add(rows, name);
    if (!row)
        row = roll_find_or_add(rows, other);
    if (row)
        row->kind = kind;
    return row;
}

static void add_to(struct books *books, enum books_kind kind, struct span name,
                   const struct use *use)
{
    struct books_row *row = row_of(books, kind, name);

    if (!row)
        return; /* without memory for even that one: the whole still has it */
    for (enum books_period period = 0; period < BOOKS_PERIODS; period++)
        use_add(&row->sums[period], use);
    change(books, row);
}

static struct span key_of(const struct use_of *of, char text[BOOKS_NAME_BYTES])
{
    size_t len = of->provider.len + 1 + of->key.len;

    if (!of->key.len || len > BOOKS_NAME_BYTES)
        return other;
    if (of->provider.len)
        memcpy(text, of->provider.ptr, of->provider.len);
    text[of->provider.len] = '/';
    memcpy(text + of->provider.len + 1, of->key.ptr, of->key.len);
    return span_of(text, len);
}

void books_add(struct books *books, const struct use_of *of, const struct use *use)
{
    char text[BOOKS_NAME_BYTES];

    add_to(books, BOOKS_KEY, key_of(of, text), use);
    add_to(books, BOOKS_CLIENT, of->client, use);
    add_to(books, BOOKS_MODEL, of->model, use);
    add_to(books, BOOKS_PROVIDER, of->provider, use);
    for (enum books_period period = 0; period < BOOKS_PERIODS; period++)
        use_add(&books->whole[period], use);
}

void books_give_back(struct books *books, enum books_kind kind, struct span name,
                     enum books_period period, uint64_t start_us, const struct use *use)
{
    struct books_row *row;

    if (start_us != books->start_us[period])
        return;
    row = row_of(books, kind, name);
    if (row)
        use_add(&row->sums[period], use);
    /* Every exchange had one provider. */
    if (kind == BOOKS_PROVIDER)
        use_add(&books->whole[period], use);
}

struct books_row *books_take_changed(struct books *books)
{
    struct list *link = list_pop_front(&books->changed);

    return link ? container_of(link, struct books_row, changed) : NULL;
}

void books_put_back(struct books *books, struct books_row *row)
{
    change(books, row);
}

/* ---- periods ---- */

static uint64_t start_of(enum books_period period, uint64_t wall_us)
{
    switch (period) {
    case BOOKS_DAY:
        return budget_period_start(BUDGET_DAY, wall_us);
    case BOOKS_MONTH:
        return budget_period_start(BUDGET_MONTH, wall_us);
    case BOOKS_ALL:
    case BOOKS_PERIODS:
        break;
    }
    return 0;
}

bool books_is_over(const struct books *books, uint64_t wall_us)
{
    return start_of(BOOKS_DAY, wall_us) > books->start_us[BOOKS_DAY];
}

static void clear(struct books *books, enum books_period period)
{
    for (enum books_kind kind = 0; kind < BOOKS_KINDS; kind++) {
        struct books_row *row = NULL;

        while ((row = roll_next(&books->rows[kind], row ? &row->record : NULL)))
            row->sums[period] = (struct use){.requests = 0};
    }
    books->whole[period] = (struct use){.requests = 0};
}

void books_turn(struct books *books, uint64_t wall_us)
{
    for (enum books_period period = 0; period < BOOKS_PERIODS; period++) {
        uint64_t start_us = start_of(period, wall_us);

        if (start_us <= books->start_us[period])
            continue;
        books->start_us[period] = start_us;
        clear(books, period);
    }
}

/* ---- life ---- */

void books_init(struct books *books, uint64_t wall_us)
{
    *books = (struct books){.start_us = {0}};
    list_init(&books->changed);
    for (enum books_kind kind = 0; kind < BOOKS_KINDS; kind++)
        roll_init(&books->rows[kind], sizeof(struct books_row), BOOKS_MAX, NULL);
    for (enum books_period period = 0; period < BOOKS_PERIODS; period++)
        books->start_us[period] = start_of(period, wall_us);
}

void books_fini(struct books *books)
{
    for (enum books_kind kind = 0; kind < BOOKS_KINDS; kind++)
        roll_fini(&books->rows[kind]);
}
