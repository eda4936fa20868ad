#include "server/limits_of_system.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/span.h"

/* The first line of a small file of the kernel's, without its newline; empty where there is none.
 */
static struct span read_line(const char *path, char *line, size_t cap)
{
    struct span text = {line, 0};
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return text;
    n = read(fd, line, cap);
    close(fd);
    text.len = n > 0 ? (size_t)n : 0;
    if (span_find_byte(text, '\n') != SIZE_MAX)
        text.len = span_find_byte(text, '\n');
    return text;
}

static uint32_t cores_of(struct span quota, struct span period)
{
    uint64_t quota_us, period_us;

    /* "max" and -1 are no numbers: no quota. */
    if (span_to_u64(quota, &quota_us) || span_to_u64(period, &period_us) || quota_us == 0 ||
        period_us == 0)
        return 0;
    return (uint32_t)((quota_us + period_us - 1) / period_us);
}

/* Cores by the cgroup's quota, rounded up; 0 where there is none. */
static uint32_t cgroup_cores(void)
{
    char line[64], second[64];
    struct span rest = read_line("/sys/fs/cgroup/cpu.max", line, sizeof(line)), quota;

    if (rest.len && span_next_token(&rest, ' ', &quota) && rest.ptr)
        return cores_of(quota, rest);
    quota = read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", line, sizeof(line));
    return cores_of(quota,
                    read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", second, sizeof(second)));
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
