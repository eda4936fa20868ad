#include "keypool/shortage.h"

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* The place changes from one model (0: none) to another, unless somebody was faster. */
static bool change(_Atomic uint64_t *model, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(model, &from, to, memory_order_relaxed,
                                                   memory_order_relaxed);
}

bool shortage_note_refused(struct shortage *shortage, uint64_t model_hash, uint64_t now_us)
{
    for (int i = 0; i < SHORTAGE_MODELS; i++) {
        if (load(&shortage->places[i].model) == model_hash) {
            store(&shortage->places[i].refused_us, now_us);
            return false;
        }
    }
    for (int i = 0; i < SHORTAGE_MODELS; i++) {
        uint64_t old = load(&shortage->places[i].model);

        if (old && now_us < load(&shortage->places[i].refused_us) + SHORTAGE_FORGET_US)
            continue;
        if (!change(&shortage->places[i].model, old, model_hash))
            continue;
        store(&shortage->places[i].refused_us, now_us);
        if (!old)
            atomic_fetch_add_explicit(&shortage->count, 1, memory_order_relaxed);
        return true;
    }
    return false;
}

bool shortage_note_found(struct shortage *shortage, uint64_t model_hash, uint64_t now_us)
{
    bool is_over = false;

    for (int i = 0; i < SHORTAGE_MODELS; i++) {
        if (load(&shortage->places[i].model) != model_hash ||
            now_us < load(&shortage->places[i].refused_us) + SHORTAGE_CALM_US ||
            !change(&shortage->places[i].model, model_hash, 0))
            continue;
        atomic_fetch_sub_explicit(&shortage->count, 1, memory_order_relaxed);
        is_over = true;
    }
    return is_over;
}
