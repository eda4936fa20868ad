/*
 * A folder of the demo's own for what the gateway writes; it goes with the demo. Main thread.
 */
#ifndef CLI_DEMO_FOLDER_H
#define CLI_DEMO_FOLDER_H

enum { DEMO_FOLDER_BYTES = 256 };

/* Made where temporary files belong: 0, or -1 with errno. */
int demo_folder_make(char ret_path[DEMO_FOLDER_BYTES]);

/* The folder, and the files in it. Harmless on an empty path. */
void demo_folder_remove(const char *path);

#endif
