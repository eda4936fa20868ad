/*
 * A growable run of bytes with a stated maximum. Owned by one thread at a time. A failed append
 * leaves the contents as they were and is remembered in `err`, so that a long build-up may be
 * checked once at its end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct buf {
    char *data; /* NULL until the first byte */
    size_t len;
    size_t cap;
    size_t max;     /* bytes that may ever be held */
    int err;        /* first failed append: ERR_FULL or ERR_NOMEM; 0 if none */
    bool is_secret; /* the owner's wish: no copy is left behind when it moves or goes */
};

/* An empty buffer that will never hold more than max bytes. Allocates nothing. */
void buf_init(struct buf *buf, size_t max);

/* Frees the bytes (and wipes them first, where is_secret is set); the buffer may be used again,
 * with the same maximum. */
void buf_fini(struct buf *buf);

/* Forgets the contents and the error, keeps the memory. */
void buf_clear(struct buf *buf);

/* What buf_reserve does where there is no room yet: 0, ERR_FULL or ERR_NOMEM. */
int buf_reserve_slowly(struct buf *buf, size_t more);

/* Room for `more` further bytes: 0, ERR_FULL or ERR_NOMEM. */
static inline int buf_reserve(struct buf *buf, size_t more)
{
    return more <= buf->cap - buf->len ? 0 : buf_reserve_slowly(buf, more);
}

/* What buf_append does where there is no room yet: 0, ERR_FULL or ERR_NOMEM. */
int buf_append_slowly(struct buf *buf, const void *data, size_t len);

/* Each appends all of it, or nothing: 0, ERR_FULL or ERR_NOMEM. */
static inline int buf_append(struct buf *buf, const void *data, size_t len)
{
    if (len == 0 || len > buf->cap - buf->len)
        return buf_append_slowly(buf, data, len);
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return 0;
}

/* The same. */
static inline int buf_append_span(struct buf *buf, struct span text)
{
    return buf_append(buf, text.ptr, text.len);
}

/* The same for one byte. */
static inline int buf_append_byte(struct buf *buf, char c)
{
    if (buf->len == buf->cap)
        return buf_append_slowly(buf, &c, 1);
    buf->data[buf->len++] = c;
    return 0;
}

/* As printf. */
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Drops the first n bytes (of a secret buffer, wipes the place they leave); n must not exceed the
 * length. Moves the rest. */
void buf_drop_front(struct buf *buf, size_t n);

/* Puts a NUL behind the contents, not counted, and returns them; "" where that fails. */
const char *buf_text(struct buf *buf);

/* The bytes become the caller's (free with mem_free); the buffer is empty then. */
char *buf_take(struct buf *buf, size_t *ret_len);

/* Remembers that whoever fills the buffer failed, as if an append had: returns err. */
static inline int buf_fail(struct buf *buf, int err)
{
    if (!buf->err)
        buf->err = err;
    return err;
}

static inline struct span buf_span(const struct buf *buf)
{
    return span_of(buf->data, buf->len);
}

#endif
