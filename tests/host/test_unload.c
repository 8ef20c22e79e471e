// SPDX-License-Identifier: MIT
// The library in somebody else's program: loaded, used, unloaded; what was the program's own is as it was.

#include "host/protocol.h"
#include "tests/host/descriptors.h"
#include "tests/host/fake_supervisor.h"

#include <dextral/directory.h>

#include <dlfcn.h>
#include <errno.h>
#include <fenv.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct fake_supervisor fake;
static struct fake_driver driver;

/* The functions of the loaded library, not those that this program is linked with. */
static struct {
    void *handle;
    kern_return_t (*open)(const dx_directory_config *config, dx_directory **ret_directory, dx_error *error);
    void (*close)(dx_directory *directory);
    dx_device *(*copy_device)(dx_directory *directory, const char *uid);
    void (*release_device)(dx_device *device);
    kern_return_t (*open_client)(dx_device *device, const dx_client_config *config, dx_client **ret_client);
    kern_return_t (*start)(dx_client *client);
    void (*close_client)(dx_client *client);
} library;

static void
find(const char *name, void *ret_function)
{
    void *const symbol = dlsym(library.handle, name);
    CHECK(symbol);
    memcpy(ret_function, &symbol, sizeof symbol);
}

static void
load(void)
{
    library.handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library.handle)
        (void)fprintf(stderr, "%s\n", dlerror());
    CHECK(library.handle);
    find("dx_directory_open", &library.open);
    find("dx_directory_close", &library.close);
    find("dx_directory_copy_device", &library.copy_device);
    find("dx_device_release", &library.release_device);
    find("dx_client_open", &library.open_client);
    find("dx_client_start", &library.start);
    find("dx_client_close", &library.close_client);
}

static _Atomic uint32_t calls;

static void
count_call(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)context, (void)cycle, (void)input, (void)output;
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed); // read by the main thread
}

/* A client that plays and records for a moment. */
static void
use(void)
{
    dx_directory *directory = NULL;
    const dx_directory_config config = {.socket_path = fake.path};
    CHECK_OK(library.open(&config, &directory, NULL));
    dx_device *const device = library.copy_device(directory, "uid.a");
    CHECK(device);
    const dx_client_config client_config = {.size = sizeof client_config, .io_frames = 64, .callback = count_call};
    dx_client *client = NULL;
    CHECK_OK(library.open_client(device, &client_config, &client));
    CHECK_OK(library.start(client));
    const uint32_t before = atomic_load_explicit(&calls, memory_order_relaxed);
    while (atomic_load_explicit(&calls, memory_order_relaxed) < before + 3)
        (void)usleep(1000);
    library.close_client(client);
    library.release_device(device);
    library.close(directory);
}

static bool
is_mapped(const char *name)
{
    char line[512];
    bool is_found = false;
    FILE *const maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof line, maps))
        is_found |= strstr(line, name) != NULL;
    (void)fclose(maps);
    return is_found;
}

/* A number of /proc/self/status. */
static unsigned long
get_status(const char *key)
{
    char line[256];
    unsigned long value = 0;
    FILE *const status = fopen("/proc/self/status", "re");
    while (fgets(line, sizeof line, status))
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtoul(line + strlen(key), NULL, 10);
    (void)fclose(status);
    return value;
}

/* Without what the fake keeps of its program. */
static unsigned
count_own_descriptors(void)
{
    fake_lock(&fake);
    const unsigned count = count_descriptors() - (fake.lane >= 0) - (fake.client >= 0);
    fake_unlock(&fake);
    return count;
}

/* What a library that is loaded into a program must leave alone. */
struct own {
    struct sigaction actions[NSIG];
    sigset_t blocked;
    struct rlimit limits[RLIM_NLIMITS];
    int rounding;
    float denormal; // half of one, which a flush to zero would lose
    unsigned descriptors;
    unsigned long threads;
    unsigned long locked_kilobytes;
};

static void
look(struct own *own)
{
    memset(own, 0, sizeof *own);
    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, NULL, &own->actions[i]); // some are the C library's own
    (void)pthread_sigmask(SIG_SETMASK, NULL, &own->blocked);
    for (unsigned i = 0; i < RLIM_NLIMITS; i++)
        CHECK(getrlimit((__rlimit_resource_t)i, &own->limits[i]) == 0);
    own->rounding = fegetround();
    volatile float denormal = 1e-40f;
    own->denormal = denormal / 2.0f;
    own->descriptors = count_own_descriptors();
    own->threads = get_status("Threads:");
    own->locked_kilobytes = get_status("VmLck:");
}

static void
check_same(const struct own *before, const struct own *now)
{
    for (int i = 1; i < NSIG; i++)
        CHECK(before->actions[i].sa_handler == now->actions[i].sa_handler);
    CHECK(memcmp(&before->blocked, &now->blocked, sizeof now->blocked) == 0);
    CHECK(memcmp(before->limits, now->limits, sizeof now->limits) == 0);
    CHECK_EQ(before->rounding, now->rounding);
    CHECK(now->denormal > 0.0f);
    CHECK_EQ(before->descriptors, now->descriptors);
    CHECK_EQ(before->threads, now->threads);
    CHECK_EQ(before->locked_kilobytes, now->locked_kilobytes);
}

static void
the_library_can_be_loaded_used_and_unloaded_again_and_again(void)
{
    fake_prepare(&fake);
    fake_driver_create(&driver, 1, 48000, 8192, 8);
    fake.driver = &driver;
    (void)fake_add_device(&fake, "uid.a", "A");
    fake_start(&fake);
    static struct own before, now;
    for (unsigned i = 0; i < 20; i++) {
        load();
        if (i == 0)
            look(&before); // what it brings is mapped, and nothing was done yet
        use();
        look(&now);
        check_same(&before, &now);
        CHECK_EQ(dlclose(library.handle), 0);
        CHECK(!is_mapped("libdextral"));
    }
    fake_stop(&fake);
    fake_driver_destroy(&driver);
    fake_finish(&fake);
}

int
main(void)
{
    RUN(the_library_can_be_loaded_used_and_unloaded_again_and_again);
    return 0;
}
