// SPDX-License-Identifier: MIT
// Where things are, and which folders are trusted.  Expected paths are those of the table in docs/design/machine.md.

#include "host/paths.h"

#include "folder.h"
#include "host/install_paths.h"

#include <criterion/parameterized.h>

TestSuite(paths, .init = enter_folder, .fini = leave_folder);

static void
expect_path(enum dx_folder which, const char *expected)
{
    char *path = NULL;
    dx_error error = {""};
    cr_assert(eq(int, dx_paths_find(which, &path, &error), kIOReturnSuccess), "%s", error.message);
    cr_expect(eq(str, path, TEXT(expected)));
    free(path);
}

static void
expect_made(enum dx_folder which, const char *expected)
{
    char *path = NULL;
    struct stat info;
    dx_error error = {""};
    cr_assert(eq(int, dx_paths_make(which, &path, &error), kIOReturnSuccess), "%s", error.message);
    cr_expect(eq(str, path, TEXT(expected)));
    cr_assert(eq(int, lstat(path, &info), 0));
    cr_expect(eq(u32, info.st_mode, S_IFDIR | 0700));
    cr_expect(eq(u32, info.st_uid, geteuid()));
    free(path);
}

static void
expect_not_made(kern_return_t status, const char *message)
{
    char *path = NULL;
    dx_error error = {""};
    cr_expect(eq(int, dx_paths_make(DX_FOLDER_RUNTIME, &path, &error), status), "%s", error.message);
    expect_message(&error, message);
    cr_expect(eq(ptr, path, NULL));
}

/* Sets a variable to a path in the folder. */
static void
set(const char *variable, const char *path)
{
    cr_assert(eq(int, setenv(variable, in_folder("%s", path), 1), 0));
}

Test(paths, the_variables_come_first)
{
    set("DEXTRAL_RUNTIME_DIR", "run");
    set("DEXTRAL_CONFIG_DIR", "config//");
    set("DEXTRAL_STATE_DIR", "state/");
    set("XDG_RUNTIME_DIR", "");
    set("XDG_CONFIG_HOME", "no");
    set("XDG_STATE_HOME", "no");
    expect_path(DX_FOLDER_RUNTIME, in_folder("run"));
    expect_path(DX_FOLDER_CONFIG, in_folder("config"));
    expect_path(DX_FOLDER_STATE, in_folder("state"));
}

Test(paths, the_xdg_folders_come_second)
{
    set("XDG_RUNTIME_DIR", "");
    set("XDG_CONFIG_HOME", "c");
    set("XDG_STATE_HOME", "s");
    expect_path(DX_FOLDER_RUNTIME, in_folder("dextral"));
    expect_path(DX_FOLDER_CONFIG, in_folder("c/dextral"));
    expect_path(DX_FOLDER_STATE, in_folder("s/dextral"));
}

Test(paths, the_home_folder_comes_third)
{
    set("HOME", "me");
    cr_assert(eq(int, setenv("XDG_CONFIG_HOME", "relative", 1), 0)); // to be ignored, says the specification
    expect_path(DX_FOLDER_CONFIG, in_folder("me/.config/dextral"));
    expect_path(DX_FOLDER_STATE, in_folder("me/.local/state/dextral"));
    cr_assert(eq(int, setenv("HOME", "/", 1), 0));
    expect_path(DX_FOLDER_CONFIG, "/.config/dextral");
}

Test(paths, root_without_any_variable_has_its_folders)
{
    if (geteuid() != 0)
        SKIP_TEST("only for root");
    cr_assert(eq(int, unsetenv("HOME"), 0));
    struct stat info;
    const bool is_login = stat("/run/user/0", &info) == 0;
    expect_path(DX_FOLDER_RUNTIME, is_login ? "/run/user/0/dextral" : "/run/dextral");
    char *path = NULL;
    cr_assert(eq(int, dx_paths_find(DX_FOLDER_CONFIG, &path, NULL), kIOReturnSuccess)); // from the list of users
    cr_expect(eq(u8, (uint8_t)path[0], '/'));
    free(path);
}

Test(paths, a_user_without_a_login_has_a_folder_in_tmp)
{
    become_stranger();
    cr_assert(eq(int, setenv("XDG_RUNTIME_DIR", "/run", 1), 0)); // root's, as after `su`
    expect_path(DX_FOLDER_RUNTIME, "/tmp/dextral-54321");
    become_oneself();
}

