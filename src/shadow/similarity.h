/*
 * How alike two texts are, by the words that they share: a cheap measure that says whether two
 * answers speak of the same thing in much the same words. It knows nothing of meaning: two good
 * answers in words of their own are far apart, and "is" and "is not" are close. Pure; any thread.
 *
 * A text is the bag of its words and of its pairs of neighbouring words; the measure is Dice's
 * coefficient of the two bags, twice what they share over what they hold. A word is a run of
 * letters and digits, capitals taken as small ones (ASCII); of scripts that are written without
 * spaces (UTF-8 of three bytes and more: Chinese, Japanese, Thai, emoji) each character is one.
 * White space and punctuation count for nothing.
 */
#ifndef SHADOW_SIMILARITY_H
#define SHADOW_SIMILARITY_H

#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"

enum {
    SIMILARITY_WORDS_MAX = 16384, /* of a longer text only so many of the first are looked at */
    SIMILARITY_MAX = 1000,
    SIMILARITY_UNKNOWN = UINT16_MAX, /* without memory */
};

/* In thousandths: 1000 where the bags are the same (so for the same text, and for two texts without
 * words), 0 where they share nothing. Symmetric. What it needs comes from the arena: up to half a
 * megabyte. */
uint32_t similarity_of(struct span a, struct span b, struct arena *arena);

#endif
