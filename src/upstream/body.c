#include "upstream/body.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"

void body_budget_init(struct body_budget *budget, uint64_t max_bytes)
{
    atomic_init(&budget->shared.leased, 0);
    atomic_init(&budget->shared.max, max_bytes);
}

void body_lease_init(struct body_lease *lease, struct body_budget *budget)
{
    *lease = (struct body_lease){.budget = budget};
}

static void give_back(struct body_lease *lease, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&lease->budget->shared.leased, bytes, memory_order_relaxed);
    lease->leased -= bytes;
    lease->shared_writes++;
}

void body_lease_fini(struct body_lease *lease)
{
    bug_fatal_unless(lease->used == 0);
    give_back(lease, lease->leased);
    for (size_t i = 0; i < BODY_SIZES; i++) {
        struct body *body;

        while ((body = lease->spares[i])) {
            lease->spares[i] = body->next;
            mem_free(body);
        }
    }
}

int body_lease_take(struct body_lease *lease, uint64_t bytes)
{
    uint64_t max = atomic_load_explicit(&lease->budget->shared.max, memory_order_relaxed);
    uint64_t more;

    if (lease->used + bytes > lease->leased) {
        more = lease->used + bytes - lease->leased;
        more = (more + BODY_LEASE_BYTES - 1) / BODY_LEASE_BYTES * BODY_LEASE_BYTES;
        lease->shared_writes++;
        if (atomic_fetch_add_explicit(&lease->budget->shared.leased, more, memory_order_relaxed) +
                more >
            max) {
            atomic_fetch_sub_explicit(&lease->budget->shared.leased, more, memory_order_relaxed);
            lease->shared_writes++;
            return ERR_FULL;
        }
        lease->leased += more;
    }
    lease->used += bytes;
    return 0;
}

void body_lease_give(struct body_lease *lease, uint64_t bytes)
{
    lease->used -= bytes;
    /* Keeps a little for the next body, so that the shared count rests on the warm path. */
    if (lease->leased - lease->used >= 3 * (uint64_t)BODY_LEASE_BYTES)
        give_back(lease, (lease->leased - lease->used) / BODY_LEASE_BYTES * BODY_LEASE_BYTES -
                             BODY_LEASE_BYTES);
}

void body_lease_move(struct body_lease *from, struct body_lease *to, uint64_t bytes)
{
    from->used -= bytes;
    from->leased -= bytes;
    to->used += bytes;
    to->leased += bytes;
}

static struct body_block *block_new(struct body *body, size_t cap)
{
    struct body_block *block;

    if (body_lease_take(body->lease, cap))
        return NULL;
    block = mem_alloc(sizeof(*block) + cap);
    if (!block) {
        body_lease_give(body->lease, cap);
        return NULL;
    }
    *block = (struct body_block){.cap = cap};
    body->held += cap;
    if (body->last)
        body->last->next = block;
    else
        body->first = block;
    body->last = block;
    return block;
}

/* The size of a small body, in steps, that holds so many bytes; 0: none does, or they are not
 * known. */
static unsigned size_for(uint64_t expected)
{
    uint64_t size = (expected + BODY_SIZE_STEP - 1) / BODY_SIZE_STEP;

    return size <= BODY_SIZES ? (unsigned)size : 0;
}

/* Memory of a small body, a spare one before a new one. */
static struct body *small_memory(struct body_lease *lease, unsigned size)
{
    struct body *body = lease->spares[size - 1];

    if (!body)
        return mem_alloc(sizeof(struct body) + sizeof(struct body_block) +
                         (size_t)size * BODY_SIZE_STEP);
    lease->spares[size - 1] = body->next;
    lease->spare_bytes -= (size_t)size * BODY_SIZE_STEP;
    return body;
}

/* Its one block stands behind it. */
static struct body *small_new(struct body_lease *lease, unsigned size)
{
    size_t cap = (size_t)size * BODY_SIZE_STEP;
    struct body_block *block;
    struct body *body;

    if (body_lease_take(lease, cap))
        return NULL;
    body = small_memory(lease, size);
    if (!body) {
        body_lease_give(lease, cap);
        return NULL;
    }
    block = (struct body_block *)(body + 1);
    *block = (struct body_block){.cap = cap};
    *body = (struct body){
        .lease = lease, .refs = 1, .size = size, .held = cap, .first = block, .last = block};
    return body;
}

static void small_free(struct body *body)
{
    struct body_lease *lease = body->lease;
    size_t bytes = (size_t)body->size * BODY_SIZE_STEP;

    if (lease->spare_bytes + bytes > BODY_SPARE_BYTES) {
        mem_free(body);
        return;
    }
    body->next = lease->spares[body->size - 1];
    lease->spares[body->size - 1] = body;
    lease->spare_bytes += bytes;
}

struct body *body_new(struct body_lease *lease, uint64_t expected)
{
    unsigned size = size_for(expected);
    struct body *body;

    if (size)
        return small_new(lease, size);
    body = mem_zalloc(1, sizeof(*body));
    if (!body)
        return NULL;
    body->lease = lease;
    body->refs = 1;
    /* A known length under a block gets one block of just that size. */
    if (expected > 0 && expected < BODY_BLOCK_BYTES && !block_new(body, (size_t)expected)) {
        mem_free(body);
        return NULL;
    }
    return body;
}

