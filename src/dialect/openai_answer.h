/*
 * An answer in OpenAI's dialect that is one JSON object, read as its bytes arrive, of any size and
 * without keeping it: is it whole, does it carry an error in spite of its 200, what did it use. The
 * same reader takes apart a single chunk of a stream. Owned by the attempt and never moved; one
 * thread. Pure.
 */
#ifndef DIALECT_OPENAI_ANSWER_H
#define DIALECT_OPENAI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "dialect/dialect.h"
#include "json/scan.h"

enum { OPENAI_ERROR_BYTES = 1024 };

/* Choices by index: which of them have a finish reason. */
struct openai_choices {
    uint64_t finished[2];
};

struct openai_answer {
    struct json_scan scan;
    struct openai_choices choices;
    uint64_t choice_error_at;       /* where the last choice's error stands; 0: none has one */
    uint32_t choice_error_len;      /* bytes of it in `error` */
    uint8_t choice_error_type;      /* enum json_type */
    bool has_failed_choice;         /* a choice ended by finish_reason "error" */
    char finish[16];                /* the finish_reason at hand */
    char tier[16];                  /* service_tier */
    char error[OPENAI_ERROR_BYTES]; /* the last error member: an object as spelled, or a string */
};

void openai_answer_init(struct openai_answer *answer);

/* The next piece: 0, or ERR_SYNTAX once it is no JSON object. White space may come first (DeepSeek
 * sends blank lines while it queues). */
int openai_answer_feed(struct openai_answer *answer, struct span piece);

/* The answer has ended: 0, or ERR_SYNTAX where it is cut short. */
int openai_answer_finish(struct openai_answer *answer);

/* False while nothing but white space has come. */
bool openai_answer_has_begun(const struct openai_answer *answer);

/* True where it carries an error (top level, x_groq or a choice); *ret_error then says what. After
 * finish. */
bool openai_answer_error(const struct openai_answer *answer, struct dialect_error *ret_error);

/* What it says that it used; is_known is false where it says nothing. */
void openai_answer_usage(const struct openai_answer *answer, struct dialect_usage *ret_usage);

/* Bytes of the text in its choices, for an estimate where usage is not known. */
uint64_t openai_answer_text_bytes(const struct openai_answer *answer);

/* `choices` is there and empty. */
bool openai_answer_has_no_choices(const struct openai_answer *answer);

#endif
