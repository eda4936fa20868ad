/*
 * Bugs, told apart by reach. A bug in shared or memory state ends the process, always; a bug inside
 * one exchange ends that exchange in a release and the process in every other build. Nothing that a
 * client or a provider can send may reach either. Any thread.
 */
#ifndef BASE_BUG_H
#define BASE_BUG_H

#include <stdbool.h>

/* Prints file, line and the broken claim to stderr, and aborts. */
_Noreturn void bug_abort(const char *file, int line, const char *claim);

/* Counts and prints one bug of an exchange; aborts unless this is a release. Always returns true.
 */
bool bug_note(const char *file, int line, const char *claim);

/* How many bugs bug_note has seen in this process. */
unsigned long bug_count(void);

/* The claim must hold, or the process ends. */
#define bug_fatal_unless(claim) ((claim) ? (void)0 : bug_abort(__FILE__, __LINE__, #claim))

/* True where the claim does not hold: the caller then ends its exchange with 500. */
#define bug_exchange_unless(claim) (!(claim) && bug_note(__FILE__, __LINE__, #claim))

#endif
