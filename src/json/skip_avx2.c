#include "json/skip_inner.h"

#ifdef __SSE2__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi")))

enum { BLOCK = SKIP_BY_32_MIN / 2 };

AVX2 static inline __m256i load(const unsigned char *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* As in json_odd_places. */
AVX2 static inline __m256i is_odd(__m256i bytes)
{
    return _mm256_or_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), bytes),
                           _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"')),
                                           _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\'))));
}

AVX2 static inline uint64_t bits_of(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << BLOCK;
}

AVX2 const unsigned char *skip_by_32(const unsigned char *p, const unsigned char *end)
{
    for (; end - p >= SKIP_BY_32_MIN; p += SKIP_BY_32_MIN) {
        __m256i low = is_odd(load(p)), high = is_odd(load(p + BLOCK));
        __m256i either = _mm256_or_si256(low, high);

        if (!_mm256_testz_si256(either, either))
            return p + __builtin_ctzll(bits_of(low, high));
    }
    return skip_by_16(p, end);
}

#endif