struct body *body_ref(struct body *body)
{
    body->refs++;
    return body;
}

/* The block of a small body is no memory of its own. */
static void free_blocks(struct body *body)
{
    struct body_block *block = body->first, *next;

    if (body->size)
        block = block->next;
    for (; block; block = next) {
        next = block->next;
        mem_free(block);
    }
}

void body_unref(struct body **body)
{
    struct body *b = *body;

    *body = NULL;
    if (!b || --b->refs > 0)
        return;
    free_blocks(b);
    body_lease_give(b->lease, b->held);
    if (b->size)
        small_free(b);
    else
        mem_free(b);
}

void body_move(struct body *body, struct body_lease *lease)
{
    body_lease_move(body->lease, lease, body->held);
    body->lease = lease;
}

int body_append(struct body *body, struct span data)
{
    while (data.len) {
        struct body_block *block = body->last;
        size_t n;

        if (!block || block->len == block->cap)
            block = block_new(body, BODY_BLOCK_BYTES);
        if (!block)
            return ERR_FULL;
        n = block->cap - block->len < data.len ? block->cap - block->len : data.len;
        memcpy(block->data + block->len, data.ptr, n);
        block->len += n;
        body->len += n;
        data = span_skip(data, n);
    }
    return 0;
}

/* The block in which that offset lies, or at whose end; *ret_at is its place there. */
static struct body_block *block_at(const struct body *body, uint64_t offset, size_t *ret_at)
{
    struct body_block *block = body->first;

    while (block && offset > block->len) {
        offset -= block->len;
        block = block->next;
    }
    *ret_at = (size_t)offset;
    return block;
}

/* The block is cut in two: what stands behind the place moves into a new one, behind the text. */
int body_insert(struct body *body, uint64_t offset, struct span text)
{
    struct body_block *last = body->last, *block, *more;
    size_t at, rest;

    /* At the very beginning the first block would be left empty, and no reader passes that. */
    bug_fatal_unless(body->refs == 1 && offset > 0 && offset <= body->len &&
                     text.len <= BODY_BLOCK_BYTES);
    block = block_at(body, offset, &at);
    rest = block->len - at;
    more = block_new(body, text.len + rest);
    if (!more)
        return ERR_FULL;
    memcpy(more->data, text.ptr, text.len);
    memcpy(more->data + text.len, block->data + at, rest);
    more->len = text.len + rest;
    block->len = at;
    body->len += text.len;
    if (block == last)
        return 0;
    /* block_new has put it behind the last one. */
    last->next = NULL;
    body->last = last;
    more->next = block->next;
    block->next = more;
    return 0;
}

void body_reader_init(struct body_reader *reader, const struct body *body,
                      const struct dialect_edit *edits, size_t edit_count)
{
    *reader = (struct body_reader){.body = body, .edits = edits, .edit_count = edit_count};
    reader->block = body ? body->first : NULL;
    reader->is_at_insert = edit_count > 0 && edits[0].offset == 0;
}

/* Moves on by n bytes of the body. */
static void advance(struct body_reader *reader, uint64_t n)
{
    while (n > 0 && reader->block) {
        uint64_t left = reader->block->len - reader->block_at;
        uint64_t step = left < n ? left : n;

        reader->block_at += (size_t)step;
        reader->offset += step;
        n -= step;
        if (reader->block_at == reader->block->len) {
            reader->block = reader->block->next;
            reader->block_at = 0;
        }
    }
}

static void note_edit(struct body_reader *reader)
{
    reader->is_at_insert =
        reader->edit < reader->edit_count && reader->edits[reader->edit].offset == reader->offset;
}

static struct iovec next_insert(struct body_reader *reader)
{
    const struct dialect_edit *edit = &reader->edits[reader->edit++];

    advance(reader, edit->remove);
    note_edit(reader);
    return (struct iovec){(void *)(uintptr_t)edit->insert.ptr, edit->insert.len};
}

static struct iovec next_run(struct body_reader *reader, size_t window)
{
    uint64_t len = reader->block->len - reader->block_at;
    const char *at = reader->block->data + reader->block_at;

    if (len > window)
        len = window;
    if (reader->edit < reader->edit_count &&
        reader->edits[reader->edit].offset - reader->offset < len)
        len = reader->edits[reader->edit].offset - reader->offset;
    advance(reader, len);
    note_edit(reader);
    return (struct iovec){(void *)(uintptr_t)at, (size_t)len};
}

int body_reader_next(struct body_reader *reader, struct iovec *ret_iov, int max, size_t window)
{
    int count = 0;

    while (count < max && window > 0 && !body_reader_is_done(reader)) {
        struct iovec piece = reader->is_at_insert ? next_insert(reader) : next_run(reader, window);

        if (piece.iov_len == 0)
            continue;
        ret_iov[count++] = piece;
        window -= piece.iov_len < window ? piece.iov_len : window;
    }
    return count;
}

bool body_reader_is_done(const struct body_reader *reader)
{
    return !reader->block && !reader->is_at_insert;
}

uint64_t body_edited_length(const struct body *body, const struct dialect_edit *edits,
                            size_t edit_count)
{
    uint64_t len = body ? body->len : 0;

    for (size_t i = 0; i < edit_count; i++)
        len = len - edits[i].remove + edits[i].insert.len;
    return len;
}
