/*
 * A disk that can be told to fail: SQLite's own file system with a switch before it. One for the
 * process, made SQLite's default; any thread.
 */
#ifndef TESTS_STORE_DISK_H
#define TESTS_STORE_DISK_H

enum disk_mood {
    DISK_FINE,
    DISK_FULL,    /* writes find no room */
    DISK_BROKEN,  /* writes fail */
    DISK_UNSYNCED /* writes work, and cannot be made to last */
};

void disk_install(void);
void disk_set(enum disk_mood mood);

/* How often a file was made to last since the last call. */
int disk_syncs(void);

#endif
