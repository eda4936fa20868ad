/*
 * Texts that are rendered once and sent many times: what the mock upstream says in any dialect is
 * made of these. The memory is held until the process ends, but where it says otherwise.
 */
#ifndef BENCH_RENDER_H
#define BENCH_RENDER_H

#include <stddef.h>

/* Begins each answer. */
#define RENDER_HEAD "HTTP/1.1 200 OK\r\nDate: Mon, 06 Jan 2025 08:00:00 GMT\r\n"

/* A NUL stands behind `size` bytes. */
struct bytes {
    char *at;
    size_t size;
};

/* A streamed answer. Each event is a chunk of its own (RFC 9112 section 7.1), as providers send
 * them. */
struct stream_parts {
    struct bytes opening; /* the head and what comes before the first word */
    struct bytes word;    /* one event with one word; its stamp stands at stamp_at */
    struct bytes ending;  /* all events behind the last word, the last chunk */
    struct bytes whole;   /* all of these together, with as many words as the mock was told */
    size_t stamp_at;      /* 0: the word has none */
};

/* Appends as printf would. */
void render(struct bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends other bytes. */
void render_bytes(struct bytes *bytes, const struct bytes *more);

/* Appends a chunk. */
void render_chunk(struct bytes *bytes, const struct bytes *data);

/* Appends exactly `size` bytes of words such as a model says, fit to stand in a JSON string. */
void render_words(struct bytes *bytes, size_t size);

/* Puts opening, `words` words and ending together. */
void render_whole(struct stream_parts *parts, size_t words);

#endif
