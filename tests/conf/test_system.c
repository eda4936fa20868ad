/* The process's own variables and files. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/conf-system-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, size_t len)
{
    FILE *file = fopen(path_of(name), "w");

    assert_non_null(file);
    for (size_t i = 0; i < len; i++)
        fputc('x', file);
    assert_int_equal(fclose(file), 0);
}

static int read_bytes(const char *path, size_t max, size_t *ret_len)
{
    struct buf buf;
    int err;

    buf_init(&buf, max);
    err = conf_system_process.read_file(NULL, path, &buf);
    *ret_len = buf.len;
    buf_fini(&buf);
    return err;
}

static void files_are_read_whole_or_not_at_all(void **state)
{
    size_t len;

    (void)state;
    write_file("five", 5);
    write_file("none", 0);
    assert_int_equal(read_bytes(path_of("five"), 100, &len), 0);
    assert_int_equal(len, 5);
    assert_int_equal(read_bytes(path_of("five"), 5, &len), 0);
    assert_int_equal(len, 5);
    assert_int_equal(read_bytes(path_of("five"), 4, &len), ERR_FULL);
    assert_int_equal(read_bytes(path_of("none"), 4, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(read_bytes(path_of("absent"), 4, &len), ERR_NOTFOUND);
    assert_int_equal(read_bytes(folder, 4, &len), ERR_UNSUPPORTED);
}

/* A pipe that nobody writes to must not hang a start. */
static void a_pipe_does_not_block(void **state)
{
    size_t len;

    (void)state;
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    assert_int_equal(read_bytes(path_of("pipe"), 4, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(unlink(path_of("pipe")), 0);
}

/* As Kubernetes mounts secrets: links into a folder that starts with dots. */
static void folders_list_plain_files_and_links_to_them(void **state)
{
    char target[256];
    struct buf names;

    (void)state;
    write_file("five", 5);
    write_file(".hidden", 5);
    assert_int_equal(mkdir(path_of("..data"), 0700), 0);
    assert_int_equal(mkdir(path_of("inner"), 0700), 0);
    write_file("..data/key", 3);
    snprintf(target, sizeof(target), "%s", path_of("..data/key"));
    assert_int_equal(symlink(target, path_of("key")), 0);
    unlink(path_of("none"));
    buf_init(&names, 4096);
    assert_int_equal(conf_system_process.list_folder(NULL, folder, &names), 0);
    assert_int_equal(names.len, sizeof("five") + sizeof("key"));
    assert_int_equal(conf_system_process.list_folder(NULL, path_of("absent"), &names),
                     ERR_NOTFOUND);
    buf_fini(&names);
}

static void variables_are_those_of_the_process(void **state)
{
    (void)state;
    assert_int_equal(setenv("BW_TEST_VARIABLE", "value", 1), 0);
    assert_string_equal(conf_system_process.variable(NULL, "BW_TEST_VARIABLE"), "value");
    assert_null(conf_system_process.variable(NULL, "BW_TEST_ABSENT"));
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const files[] = {"five", "none", ".hidden", "key", "..data/key"};

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlink(path_of(files[i]));
    rmdir(path_of("..data"));
    rmdir(path_of("inner"));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_whole_or_not_at_all),
        cmocka_unit_test(a_pipe_does_not_block),
        cmocka_unit_test(folders_list_plain_files_and_links_to_them),
        cmocka_unit_test(variables_are_those_of_the_process),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
