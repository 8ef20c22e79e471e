// SPDX-License-Identifier: MIT
// Runs a fuzz target over files: its seeds with any compiler, or one input that a fuzzer found.

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned files_run;

static int
run_file(const char *path)
{
    FILE *const file = fopen(path, "rb");
    if (!file) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    uint8_t *data = NULL;
    size_t size = 0, room = 0;
    for (;;) {
        if (size == room) {
            room = room ? 2 * room : 4096;
            uint8_t *const larger = realloc(data, room);
            if (!larger)
                abort();
            data = larger;
        }
        const size_t n = fread(data + size, 1, room - size, file);
        if (n == 0)
            break;
        size += n;
    }
    const int failed = ferror(file);
    (void)fclose(file);
    if (failed) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
    } else {
        (void)fprintf(stderr, "%s\n", path); // before: the last line names the input that crashed
        (void)LLVMFuzzerTestOneInput(data, size);
        files_run++;
    }
    free(data);
    return failed ? -1 : 0;
}

static int
run_folder(const char *path)
{
    DIR *const folder = opendir(path);
    if (!folder) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    int result = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        char name[4096];
        const int length = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof name || run_file(name) < 0)
            result = -1;
    }
    (void)closedir(folder);
    return result;
}

int
main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s FILE_OR_FOLDER...\n", argv[0]);
        return 2;
    }
    int result = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        const int is_folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        if ((is_folder ? run_folder(argv[i]) : run_file(argv[i])) < 0)
            result = 1;
    }
    if (files_run == 0) {
        (void)fprintf(stderr, "%s: nothing was run\n", argv[0]);
        result = 1;
    }
    (void)fprintf(stderr, "%u inputs\n", files_run);
    return result;
}
