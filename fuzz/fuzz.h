/*
 * What fuzz targets begin with: the function that libFuzzer calls, and claims that end the process
 * where they do not hold. For one target each; one thread.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "json/tree.h"

/* One input; 0 in any case. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a tree of what came out may take of the heap. */
enum { FUZZ_TREE_MAX = 256 << 20 };

static inline void must(bool claim)
{
    if (!claim)
        abort();
}

static inline void must_be_json(struct span text)
{
    struct json_tree tree;

    must(json_tree_read_raw(&tree, text, FUZZ_TREE_MAX) == 0);
    json_tree_fini(&tree);
}

#endif
