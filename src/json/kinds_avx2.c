#include "json/kinds_inner.h"

#ifdef __SSE2__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

enum { BLOCK = 32, BLOCKS_MAX = 255, PART = BLOCK * BLOCKS_MAX };

/* Digits and spaces of each place, summed up: a byte a place. Letters as bits, for words begin
 * where one follows none. */
struct sums {
    __m256i digits, spaces;
    uint64_t letters, words;
    uint32_t last; /* 1 where the byte before was a letter */
};

AVX2 static inline __m256i is_within(__m256i bytes, char first, char span)
{
    __m256i off = _mm256_sub_epi8(bytes, _mm256_set1_epi8(first));

    return _mm256_cmpeq_epi8(_mm256_min_epu8(off, _mm256_set1_epi8(span)), off);
}

AVX2 static inline uint32_t letters_of(__m256i bytes)
{
    return (uint32_t)_mm256_movemask_epi8(
        is_within(_mm256_or_si256(bytes, _mm256_set1_epi8(0x20)), 'a', 25));
}

AVX2 static inline void sum_letters(struct sums *sums, uint32_t letters)
{
    sums->letters += (uint64_t)__builtin_popcount(letters);
    sums->words += (uint64_t)__builtin_popcount(letters & ~(letters << 1 | sums->last));
    sums->last = letters >> (BLOCK - 1);
}

AVX2 static inline __m256i load(const unsigned char *text)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)text);
}

AVX2 static inline void sum_block(struct sums *sums, __m256i bytes)
{
    /* A place that is of the kind holds -1. */
    sums->digits = _mm256_sub_epi8(sums->digits, is_within(bytes, '0', 9));
    sums->spaces = _mm256_sub_epi8(sums->spaces, _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(' ')));
    sum_letters(sums, letters_of(bytes));
}

/* The last block, of which the first `seen` bytes were counted already. */
AVX2 static inline void sum_rest(struct sums *sums, __m256i bytes, unsigned seen)
{
    __m256i places = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
                                      18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
    __m256i is_seen = _mm256_cmpgt_epi8(_mm256_set1_epi8((char)seen), places);

    /* A zero is of no kind that is summed. */
    bytes = _mm256_andnot_si256(is_seen, bytes);
    sums->digits = _mm256_sub_epi8(sums->digits, is_within(bytes, '0', 9));
    sums->spaces = _mm256_sub_epi8(sums->spaces, _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(' ')));
    sums->last <<= seen;
    sum_letters(sums, letters_of(bytes));
}

AVX2 static inline uint64_t total(__m256i sums)
{
    __m256i quarters = _mm256_sad_epu8(sums, _mm256_setzero_si256());
    __m128i halves =
        _mm_add_epi64(_mm256_castsi256_si128(quarters), _mm256_extracti128_si256(quarters, 1));

    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(halves, _mm_unpackhi_epi64(halves, halves)));
}

/* At most PART bytes, and `rest` of them in no whole block: the bytes before these are there. */
AVX2 static void count_part(struct json_kinds *kinds, const unsigned char *text, size_t blocks,
                            unsigned rest)
{
    struct sums sums = {_mm256_setzero_si256(), _mm256_setzero_si256(), 0, 0, kinds->is_in_word};
    uint64_t digits, spaces;

    for (size_t i = 0; i < blocks; i++)
        sum_block(&sums, load(text + i * BLOCK));
    if (rest)
        sum_rest(&sums, load(text + blocks * BLOCK + rest - BLOCK), BLOCK - rest);
    digits = total(sums.digits);
    spaces = total(sums.spaces);
    kinds->letters += sums.letters;
    kinds->words += sums.words;
    kinds->digits += digits;
    kinds->spaces += spaces;
    kinds->marks += blocks * BLOCK + rest - sums.letters - digits - spaces;
    kinds->is_in_word = sums.last != 0;
}

void kinds_by_32(struct json_kinds *kinds, const unsigned char *text, size_t len)
{
    for (; len >= PART; text += PART, len -= PART)
        count_part(kinds, text, BLOCKS_MAX, 0);
    if (len)
        count_part(kinds, text, len / BLOCK, (unsigned)(len % BLOCK));
}

bool kinds_has_32(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("popcnt");
}

#endif
