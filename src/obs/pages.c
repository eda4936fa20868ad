#include "obs/pages.h"

#include <sys/mman.h>

void *pages_new(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (pages == MAP_FAILED)
        return NULL;
    /* A kernel built without huge pages refuses the advice, and needs none. */
    (void)madvise(pages, size, MADV_NOHUGEPAGE);
    return pages;
}

void pages_free(void *pages, size_t size)
{
    if (pages)
        munmap(pages, size);
}