Test(paths, a_user_without_a_home_is_told_what_to_set)
{
    become_stranger();
    cr_assert(eq(int, unsetenv("HOME"), 0));
    char *path = NULL;
    dx_error error = {""};
    cr_expect(eq(int, dx_paths_find(DX_FOLDER_CONFIG, &path, &error), kIOReturnBadArgument));
    expect_message(&error, "DEXTRAL_CONFIG_DIR");
    struct dx_path_list list = {0};
    cr_assert(eq(int, dx_paths_driver_folders(&list, &error), kIOReturnSuccess)); // no driver folder of its own
    cr_expect(eq(sz, list.count, 1));
    dx_path_list_finish(&list);
    become_oneself();
}

Test(paths, a_variable_with_a_relative_path_is_refused)
{
    static const char *const variables[] = {"DEXTRAL_RUNTIME_DIR", "DEXTRAL_CONFIG_DIR", "DEXTRAL_STATE_DIR"};
    for (size_t i = 0; i < 3; i++) {
        char *path = NULL;
        dx_error error = {""};
        cr_assert(eq(int, setenv(variables[i], "run", 1), 0));
        cr_expect(eq(int, dx_paths_find((enum dx_folder)i, &path, &error), kIOReturnBadArgument));
        expect_message(&error, variables[i]);
        cr_assert(eq(int, setenv(variables[i], "", 1), 0)); // says nothing
        cr_assert(eq(int, setenv("HOME", folder, 1), 0));
        cr_expect(eq(int, dx_paths_find((enum dx_folder)i, &path, &error), kIOReturnSuccess));
        free(path);
    }
}

Test(paths, folders_are_made_for_their_owner_alone)
{
    set("DEXTRAL_RUNTIME_DIR", "a/b/run");
    set("XDG_CONFIG_HOME", "config");
    set("DEXTRAL_STATE_DIR", "state");
    (void)umask(0);
    expect_made(DX_FOLDER_RUNTIME, in_folder("a/b/run"));
    expect_made(DX_FOLDER_CONFIG, in_folder("config/dextral"));
    expect_made(DX_FOLDER_STATE, in_folder("state"));
    expect_made(DX_FOLDER_STATE, in_folder("state")); // again
    struct stat info;
    cr_assert(eq(int, stat("a", &info), 0));
    cr_expect(eq(u32, info.st_mode, S_IFDIR | 0700)); // and what was missing above
}

Test(paths, a_folder_that_others_may_write_is_refused)
{
    set("DEXTRAL_RUNTIME_DIR", "run");
    make_folder("run", 0770);
    expect_not_made(kIOReturnNotPermitted, "can be written by others (mode 0770)");
    cr_assert(eq(int, chmod("run", 0702), 0));
    expect_not_made(kIOReturnNotPermitted, "can be written by others (mode 0702)");
    cr_assert(eq(int, chmod("run", 01777), 0)); // sticky is for folders above
    expect_not_made(kIOReturnNotPermitted, "can be written by others (mode 1777)");
    cr_assert(eq(int, chmod("run", 0755), 0));
    char *path = NULL;
    cr_expect(eq(int, dx_paths_make(DX_FOLDER_RUNTIME, &path, NULL), kIOReturnSuccess));
    free(path);
}

Test(paths, a_folder_of_somebody_else_is_refused)
{
    /* Whoever runs the tests, one of the two belongs to somebody else. */
    set("DEXTRAL_RUNTIME_DIR", "run");
    make_folder("run", 0700);
    if (geteuid() == 0)
        give_to_stranger("run");
    else
        cr_assert(eq(int, setenv("DEXTRAL_RUNTIME_DIR", "/usr", 1), 0));
    expect_not_made(kIOReturnNotPermitted, geteuid() == 0 ? "belongs to user 54321, but this is user 0"
                                                          : "belongs to user 0, but this is user");
}

Test(paths, a_folder_that_is_a_link_is_refused)
{
    set("DEXTRAL_RUNTIME_DIR", "run");
    make_folder("real", 0700);
    cr_assert(eq(int, symlink("real", "run"), 0));
    expect_not_made(kIOReturnNotPermitted, "symbolic link");
    cr_assert(eq(int, rename("real", "elsewhere"), 0)); // leads nowhere: nothing is made there either
    expect_not_made(kIOReturnNotPermitted, "symbolic link");
    cr_expect(not(exists("real")));
}

Test(paths, a_folder_that_is_a_file_is_refused)
{
    set("DEXTRAL_RUNTIME_DIR", "run");
    write_file("run", "");
    expect_not_made(kIOReturnNotPermitted, "is no folder");
    set("DEXTRAL_RUNTIME_DIR", "run/below");
    expect_not_made(kIOReturnNotWritable, "run/below");
}

