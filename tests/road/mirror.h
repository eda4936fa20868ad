/*
 * Plays with a shadow: a model whose exchanges are all mirrored, and what is known of it.
 */
#ifndef TESTS_ROAD_MIRROR_H
#define TESTS_ROAD_MIRROR_H

#include "scene.h"

#include "shadow/board.h"

/* Model "m" is served by 'a', and all of its exchanges are mirrored to 'b'. */
#define MIRROR_YAML(other, settings)                                                               \
    "providers:\n"                                                                                 \
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"                    \
    "    keys: [{name: one, secret: key-one}]}\n"                                                  \
    "  other: {" other ", base_url: '@b', health: {validate_new: false},\n"                        \
    "    keys: [{name: two, secret: key-two}]}\n"                                                  \
    "models: {up/m: {targets: [up/m], shadow: {to: other/n, share: 100%" settings "}}}\n"          \
    "clients: {open: true}\n"

/* Of those two; the same without a shadow. */
extern const char mirror_yaml[], mirror_plain_yaml[];

/* An answer's body that is unlike road_ok; and a whole answer. */
extern const char mirror_other_words[], mirror_ok_answer[];

/* ---- what is known ---- */

/* Freed with mem_free; all zeros where nothing is known. */
struct shadow_report *mirror_report(struct road *road);

void mirror_expect_counts(struct road *road, uint64_t drawn, uint64_t compared, uint64_t diverged);

/* That reason, so often, and no other; nothing was compared. */
void mirror_expect_skipped(struct road *road, enum shadow_skip skip, uint64_t times);

/* What stands on the key of that name, in thousand-millionths of a dollar. */
uint64_t mirror_spent_on(struct road *road, struct span name);

/* ---- the play ---- */

/* The client is answered well by 'a'. */
void mirror_serve(struct scene *scene);

/* The shadow comes to 'b': its connection. *ret_heard: as scene_attempt_at. */
int mirror_shadow(struct scene *scene, char **ret_heard);

void mirror_expect_none(struct scene *scene);

#endif
