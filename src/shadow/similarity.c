#include "shadow/similarity.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/fnv.h"

/* The words of a text and their pairs, as hashes: a collision makes two texts look a little more
 * alike, and nothing else. */
struct bag {
    uint64_t *items;
    size_t count;
};

/* Neighbours: unlike the same two the other way round, and unlike each alone. */
static uint64_t hash_pair(uint64_t first, uint64_t second)
{
    return (first * UINT64_C(0x9e3779b97f4a7c15) ^ second) * UINT64_C(0xff51afd7ed558ccd);
}

static bool is_capital(unsigned char byte)
{
    return byte >= 'A' && byte <= 'Z';
}

static bool is_plain(unsigned char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || is_capital(byte);
}

/* Of a character of two bytes (Latin with accents, Greek, Cyrillic, Hebrew, Arabic): part of a
 * word. */
static bool is_short_lead(unsigned char byte)
{
    return byte >= 0xc2 && byte <= 0xdf;
}

static bool is_trail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* A character that is a word of its own. */
static bool is_long_lead(unsigned char byte)
{
    return byte >= 0xe0;
}

/* Reads a run of letters and digits at *at. */
static uint64_t read_run(struct span text, size_t *at)
{
    uint64_t hash = FNV_START;

    for (; *at < text.len; ++*at) {
        unsigned char byte = (unsigned char)text.ptr[*at];

        if (!is_plain(byte) && !is_short_lead(byte) && !is_trail(byte))
            break;
        hash = fnv_byte(hash, is_capital(byte) ? (unsigned char)(byte | 0x20) : byte);
    }
    return hash;
}

static uint64_t read_character(struct span text, size_t *at)
{
    uint64_t hash = fnv_byte(FNV_START, (unsigned char)text.ptr[(*at)++]);

    while (*at < text.len && is_trail((unsigned char)text.ptr[*at]))
        hash = fnv_byte(hash, (unsigned char)text.ptr[(*at)++]);
    return hash;
}

/* "General punctuation" and "CJK symbols and punctuation": quotes, dashes, full stops. */
static bool is_punctuation(struct span text, size_t at)
{
    unsigned char second;

    if (at + 1 >= text.len)
        return false;
    second = (unsigned char)text.ptr[at + 1];
    return ((unsigned char)text.ptr[at] == 0xe2 && second == 0x80) ||
           ((unsigned char)text.ptr[at] == 0xe3 && second == 0x80);
}

/* The next word's hash; false at the end. */
static bool next_word(struct span text, size_t *at, uint64_t *ret_hash)
{
    while (*at < text.len) {
        unsigned char byte = (unsigned char)text.ptr[*at];

        if (is_long_lead(byte)) {
            bool is_word = !is_punctuation(text, *at);

            *ret_hash = read_character(text, at);
            if (is_word)
                return true;
        } else if (is_plain(byte) || is_short_lead(byte)) {
            *ret_hash = read_run(text, at);
            return true;
        } else {
            ++*at;
        }
    }
    return false;
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

/* False without memory. */
static bool fill_bag(struct span text, struct arena *arena, struct bag *ret_bag)
{
    size_t most = text.len < SIMILARITY_WORDS_MAX ? text.len : SIMILARITY_WORDS_MAX;
    uint64_t before = 0, hash;
    size_t at = 0, words = 0;

    ret_bag->count = 0;
    ret_bag->items = arena_alloc(arena, (2 * most + 1) * sizeof(*ret_bag->items));
    if (!ret_bag->items)
        return false;
    while (words < most && next_word(text, &at, &hash)) {
        ret_bag->items[ret_bag->count++] = hash;
        if (words++ > 0)
            ret_bag->items[ret_bag->count++] = hash_pair(before, hash);
        before = hash;
    }
    qsort(ret_bag->items, ret_bag->count, sizeof(*ret_bag->items), by_value);
    return true;
}

static size_t count_shared(const struct bag *a, const struct bag *b)
{
    size_t i = 0, k = 0, shared = 0;

    while (i < a->count && k < b->count) {
        if (a->items[i] == b->items[k]) {
            shared++;
            i++;
            k++;
        } else if (a->items[i] < b->items[k]) {
            i++;
        } else {
            k++;
        }
    }
    return shared;
}

uint32_t similarity_of(struct span a, struct span b, struct arena *arena)
{
    struct bag left, right;

    if (span_is_equal(a, b))
        return SIMILARITY_MAX;
    if (!fill_bag(a, arena, &left) || !fill_bag(b, arena, &right))
        return SIMILARITY_UNKNOWN;
    if (left.count + right.count == 0)
        return SIMILARITY_MAX;
    return (uint32_t)(2 * SIMILARITY_MAX * count_shared(&left, &right) /
                      (left.count + right.count));
}
