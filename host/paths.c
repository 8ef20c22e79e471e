// SPDX-License-Identifier: MIT
// Where Dextral keeps its things.

#include "host/paths.h"

#include "host/error.h"
#include "host/install_paths.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static kern_return_t
no_memory(dx_error *error)
{
    return dx_error_set(error, kIOReturnNoMemory, "no memory for a path");
}

/* A path, with one slash where there are several, and none at the end. */
__attribute__((format(printf, 2, 3))) static kern_return_t
print_path(char **ret_path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *path = NULL;
    const int length = vasprintf(&path, format, arguments);
    va_end(arguments);
    if (length < 0)
        return kIOReturnNoMemory;
    char *to = path;
    for (const char *from = path; *from; from++) {
        if (from[0] != '/' || from[1] != '/')
            *to++ = *from;
    }
    if (to > path + 1 && to[-1] == '/')
        to--;
    *to = '\0';
    *ret_path = path;
    return kIOReturnSuccess;
}

static bool
is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* ---- the user's folders ---- */

/* A variable of ours, NULL where it says nothing.  One that is no absolute path is not what the user meant. */
static kern_return_t
read_variable(const char *name, const char **ret_path, dx_error *error)
{
    const char *const path = getenv(name);
    *ret_path = path && *path ? path : NULL;
    if (*ret_path && path[0] != '/')
        return dx_error_set(error, kIOReturnBadArgument, "%s is \"%.200s\", but must be an absolute path", name,
                            path);
    return kIOReturnSuccess;
}

/* A variable of the XDG base directories, which says that relative paths are to be ignored. */
static const char *
read_xdg_variable(const char *name)
{
    const char *const path = getenv(name);
    return path && path[0] == '/' ? path : NULL;
}

static bool
is_own_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid();
}

/* After `su` or `sudo` XDG_RUNTIME_DIR may still be another user's: one that is not ours does not count. */
static kern_return_t
find_runtime(char **ret_path)
{
    const unsigned user = geteuid();
    const char *const xdg = read_xdg_variable("XDG_RUNTIME_DIR");
    if (xdg && is_own_folder(xdg))
        return print_path(ret_path, "%s/dextral", xdg);
    char login[64];
    (void)snprintf(login, sizeof login, "/run/user/%u", user);
    if (is_own_folder(login))
        return print_path(ret_path, "%s/dextral", login);
    if (user == 0 && is_own_folder("/run"))
        return print_path(ret_path, "/run/dextral");
    return print_path(ret_path, "/tmp/dextral-%u", user);
}

static kern_return_t
copy_home(char **ret_path, dx_error *error)
{
    const char *home = getenv("HOME");
    struct passwd entry;
    struct passwd *found = NULL;
    char text[4096];
    if (!home || home[0] != '/')
        home = getpwuid_r(geteuid(), &entry, text, sizeof text, &found) == 0 && found ? found->pw_dir : NULL;
    if (!home || home[0] != '/')
        return dx_error_set(error, kIOReturnBadArgument,
                            "user %u has no home folder: set HOME, or DEXTRAL_CONFIG_DIR and DEXTRAL_STATE_DIR",
                            (unsigned)geteuid());
    return print_path(ret_path, "%s", home) == kIOReturnSuccess ? kIOReturnSuccess : no_memory(error);
}

/* A folder of the XDG base directories, `inside` of what its variable or the home folder says. */
static kern_return_t
find_xdg(const char *variable, const char *in_home, const char *inside, char **ret_path, dx_error *error)
{
    const char *const xdg = read_xdg_variable(variable);
    if (xdg)
        return print_path(ret_path, "%s/%s", xdg, inside);
    char *home = NULL;
    kern_return_t status = copy_home(&home, error);
    if (status == kIOReturnSuccess)
        status = print_path(ret_path, "%s/%s/%s", home, in_home, inside);
    free(home);
    return status;
}