Test(paths, a_folder_in_one_that_everybody_may_write_is_refused_unless_that_is_sticky)
{
    set("DEXTRAL_RUNTIME_DIR", "all/mine/run");
    make_folder("all", 0777);
    expect_not_made(kIOReturnNotPermitted, "can be written by everybody and is not sticky");
    cr_assert(eq(int, chmod("all", 01777), 0));
    expect_made(DX_FOLDER_RUNTIME, in_folder("all/mine/run"));
}

Test(paths, a_folder_inside_is_made_and_checked_as_well)
{
    char *path = NULL;
    dx_error error = {""};
    cr_assert(eq(int, dx_paths_make_inside(folder, "devices", &path, &error), kIOReturnSuccess));
    cr_expect(eq(str, path, TEXT(in_folder("devices"))));
    free(path);
    path = NULL;
    cr_assert(eq(int, chmod("devices", 0777), 0));
    cr_expect(eq(int, dx_paths_make_inside(folder, "devices", &path, &error), kIOReturnNotPermitted));
    expect_message(&error, "can be written by others");
    cr_expect(eq(int, dx_paths_make_inside(in_folder("none"), "devices", &path, &error), kIOReturnNotWritable));
}

static void
expect_socket(kern_return_t status, const char *message)
{
    char *path = NULL;
    dx_error error = {""};
    cr_expect(eq(int, dx_paths_socket(&path, &error), status), "%s", error.message);
    if (status == kIOReturnSuccess)
        cr_expect(eq(str, path, TEXT(message)));
    else
        expect_message(&error, message);
    free(path);
}

Test(paths, the_socket_is_known_before_its_folder_is_made)
{
    set("DEXTRAL_RUNTIME_DIR", "run");
    expect_socket(kIOReturnSuccess, in_folder("run/socket"));
    cr_expect(not(exists("run")));
    make_folder("run", 0700);
    expect_socket(kIOReturnSuccess, in_folder("run/socket"));
}

Test(paths, a_socket_in_a_folder_that_others_may_write_is_refused)
{
    set("DEXTRAL_RUNTIME_DIR", "run");
    make_folder("run", 0777);
    expect_socket(kIOReturnNotPermitted, "can be written by others");
    cr_assert(eq(int, rename("run", "real"), 0));
    cr_assert(eq(int, symlink("real", "run"), 0));
    expect_socket(kIOReturnNotPermitted, "symbolic link");
}

Test(paths, a_socket_of_another_user_is_for_root_alone)
{
    set("DEXTRAL_RUNTIME_DIR", "run");
    make_folder("run", 0700);
    give_to_stranger("run");
    expect_socket(kIOReturnSuccess, in_folder("run/socket"));
    give_to_stranger(folder);
    cr_assert(eq(int, seteuid(STRANGER + 1), 0));
    cr_assert(
        eq(int, setenv("DEXTRAL_RUNTIME_DIR", "/tmp", 1), 0)); // can be looked at by everybody; root's, for all
    expect_socket(kIOReturnNotPermitted, "can be written by others");
    cr_assert(eq(int, setenv("DEXTRAL_RUNTIME_DIR", "/usr", 1), 0));
    expect_socket(kIOReturnSuccess, "/usr/socket"); // root's
    cr_assert(eq(int, seteuid(0), 0));
    cr_assert(eq(int, chmod(folder, 0755), 0));
    cr_assert(eq(int, seteuid(STRANGER + 1), 0));
    set("DEXTRAL_RUNTIME_DIR", "run");
    expect_socket(kIOReturnNotPermitted, "belongs to user 54321, but this is user 54322");
    become_oneself();
}

Test(paths, a_path_that_fits_no_socket_address_is_refused)
{
    char name[160];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    set("DEXTRAL_RUNTIME_DIR", name);
    expect_socket(kIOReturnBadArgument, "longer than the 107 bytes of a socket's address");
    name[107 - strlen(folder) - strlen("//socket")] = '\0'; // just fits
    set("DEXTRAL_RUNTIME_DIR", name);
    expect_socket(kIOReturnSuccess, in_folder("%s/socket", name));
}

