#include "base/buf.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "base/secret.h"

enum { BUF_FIRST_CAP = 256 };

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf)
{
    if (buf->is_secret && buf->data)
        secret_wipe(buf->data, buf->cap);
    mem_free(buf->data);
    *buf = (struct buf){.max = buf->max, .is_secret = buf->is_secret};
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->err = 0;
}

/* realloc would leave a copy where the bytes stood before. */
static char *move_secret(struct buf *buf, size_t cap)
{
    char *data = mem_alloc(cap);

    if (!data)
        return NULL;
    if (buf->data) {
        memcpy(data, buf->data, buf->len);
        secret_wipe(buf->data, buf->cap);
        mem_free(buf->data);
    }
    return data;
}

int buf_reserve_slowly(struct buf *buf, size_t more)
{
    size_t need, cap;
    char *data;

    if (__builtin_add_overflow(buf->len, more, &need) || need > buf->max)
        return buf_fail(buf, ERR_FULL);
    if (need <= buf->cap)
        return 0;
    cap = buf->cap ? buf->cap : BUF_FIRST_CAP;
    while (cap < need)
        cap *= 2;
    if (cap > buf->max)
        cap = buf->max;
    data = buf->is_secret ? move_secret(buf, cap) : mem_realloc(buf->data, cap);
    if (!data)
        return buf_fail(buf, ERR_NOMEM);
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int buf_append_slowly(struct buf *buf, const void *data, size_t len)
{
    int err;

    if (len == 0)
        return 0;
    err = buf_reserve(buf, len);
    if (err)
        return err;
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return 0;
}

int buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    int len, err;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0)
        return buf_fail(buf, ERR_SYNTAX);
    /* vsnprintf writes a NUL behind the text: it needs room, and is not counted. */
    err = buf_reserve(buf, (size_t)len + 1);
    if (err)
        return err;
    vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    buf->len += (size_t)len;
    return 0;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    int err;

    va_start(args, format);
    err = buf_vprintf(buf, format, args);
    va_end(args);
    return err;
}

void buf_drop_front(struct buf *buf, size_t n)
{
    bug_fatal_unless(n <= buf->len);
    if (n == 0)
        return;
    memmove(buf->data, buf->data + n, buf->len - n);
    buf->len -= n;
    if (buf->is_secret)
        secret_wipe(buf->data + buf->len, n);
}

const char *buf_text(struct buf *buf)
{
    if (buf_reserve(buf, 1) != 0)
        return "";
    buf->data[buf->len] = '\0';
    return buf->data;
}

char *buf_take(struct buf *buf, size_t *ret_len)
{
    char *data = buf->data;

    *ret_len = buf->len;
    buf_init(buf, buf->max);
    return data;
}
