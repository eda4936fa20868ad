/*
 * HTTP/1 framing (RFC 9112) over llhttp, as a pull parser: it never calls back, so nothing can pull
 * the ground from under it. Messages of the plain shape (http/plain_head) are read without llhttp.
 * Strict: both length fields, bad chunks, obs-fold, bare LF, NUL and white space before a colon are
 * errors; trailers and chunk extensions are dropped. Embedded in a connection; one thread.
 */
#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include <llhttp.h>

#include "http/head.h"

enum http_problem {
    HTTP_PROBLEM_NONE,
    HTTP_PROBLEM_SYNTAX,      /* the start line or a field is malformed: 400 */
    HTTP_PROBLEM_FRAMING,     /* lengths contradict each other, or a chunk is malformed: 400 */
    HTTP_PROBLEM_HEAD_LARGE,  /* over HTTP_MAX_HEAD_BYTES or HTTP_MAX_FIELDS: 431 */
    HTTP_PROBLEM_TARGET_LONG, /* 414 */
    HTTP_PROBLEM_VERSION,     /* not HTTP/1.0 or 1.1: 505 */
    HTTP_PROBLEM_CODING,      /* a transfer coding other than chunked: 501 */
    HTTP_PROBLEM_EXPECTATION, /* Expect with anything but 100-continue: 417 (RFC 9110 10.1.1) */
    HTTP_PROBLEM_HOST,        /* HTTP/1.1 without exactly one Host: 400 (RFC 9112 3.2) */
};

/* A sentence that names what is wrong, for the answer's message. */
const char *http_problem_text(enum http_problem problem);

enum http_event {
    HTTP_EVENT_MORE, /* all input is used up; give more */
    HTTP_EVENT_HEAD, /* *head is complete */
    HTTP_EVENT_BODY, /* a piece of the body: see body */
    HTTP_EVENT_END,  /* the message is complete; what follows belongs to the next */
    HTTP_EVENT_BAD,  /* see problem; the parser must be reset */
};

/* Chunk sizes with their extensions, or trailers, between two pieces of a body. */
enum { HTTP_MAX_FRAME_BYTES = 16384 };

struct http_parser {
    llhttp_t ll;            /* not touched by a plain message */
    struct http_head *head; /* filled while the head arrives */
    const char *start;      /* first byte of the head under way; NULL before it */
    size_t head_bytes;      /* of this head so far */
    size_t frame_bytes;    /* of chunk sizes, extensions and trailers since the last byte of body */
    enum http_event event; /* set by the callbacks */
    enum http_problem problem;
    struct span body;
    uint64_t plain_left; /* of a plain message's body */
    bool is_plain;
    bool is_keep_alive; /* once the head is complete: what it says of the connection */
    bool is_response;
    bool is_in_head;         /* a head began and is not complete */
    bool is_to_head_request; /* answers: no body follows, whatever the fields say */
};

void http_parser_init(struct http_parser *parser, bool is_response);

/* Ready for the next message on the connection. */
void http_parser_reset(struct http_parser *parser);

/* Parses from data until something is to be told. *ret_used: how many bytes were used up. While a
 * head is arriving (the event was MORE and is_in_head holds), the caller keeps the bytes of the
 * head so far and gives the following bytes right behind them in memory; if it moves them, it calls
 * http_parser_moved. */
enum http_event http_parser_run(struct http_parser *parser, struct http_head *head,
                                const char *data, size_t len, size_t *ret_used);

/* Bytes of the body that are still to come, as far as its length was told; of a chunked one those
 * of the chunk. */
uint64_t http_parser_body_left(const struct http_parser *parser);

/* The bytes of the head under way now stand at `base` instead of at `old_base`, the head in `head`.
 */
void http_parser_moved(struct http_parser *parser, struct http_head *head, const char *old_base,
                       const char *base);

/* The connection ended: END where that ends the message (an answer without length), else BAD; MORE
 * if no message was under way. */
enum http_event http_parser_finish(struct http_parser *parser);

#endif