Test(paths, driver_folders_have_an_order)
{
    cr_assert(eq(int, setenv("DEXTRAL_DRIVER_PATH", "/first::/second:", 1), 0));
    set("XDG_DATA_HOME", "data");
    struct dx_path_list list = {0};
    cr_assert(eq(int, dx_paths_driver_folders(&list, NULL), kIOReturnSuccess));
    cr_assert(eq(sz, list.count, 4));
    cr_expect(eq(str, list.paths[0], TEXT("/first")));
    cr_expect(eq(str, list.paths[1], TEXT("/second")));
    cr_expect(eq(str, list.paths[2], TEXT(in_folder("data/dextral/drivers"))));
    cr_expect(strstr(list.paths[3], "/dextral/drivers") != NULL);
    cr_expect(eq(ptr, list.paths[4], NULL));
    dx_path_list_finish(&list);
    dx_path_list_finish(&list); // again

    dx_error error = {""};
    cr_assert(eq(int, setenv("DEXTRAL_DRIVER_PATH", "/first:second", 1), 0));
    cr_expect(eq(int, dx_paths_driver_folders(&list, &error), kIOReturnBadArgument));
    expect_message(&error, "\"second\"");
}

Test(paths, in_the_build_folder_the_kinds_are_the_examples)
{
    char *path = NULL;
    cr_assert(eq(int, dx_paths_kinds_folder(&path, NULL), kIOReturnSuccess));
    cr_expect(eq(str, path, TEXT(BUILD "/examples")));
    free(path);
    set("DEXTRAL_KINDS_DIR", "kinds");
    cr_assert(eq(int, dx_paths_kinds_folder(&path, NULL), kIOReturnSuccess));
    cr_expect(eq(str, path, TEXT(in_folder("kinds"))));
    free(path);
}

Test(paths, the_driver_program_is_the_one_that_was_named)
{
    char *path = NULL;
    dx_error error = {""};
    set("DEXTRAL_DRIVER_PROGRAM", "driver");
    cr_expect(eq(int, dx_paths_driver_program(&path, &error), kIOReturnNotFound));
    expect_message(&error, "DEXTRAL_DRIVER_PROGRAM");
    write_file("driver", "");
    cr_assert(eq(int, chmod("driver", 0700), 0));
    cr_assert(eq(int, dx_paths_driver_program(&path, &error), kIOReturnSuccess));
    cr_expect(eq(str, path, TEXT(in_folder("driver"))));
    free(path);
}

/* Runs the probe where it was copied to, and reads what it says of one thing; the last of them where there are more. */
static void
expect_probe(const char *program, const char *what, const char *expected)
{
    char line[1024];
    char found[1024] = "";
    const size_t length = strlen(what);
    FILE *const pipe = popen(program, "r");
    cr_assert(ne(ptr, pipe, NULL));
    while (fgets(line, sizeof line, pipe)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, what, length) == 0 && line[length] == ' ')
            strcpy(found, line + length + 1);
    }
    cr_assert(eq(int, pclose(pipe), 0));
    cr_expect(eq(str, found, TEXT(expected)));
}

static void
copy_probe(const char *to)
{
    char command[1200];
    (void)snprintf(command, sizeof command,
                   "mkdir -p \"$(dirname '%s')\" && cp " BUILD "/tests/host/probe_paths '%s'", to, to);
    cr_assert(eq(int, system(command), 0));
}

Test(paths, an_installation_may_be_moved_as_a_whole)
{
    if (DX_LIBDIR[0] == '/' || DX_LIBEXECDIR[0] == '/')
        SKIP_TEST("configured to be in several places");
    const char *const program = in_folder("opt/" DX_BINDIR "/probe");
    copy_probe(program);
    expect_probe(program, "kinds", DX_PREFIX "/" DX_LIBDIR "/dextral/kinds"); // nothing of ours is beside it
    char command[600];
    (void)snprintf(command, sizeof command,
                   "mkdir -p opt/" DX_LIBDIR "/dextral opt/" DX_LIBEXECDIR "/dextral"
                   " && cp %s opt/" DX_LIBEXECDIR "/dextral/dextral-driver",
                   program);
    cr_assert(eq(int, system(command), 0));
    expect_probe(program, "kinds", in_folder("opt/" DX_LIBDIR "/dextral/kinds"));
    expect_probe(program, "drivers", in_folder("opt/" DX_LIBDIR "/dextral/drivers"));
    expect_probe(program, "driver", in_folder("opt/" DX_LIBEXECDIR "/dextral/dextral-driver"));
    expect_probe(in_folder("opt/" DX_LIBEXECDIR "/dextral/dextral-driver"), "kinds",
                 in_folder("opt/" DX_LIBDIR "/dextral/kinds"));
    expect_probe(in_folder("opt/" DX_LIBEXECDIR "/dextral/dextral-driver"), "driver",
                 in_folder("opt/" DX_LIBEXECDIR "/dextral/dextral-driver")); // beside itself
}
