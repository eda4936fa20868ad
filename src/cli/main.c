/* The commands of the program: each is a row of tables/commands.def and a function in a file of its
 * own. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

static const struct command commands[] = {
#define COMMAND(name, usage, summary, details, run) {name, usage, summary, details, run},
#include "tables/commands.def"
#undef COMMAND
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void print_help(FILE *to)
{
    fprintf(to, "bellwether: an LLM API gateway over pools of upstream keys\n\nUsage:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  bellwether %-52s %s\n", commands[i].usage, commands[i].summary);
    fprintf(to, "  bellwether %-52s %s\n", "--version", "prints the version");
}

static void print_command(const struct command *command)
{
    printf("bellwether %s\n  %s\n", command->usage, command->summary);
    if (command->details[0])
        printf("\n%s", command->details);
}

/* Wherever it stands: no word of a command may be meant otherwise. */
static bool is_asking_for_help(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

static int complain(const char *name)
{
    fprintf(stderr, "bellwether: there is no command '%s'; 'bellwether help' lists them\n", name);
    return COMMAND_BAD_USAGE;
}

int command_help(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "config") == 0)
        return command_help_config();
    command = find(argv[1]);
    if (!command)
        return complain(argv[1]);
    print_command(command);
    return 0;
}

int command_bad_usage(const char *name, const char *why)
{
    const struct command *command = find(name);

    fprintf(stderr, "bellwether %s: %s\n", name, why);
    if (command)
        fprintf(stderr, "usage: bellwether %s; more: bellwether help %s\n", command->usage, name);
    return COMMAND_BAD_USAGE;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    const struct command *command;

    sigaction(SIGPIPE, &ignore, NULL);
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("bellwether %s\n", BW_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    command = find(name);
    if (!command)
        return complain(name);
    if (is_asking_for_help(argc, argv)) {
        print_command(command);
        return 0;
    }
    return command->run(argc > 1 ? argc - 1 : 0, argv + 1);
}
