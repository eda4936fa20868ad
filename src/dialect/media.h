/*
 * Media by URL for targets that look up no URLs: which of a conversation's images, documents and
 * sounds have to be fetched for the target at hand, and the fetched bytes in their place. What was
 * fetched, and what could not be, lives as long as the translation that owns this, so that no other
 * target has it fetched again; once there, the bytes stand in the conversation for every target.
 * One thread. Pure: the fetching is done by whoever asks.
 */
#ifndef DIALECT_MEDIA_H
#define DIALECT_MEDIA_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "dialect/chat.h"

enum {
    MEDIA_URLS_MAX = 16,     /* of one conversation, each fetched once */
    MEDIA_URL_BYTES = 8192,  /* of one */
    MEDIA_WORDS_BYTES = 128, /* of why one could not be had */
};

struct media;

/* Puts what is there in its place for a target of that form and with these quirks (enum quirk).
 * 0: nothing is missing; ERR_AGAIN: some must be fetched first (media_next); ERR_SYNTAX with
 * *refusal: one cannot be had, is not what the client says it is, or there are too many; ERR_NOMEM.
 * *media is made where it is NULL and needed. */
int media_settle(struct media **media, struct chat *chat, enum form form, uint32_t quirks,
                 struct chat_refusal *refusal);

/* The URLs that are missing; how many. They live as long as the conversation. */
size_t media_missing(const struct media *media, struct span ret_urls[MEDIA_URLS_MAX]);

/* A missing URL was fetched: its bytes in Base64, which are taken out of the buffer, and the
 * Content-Type that came with them (empty: none). One that is not missing is ignored. */
void media_take(struct media *media, struct span url, struct span content_type, struct buf *base64);

/* It could not be had, and is not asked for again. `why` goes on from "The URL ": "could not be
 * fetched: HTTP 404". */
void media_fail(struct media *media, struct span url, const char *why);

/* Accepts a pointer to NULL. */
void media_free(struct media **media);

#endif
