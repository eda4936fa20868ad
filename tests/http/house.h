/*
 * For the tests of http/: a server whose handler does what the path says, and tells the story of
 * what it was told. On a virtual loop, with the client played by hand (wire.h).
 *
 *   /echo      answers at the end: "METHOD body"
 *   /now       answers 401 "no" at the head
 *   /hold      does nothing by itself
 *   /chunks    answers at the end in three pieces of unknown length
 *   /none      answers 204 at the end
 *   /continue  asks for the body, then as /echo
 *   /first     answers 200 "early" at the first piece of the body
 *   /drop      wants no body, and answers only when the test does
 *   /slow      pauses at the head; the test resumes
 *   /big       answers at the end with house.big_bytes, 64 KiB at a time as there is room
 *   /lump      answers at the end with house.big_bytes at once
 *   /abort-…   aborts in -head, -body, -end or -room (after which it is /big)
 */
#ifndef TESTS_HTTP_HOUSE_H
#define TESTS_HTTP_HOUSE_H

#include "base/buf.h"
#include "http/server.h"
#include "io/loop.h"

struct house {
    struct loop *loop;
    struct http_server server;
    int hand;                      /* the client's end */
    struct http_server_conn *conn; /* whose request was shown last */
    struct buf story;
    size_t big_bytes;
    size_t rooms;
    bool is_quiet;     /* body pieces are not kept */
    bool is_bad_early; /* on_bad: the handler aborts instead of answering */
};

/* Time-outs: header 10 s, body 60 s, write 60 s, idle 75 s. */
void house_begin(struct house *house);
void house_end(struct house *house);

/* A fresh connection between the hand and the server; over TCP where resets matter. */
void house_connect(struct house *house);
void house_connect_tcp(struct house *house);

void house_say(struct house *house, const char *text);

/* What was heard, exactly, with "D" for each date. */
void house_expect(struct house *house, const char *text);     /* and the connection lives */
void house_expect_end(struct house *house, const char *text); /* and our side ended */
void house_expect_story(struct house *house, const char *story);

/* Answers the request under way (of /hold and the like) by 200. */
void house_answer(struct house *house, const char *body);
void house_abort(struct house *house);

extern const struct http_server_ops house_ops;

#endif
