/*
 * A getaddrinfo that stands before the C library's, for names whose servers do not answer:
 * "held.test" fails once it is released, "slow.test" after 0.3 s. All others are looked up.
 */
#ifndef TESTS_IO_NAMES_H
#define TESTS_IO_NAMES_H

#include <semaphore.h>

/* names_begin before the first use. `names_asked` is posted as one of the two names is asked for;
 * each post of `names_release` lets one question after held.test go. */
extern sem_t names_asked, names_release;

void names_begin(void);
void names_end(void);

#endif
