/*
 * CPU time of whole processes, all their threads, and of cores: what a bench row divides by its
 * requests.
 *
 * A process's time is the sum of /proc/PID/task/TID/schedstat, in nanoseconds of the scheduler's
 * clock: how long its threads ran, and how long they were runnable while something else had the
 * core. With no IRQ_TIME_ACCOUNTING (the usual kernel) the softirq work of loopback TCP done on a
 * thread's back is in its time, for every proxy alike. A thread that ends in between takes its time
 * along; the programs measured here keep theirs.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define CPU_PROCESSES 8
#define CPU_PIDS      8
#define CPU_CORES     8

/* One named group of processes, and what it had used when last read. */
struct cpu_group {
    char name[32];
    pid_t pids[CPU_PIDS];
    int pid_count;
    uint64_t ran_ns;
    uint64_t waited_ns;
};

/* One core's busy and stolen time, in clock ticks. */
struct cpu_core {
    int id;
    uint64_t busy_ticks;
    uint64_t stolen_ticks;
};

struct cpu_watch {
    struct cpu_group groups[CPU_PROCESSES];
    struct cpu_core cores[CPU_CORES];
    int group_count;
    int core_count;
};

/* Adds a group from "NAME=PID[,PID…]". Dies on anything else. */
void cpu_watch_group(struct cpu_watch *watch, const char *text);

/* Adds cores from "0,1". Dies on anything else. */
void cpu_watch_cores(struct cpu_watch *watch, const char *text);

/* Reads all counters. A process that is gone is an error that ends the run. */
void cpu_watch_read(struct cpu_watch *watch);

/* Prints {"groups":{NAME:{"ran_ns","waited_ns"}},"cores":{ID:{"busy_ms","stolen_ms"}}}, the
 * difference of two readings. */
void cpu_watch_print(const struct cpu_watch *before, const struct cpu_watch *after, FILE *out);

#endif
