/*
 * The inside of the step that chooses a key: for its own files alone (step_select.c decides,
 * select_ask.c asks the pools, select_room.c waits, select_refuse.c gives up). One worker.
 */
#ifndef EXCHANGE_SELECT_BODY_H
#define EXCHANGE_SELECT_BODY_H

#include "exchange/select.h"

/* What asking all targets came to. */
struct survey {
    struct keypool_choice choice; /* of the target to wait for, or of the last that refused */
    uint32_t target;
    uint64_t turn_us; /* as turn_in_line has it; 0: not asked for yet */
};

/* Asks in order until a target has a key; else tells which is free first. A target that has only
 * keys that failed already is exhausted: it is asked again when the others have none either. */
struct survey select_ask_all(struct exchange *x, uint64_t now_us);

/* What the exchange asks of that target's pool. */
struct keypool_ask select_question(struct exchange *x, uint32_t target, uint64_t now_us);

/* Whether the key that is granted was tried at that target before. */
bool select_was_tried(struct exchange *x, uint32_t target);

/* The room in which those wait who need a key of that target's provider. */
struct waiting_room *select_room(const struct exchange *x, uint32_t target);

/* Takes its place in that room, where it stood before if it did: 0, ERR_FULL or ERR_NOMEM. */
int select_enter_room(struct exchange *x, uint32_t target);

/* Waits until that time, or until a grant or its deadline comes. */
struct move select_park(struct exchange *x, uint64_t until_us);

/* It has a key; a grant of another provider's room was not for this one. */
void select_use_grant(struct exchange *x, uint32_t target);

/* It waits no longer: those behind it may have a use for what came free. */
void select_pass_grant(struct exchange *x);

/* When it would have its turn, where it is certain how long those before it in the line take; 0
 * where nobody knows: it waits, and may be lucky. Found out once a survey. */
uint64_t select_turn_in_line(struct exchange *x, struct survey *survey, uint64_t now_us);

/* No key in time: the answer. */
struct move select_refuse(struct exchange *x, struct survey *survey, uint64_t now_us);

/* A room that is full, or for which there is no memory. */
struct move select_refuse_entry(struct exchange *x, uint32_t target, int err);

#endif
