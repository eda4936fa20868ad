/*
 * How near the estimates of tokens come: requests made of the texts of bench/estimates/texts.tsv,
 * of which the number of tokens in three vocabularies is known, are read by the gateway's own
 * scanner; half of the texts are learned from, the other half is only asked. Everything from one
 * seed. Used by the tests and by bench/estimates.
 */
#ifndef TESTS_KEYPOOL_ESTIMATE_PLAY_H
#define TESTS_KEYPOOL_ESTIMATE_PLAY_H

#include <stdbool.h>
#include <stdint.h>

enum { ESTIMATE_VOCABULARIES = 3 };

/* The last two: texts of all kinds in one request, and requests of all kinds together. */
enum estimate_kind {
    ESTIMATE_ENGLISH,
    ESTIMATE_CHINESE,
    ESTIMATE_VIETNAMESE,
    ESTIMATE_CODE,
    ESTIMATE_JSON,
    ESTIMATE_MIXED,
    ESTIMATE_ALL,
    ESTIMATE_KINDS,
};

const char *estimate_kind_name(enum estimate_kind kind);
const char *estimate_vocabulary_name(unsigned vocabulary);

/* Reads the texts from the source tree; false where they are not there. */
bool estimate_play_begin(const char *source_root);
void estimate_play_end(void);

/* Errors as shares of the truth. */
struct estimate_errors {
    double p50[ESTIMATE_KINDS], p90[ESTIMATE_KINDS];
};

enum { ESTIMATE_LOOKS_MAX = 8 };

struct estimate_question {
    uint64_t seed;
    unsigned vocabulary;
    unsigned look_count;
    unsigned looks[ESTIMATE_LOOKS_MAX]; /* after so many exchanges, rising */
    bool is_by_bytes;                   /* four bytes a token instead, and nothing learned */
    unsigned nonsense_percent;          /* of what is told: 0, 1 or 10^12 tokens, in turn */
};

/* ret_errors: one for each look. */
void estimate_play(const struct estimate_question *question, struct estimate_errors *ret_errors);

#endif
