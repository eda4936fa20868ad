#include "json/kinds_inner.h"

#ifdef __SSE2__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

/* A sum of bytes holds what PAIRS_MAX pairs add to it. */
enum { BLOCK = 32, PAIR = KINDS_PASS_MIN, PAIRS_MAX = 127, PART = PAIR * (PAIRS_MAX + 1) };

/* Two blocks that lie side by side. */
struct pair {
    __m256i low, high;
};

/* Digits and spaces of each place, summed up: a byte a place. Letters as bits, for words lie
 * between edges: a letter beside a byte that is none. */
struct sums {
    __m256i digits, spaces;
    uint64_t last_digits, last_spaces; /* of what filled no pair */
    uint64_t letters, edges;
    uint64_t last; /* 1 where the byte before was a letter */
};

AVX2 static inline struct pair load(const unsigned char *text)
{
    return (struct pair){_mm256_loadu_si256((const __m256i *)(const void *)text),
                         _mm256_loadu_si256((const __m256i *)(const void *)(text + BLOCK))};
}

/* Moved so that the last one is the greatest of signed numbers: nothing is above it, and what lies
 * beyond has become negative. Of ASCII alone. */
AVX2 static inline __m256i is_among(__m256i bytes, char first, char last)
{
    __m256i moved = _mm256_add_epi8(bytes, _mm256_set1_epi8((char)(INT8_MAX - last)));

    return _mm256_cmpgt_epi8(moved, _mm256_set1_epi8((char)(INT8_MAX - last + first - 1)));
}

AVX2 static inline __m256i is_letter(__m256i bytes)
{
    return is_among(_mm256_or_si256(bytes, _mm256_set1_epi8(' ')), 'a', 'z');
}

AVX2 static inline __m256i is_digit(__m256i bytes)
{
    return is_among(bytes, '0', '9');
}

AVX2 static inline __m256i is_space(__m256i bytes)
{
    return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(' '));
}

AVX2 static inline __m256i is_quote(__m256i bytes)
{
    return _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"')),
                           _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\')));
}

/* As signed numbers the bytes from 0x80 are negative, so that one comparison finds them and the
 * control characters. */
AVX2 static inline __m256i is_below_space(__m256i bytes)
{
    return _mm256_cmpgt_epi8(_mm256_set1_epi8(' '), bytes);
}

AVX2 static inline __m256i is_odd(__m256i bytes)
{
    return _mm256_or_si256(is_below_space(bytes), is_quote(bytes));
}

/* Whether a byte of it is not plain (json/skip.h). */
AVX2 static inline bool has_odd(struct pair pair)
{
    __m256i odd = _mm256_or_si256(_mm256_or_si256(is_quote(pair.low), is_quote(pair.high)),
                                  is_below_space(_mm256_min_epi8(pair.low, pair.high)));

    return !_mm256_testz_si256(odd, odd);
}

AVX2 static inline uint64_t bits_of(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << BLOCK;
}

AVX2 static inline uint64_t bit_count(uint64_t bits)
{
    return (uint64_t)__builtin_popcountll(bits);
}

AVX2 static inline void sum_letters(struct sums *sums, uint64_t letters, uint64_t before)
{
    uint64_t places = letters | before;

    sums->letters += bit_count(letters);
    sums->edges += bit_count(places ^ (places << 1 | sums->last));
    sums->last = places >> 63;
}

AVX2 static inline void sum_pair(struct sums *sums, struct pair pair)
{
    sum_letters(sums, bits_of(is_letter(pair.low), is_letter(pair.high)), 0);
    /* A place that is of the kind holds -1. */
    sums->digits = _mm256_sub_epi8(sums->digits, is_digit(pair.low));
    sums->digits = _mm256_sub_epi8(sums->digits, is_digit(pair.high));
    sums->spaces = _mm256_sub_epi8(sums->spaces, is_space(pair.low));
    sums->spaces = _mm256_sub_epi8(sums->spaces, is_space(pair.high));
}

/* The plain bytes at the front of a pair whose first `seen` bytes do not count: how many. */
AVX2 static inline unsigned sum_last(struct sums *sums, struct pair pair, unsigned seen)
{
    uint64_t odd = bits_of(is_odd(pair.low), is_odd(pair.high)) >> seen;
    unsigned count = odd ? (unsigned)__builtin_ctzll(odd) : PAIR - seen, off = PAIR - count;

    if (!count)
        return 0;
    /* Moved to the upper end; below them, more of what came before: no edge lies there. */
    sum_letters(sums, bits_of(is_letter(pair.low), is_letter(pair.high)) >> seen << off,
                off ? (UINT64_C(0) - sums->last) >> count : 0);
    sums->last_digits = bit_count(bits_of(is_digit(pair.low), is_digit(pair.high)) >> seen << off);
    sums->last_spaces = bit_count(bits_of(is_space(pair.low), is_space(pair.high)) >> seen << off);
    return count;
}

AVX2 static inline uint64_t total(__m256i sums)
{
    __m256i quarters = _mm256_sad_epu8(sums, _mm256_setzero_si256());
    __m128i halves =
        _mm_add_epi64(_mm256_castsi256_si128(quarters), _mm256_extracti128_si256(quarters, 1));

    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(halves, _mm_unpackhi_epi64(halves, halves)));
}

AVX2 static inline void add(struct json_kinds *kinds, const struct sums *sums, size_t len)
{
    uint64_t digits = total(sums->digits) + sums->last_digits;
    uint64_t spaces = total(sums->spaces) + sums->last_spaces;

    kinds->letters += sums->letters;
    /* A word has an edge at either side: one that goes on has its end elsewhere, and of one that
     * was begun before, the lone end is rounded off. */
    kinds->words += (sums->edges + sums->last) / 2;
    kinds->digits += digits;
    kinds->spaces += spaces;
    kinds->marks += len - sums->letters - digits - spaces;
    kinds->is_in_word = sums->last != 0;
}

/* At most PART bytes. A pair's bytes stand before `end`, those that were passed among them. */
AVX2 static const unsigned char *pass_part(struct json_kinds *kinds, const unsigned char *text,
                                           const unsigned char *end)
{
    struct sums sums = {.digits = _mm256_setzero_si256(),
                        .spaces = _mm256_setzero_si256(),
                        .last = kinds->is_in_word};
    const unsigned char *at = text;
    size_t pairs = (size_t)(end - text) / PAIR;

    for (pairs = pairs < PAIRS_MAX ? pairs : PAIRS_MAX; pairs; pairs--) {
        struct pair pair = load(at);

        if (has_odd(pair))
            break;
        sum_pair(&sums, pair);
        at += PAIR;
    }
    if (at < end) {
        const unsigned char *last = end - at >= PAIR ? at : end - PAIR;

        at += sum_last(&sums, load(last), (unsigned)(at - last));
    }
    add(kinds, &sums, (size_t)(at - text));
    return at;
}

const unsigned char *kinds_pass_by_32(struct json_kinds *kinds, const unsigned char *text,
                                      const unsigned char *end)
{
    const unsigned char *part;

    do {
        part = text;
        text = pass_part(kinds, part, end);
    } while (text - part == PART);
    return text;
}

bool kinds_has_32(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("popcnt");
}

#endif
