// SPDX-License-Identifier: MIT
// Others that do the same.

#include "peer.h"

#include "bench.h"
#include "roles.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- servers ---- */

/* The smallest PipeWire: no session manager, no bus; a null sink drives. */
static const char pipewire_configuration[] =
    "context.properties = {\n"
    "    core.daemon = true  core.name = pipewire-0  support.dbus = false  log.level = 0\n"
    "    default.clock.rate = 48000  default.clock.quantum = %u\n"
    "    default.clock.min-quantum = %u  default.clock.max-quantum = %u\n"
    "}\n"
    "context.spa-libs = {\n"
    "    audio.convert.* = audioconvert/libspa-audioconvert\n"
    "    support.* = support/libspa-support\n"
    "}\n"
    "context.modules = [\n"
    "    { name = libpipewire-module-rt args = { rt.prio = 80 } flags = [ ifexists nofail ] }\n"
    "    { name = libpipewire-module-protocol-native }\n"
    "    { name = libpipewire-module-metadata }\n"
    "    { name = libpipewire-module-spa-node-factory }\n"
    "    { name = libpipewire-module-client-node }\n"
    "    { name = libpipewire-module-access }\n"
    "    { name = libpipewire-module-adapter }\n"
    "    { name = libpipewire-module-link-factory }\n"
    "    { name = libpipewire-module-session-manager }\n"
    "]\n"
    "context.objects = [\n"
    "    { factory = metadata args = { metadata.name = default } }\n"
    "    { factory = spa-node-factory args = { factory.name = support.node.driver\n"
    "        node.name = Dummy-Driver node.group = pipewire.dummy priority.driver = 20000 } }\n"
    "    { factory = adapter args = { factory.name = support.null-audio-sink node.name = nullsink\n"
    "        media.class = Audio/Sink object.linger = true audio.position = [ FL FR ]\n"
    "        monitor.channel-volumes = false priority.driver = 30000\n"
    "        adapter.auto-port-config = { mode = dsp monitor = true position = preserve } } }\n"
    "]\n";

static pid_t server;
static enum bench_peer running;
static char folder[64];

const char *
bench_peer_name(enum bench_peer peer)
{
    return peer == BENCH_JACK ? "JACK2" : "PipeWire";
}

static const char pipewire_libjack[] = "/pipewire-0.3/jack/libjack.so.0";

/* PipeWire's library of JACK's name lies where the plain one does not: beside its own. */
static bool
find_pipewire_libjack(char *path, size_t bytes)
{
    static const char *const folders[] = {"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64",
                                          "/usr/lib"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, bytes, "%s%s", folders[i], pipewire_libjack);
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

static bool
is_program(const char *name)
{
    char command[64];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0;
}

const char *
bench_peer_missing(enum bench_peer peer)
{
    char path[256];
    if (peer == BENCH_JACK)
        return is_program("jackd") ? NULL : "jackd2";
    return !is_program("pipewire") ? "pipewire" : find_pipewire_libjack(path, sizeof path) ? NULL : "pipewire-jack";
}

static void
go_quiet(void)
{
    const int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        (void)dup2(null, fd);
}

static void
run_jack(uint32_t frames)
{
    char period[16];
    snprintf(period, sizeof period, "%u", frames);
    go_quiet();
    const char *const realtime = geteuid() == 0 ? "-R" : "-r";
    (void)execlp("jackd", "jackd", realtime, "-P", "70", "-n", getenv("JACK_DEFAULT_SERVER"), "-d", "dummy", "-r",
                 "48000", "-p", period, (char *)NULL);
}

static void
run_pipewire(uint32_t frames)
{
    char path[128];
    snprintf(path, sizeof path, "%s/pipewire.conf", folder);
    FILE *const file = fopen(path, "we");
    if (file) {
        fprintf(file, pipewire_configuration, frames, frames, frames);
        fclose(file);
    }
    go_quiet();
    (void)execlp("pipewire", "pipewire", "-c", path, (char *)NULL);
}

static void
set_environment(enum bench_peer peer)
{
    char name[64];
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/dextral-peer-XXXXXX");
        if (!mkdtemp(folder))
            bench_die("no temporary folder");
        atexit(bench_peer_stop);
    }
    if (peer == BENCH_JACK) {
        snprintf(name, sizeof name, "dextral-bench-%d", (int)getpid());
        setenv("JACK_NO_START_SERVER", "1", 1);
        setenv("JACK_NO_AUDIO_RESERVATION", "1", 1);
        setenv("JACK_DEFAULT_SERVER", name, 1);
    } else {
        setenv("XDG_RUNTIME_DIR", folder, 1);
        setenv("PIPEWIRE_RUNTIME_DIR", folder, 1);
        unsetenv("DBUS_SESSION_BUS_ADDRESS");
    }
}

