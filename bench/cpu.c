#include "cpu.h"
#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cpu_watch_group(struct cpu_watch *watch, const char *text)
{
    const char *equals = strchr(text, '=');
    struct cpu_group *group = &watch->groups[watch->group_count];
    errno = 0;
    if (equals == NULL || (size_t)(equals - text) >= sizeof(group->name) ||
        watch->group_count == CPU_PROCESSES)
        die("--watch wants NAME=PID[,PID...], %d times at most", CPU_PROCESSES);
    memcpy(group->name, text, (size_t)(equals - text));
    char *list = strdup(equals + 1);
    char *rest = list;
    for (char *pid; (pid = strsep(&rest, ",")) != NULL;) {
        if (group->pid_count == CPU_PIDS)
            die("--watch takes %d processes of one name", CPU_PIDS);
        group->pids[group->pid_count++] = (pid_t)need_number("--watch", pid, 1, INT32_MAX);
    }
    free(list);
    watch->group_count++;
}

void cpu_watch_cores(struct cpu_watch *watch, const char *text)
{
    char *list = strdup(text);
    char *rest = list;
    for (char *core; (core = strsep(&rest, ",")) != NULL;) {
        errno = 0;
        if (watch->core_count == CPU_CORES)
            die("--cores takes %d", CPU_CORES);
        watch->cores[watch->core_count++].id = (int)need_number("--cores", core, 0, 4095);
    }
    free(list);
}

static void read_thread(struct cpu_group *group, const char *path)
{
    uint64_t ran, waited;
    FILE *file = fopen(path, "re");
    /* A thread may end between the listing and here: then it counts no more. */
    if (file == NULL)
        return;
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &ran, &waited) == 2) {
        group->ran_ns += ran;
        group->waited_ns += waited;
    }
    fclose(file);
}

static void read_process(struct cpu_group *group, pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    if (threads == NULL)
        die("process %d (%s) is gone", pid, group->name);
    for (const struct dirent *thread; (thread = readdir(threads)) != NULL;) {
        if (thread->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%.16s/schedstat", pid, thread->d_name);
        read_thread(group, path);
    }
    closedir(threads);
}

static void read_core(struct cpu_watch *watch, const char *line)
{
    int id;
    uint64_t user, nice, system, idle, iowait, irq, softirq, steal;
    /* The line of all cores together has no number after its name. */
    if (line[3] == ' ' ||
        sscanf(line,
               "cpu%d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64 " %" SCNu64,
               &id, &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal) != 9)
        return;
    for (int i = 0; i < watch->core_count; i++) {
        if (watch->cores[i].id == id) {
            watch->cores[i].busy_ticks = user + nice + system + irq + softirq;
            watch->cores[i].stolen_ticks = steal;
        }
    }
}

void cpu_watch_read(struct cpu_watch *watch)
{
    for (int i = 0; i < watch->group_count; i++) {
        struct cpu_group *group = &watch->groups[i];
        group->ran_ns = group->waited_ns = 0;
        for (int j = 0; j < group->pid_count; j++)
            read_process(group, group->pids[j]);
    }
    if (watch->core_count == 0)
        return;
    char line[512];
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        die("/proc/stat");
    while (fgets(line, sizeof(line), file) != NULL && strncmp(line, "cpu", 3) == 0)
        read_core(watch, line);
    fclose(file);
}

void cpu_watch_print(const struct cpu_watch *before, const struct cpu_watch *after, FILE *out)
{
    double tick_ms = 1000.0 / (double)sysconf(_SC_CLK_TCK);
    fprintf(out, "{\"groups\":{");
    for (int i = 0; i < after->group_count; i++)
        fprintf(out, "%s\"%s\":{\"ran_ns\":%" PRIu64 ",\"waited_ns\":%" PRIu64 "}",
                i > 0 ? "," : "", after->groups[i].name,
                after->groups[i].ran_ns - before->groups[i].ran_ns,
                after->groups[i].waited_ns - before->groups[i].waited_ns);
    fprintf(out, "},\"cores\":{");
    for (int i = 0; i < after->core_count; i++)
        fprintf(out, "%s\"%d\":{\"busy_ms\":%.0f,\"stolen_ms\":%.0f}", i > 0 ? "," : "",
                after->cores[i].id,
                (double)(after->cores[i].busy_ticks - before->cores[i].busy_ticks) * tick_ms,
                (double)(after->cores[i].stolen_ticks - before->cores[i].stolen_ticks) * tick_ms);
    fprintf(out, "}}");
}
