/*
 * The usual play of the road: one client with one connection, and the upstream 'a', which has one
 * attempt at a time. What is said beside it is said with road.h.
 */
#ifndef TESTS_ROAD_SCENE_H
#define TESTS_ROAD_SCENE_H

#include "road.h"

struct scene {
    struct road road;
    int client;   /* its connection; -1: it has left */
    int upstream; /* the connection of the last attempt; -1: none */
};

/* The gateway stands, and the client has connected. */
void scene_begin(struct scene *scene, const char *yaml);

/* The same, and the client has asked for model "m", which came to an attempt with "key-one". */
void scene_open(struct scene *scene, const char *yaml);
void scene_open_stream(struct scene *scene, const char *yaml);

/* The gateway's upstream takes connections and says nothing, not of TLS either; settings: further
 * ones of the provider, "" or each with a comma behind it. The client has asked. What listens, to
 * be closed after scene_end. */
int scene_begin_deaf(struct scene *scene, const char *settings);

/* Closes both connections; everything must have been settled. */
void scene_end(struct scene *scene);

/* The client asks for model "m". */
void scene_chat(struct scene *scene);
void scene_chat_stream(struct scene *scene);

/* The attempt that comes now shows this key; there must be one. */
void scene_attempt(struct scene *scene, const char *key);

/* The same at the upstream of that name. *ret_heard: what was said there, freed with mem_free; with
 * NULL it is dropped. */
void scene_attempt_at(struct scene *scene, char name, char **ret_heard);

/* The same where both texts stand in what was said. */
void scene_expect_attempt(struct scene *scene, char name, const char *line, const char *part);

/* None comes, neither on the connection at hand nor on a new one. */
void scene_expect_no_attempt(struct scene *scene);

/* The upstream answers; lines: "" or whole lines. */
void scene_reply(struct scene *scene, int status, const char *lines, const char *body);

/* It answers well, and the client hears it. */
void scene_serve(struct scene *scene);

/* It begins a stream of events, says a piece of it, ends it. */
void scene_stream_head(struct scene *scene);
void scene_stream(struct scene *scene, const char *events);
void scene_stream_end(struct scene *scene);

/* It says as much of the text as is taken from it while the gateway reads: how much it was. */
size_t scene_flood(struct scene *scene, struct span text);

/* The client reads, and the upstream says all of the text; held is called at each step while the
 * exchange lasts. Then all that comes is appended to `heard`. */
void scene_flood_on(struct scene *scene, struct span text, void (*held)(struct scene *scene),
                    struct buf *heard);

/* What was heard is one good answer with this body, all of it. */
void scene_expect_heard(const struct buf *heard, struct span body);

/* Appends all that comes to the client. */
void scene_hear_all(struct scene *scene, struct buf *heard);

/* The client closes its connection. */
void scene_leave(struct scene *scene);

/* The upstream's connection breaks. */
void scene_break(struct scene *scene);

/* A further connection of clients each, with a request for model "m", at intervals of so many
 * milliseconds; and their end. */
void scene_chat_all(struct road *road, int *clients, int count, unsigned interval_ms);
void scene_close_all(const int *fds, int count);

/* Each client is answered well on the connection of its attempt, and both are closed. */
void scene_serve_all(struct road *road, const int *clients, const int *upstreams, int count);

#endif
