// SPDX-License-Identifier: MIT
// Says where things are, as a program that is installed somewhere sees it.  Linked with host/paths.c and host/error.c
// alone: that it links is part of the test.

#include "host/paths.h"

#include <stdio.h>
#include <stdlib.h>

static void
print(const char *what, kern_return_t (*find)(char **ret_path, dx_error *error))
{
    char *path = NULL;
    dx_error error = {""};
    const kern_return_t status = find(&path, &error);
    printf("%s %s\n", what, status == kIOReturnSuccess ? path : error.message);
    free(path);
}

int
main(void)
{
    print("socket", dx_paths_socket);
    print("kinds", dx_paths_kinds_folder);
    print("driver", dx_paths_driver_program);

    struct dx_path_list list = {0};
    const kern_return_t status = dx_paths_driver_folders(&list, NULL);
    for (size_t i = 0; i < list.count; i++)
        printf("drivers %s\n", list.paths[i]);
    dx_path_list_finish(&list);
    return status != kIOReturnSuccess;
}