kern_return_t
dx_paths_find(enum dx_folder folder, char **ret_path, dx_error *error)
{
    static const char *const variables[] = {
        [DX_FOLDER_RUNTIME] = "DEXTRAL_RUNTIME_DIR",
        [DX_FOLDER_CONFIG] = "DEXTRAL_CONFIG_DIR",
        [DX_FOLDER_STATE] = "DEXTRAL_STATE_DIR",
    };
    const char *given = NULL;
    kern_return_t status = read_variable(variables[folder], &given, error);
    if (status != kIOReturnSuccess)
        return status;
    if (given)
        status = print_path(ret_path, "%s", given);
    else if (folder == DX_FOLDER_RUNTIME)
        status = find_runtime(ret_path);
    else if (folder == DX_FOLDER_CONFIG)
        status = find_xdg("XDG_CONFIG_HOME", ".config", "dextral", ret_path, error);
    else
        status = find_xdg("XDG_STATE_HOME", ".local/state", "dextral", ret_path, error);
    return status == kIOReturnNoMemory ? no_memory(error) : status;
}

/* ---- made and checked ---- */

static kern_return_t
refuse(dx_error *error, const char *path, const char *reason)
{
    return dx_error_set(error, kIOReturnNotPermitted, "%s %s", path, reason);
}

/* What is true of a folder of ours, whoever asks. */
static kern_return_t
check_rights(const char *path, const struct stat *info, dx_error *error)
{
    if (S_ISLNK(info->st_mode))
        return refuse(error, path, "is a symbolic link: it may lead anywhere; name the folder itself");
    if (!S_ISDIR(info->st_mode))
        return refuse(error, path, "is no folder");
    if (info->st_mode & (S_IWGRP | S_IWOTH))
        return dx_error_set(error, kIOReturnNotPermitted, "%s can be written by others (mode %04o): chmod go-w it",
                            path, (unsigned)(info->st_mode & 07777));
    return kIOReturnSuccess;
}

static kern_return_t
check_own(const char *path, dx_error *error)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return dx_error_set(error, kIOReturnNotWritable, "%s: %s", path, strerror(errno));
    if (!S_ISLNK(info.st_mode) && info.st_uid != geteuid())
        return dx_error_set(error, kIOReturnNotPermitted, "%s belongs to user %u, but this is user %u", path,
                            (unsigned)info.st_uid, (unsigned)geteuid());
    return check_rights(path, &info, error);
}

/* Where everybody may write, everybody may put another folder in the place of ours; but for sticky ones, as /tmp
 * is. */
static kern_return_t
check_above(const char *path, dx_error *error)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return dx_error_set(error, kIOReturnNotWritable, "%s: %s", path, strerror(errno));
    if ((info.st_mode & S_IWOTH) && !(info.st_mode & S_ISVTX))
        return refuse(error, path, "can be written by everybody and is not sticky: nothing in it is safe");
    return kIOReturnSuccess;
}

/* Makes a folder where there is nothing. */
static kern_return_t
make_one(const char *path, dx_error *error)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return dx_error_set(error, kIOReturnNotWritable, "cannot make %s: %s", path, strerror(errno));
    return kIOReturnSuccess;
}

/* Makes and checks what is above, from the top; `path` is changed and put back. */
static kern_return_t
make_above(char *path, dx_error *error)
{
    kern_return_t status = kIOReturnSuccess;
    for (char *slash = strchr(path + 1, '/'); slash && status == kIOReturnSuccess;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = make_one(path, error);
        if (status == kIOReturnSuccess)
            status = check_above(path, error);
        *slash = '/';
    }
    return status;
}

kern_return_t
dx_paths_make(enum dx_folder folder, char **ret_path, dx_error *error)
{
    char *path = NULL;
    kern_return_t status = dx_paths_find(folder, &path, error);
    if (status == kIOReturnSuccess)
        status = make_above(path, error);
    if (status == kIOReturnSuccess)
        status = make_one(path, error);
    if (status == kIOReturnSuccess)
        status = check_own(path, error);
    if (status == kIOReturnSuccess)
        *ret_path = path;
    else
        free(path);
    return status;
}

kern_return_t
dx_paths_make_inside(const char *parent, const char *name, char **ret_path, dx_error *error)
{
    char *path = NULL;
    if (print_path(&path, "%s/%s", parent, name) != kIOReturnSuccess)
        return no_memory(error);
    kern_return_t status = make_one(path, error);
    if (status == kIOReturnSuccess)
        status = check_own(path, error);
    if (status == kIOReturnSuccess)
        *ret_path = path;
    else
        free(path);
    return status;
}

