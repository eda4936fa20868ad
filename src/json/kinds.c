#include "json/kinds_inner.h"

#include <string.h>

#include "json/skip.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef unsigned char byte;

static inline bool is_letter(byte c)
{
    return (unsigned)(c | 0x20) - 'a' < 26;
}

static void count_one(struct json_kinds *kinds, byte c)
{
    bool is_in_word = is_letter(c);

    if (is_in_word) {
        kinds->letters++;
        kinds->words += !kinds->is_in_word;
    } else if ((unsigned)c - '0' < 10) {
        kinds->digits++;
    } else if (c == ' ') {
        kinds->spaces++;
    } else if (c < ' ') {
        kinds->breaks++;
    } else {
        kinds->marks++;
    }
    kinds->is_in_word = is_in_word;
}

#ifdef __SSE2__

enum { BLOCK = 16, BLOCKS_MAX = 255 };

/* One of each kind in each place of a block, summed up: a byte a place. */
struct sums {
    __m128i letters, words, digits, spaces;
    __m128i last; /* letters of the block before */
};

/* Moved so that the last one is the greatest of signed numbers: nothing is above it, and what lies
 * beyond has become negative. Of ASCII alone. */
static inline __m128i is_among(__m128i bytes, char first, char last)
{
    __m128i moved = _mm_add_epi8(bytes, _mm_set1_epi8((char)(INT8_MAX - last)));

    return _mm_cmpgt_epi8(moved, _mm_set1_epi8((char)(INT8_MAX - last + first - 1)));
}

static inline void count_block(struct sums *sums, __m128i bytes)
{
    __m128i letters = is_among(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z');
    __m128i before = _mm_or_si128(_mm_slli_si128(letters, 1), _mm_srli_si128(sums->last, 15));

    /* A place that is of the kind holds -1. */
    sums->letters = _mm_sub_epi8(sums->letters, letters);
    sums->words = _mm_sub_epi8(sums->words, _mm_andnot_si128(before, letters));
    sums->digits = _mm_sub_epi8(sums->digits, is_among(bytes, '0', '9'));
    sums->spaces = _mm_sub_epi8(sums->spaces, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')));
    sums->last = letters;
}

static inline uint64_t total(__m128i sums)
{
    __m128i halves = _mm_sad_epu8(sums, _mm_setzero_si128());

    return (uint64_t)_mm_cvtsi128_si32(halves) +
           (uint64_t)_mm_cvtsi128_si32(_mm_srli_si128(halves, 8));
}

static inline void add(struct json_kinds *kinds, const struct sums *sums, size_t len)
{
    uint64_t letters = total(sums->letters), digits = total(sums->digits);
    uint64_t spaces = total(sums->spaces);

    kinds->letters += letters;
    kinds->words += total(sums->words);
    kinds->digits += digits;
    kinds->spaces += spaces;
    kinds->marks += len - letters - digits - spaces;
}

/* At most BLOCKS_MAX blocks, and what is left of one. */
static void count_blocks(struct json_kinds *kinds, const byte *text, size_t len)
{
    const __m128i none = _mm_setzero_si128();
    struct sums sums = {none, none, none, none,
                        _mm_slli_si128(_mm_set1_epi8(kinds->is_in_word ? -1 : 0), 15)};
    size_t at = 0;

    for (; len - at >= BLOCK; at += BLOCK)
        count_block(&sums, _mm_loadu_si128((const __m128i *)(const void *)(text + at)));
    if (at < len) {
        byte rest[BLOCK] = {0}; /* zeros are of no kind that is summed */

        memcpy(rest, text + at, len - at);
        count_block(&sums, _mm_loadu_si128((const __m128i *)(const void *)rest));
    }
    add(kinds, &sums, len);
    kinds->is_in_word = is_letter(text[len - 1]);
}

void kinds_by_16(struct json_kinds *kinds, const byte *text, size_t len)
{
    while (len) {
        size_t most = (size_t)BLOCK * (BLOCKS_MAX - 1), part = len < most ? len : most;

        count_blocks(kinds, text, part);
        text += part;
        len -= part;
    }
}

void json_kinds_plain(struct json_kinds *kinds, const byte *text, size_t len)
{
    if (len == 1)
        count_one(kinds, *text);
    else
        kinds_by_16(kinds, text, len);
}

const byte *kinds_pass_by_16(struct json_kinds *kinds, const byte *text, const byte *end)
{
    const byte *stop = json_skip_plain(text, end);

    json_kinds_plain(kinds, text, (size_t)(stop - text));
    return stop;
}

const byte *json_kinds_pass(struct json_kinds *kinds, const byte *text, const byte *end)
{
    if (end - text >= KINDS_PASS_MIN && kinds_has_32())
        return kinds_pass_by_32(kinds, text, end);
    return kinds_pass_by_16(kinds, text, end);
}

#else

const byte *json_kinds_pass(struct json_kinds *kinds, const byte *text, const byte *end)
{
    const byte *stop = json_skip_plain(text, end);

    json_kinds_plain(kinds, text, (size_t)(stop - text));
    return stop;
}

void json_kinds_plain(struct json_kinds *kinds, const byte *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        count_one(kinds, text[i]);
}

#endif

static void count_latin(struct json_kinds *kinds)
{
    kinds->latin++;
    kinds->words += !kinds->is_in_word;
    kinds->is_in_word = true;
}

static void count_wide(struct json_kinds *kinds)
{
    kinds->wide++;
    kinds->is_in_word = false;
}

void json_kinds_wide(struct json_kinds *kinds, const byte *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        byte c = text[i];

        if (kinds->is_undecided) {
            kinds->is_undecided = false;
            /* U+1E80 to U+1EFF: Latin Extended Additional, where Vietnamese has its tones. */
            if (c == 0xBA || c == 0xBB)
                count_latin(kinds);
            else
                count_wide(kinds);
        } else if (c == 0xE1) {
            kinds->is_undecided = true;
        } else if (c >= 0xE0) {
            count_wide(kinds);
        } else if (c >= 0xC0) {
            count_latin(kinds);
        }
    }
}
