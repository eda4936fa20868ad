#include "store/op.h"

#include "base/alloc.h"
#include "base/err.h"
#include "store/text.h"

/* Of one op: the whole of 16,384 keys with a few models each. */
enum { OP_MAX_BYTES = 48 << 20 };

void *store_op_new(size_t size, const struct store_op_kind *kind)
{
    struct store_op *op = mem_zalloc(1, size);

    if (!op)
        return NULL;
    list_init(&op->link);
    op->kind = kind;
    arena_pool_init(&op->pool, 0);
    arena_init(&op->arena, &op->pool, OP_MAX_BYTES);
    return op;
}

void store_op_free(struct store_op **place)
{
    struct store_op *op = *place;

    *place = NULL;
    if (!op)
        return;
    list_remove(&op->link);
    arena_fini(&op->arena);
    arena_pool_fini(&op->pool);
    mem_free(op);
}

struct span store_op_keep(struct store_op *op, struct span text)
{
    struct span copy = SPAN("");

    if (!op || !text.len)
        return copy;
    copy = arena_copy(&op->arena, text);
    if (!copy.ptr)
        op->err = ERR_NOMEM;
    return copy.ptr ? copy : SPAN("");
}

static struct span keep_cut(struct store_op *op, struct span text, size_t max)
{
    char cleaned[TEXT_REASON_BYTES];
    size_t len = text_cut_bytes(text, max);

    if (len)
        memcpy(cleaned, text.ptr, len);
    text_clean(cleaned, len);
    return store_op_keep(op, span_of(cleaned, len));
}

struct span store_op_keep_reason(struct store_op *op, struct span text)
{
    return keep_cut(op, text, TEXT_REASON_BYTES);
}

struct span store_op_keep_foreign(struct store_op *op, struct span name)
{
    return keep_cut(op, name, TEXT_NAME_BYTES);
}

void *store_op_alloc(struct store_op *op, size_t count, size_t size)
{
    void *block = NULL;
    size_t bytes;

    if (!op || count == 0)
        return NULL;
    if (!__builtin_mul_overflow(count, size, &bytes))
        block = arena_zalloc(&op->arena, bytes);
    if (!block)
        op->err = ERR_NOMEM;
    return block;
}

struct span store_op_column(struct store_op *op, struct sql_query *query, int column)
{
    struct span copy = arena_copy(&op->arena, sql_text(query, column));

    if (!copy.ptr && !query->err)
        query->err = ERR_NOMEM;
    return copy.ptr ? copy : SPAN("");
}