pid_t
bench_peer_start(enum bench_peer peer, uint32_t frames)
{
    set_environment(peer);
    server = fork();
    if (server < 0)
        bench_die("no process");
    if (server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
        if (peer == BENCH_JACK)
            run_jack(frames);
        else
            run_pipewire(frames);
        _exit(127);
    }
    running = peer;
    return server;
}

void
bench_peer_stop(void)
{
    if (server > 0) {
        kill(server, SIGTERM);
        const uint64_t end_ns = bench_now_ns() + 5000000000u;
        while (waitpid(server, NULL, WNOHANG) == 0) {
            if (bench_now_ns() > end_ns)
                kill(server, SIGKILL);
            usleep(5000);
        }
    }
    server = 0;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (folder[0] && system(command) != 0)
        fprintf(stderr, "bench: %s is left\n", folder);
    folder[0] = '\0';
}

const char *const *
bench_peer_ports(enum bench_peer peer)
{
    static char path[256];
    static const char *jack[] = {"libjack.so.0", "system:playback_1 system:playback_2",
                                 "system:capture_1 system:capture_2", NULL};
    static const char *pipewire[] = {path, "nullsink:playback_FL nullsink:playback_FR",
                                     "nullsink:monitor_FL nullsink:monitor_FR", NULL};
    if (peer == BENCH_JACK)
        return jack;
    return find_pipewire_libjack(path, sizeof path) ? pipewire : NULL;
}

/* ---- a client ---- */

/* The part of JACK's interface that is used here. */
typedef struct jack_client jack_client;
typedef struct jack_port jack_port;

#define JACK_AUDIO "32 bit float mono audio"
#define JACK_IS_INPUT 1ul
#define JACK_IS_OUTPUT 2ul
#define JACK_NO_START_SERVER 1

static struct {
    jack_client *(*client_open)(const char *name, int options, int *status, ...);
    int (*client_close)(jack_client *client);
    int (*activate)(jack_client *client);
    int (*set_process_callback)(jack_client *client, int (*process)(uint32_t frames, void *context), void *context);
    jack_port *(*port_register)(jack_client *client, const char *name, const char *type, unsigned long flags,
                                unsigned long bytes);
    const char *(*port_name)(const jack_port *port);
    int (*set_xrun_callback)(jack_client *client, int (*xrun)(void *context), void *context);
    void *(*port_get_buffer)(jack_port *port, uint32_t frames);
    int (*connect)(jack_client *client, const char *from, const char *to);
} jack;

static void
load_jack(const char *path)
{
    static const struct {
        const char *name;
        void *function; // of `jack`
    } functions[] = {
        {"jack_client_open", &jack.client_open},
        {"jack_client_close", &jack.client_close},
        {"jack_activate", &jack.activate},
        {"jack_set_process_callback", &jack.set_process_callback},
        {"jack_set_xrun_callback", &jack.set_xrun_callback},
        {"jack_port_register", &jack.port_register},
        {"jack_port_name", &jack.port_name},
        {"jack_port_get_buffer", &jack.port_get_buffer},
        {"jack_connect", &jack.connect},
    };
    void *const library = dlopen(path, RTLD_NOW);
    if (!library)
        bench_die(dlerror());
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *const symbol = dlsym(library, functions[i].name);
        if (!symbol)
            bench_die(functions[i].name);
        memcpy(functions[i].function, &symbol, sizeof symbol);
    }
}

static struct {
    struct bench_report *report;
    jack_client *client;
    jack_port *in[2], *out[2];
    struct bench_signal signal;
} own;

static int
pass(uint32_t frames, void *context)
{
    (void)context;
    for (int c = 0; c < 2; c++) {
        const float *const in = jack.port_get_buffer(own.in[c], frames);
        float *const out = jack.port_get_buffer(own.out[c], frames);
        for (uint32_t i = 0; i < frames; i++)
            out[i] = in[i] * 0.1f + 0.001f;
    }
    atomic_fetch_add_explicit(&own.report->callbacks, 1, memory_order_relaxed);
    return 0;
}

