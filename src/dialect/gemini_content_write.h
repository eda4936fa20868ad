/*
 * What the files share that write the contents of a request to Gemini. On the stack of one call;
 * one thread. Pure.
 */
#ifndef DIALECT_GEMINI_CONTENT_WRITE_H
#define DIALECT_GEMINI_CONTENT_WRITE_H

#include "dialect/gemini_inner.h"

/* Where the writing of contents stands. */
struct gemini_telling {
    struct chat_writing *writing;
    struct json_writer *writer;
    const struct gemini_model *model;
    size_t turn, turn_end; /* messages of the model's last turn */
    bool has_any;
    bool owes_system; /* the model takes no systemInstruction: the user's first words hold it */
};

/* Refuses a member of a message ("content[0]"). Returns ERR_SYNTAX. */
int gemini_refuse_message(struct gemini_telling *contents, size_t message, const char *member,
                          const char *what);

/* Appends a part that is neither a call nor a result; `message` and `at` say where it stands. What
 * Gemini has no place for, as another provider's thoughts, is left out. 0, or ERR_SYNTAX with the
 * refusal noted. */
int gemini_write_part(struct gemini_telling *contents, const struct chat_part *part, size_t message,
                      size_t at);

/* The same for bytes or a place of them. */
int gemini_write_media_part(struct gemini_telling *contents, const struct chat_part *part,
                            size_t message, size_t at);

void gemini_write_text_part(struct gemini_telling *contents, const struct chat_part *part,
                            bool is_thought);

/* A call; the first one of a turn must be signed for newer models. */
void gemini_write_call_part(struct gemini_telling *contents, const struct chat_part *part,
                            bool is_first);

/* The members "id" and "name" of a call or its result. */
void gemini_write_call_names(struct gemini_telling *contents, struct span id, struct span name);

/* Appends the results of all calls of the last turn of the model, from the messages of [from, end);
 * *ret_count grows by their number. 0; ERR_SYNTAX with the refusal noted, where one is missing. */
int gemini_write_results(struct gemini_telling *contents, size_t from, size_t end,
                         size_t *ret_count);

/* Media of a result where the model takes none inside it: parts behind the results. 0, or
 * ERR_SYNTAX with the refusal noted. */
int gemini_write_loose_media(struct gemini_telling *contents, const struct chat_part *result,
                             size_t message, size_t at);

#endif
