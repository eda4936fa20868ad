#include "rotation/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/secret.h"

/* How long a killed program is waited for where nobody waits for its end in the loop: it takes
 * microseconds, unless it hangs in the kernel; it is a zombie then, until we end too. */
enum { KILLED_WAIT_MS = 100 };

/* ---- pipes ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* None of 0 to 2, which are the program's own: whoever started us may have closed them. */
static int lift(int *fd)
{
    int lifted;

    if (*fd > 2)
        return 0;
    lifted = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    if (lifted < 0)
        return err_from_errno(errno);
    close(*fd);
    *fd = lifted;
    return 0;
}

static int open_pipe(int ends[2])
{
    int err;

    if (pipe2(ends, O_CLOEXEC)) {
        ends[0] = ends[1] = -1;
        return err_from_errno(errno);
    }
    err = lift(&ends[0]);
    return err ? err : lift(&ends[1]);
}

/* All of it fits, and our own end that reads is open still: this neither waits nor raises SIGPIPE.
 */
static int fill(int fd, struct span input)
{
    if (input.len > PROGRAM_INPUT_MAX_BYTES)
        return ERR_RANGE;
    if (input.len && write(fd, input.ptr, input.len) != (ssize_t)input.len)
        return ERR_IO;
    return 0;
}

/* ---- start ---- */

static int set_actions(posix_spawn_file_actions_t *actions, int in, int out, int words)
{
    int error = posix_spawn_file_actions_adddup2(actions, in, STDIN_FILENO);

    if (!error)
        error = posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(actions, words, STDERR_FILENO);
    if (!error)
        error = posix_spawn_file_actions_addchdir_np(actions, "/");
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    /* Ours are closed by exec; these are what we inherited ourselves. */
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
#endif
    return error;
}

/* What we ignore or block it should not. */
static int set_signals(posix_spawnattr_t *attributes)
{
    sigset_t all, none;
    int error;

    sigfillset(&all);
    sigemptyset(&none);
    error = posix_spawnattr_setsigdefault(attributes, &all);
    if (!error)
        error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (!error)
        error = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    return error;
}

static int spawn(const struct program_ask *ask, int in, int out, int words, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);

    if (error)
        return err_from_errno(error);
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = set_actions(&actions, in, out, words);
        if (!error)
            error = set_signals(&attributes);
        /* It reads its arguments only, whatever the type says. */
        if (!error)
            error = posix_spawn(&pid, ask->argv[0], &actions, &attributes,
                                (char *const *)(uintptr_t)ask->argv,
                                (char *const *)(uintptr_t)ask->environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        return err_from_errno(error);
    *ret_pid = pid;
    return 0;
}

/* ---- end ---- */

static void drop(struct loop *loop, struct loop_fd *fd)
{
    if (fd->fd < 0)
        return;
    loop_remove(loop, fd);
    close_fd(&fd->fd);
}

/* Nothing of it stands in the loop any more. */
static void detach(struct program *program)
{
    drop(program->loop, &program->ended);
    drop(program->loop, &program->output);
    drop(program->loop, &program->words);
    loop_timer_fini(&program->timer);
    program->loop = NULL;
}

/* Not yet waited for, its number is nobody else's, nor is its group's. */
static void kill_group(const struct program *program)
{
    kill(-program->pid, SIGKILL);
}

static void kill_for(struct program *program, int err)
{
    if (!program->err)
        program->err = err;
    kill_group(program);
}