static int
pass_signal(uint32_t frames, void *context)
{
    (void)context;
    const float *const in = jack.port_get_buffer(own.in[0], frames);
    float *const out = jack.port_get_buffer(own.out[0], frames);
    for (uint32_t i = 0; i < frames; i++)
        out[i] = bench_signal_pass(&own.signal, own.report, in[i]);
    atomic_fetch_add_explicit(&own.report->callbacks, 1, memory_order_relaxed);
    return 0;
}

/* The server was late by more than a period.  Its dummy driver then lets time stand still, so that the signal shows nothing;
 * a sound card would have gone on. */
static int
count_xrun(void *context)
{
    (void)context;
    atomic_fetch_add_explicit(&own.report->glitches, 1, memory_order_relaxed);
    return 0;
}

/* The n-th word of two. */
static const char *
nth(const char *words, int n, char word[64])
{
    const char *const blank = strchr(words, ' ');
    if (n == 0)
        snprintf(word, 64, "%.*s", (int)(blank - words), words);
    else
        snprintf(word, 64, "%s", blank + 1);
    return word;
}

static void
connect_ports(const char *from, const char *to)
{
    /* The server's own ports come a little later than the server. */
    for (int tries = 0; jack.connect(own.client, from, to) != 0; tries++) {
        if (tries == 500)
            bench_die("the ports cannot be connected");
        usleep(10000);
    }
}

static void
open_jack(struct bench_report *report, const char *library, int (*process)(uint32_t frames, void *context))
{
    load_jack(library);
    own.report = report;
    own.signal.latency = UINT32_MAX;
    char name[32];
    snprintf(name, sizeof name, "bench-%d", (int)getpid());
    const int errors = dup(STDERR_FILENO); // libjack tells of each server that is not there yet
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(null, STDERR_FILENO);
    for (int tries = 0; !(own.client = jack.client_open(name, JACK_NO_START_SERVER, NULL)) && tries < 500; tries++)
        usleep(10000);
    (void)dup2(errors, STDERR_FILENO);
    if (!own.client)
        bench_die("no server");
    for (int c = 0; c < 2; c++) {
        char port[16];
        snprintf(port, sizeof port, "in%d", c);
        own.in[c] = jack.port_register(own.client, port, JACK_AUDIO, JACK_IS_INPUT, 0);
        snprintf(port, sizeof port, "out%d", c);
        own.out[c] = jack.port_register(own.client, port, JACK_AUDIO, JACK_IS_OUTPUT, 0);
    }
    if (jack.set_process_callback(own.client, process, NULL) != 0 ||
        jack.set_xrun_callback(own.client, count_xrun, NULL) != 0 || jack.activate(own.client) != 0)
        bench_die("the client was refused");
}

static void
run_until_over(struct bench_shared *shared)
{
    while (!atomic_load_explicit(&shared->is_over, memory_order_acquire))
        usleep(200000);
    (void)jack.client_close(own.client);
}

int
bench_role_jack(struct bench_shared *shared, struct bench_report *report, char **arguments)
{
    open_jack(report, arguments[0], pass);
    for (int c = 0; c < 2; c++) {
        char word[64];
        connect_ports(jack.port_name(own.out[c]), nth(arguments[1], c, word));
        connect_ports(nth(arguments[2], c, word), jack.port_name(own.in[c]));
    }
    atomic_store_explicit(&report->is_ready, 1, memory_order_release);
    run_until_over(shared);
    return 0;
}

/* Its own output into its own input: what passes is one period behind. */
int
bench_role_jack_signal(struct bench_shared *shared, struct bench_report *report, char **arguments)
{
    open_jack(report, arguments[0], pass_signal);
    connect_ports(jack.port_name(own.out[0]), jack.port_name(own.in[0]));
    while (!atomic_load_explicit(&report->latency_frames, memory_order_relaxed) &&
           !atomic_load_explicit(&shared->is_over, memory_order_acquire))
        usleep(1000);
    atomic_store_explicit(&report->is_ready, 1, memory_order_release);
    run_until_over(shared);
    return 0;
}