/* Nobody but the user himself, or root, may be the one who listens there. */
static kern_return_t
check_socket_folder(const char *path, dx_error *error)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return kIOReturnSuccess; // who connects will see it
    if (!S_ISLNK(info.st_mode) && geteuid() != 0 && info.st_uid != 0 && info.st_uid != geteuid())
        return dx_error_set(error, kIOReturnNotPermitted,
                            "%s belongs to user %u, but this is user %u: whoever listens there is not trusted",
                            path, (unsigned)info.st_uid, (unsigned)geteuid());
    return check_rights(path, &info, error);
}

kern_return_t
dx_paths_socket(char **ret_path, dx_error *error)
{
    char *folder = NULL;
    char *path = NULL;
    kern_return_t status = dx_paths_find(DX_FOLDER_RUNTIME, &folder, error);
    if (status == kIOReturnSuccess)
        status = check_socket_folder(folder, error);
    if (status == kIOReturnSuccess && print_path(&path, "%s/socket", folder) != kIOReturnSuccess)
        status = no_memory(error);
    const size_t room = sizeof((struct sockaddr_un *)NULL)->sun_path;
    if (status == kIOReturnSuccess && strlen(path) >= room)
        status =
            dx_error_set(error, kIOReturnBadArgument,
                         "%.300s is longer than the %zu bytes of a socket's address: set DEXTRAL_RUNTIME_DIR to "
                         "a shorter path",
                         path, room - 1);
    free(folder);
    if (status == kIOReturnSuccess)
        *ret_path = path;
    else
        free(path);
    return status;
}

/* ---- where it is installed ---- */

/* The folder of the running program.  false: /proc is not there, or the path is too long. */
static bool
find_program_folder(char folder[static PATH_MAX])
{
    const ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (length <= 0 || folder[0] != '/')
        return false;
    folder[length] = '\0';
    *strrchr(folder, '/') = '\0';
    return true;
}

/* The build folder that the running program is in: the one above it that has what no other folder has. */
static kern_return_t
find_build_folder(char **ret_path)
{
    char folder[PATH_MAX];
    char probe[PATH_MAX + 32];
    for (bool more = find_program_folder(folder); more && folder[0]; *strrchr(folder, '/') = '\0') {
        (void)snprintf(probe, sizeof probe, "%s/meson-info", folder);
        const bool is_build = is_folder(probe);
        (void)snprintf(probe, sizeof probe, "%s/examples/Cable.dext", folder);
        if (is_build && is_folder(probe))
            return print_path(ret_path, "%s", folder);
    }
    return kIOReturnNotFound;
}

/* What `folder` is without `end`, when it ends in it: the prefix that a program was moved to. */
static bool
cut_end(char *folder, const char *end)
{
    const size_t length = strlen(folder);
    const size_t end_length = strlen(end);
    if (length <= end_length + 1 || strcmp(folder + length - end_length, end) != 0 ||
        folder[length - end_length - 1] != '/')
        return false;
    folder[length - end_length - 1] = '\0';
    return true;
}

/*
 * A folder of the installation.  The prefix is where the running program was installed to, if it is one of ours,
 * so that the whole can be moved; else the one that was configured.
 */
static kern_return_t
find_installed(const char *relative, const char *inside, char **ret_path)
{
    if (relative[0] == '/') // configured to be elsewhere than in the prefix
        return print_path(ret_path, "%s/%s", relative, inside);
    char prefix[PATH_MAX];
    char probe[PATH_MAX + sizeof DX_LIBDIR + 16];
    if (find_program_folder(prefix) && (cut_end(prefix, DX_BINDIR) || cut_end(prefix, DX_LIBEXECDIR "/dextral"))) {
        (void)snprintf(probe, sizeof probe, "%s/" DX_LIBDIR "/dextral", prefix);
        if (is_folder(probe))
            return print_path(ret_path, "%s/%s/%s", prefix, relative, inside);
    }
    return print_path(ret_path, "%s/%s/%s", DX_PREFIX, relative, inside);
}

kern_return_t
dx_paths_kinds_folder(char **ret_path, dx_error *error)
{
    const char *given = NULL;
    kern_return_t status = read_variable("DEXTRAL_KINDS_DIR", &given, error);
    if (status != kIOReturnSuccess)
        return status;
    char *build = NULL;
    if (given)
        status = print_path(ret_path, "%s", given);
    else if (find_build_folder(&build) == kIOReturnSuccess)
        status = print_path(ret_path, "%s/examples", build);
    else
        status = find_installed(DX_LIBDIR, "dextral/kinds", ret_path);
    free(build);
    return status == kIOReturnNoMemory ? no_memory(error) : status;
}