/* Reads what there is: true at the end of it. */
static bool drain(struct program *program, int fd, struct buf *into, bool is_bounded)
{
    char bytes[4096];
    ssize_t n;

    do {
        n = read(fd, bytes, sizeof(bytes));
        if (n > 0) {
            size_t room = into->max - into->len, len = (size_t)n;
            int err = buf_append(into, bytes, len < room ? len : room);

            if (err || (is_bounded && len > room))
                kill_for(program, err ? err : ERR_FULL);
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
    secret_wipe(bytes, sizeof(bytes));
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void on_output(struct loop_fd *fd, unsigned ready)
{
    struct program *program = container_of(fd, struct program, output);

    (void)ready;
    if (drain(program, fd->fd, &program->told, true))
        drop(program->loop, fd);
}

static void on_words(struct loop_fd *fd, unsigned ready)
{
    struct program *program = container_of(fd, struct program, words);

    (void)ready;
    if (drain(program, fd->fd, &program->complaint, false))
        drop(program->loop, fd);
}

static void finish(struct program *program, int status)
{
    struct program_end end = {
        .err = program->err,
        .code = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
        .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
    };
    struct buf told, complaint;

    detach(program);
    /* It may be run anew in on_done. */
    told = program->told;
    complaint = program->complaint;
    buf_init(&program->told, 0);
    buf_init(&program->complaint, 0);
    end.output = buf_span(&told);
    end.words = buf_span(&complaint);
    program->on_done(program, &end);
    buf_fini(&told);
    buf_fini(&complaint);
}

static void on_ended(struct loop_fd *fd, unsigned ready)
{
    struct program *program = container_of(fd, struct program, ended);
    int status = 0;

    (void)ready;
    /* What it wrote last may be told later in this turn only; and a child of its own may hold the
     * pipes open for ever. */
    if (program->output.fd >= 0)
        drain(program, program->output.fd, &program->told, true);
    if (program->words.fd >= 0)
        drain(program, program->words.fd, &program->complaint, false);
    kill_group(program);
    while (waitpid(program->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    finish(program, status);
}

static void on_late(struct loop_timer *timer)
{
    kill_for(container_of(timer, struct program, timer), ERR_TIMEOUT);
}

/* ---- life ---- */

static int watch(struct program *program, struct loop_fd *fd, int end,
                 void (*on_ready)(struct loop_fd *, unsigned))
{
    int err;

    *fd = (struct loop_fd){.fd = end, .on_ready = on_ready};
    err = loop_add(program->loop, fd, false);
    if (err)
        close_fd(&fd->fd);
    return err;
}

/* The program runs: from here on its end is heard, or it is killed. Takes the pipes' ends. */
static int attend(struct program *program, int output, int words, uint64_t timeout_us)
{
    int ended = (int)syscall(SYS_pidfd_open, program->pid, 0);
    int err = ended < 0 ? err_from_errno(errno) : 0;
    int err_output, err_words;

    if (ended >= 0)
        err = watch(program, &program->ended, ended, on_ended);
    err_output = watch(program, &program->output, output, on_output);
    err_words = watch(program, &program->words, words, on_words);
    if (!err)
        err = err_output ? err_output : err_words;
    if (!err)
        err = loop_timer_set(&program->timer, loop_now_us(program->loop) + timeout_us);
    return err;
}

static int start(struct program *program, const struct program_ask *ask)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, words[2] = {-1, -1};
    int err = open_pipe(in);

    if (!err)
        err = open_pipe(out);
    if (!err)
        err = open_pipe(words);
    if (!err)
        err = fill(in[1], ask->input);
    if (!err && (fcntl(out[0], F_SETFL, O_NONBLOCK) || fcntl(words[0], F_SETFL, O_NONBLOCK)))
        err = ERR_IO;
    if (!err)
        err = spawn(ask, in[0], out[1], words[1], &program->pid);
    close_fd(&in[0]);
    close_fd(&in[1]);
    close_fd(&out[1]);
    close_fd(&words[1]);
    if (!err)
        return attend(program, out[0], words[0], ask->timeout_us);
    close_fd(&out[0]);
    close_fd(&words[0]);
    return err;
}

int program_begin(struct program *program, struct loop *loop, const struct program_ask *ask)
{
    int err;

    program->loop = loop;
    program->pid = 0;
    program->err = 0;
    program->ended.fd = program->output.fd = program->words.fd = -1;
    buf_init(&program->told, PROGRAM_OUTPUT_MAX_BYTES);
    buf_init(&program->complaint, PROGRAM_WORDS_MAX_BYTES);
    program->told.is_secret = program->complaint.is_secret = true;
    loop_timer_init(&program->timer, loop, on_late);
    err = start(program, ask);
    if (err)
        program_cancel(program);
    return err;
}

void program_cancel(struct program *program)
{
    struct pollfd ended = {.fd = program->ended.fd, .events = POLLIN};

    if (!program->loop)
        return;
    if (program->pid) {
        kill_group(program);
        /* Without a pidfd there is nothing to wait for its end by: poll then sleeps its time. */
        poll(&ended, 1, KILLED_WAIT_MS);
        waitpid(program->pid, NULL, WNOHANG);
    }
    detach(program);
    buf_fini(&program->told);
    buf_fini(&program->complaint);
}
