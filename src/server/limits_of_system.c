#include "server/limits_of_system.h"

#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

/* "max 100000" or "150000 100000" (cgroup v2): cores, rounded up; 0 where there is no quota. */
static uint32_t read_cpu_max(const char *path)
{
    FILE *file = fopen(path, "re");
    long long quota = 0, period = 0;
    int fields;

    if (!file)
        return 0;
    fields = fscanf(file, "%lld %lld", &quota, &period);
    fclose(file);
    return fields == 2 && quota > 0 && period > 0 ? (uint32_t)((quota + period - 1) / period) : 0;
}

static long long read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    long long number = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%lld", &number) != 1)
        number = 0;
    fclose(file);
    return number;
}

static uint32_t cgroup_cores(void)
{
    uint32_t cores = read_cpu_max("/sys/fs/cgroup/cpu.max");
    long long quota, period;

    if (cores)
        return cores;
    quota = read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    period = read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    return quota > 0 && period > 0 ? (uint32_t)((quota + period - 1) / period) : 0;
}

uint32_t system_cores(void)
{
    uint32_t quota = cgroup_cores(), cores = 1;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = (uint32_t)CPU_COUNT(&set);
    return quota && quota < cores ? quota : cores;
}

uint64_t system_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) && getrlimit(RLIMIT_NOFILE, &limit))
            return 1024;
    }
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}
