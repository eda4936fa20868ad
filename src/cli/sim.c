/* bellwether sim: the simulator until a signal ends it. */
#include <signal.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/signals.h"
#include "sim/sim_run.h"

static void on_signal(void *owner, int number)
{
    if (number != SIGHUP && number != SIGUSR1)
        loop_stop(owner);
}

int command_sim(int argc, char **argv)
{
    struct loop *loop = loop_new();
    struct signals *signals = NULL;
    char name[] = "bellwether sim"; /* as getopt's complaints begin */
    int status = COMMAND_FAILED;

    argv[0] = name;
    if (!loop || signals_new(loop, on_signal, loop, &signals))
        fprintf(stderr, "bellwether sim: out of memory or descriptors\n");
    else
        status = sim_main(loop, argc, argv);
    signals_free(&signals);
    loop_free(&loop);
    return status;
}
