#include "rotation/life_text.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "json/tree.h"
#include "json/write.h"
#include "rotation/life_inner.h"

enum { HEX_BYTES = 2 * LIFE_IDENTITY_BYTES, TREE_MAX_BYTES = 2 << 20 };

/* The members of a key, each in its own manner; `max` counts the NUL of a text. */
#define TEXTS(X)                                                                                   \
    X("name", name)                                                                                \
    X("id", id)                                                                                    \
    X("replaces", replaces)                                                                        \
    X("reason", reason)
#define NUMBERS(X)                                                                                 \
    X("rotation", rotation)                                                                        \
    X("since_us", since_wall_us)                                                                   \
    X("created_us", created_wall_us)                                                               \
    X("expires_us", expires_wall_us)                                                               \
    X("until_us", until_wall_us)
#define FLAGS(X)                                                                                   \
    X("ours", is_ours)                                                                             \
    X("asked", is_asked)                                                                           \
    X("leaked", is_leaked)                                                                         \
    X("kept", is_kept)                                                                             \
    X("pruned", is_pruned)                                                                         \
    X("replaced", is_replaced)                                                                     \
    X("ending", is_ending)                                                                         \
    X("gone", is_gone)

/* ---- writing ---- */

static void write_identity(struct json_writer *json, const uint8_t *identity)
{
    char text[HEX_BYTES + 1];

    for (size_t i = 0; i < LIFE_IDENTITY_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", identity[i]);
    json_member_text(json, "identity", text);
}

static void write_key(struct json_writer *json, const struct life_key *key)
{
    json_begin_object(json);
#define X(word, field)                                                                             \
    if (key->field[0])                                                                             \
        json_member_text(json, word, key->field);
    TEXTS(X)
#undef X
    json_member_text(json, "step", life_step_text(key->step));
    json_member_text(json, "trigger", life_trigger_text(key->trigger));
    json_member_uint(json, "attempt", key->attempt);
#define X(word, field)                                                                             \
    if (key->field)                                                                                \
        json_member_uint(json, word, key->field);
    NUMBERS(X)
#undef X
#define X(word, field)                                                                             \
    if (key->field)                                                                                \
        json_member_bool(json, word, true);
    FLAGS(X)
#undef X
    write_identity(json, key->identity);
    json_end_object(json);
}

void life_write(const struct life *life, struct buf *out)
{
    struct json_writer json;

    json_writer_init(&json, out);
    json_begin_object(&json);
    json_member_uint(&json, "version", LIFE_TEXT_VERSION);
    json_member_uint(&json, "rotations", life->rotations);
    json_member_uint(&json, "ended_us", life->ended_wall_us);
    json_member_uint(&json, "failures", life->failures);
    json_member_uint(&json, "scheduled_us", life->memory.last_wall_us);
    json_member_uint(&json, "round_us", life->memory.round_wall_us);
    json_member_uint(&json, "first_us", life->memory.first_wall_us);
    if (life->note[0])
        json_member_text(&json, "canary", life->note);
    json_name(&json, "keys");
    json_begin_array(&json);
    for (uint32_t i = 0; i < life->count; i++)
        write_key(&json, &life->keys[i]);
    json_end_array(&json);
    json_end_object(&json);
}

/* ---- reading ---- */

static bool read_text(const yyjson_val *object, const char *word, char *to, size_t cap)
{
    struct span text = json_tree_string(object, word);

    if (text.len >= cap || (text.len && memchr(text.ptr, '\0', text.len)))
        return false;
    if (text.len)
        memcpy(to, text.ptr, text.len);
    to[text.len] = '\0';
    return true;
}

static bool read_number(const yyjson_val *object, const char *word, uint64_t *ret_number)
{
    const yyjson_val *value = json_tree_member(object, word);
    int64_t number = 0;

    if (value && (!json_tree_int(value, &number) || number < 0))
        return false;
    *ret_number = (uint64_t)number;
    return true;
}

static bool read_flag(const yyjson_val *object, const char *word, bool *ret_flag)
{
    const yyjson_val *value = json_tree_member(object, word);

    *ret_flag = value && yyjson_is_true(json_tree_plain(value));
    return !value || yyjson_is_bool(json_tree_plain(value));
}

static bool read_step(const yyjson_val *object, struct life_key *key)
{
    struct span step = json_tree_string(object, "step"), by = json_tree_string(object, "trigger");
    int steps = 0, triggers = 0;

    while (steps < LIFE_STEPS &&
           !span_is_equal(step, span_from_text(life_step_text((enum life_step)steps))))
        steps++;
    while (triggers < LIFE_TRIGGERS &&
           !span_is_equal(by, span_from_text(life_trigger_text((enum life_trigger)triggers))))
        triggers++;
    key->step = (enum life_step)steps;
    key->trigger = (enum life_trigger)triggers;
    return steps < LIFE_STEPS && triggers < LIFE_TRIGGERS;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_identity(const yyjson_val *object, uint8_t *ret_identity)
{
    struct span text = json_tree_string(object, "identity");

    if (text.len != HEX_BYTES)
        return false;
    for (size_t i = 0; i < LIFE_IDENTITY_BYTES; i++) {
        int high = hex_digit(text.ptr[2 * i]), low = hex_digit(text.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret_identity[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool read_key(const yyjson_val *object, struct life_key *key)
{
    uint64_t attempt;
    bool is_good = read_step(object, key) && read_identity(object, key->identity) &&
                   read_number(object, "attempt", &attempt) && attempt <= UINT32_MAX;

    key->attempt = is_good ? (uint32_t)attempt : 0;
#define X(word, field) is_good = is_good && read_text(object, word, key->field, sizeof(key->field));
    TEXTS(X)
#undef X
#define X(word, field) is_good = is_good && read_number(object, word, &key->field);
    NUMBERS(X)
#undef X
#define X(word, field) is_good = is_good && read_flag(object, word, &key->field);
    FLAGS(X)
#undef X
    return is_good && key->name[0];
}

/* Names tell keys apart, and there is one successor at a time. */
static bool is_possible(struct life *life)
{
    uint32_t successors = 0;

    for (uint32_t i = 0; i < life->count; i++) {
        successors += life->keys[i].step < LIFE_ACTIVE && !life_is_waiting(&life->keys[i]);
        if (life_find(life, span_from_text(life->keys[i].name)) != &life->keys[i])
            return false;
    }
    return successors <= 1;
}

/* Version 1 knew of no keys that wait for a successor: what served no more had one, or none was
 * wanted. */
static void raise_version(struct life *life, uint64_t version)
{
    for (uint32_t i = 0; i < life->count && version < 2; i++)
        life->keys[i].is_replaced = life->keys[i].step > LIFE_ACTIVE;
}

static int read_life(const yyjson_val *root, struct life *life)
{
    yyjson_val *keys = json_tree_plain(json_tree_member(root, "keys")), *item;
    uint64_t version = 0, failures = 0;
    size_t i, count;

    if (!read_number(root, "version", &version) || version == 0)
        return ERR_SYNTAX;
    if (version > LIFE_TEXT_VERSION)
        return ERR_UNSUPPORTED;
    if (!read_number(root, "rotations", &life->rotations) ||
        !read_number(root, "ended_us", &life->ended_wall_us) ||
        !read_number(root, "failures", &failures) || failures > UINT32_MAX ||
        !read_number(root, "scheduled_us", &life->memory.last_wall_us) ||
        !read_number(root, "round_us", &life->memory.round_wall_us) ||
        !read_number(root, "first_us", &life->memory.first_wall_us) ||
        !read_text(root, "canary", life->note, sizeof(life->note)) || !yyjson_is_arr(keys) ||
        yyjson_arr_size(keys) > LIFE_KEYS_MAX)
        return ERR_SYNTAX;
    yyjson_arr_foreach(keys, i, count, item)
    {
        if (!read_key(item, &life->keys[life->count++]))
            return ERR_SYNTAX;
    }
    life->failures = (uint32_t)failures;
    raise_version(life, version);
    return is_possible(life) ? 0 : ERR_SYNTAX;
}

int life_read(struct span text, struct life *ret_life)
{
    struct json_tree tree;
    const yyjson_val *root = NULL;
    int err;

    life_init(ret_life);
    if (text.len > LIFE_TEXT_MAX_BYTES)
        return ERR_SYNTAX;
    err = json_tree_read(&tree, text, TREE_MAX_BYTES);
    if (!err) {
        root = yyjson_doc_get_root(tree.doc);
        err = yyjson_is_obj(json_tree_plain(root)) ? read_life(root, ret_life) : ERR_SYNTAX;
    }
    json_tree_fini(&tree);
    return err == ERR_FULL ? ERR_SYNTAX : err;
}
