/*
 * The stream of events: answers of the admin address that go on for as long as the client stays,
 * as server-sent events (WHATWG HTML, "Server-sent events"). Each reader goes on from the number of
 * the event that it was told last; one that reads too slowly for what the journal keeps is told how
 * many it has missed. Every 15 s a comment shows that the stream lives. The control thread's.
 */
#ifndef ADMIN_EVENTS_H
#define ADMIN_EVENTS_H

#include <stdbool.h>

#include "alerts/journal.h"
#include "http/server.h"
#include "io/loop.h"

enum { EVENT_STREAMS_MAX = 16 };

struct event_streams;

/* The journal outlives it. NULL without memory. */
struct event_streams *event_streams_new(struct loop *loop, struct journal *journal);

/* Its streams must have ended, or their connections be gone. Accepts a pointer to NULL. */
void event_streams_free(struct event_streams **place);

/*
 * Answers the request with the stream: from Last-Event-ID on, or the query's `after`; without
 * either, with what happens from now on. `provider` of the query: of that one alone. False where
 * there are too many streams, or no memory: nothing was answered.
 */
bool event_streams_open(struct event_streams *streams, struct http_server_conn *conn,
                        const struct http_head *head);

/* There is something new in the journal. */
void event_streams_tell(struct event_streams *streams);

/* Whether that connection has a stream: on_room, and on_gone or the end of its connection. */
bool event_streams_go_on(struct event_streams *streams, struct http_server_conn *conn);
void event_streams_drop(struct event_streams *streams, struct http_server_conn *conn);

/* Ends all of them as they should end: whoever may still read comes again. */
void event_streams_close(struct event_streams *streams);

/* The same for good, with all that they are to be told; further ones are refused. */
void event_streams_end(struct event_streams *streams);

#endif
