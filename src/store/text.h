/*
 * What texts the store takes. A secret given by mistake should have nowhere to go: a word has small
 * letters only, a name and a reason are short, and no text has control characters. The schema
 * checks the same once more. Internal to store/. Any thread.
 */
#ifndef STORE_TEXT_H
#define STORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum {
    TEXT_WORD_BYTES = 32,    /* of small letters and "_" */
    TEXT_NAME_BYTES = 256,   /* refused where longer */
    TEXT_ID_BYTES = 520,     /* what an issuer calls a key; refused where longer */
    TEXT_REASON_BYTES = 512, /* cut where longer */
    TEXT_NOTE_BYTES = 65536, /* numbers by name; refused where longer */
};

bool text_is_word(struct span text);
bool text_is_name(struct span text);

/* Either that, or empty. */
bool text_is_word_or_none(struct span text);
bool text_is_name_or_none(struct span text);
bool text_is_id_or_none(struct span text);

/* As long as a reason at most, which is not cut; may be empty. */
bool text_is_value(struct span text);

/* Numbers by name, as a part of the program writes them: small letters, digits and a few signs; may
 * be empty. */
bool text_is_note(struct span text);

/* How much of a text is kept that may have up to max bytes: whole characters of UTF-8. */
size_t text_cut_bytes(struct span text, size_t max);

/* Makes spaces of control characters. */
void text_clean(char *text, size_t len);

#endif
