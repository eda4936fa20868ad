/*
 * A request's body while a dialect reads it: what all dialects' readers share. Mistakes become the
 * failure that the dialect then words, texts become what their answer is computed from. On the
 * stack of sim_request_read; one thread. Pure.
 */
#ifndef SIM_REQUEST_H
#define SIM_REQUEST_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "sim/dialect.h"

/* Bytes that a document's tree may take for each of its own. */
enum { SIM_TREE_FACTOR = 20 };

struct sim_request {
    const struct sim_route *route;
    yyjson_val *root; /* an object */
    struct arena *arena;
    struct sim_ask *ask;
    struct sim_failure *failure;
};

/* Reads the body as JSON, looks for refused fields, and leaves the rest to `read`, which returns as
 * sim_dialect.parse does. The arguments are those of sim_dialect.parse. */
int sim_request_read(const struct sim_route *route, struct span body,
                     const struct sim_names *refused, int refused_status, struct arena *arena,
                     struct sim_ask *ret_ask, struct sim_failure *ret_failure,
                     int (*read)(struct sim_request *request));

/* --- refusals --- */

/* ERR_SYNTAX, with the failure set; `message` is a constant or lives in the arena. */
int sim_refuse(struct sim_request *in, struct span field, const char *message);

/* The same for a text and a field that are made: ERR_SYNTAX or ERR_NOMEM. */
int sim_refuse_with(struct sim_request *in, struct span field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A name in the arena, as "messages.3.content"; its ptr is NULL without memory, which the refusals
 * above take. */
struct span sim_field_name(struct sim_request *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- members --- */

/* The string's text; only for strings. */
struct span sim_json_text(yyjson_val *value);

/* A member of the root that is there and not null, or NULL. */
yyjson_val *sim_request_member(struct sim_request *in, const char *name);

/* Absent leaves the value as it was. */
int sim_request_bool(struct sim_request *in, const char *name, bool *ret_value);

/* An integer from 1 to max. */
int sim_request_count(struct sim_request *in, const char *name, uint64_t max, uint64_t *ret_value);

/* The model: of the path, or else of the body. */
int sim_request_model(struct sim_request *in);

/* Numbers of an embedding, where the request does not say how many. */
unsigned sim_request_dimensions(const struct sim_request *in);

/* Room for so many texts of the ask: 0 or ERR_NOMEM. */
int sim_request_texts(struct sim_request *in, size_t count);

/* Room for so many tools of the ask: 0 or ERR_NOMEM. */
int sim_request_tools(struct sim_request *in, size_t count);

/* One more of those. */
int sim_request_add_tool(struct sim_request *in, struct span name, bool is_custom);

/* True where the ask has a tool of that name. */
bool sim_request_has_tool(const struct sim_request *in, struct span name);

/* Leaves only the tool of that name: 0 or ERR_NOMEM. The ask has a tool. */
int sim_request_choose_tool(struct sim_request *in, struct span name, bool is_custom);

/* Texts before which the answer ends: a string or a list of them, of which the first SIM_MAX_STOPS
 * count. NULL: none. 0 or ERR_NOMEM. */
int sim_request_stops(struct sim_request *in, yyjson_val *stops);

/* The answer is to be JSON that fits the schema (NULL: `{"text", "hash"}`), for the first text of
 * the ask, which is known: 0; ERR_SYNTAX where it cannot be; ERR_NOMEM. */
int sim_request_json(struct sim_request *in, yyjson_val *schema, struct span field);

/* Tokens of so many bytes. */
static inline uint64_t sim_tokens_of(uint64_t bytes)
{
    return (bytes + 3) / 4;
}

/* --- pictures --- */

/* Tokens of one whose base64 is that long; 0: it is fetched from a URL. */
static inline uint64_t sim_picture_tokens(uint64_t bytes)
{
    return 85 + bytes / 16;
}

/* True for base64 of the usual alphabet, padded, and not empty. */
bool sim_is_base64(struct span data);

/* Adds what the pictures of OpenAI's content cost: 0, or a refusal of a data URL that holds none.
 */
int sim_request_pictures(struct sim_request *in, yyjson_val *content);

/* --- texts --- */

/* One text that comes in pieces. */
struct sim_gathering {
    uint64_t hash, bytes;
    struct buf echo;
};

void sim_gather_begin(struct sim_gathering *text);

/* A NULL text is let pass. */
void sim_gather(struct sim_gathering *text, struct span piece);

/* Puts what came together into the ask's next text and frees the gathering in any case: 0 or
 * ERR_NOMEM. */
int sim_gather_end(struct sim_gathering *text, struct sim_request *in);

/* What content holds in text: a string, or the `text` members of a list's items. Returns its bytes;
 * `text` may be NULL. */
uint64_t sim_gather_content(yyjson_val *content, struct sim_gathering *text);

#endif
