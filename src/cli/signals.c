#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"

struct signals {
    struct loop_fd fd;
    struct loop *loop;
    void (*on_signal)(void *owner, int number);
    void *owner;
};

static void on_ready(struct loop_fd *fd, unsigned ready)
{
    struct signals *signals = container_of(fd, struct signals, fd);
    struct signalfd_siginfo info;

    (void)ready;
    while (read(fd->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        signals->on_signal(signals->owner, (int)info.ssi_signo);
}

int signals_new(struct loop *loop, void (*on_signal)(void *owner, int number), void *owner,
                struct signals **ret_signals)
{
    struct signals *signals = mem_zalloc(1, sizeof(*signals));
    sigset_t set;
    int err;

    if (!signals)
        return ERR_NOMEM;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals->loop = loop;
    signals->on_signal = on_signal;
    signals->owner = owner;
    signals->fd = (struct loop_fd){signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), on_ready};
    err = signals->fd.fd < 0 ? err_from_errno(errno) : loop_add(loop, &signals->fd, false);
    if (err) {
        if (signals->fd.fd >= 0)
            close(signals->fd.fd);
        mem_free(signals);
        return err;
    }
    *ret_signals = signals;
    return 0;
}

void signals_free(struct signals **signals)
{
    struct signals *s = *signals;

    if (!s)
        return;
    loop_remove(s->loop, &s->fd);
    close(s->fd.fd);
    mem_free(s);
    *signals = NULL;
}
