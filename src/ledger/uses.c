#include "ledger/uses.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/roll.h"
#include "base/word.h"

struct used {
    struct roll_record record; /* by the four names, with newlines between them */
    struct use_of of;          /* the same four, borrowed of it; empty until it is first noted */
    struct use use;
};

/* One of two; the other one is being read. */
struct page {
    struct roll by_names; /* struct used */
    struct used *last;    /* that was noted; often the next one is of the same four. NULL: none */
    struct use other;     /* what found no room */
};

struct uses {
    struct page pages[2];
    unsigned written; /* the worker's page; the other one is the control thread's while is_handed */
    struct {
        atomic_bool has_more;  /* a hint, relaxed: found late, it is found a second later */
        atomic_bool is_handed; /* set with release when the page is handed over, and taken back with
                                  release when it was read: whoever finds the other's value with
                                  acquire has the page as it was left */
    } shared;
};

static const size_t names_max = USES_NAME_BYTES;

static bool put(char *text, size_t *len, struct span name)
{
    if (name.len >= names_max - *len)
        return false;
    if (name.len)
        memcpy(text + *len, name.ptr, name.len);
    *len += name.len;
    text[(*len)++] = '\n';
    return true;
}

static struct use_of names_of(struct span text)
{
    struct span names[4];

    for (size_t i = 0; i < 4; i++) {
        size_t len = span_find_byte(text, '\n');

        names[i] = span_of(text.ptr, len);
        text = span_skip(text, len + 1);
    }
    return (struct use_of){names[0], names[1], names[2], names[3]};
}

static bool is_of(const struct used *used, const struct use_of *of)
{
    return word_is_equal(used->of.client, of->client) && word_is_equal(used->of.key, of->key) &&
           word_is_equal(used->of.model, of->model) &&
           word_is_equal(used->of.provider, of->provider);
}

/* NULL: there is no room. */
static struct used *find(struct page *page, const struct use_of *of)
{
    char text[USES_NAME_BYTES];
    struct used *used = NULL;
    size_t len = 0;

    if (put(text, &len, of->client) && put(text, &len, of->model) &&
        put(text, &len, of->provider) && put(text, &len, of->key))
        used = roll_find_or_add(&page->by_names, span_of(text, len));
    if (used)
        used->of = names_of(used->record.name);
    return used;
}

void uses_note(struct uses *uses, const struct use_of *of, const struct use *use)
{
    struct page *page = &uses->pages[uses->written];

    if (!page->last || !is_of(page->last, of))
        page->last = find(page, of);
    use_add(page->last ? &page->last->use : &page->other, use);
    if (!uses_has_more(uses))
        atomic_store_explicit(&uses->shared.has_more, true, memory_order_relaxed);
}

bool uses_has_more(const struct uses *uses)
{
    return atomic_load_explicit(&uses->shared.has_more, memory_order_relaxed);
}

void uses_hand_over(struct uses *uses)
{
    if (atomic_load_explicit(&uses->shared.is_handed, memory_order_acquire))
        return;
    uses->written = !uses->written;
    atomic_store_explicit(&uses->shared.has_more, false, memory_order_relaxed);
    atomic_store_explicit(&uses->shared.is_handed, true, memory_order_release);
}

void uses_collect(struct uses *uses,
                  void (*tell)(void *owner, const struct use_of *of, const struct use *use),
                  void *owner)
{
    static const struct use_of nobody = {SPAN_INIT("other"), SPAN_INIT("other"), SPAN_INIT("other"),
                                         SPAN_INIT("other")};
    struct used *used = NULL;
    struct page *page;

    if (!atomic_load_explicit(&uses->shared.is_handed, memory_order_acquire))
        return;
    page = &uses->pages[!uses->written];
    while ((used = roll_next(&page->by_names, used ? &used->record : NULL))) {
        tell(owner, &used->of, &used->use);
    }
    page->last = NULL;
    roll_sweep(&page->by_names); /* none is marked: all go */
    if (page->other.requests)
        tell(owner, &nobody, &page->other);
    page->other = (struct use){.requests = 0};
    atomic_store_explicit(&uses->shared.is_handed, false, memory_order_release);
}

struct uses *uses_new(void)
{
    struct uses *uses = mem_zalloc(1, sizeof(*uses));

    if (!uses)
        return NULL;
    for (unsigned i = 0; i < 2; i++)
        roll_init(&uses->pages[i].by_names, sizeof(struct used), USES_MAX, NULL);
    return uses;
}

void uses_free(struct uses **place)
{
    struct uses *uses = *place;

    *place = NULL;
    if (!uses)
        return;
    for (unsigned i = 0; i < 2; i++)
        roll_fini(&uses->pages[i].by_names);
    mem_free(uses);
}