/* Gives back the path when there is such a program there: true. */
static bool
try_program(char *path)
{
    if (path && access(path, X_OK) == 0 && !is_folder(path))
        return true;
    free(path);
    return false;
}

kern_return_t
dx_paths_driver_program(char **ret_path, dx_error *error)
{
    static const char name[] = "dextral-driver";
    const char *given = NULL;
    kern_return_t status = read_variable("DEXTRAL_DRIVER_PROGRAM", &given, error);
    if (status != kIOReturnSuccess)
        return status;
    if (given && access(given, X_OK) != 0)
        return dx_error_set(error, kIOReturnNotFound, "DEXTRAL_DRIVER_PROGRAM: %.300s: %s", given,
                            strerror(errno));
    if (given)
        return print_path(ret_path, "%s", given) == kIOReturnSuccess ? kIOReturnSuccess : no_memory(error);

    char folder[PATH_MAX];
    char *path = NULL;
    char *build = NULL;
    if (find_program_folder(folder) && print_path(&path, "%s/%s", folder, name) == kIOReturnSuccess &&
        try_program(path)) {
        *ret_path = path;
        return kIOReturnSuccess;
    }
    path = NULL;
    if (find_build_folder(&build) == kIOReturnSuccess)
        (void)print_path(&path, "%s/" DX_DRIVER_IN_BUILD "/%s", build, name);
    free(build);
    if (try_program(path)) {
        *ret_path = path;
        return kIOReturnSuccess;
    }
    path = NULL;
    if (find_installed(DX_LIBEXECDIR, "dextral/dextral-driver", &path) == kIOReturnSuccess && try_program(path)) {
        *ret_path = path;
        return kIOReturnSuccess;
    }
    return dx_error_set(error, kIOReturnNotFound,
                        "there is no %s, neither beside the running program nor in " DX_LIBEXECDIR
                        "/dextral: install it, or set DEXTRAL_DRIVER_PROGRAM",
                        name);
}

/* ---- lists ---- */

void
dx_path_list_finish(struct dx_path_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
    *list = (struct dx_path_list){0};
}

/* Takes a path over.  NULL, or no memory for one more: false. */
static bool
append_path(struct dx_path_list *list, char *path)
{
    char **const paths = path ? realloc(list->paths, (list->count + 2) * sizeof *paths) : NULL;
    if (!paths) {
        free(path);
        return false;
    }
    list->paths = paths;
    list->paths[list->count++] = path;
    list->paths[list->count] = NULL;
    return true;
}

/* The parts of DEXTRAL_DRIVER_PATH; empty ones say nothing. */
static kern_return_t
append_given(struct dx_path_list *list, dx_error *error)
{
    const char *rest = getenv("DEXTRAL_DRIVER_PATH");
    while (rest && *rest) {
        const size_t length = strcspn(rest, ":");
        if (length > 0 && rest[0] != '/')
            return dx_error_set(error, kIOReturnBadArgument,
                                "DEXTRAL_DRIVER_PATH has \"%.*s\", but must have absolute paths", (int)length,
                                rest);
        if (length > 0 && !append_path(list, strndup(rest, length)))
            return no_memory(error);
        rest += length + (rest[length] == ':');
    }
    return kIOReturnSuccess;
}

kern_return_t
dx_paths_driver_folders(struct dx_path_list *ret_list, dx_error *error)
{
    struct dx_path_list list = {0};
    char *path = NULL;
    kern_return_t status = append_given(&list, error);
    /* Who has no home folder has no drivers in it. */
    if (status == kIOReturnSuccess &&
        find_xdg("XDG_DATA_HOME", ".local/share", "dextral/drivers", &path, NULL) == kIOReturnSuccess &&
        !append_path(&list, path))
        status = no_memory(error);
    path = NULL;
    if (status == kIOReturnSuccess &&
        (find_installed(DX_LIBDIR, "dextral/drivers", &path) != kIOReturnSuccess || !append_path(&list, path)))
        status = no_memory(error);
    if (status == kIOReturnSuccess)
        *ret_list = list;
    else
        dx_path_list_finish(&list);
    return status;
}
