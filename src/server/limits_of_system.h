/*
 * What the machine allows this process: cores, descriptors. Asked once, at start, by the control
 * thread.
 */
#ifndef SERVER_LIMITS_OF_SYSTEM_H
#define SERVER_LIMITS_OF_SYSTEM_H

#include <stdint.h>

/* Cores that the process may use: its affinity, and the quota of its cgroup (v2 and v1), rounded
 * up; at least 1. */
uint32_t system_cores(void);

/* Raises the limit of descriptors to the hard one; returns what it is then. */
uint64_t system_raise_descriptors(void);

#endif
