// SPDX-License-Identifier: MIT
// Audio files: samples come back as they were, and what is wrong with a file is said.

#include "backends/file/file.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAMES 3000u

static char folder[64];

static void
enter_folder(void)
{
    strcpy(folder, "/tmp/dextral-file-XXXXXX");
    cr_assert(ne(ptr, mkdtemp(folder), NULL));
    cr_assert(eq(int, chdir(folder), 0));
}

static bool
has(const dx_error *error, const char *text)
{
    return strstr(error->message, text) != NULL;
}

/* Names in the folder, hidden ones included. */
static unsigned
count_files(void)
{
    unsigned count = 0;
    DIR *const entries = opendir(".");
    cr_assert(ne(ptr, entries, NULL));
    for (const struct dirent *entry; (entry = readdir(entries));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(entries);
    return count;
}

static void
leave_folder(void)
{
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert(eq(int, chdir("/"), 0));
    cr_assert(eq(int, system(command), 0));
}

TestSuite(file, .init = enter_folder, .fini = leave_folder);

static uint32_t
next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Writes integers (left-aligned) or floats with libsndfile alone: the reference. */
static void
write_reference(const char *path, int format, int channels, int rate, const int32_t *integers, const float *floats,
                uint32_t frames)
{
    SF_INFO info = {.format = format, .channels = channels, .samplerate = rate};
    SNDFILE *const file = sf_open(path, SFM_WRITE, &info);
    cr_assert(ne(ptr, file, NULL), "%s: %s", path, sf_strerror(NULL));
    const sf_count_t wrote =
        integers ? sf_writef_int(file, integers, frames) : sf_writef_float(file, floats, frames);
    cr_assert(eq(i64, wrote, frames));
    cr_assert(eq(int, sf_close(file), 0));
}

static struct dx_file_reader *
open_reader(const char *path)
{
    struct dx_file_reader *reader = NULL;
    dx_error error = {""};
    cr_assert(eq(int, dx_file_reader_open(path, &reader, &error), kIOReturnSuccess), "%s", error.message);
    return reader;
}

/* Reads a file as floats of a rate and channel count, and writes them to another in odd blocks. */
static void
copy_file(const char *from, const char *to, double rate_hz, uint32_t channels)
{
    dx_error error = {""};
    struct dx_file_reader *const reader = open_reader(from);
    cr_assert(eq(int, dx_file_reader_convert(reader, rate_hz, channels, &error), 0), "%s", error.message);
    const struct dx_file_writer_config config = {
        .path = to,
        .info = *dx_file_reader_info(reader),
        .source_rate_hz = rate_hz,
        .source_channels = channels,
    };
    struct dx_file_writer *writer = NULL;
    cr_assert(eq(int, dx_file_writer_open(&config, &writer, &error), 0), "%s", error.message);
    float *const block = calloc(777u * channels, sizeof *block);
    uint64_t total = 0;
    for (uint32_t got = 1; got > 0;) {
        cr_assert(eq(int, dx_file_reader_read(reader, block, 777, &got, &error), 0), "%s", error.message);
        cr_assert(eq(int, dx_file_writer_write(writer, block, got, &error), 0), "%s", error.message);
        total += got;
    }
    cr_assert(eq(u64, total, dx_file_reader_frames(reader)));
    cr_assert(eq(int, access(to, F_OK), -1), "no file before the commit");
    cr_assert(eq(int, dx_file_writer_commit(writer, &error), 0), "%s", error.message);
    dx_file_writer_close(writer);
    dx_file_reader_close(reader);
    free(block);
}

static void
expect_equal_samples(const char *left, const char *right, uint32_t frames, uint32_t channels)
{
    SF_INFO left_info = {0};
    SF_INFO right_info = {0};
    SNDFILE *const left_file = sf_open(left, SFM_READ, &left_info);
    SNDFILE *const right_file = sf_open(right, SFM_READ, &right_info);
    cr_assert(left_file != NULL && right_file != NULL);
    cr_expect(eq(int, left_info.format & SF_FORMAT_SUBMASK, right_info.format & SF_FORMAT_SUBMASK));
    cr_assert(eq(i64, right_info.frames, frames));
    cr_assert(eq(int, right_info.channels, (int)channels));
    double *const a = calloc((size_t)frames * channels, sizeof *a);
    double *const b = calloc((size_t)frames * channels, sizeof *b);
    cr_assert(eq(i64, sf_readf_double(left_file, a, frames), frames));
    cr_assert(eq(i64, sf_readf_double(right_file, b, frames), frames));
    cr_expect(eq(int, memcmp(a, b, (size_t)frames * channels * sizeof *a), 0), "%s and %s differ", left, right);
    free(a);
    free(b);
    sf_close(left_file);
    sf_close(right_file);
}

struct exact_case {
    char in[16];
    char out[16];
    int format;
    uint32_t file_channels, device_channels;
};

ParameterizedTestParameters(file, samples_come_back_bit_by_bit)
{
    static struct exact_case cases[] = {
        {"a.wav", "b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 2, 2},
        {"a.wav", "b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 2, 2},
        {"a.wav", "b.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 2, 2},
        {"a.wav", "b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 3, 3},
        {"a.wav", "b.wav", SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, 6, 6},
        {"a.rf64", "b.rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 2, 2},
        {"a.flac", "b.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 2, 2},
        {"a.flac", "b.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 1, 1},
        {"a.aiff", "b.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 2, 2},
        {"a.aif", "b.aif", SF_FORMAT_AIFF | SF_FORMAT_PCM_24, 2, 2},
        {"a.aiff", "b.aiff", SF_FORMAT_AIFF | SF_FORMAT_FLOAT, 2, 2},
        {"a.caf", "b.caf", SF_FORMAT_CAF | SF_FORMAT_PCM_24, 2, 2},
        {"a.w64", "b.w64", SF_FORMAT_W64 | SF_FORMAT_PCM_16, 2, 2},
        {"a.wav", "b.flac", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 2, 2},
        {"a.wav", "b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 1, 2},
        {"a.wav", "b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 2, 8},
        {"a.wav", "b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1024, 1024},
    };
    return cr_make_param_array(struct exact_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct exact_case *c, file, samples_come_back_bit_by_bit)
{
    const size_t samples = (size_t)FRAMES * c->file_channels;
    int32_t *const integers = calloc(samples, sizeof *integers);
    float *const floats = calloc(samples, sizeof *floats);
    const bool is_float = (c->format & SF_FORMAT_SUBMASK) == SF_FORMAT_FLOAT;
    uint32_t state = 1;
    for (size_t i = 0; i < samples; i++) {
        integers[i] = (int32_t)(next_random(&state) << 8 ^ next_random(&state) << 20);
        floats[i] = ldexpf((float)(int32_t)(next_random(&state) << 8), -31 - (int)(i % 40));
    }
    integers[0] = INT32_MIN; // full scale, both ends
    integers[1] = INT32_MAX;
    write_reference(c->in, c->format, (int)c->file_channels, 48000, is_float ? NULL : integers, floats, FRAMES);
    copy_file(c->in, c->out, 48000.0, c->device_channels);
    expect_equal_samples(c->in, c->out, FRAMES, c->file_channels);
    cr_expect(eq(u32, count_files(), 2));
    free(integers);
    free(floats);
}

#if DX_TEST_SAMPLERATE
struct rate_case {
    int file_rate;
    uint32_t file_channels;
    double device_rate;
    uint32_t device_channels;
};

ParameterizedTestParameters(file, other_rates_keep_length_and_tone)
{
    static struct rate_case cases[] = {
        {44100, 2, 48000.0, 2},  {48000, 1, 44100.0, 2},     {8000, 1, 192000.0, 8},
        {192000, 2, 44100.0, 1}, {44100, 130, 48000.0, 130}, {44100, 3, 48000.0, 70},
    };
    return cr_make_param_array(struct rate_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct rate_case *c, file, other_rates_keep_length_and_tone)
{
    const uint32_t frames = (uint32_t)c->file_rate / 2; // half a second of 997 Hz
    const size_t samples = (size_t)frames * c->file_channels;
    float *const tone = calloc(samples, sizeof *tone);
    float *const back = calloc(samples, sizeof *back);
    for (size_t i = 0; i < samples; i++)
        tone[i] = 0.5f * sinf((float)fmod(2.0 * M_PI * 997.0 * (double)(i / c->file_channels) / c->file_rate,
                                          2.0 * M_PI));
    write_reference("a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, (int)c->file_channels, c->file_rate, NULL, tone,
                    frames);
    copy_file("a.wav", "b.wav", c->device_rate, c->device_channels);

    SF_INFO info = {0};
    SNDFILE *const file = sf_open("b.wav", SFM_READ, &info);
    cr_assert(eq(i64, info.frames, frames));
    cr_assert(eq(i64, sf_readf_float(file, back, frames), frames));
    sf_close(file);
    // The sinc filter rings at the ends only; there and back again loses less than 0.01 % inside.
    double worst = 0.0;
    for (size_t i = samples / 10; i < samples - samples / 10; i++) {
        if (i % c->file_channels < c->device_channels)
            worst = fmax(worst, fabs((double)back[i] - (double)tone[i]));
    }
    cr_expect(lt(dbl, worst, 1e-4));
    free(tone);
    free(back);
}

Test(file, a_rate_too_far_off_is_refused)
{
    const float silence[8] = {0};
    write_reference("a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 1, 100, NULL, silence, 8);
    struct dx_file_reader *const reader = open_reader("a.wav");
    dx_error error = {""};
    cr_expect(eq(int, dx_file_reader_convert(reader, 192000.0, 1, &error), kIOReturnBadArgument));
    cr_expect(has(&error, "1/256 to 256"), "%s", error.message);
    dx_file_reader_close(reader);
}
#endif

static void
expect_refused(const char *path, kern_return_t status, const char *message)
{
    struct dx_file_reader *reader = NULL;
    dx_error error = {""};
    cr_expect(eq(int, dx_file_reader_open(path, &reader, &error), status), "%s: %s", path, error.message);
    cr_expect(has(&error, message), "\"%s\" in \"%s\"", message, error.message);
    cr_expect(has(&error, path), "the file is named in \"%s\"", error.message);
    if (reader)
        dx_file_reader_close(reader);
}

static void
write_bytes(const char *path, const void *bytes, size_t count)
{
    FILE *const file = fopen(path, "wb");
    cr_assert(file && fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
}

struct cut_case {
    char name[16];
    int format;
};

ParameterizedTestParameters(file, a_file_cut_anywhere_is_refused)
{
    static struct cut_case cases[] = {
        {"a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},   {"a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT},
        {"a.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_24}, {"a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
        {"a.w64", SF_FORMAT_W64 | SF_FORMAT_PCM_16},   {"a.caf", SF_FORMAT_CAF | SF_FORMAT_PCM_16},
        {"a.rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16},
    };
    return cr_make_param_array(struct cut_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct cut_case *c, file, a_file_cut_anywhere_is_refused)
{
    static int32_t integers[2 * FRAMES];
    static uint8_t bytes[1 << 16];
    uint32_t state = 7;
    for (size_t i = 0; i < 2 * FRAMES; i++)
        integers[i] = (int32_t)(next_random(&state) << 8);
    float floats[2] = {0};
    const bool is_float = (c->format & SF_FORMAT_SUBMASK) == SF_FORMAT_FLOAT;
    write_reference(c->name, c->format, 2, 48000, is_float ? NULL : integers, floats, is_float ? 1 : FRAMES);

    FILE *const file = fopen(c->name, "rb");
    const size_t length = fread(bytes, 1, sizeof bytes, file);
    cr_assert(feof(file));
    fclose(file);
    struct dx_file_reader *const whole = open_reader(c->name);
    dx_file_reader_close(whole);

    // Every length; those within the samples in steps, since there are so many.
    for (size_t cut = 0; cut < length; cut += cut < 256 || cut + 64 > length ? 1 : 97) {
        write_bytes(c->name, bytes, cut);
        struct dx_file_reader *reader = NULL;
        dx_error error = {""};
        const kern_return_t status = dx_file_reader_open(c->name, &reader, &error);
        cr_expect(ne(int, status, kIOReturnSuccess), "%s of %zu bytes, cut to %zu", c->name, length, cut);
        cr_expect(status == kIOReturnSuccess || error.message[0], "cut to %zu", cut);
        dx_file_reader_close(reader);
    }
}

Test(file, what_is_no_audio_file_is_refused)
{
    expect_refused("missing.wav", kIOReturnNotFound, "No such file");
    write_bytes("empty.wav", "", 0);
    expect_refused("empty.wav", kIOReturnBadMedia, "is empty");
    write_bytes("text.wav", "This is not audio, whatever its name says.\n", 43);
    expect_refused("text.wav", kIOReturnBadMedia, "no audio file");
    cr_assert(eq(int, mkdir("folder.wav", 0777), 0));
    expect_refused("folder.wav", kIOReturnNotReadable, "is a folder");
    cr_assert(eq(int, mkfifo("fifo.wav", 0666), 0));
    expect_refused("fifo.wav", kIOReturnNotReadable, "no regular file");
}

/* A WAV header of 44 bytes and `count` bytes of samples. */
static size_t
make_wav(uint8_t *bytes, uint16_t channels, uint32_t rate, uint32_t announced, size_t count)
{
    static const uint8_t header[44] = "RIFF\0\0\0\0WAVEfmt \20\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0data";
    const uint32_t fields[3] = {announced + 36, rate, rate * channels * 2};
    const uint16_t align = (uint16_t)(channels * 2);
    memcpy(bytes, header, 44);
    memcpy(bytes + 4, &fields[0], 4);
    memcpy(bytes + 22, &channels, 2);
    memcpy(bytes + 24, &fields[1], 4);
    memcpy(bytes + 28, &fields[2], 4);
    memcpy(bytes + 32, &align, 2);
    memcpy(bytes + 40, &announced, 4);
    memset(bytes + 44, 1, count);
    return 44 + count;
}

Test(file, headers_that_cannot_be_are_refused)
{
    uint8_t bytes[1024];
    write_bytes("a.wav", bytes, make_wav(bytes, 2, 48000, 64, 64));
    dx_file_reader_close(open_reader("a.wav")); // the header as such is right

    write_bytes("none.wav", bytes, make_wav(bytes, 0, 48000, 64, 64));
    expect_refused("none.wav", kIOReturnBadMedia, "hannel");
    write_bytes("many.wav", bytes, make_wav(bytes, 65535, 48000, 64, 64));
    expect_refused("many.wav", kIOReturnBadMedia, "hannel");
    write_bytes("still.wav", bytes, make_wav(bytes, 2, 0, 64, 64));
    expect_refused("still.wav", kIOReturnBadMedia, "rate");
    write_bytes("fast.wav", bytes, make_wav(bytes, 2, 2000000000, 64, 64));
    expect_refused("fast.wav", kIOReturnBadMedia, "2000000000");
    write_bytes("huge.wav", bytes, make_wav(bytes, 2, 48000, 0xFFFFFFFF, 64));
    expect_refused("huge.wav", kIOReturnBadMedia, "announces 4294967295 bytes");
    write_bytes("large.wav", bytes, make_wav(bytes, 2, 48000, 0x7FFFFF00, 64));
    expect_refused("large.wav", kIOReturnBadMedia, "cut short");
    write_bytes("nothing.wav", bytes, make_wav(bytes, 2, 48000, 0, 0));
    expect_refused("nothing.wav", kIOReturnBadMedia, "no frames");

    // a chunk of 4 GiB before the samples
    (void)make_wav(bytes, 2, 48000, 64, 64);
    memcpy(bytes + 36, "LIST", 4);
    memset(bytes + 40, 0xFF, 4);
    write_bytes("list.wav", bytes, 108);
    expect_refused("list.wav", kIOReturnBadMedia, "before the samples");
}

Test(file, damage_in_the_middle_of_a_flac_is_seen)
{
    static int32_t integers[2 * FRAMES * 8];
    static uint8_t bytes[1 << 18];
    uint32_t state = 9;
    for (size_t i = 0; i < 2 * FRAMES * 8; i++)
        integers[i] = (int32_t)(next_random(&state) << 8);
    write_reference("a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 2, 48000, integers, NULL, FRAMES * 8);
    FILE *const file = fopen("a.flac", "rb");
    const size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    memset(bytes + length / 2, 0x55, 4000);
    write_bytes("a.flac", bytes, length);

    struct dx_file_reader *reader = NULL;
    dx_error error = {""};
    kern_return_t status = dx_file_reader_open("a.flac", &reader, &error);
    static float block[2 * 512];
    for (uint32_t got = 1; status == kIOReturnSuccess && got > 0;)
        status = dx_file_reader_read(reader, block, 512, &got, &error);
    cr_expect(eq(int, status, kIOReturnBadMedia));
    cr_expect(has(&error, "damaged"), "%s", error.message);
    dx_file_reader_close(reader);
}

static kern_return_t
write_file(const char *path, enum dx_file_encoding encoding, uint32_t channels, uint64_t frames, dx_error *error)
{
    const struct dx_file_writer_config config = {
        .path = path,
        .encoding = encoding,
        .info = {.frames = frames, .rate_hz = 48000, .channels = channels},
        .source_rate_hz = 48000.0,
        .source_channels = channels,
    };
    struct dx_file_writer *writer = NULL;
    kern_return_t status = dx_file_writer_open(&config, &writer, error);
    if (status == kIOReturnSuccess)
        status = dx_file_writer_commit(writer, error);
    dx_file_writer_close(writer);
    return status;
}

Test(file, what_cannot_be_written_is_said)
{
    dx_error error = {""};
    cr_expect(eq(int, write_file("a.xyz", DX_FILE_ENCODING_SAME, 2, 10, &error), kIOReturnBadArgument));
    cr_expect(has(&error, ".flac"), "%s", error.message);
    cr_expect(eq(int, write_file("a", DX_FILE_ENCODING_SAME, 2, 10, &error), kIOReturnBadArgument));
    cr_expect(eq(int, write_file("a.flac", DX_FILE_ENCODING_F32, 2, 10, &error), kIOReturnBadArgument));
    cr_expect(has(&error, "f32"), "%s", error.message);
    cr_expect(eq(int, write_file("a.flac", DX_FILE_ENCODING_SAME, 9, 10, &error), kIOReturnBadArgument));
    cr_expect(has(&error, "9 channels"), "%s", error.message);
    cr_expect(
        eq(int, write_file("no/such/folder/a.wav", DX_FILE_ENCODING_SAME, 2, 10, &error), kIOReturnNotWritable));
    cr_expect(has(&error, "folder"), "%s", error.message);
    cr_expect(eq(int, write_file("/dev/null/a.wav", DX_FILE_ENCODING_SAME, 2, 10, &error), kIOReturnNotWritable));
    cr_expect(
        eq(int, write_file("a.aiff", DX_FILE_ENCODING_F64, 2, UINT64_C(1) << 40, &error), kIOReturnBadArgument));
    cr_expect(has(&error, "4 GiB"), "%s", error.message);
    cr_assert(eq(int, mkfifo("fifo.wav", 0666), 0));
    cr_expect(eq(int, write_file("fifo.wav", DX_FILE_ENCODING_SAME, 2, 10, &error), kIOReturnNotWritable));
    cr_expect(eq(u32, count_files(), 1));
}

Test(file, a_full_disk_leaves_nothing)
{
    // the limit on a file's size is met the way a full disk is: by a write that fails
    const struct rlimit limit = {200000, 200000};
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &limit), 0));
    static const char *const names[] = {"a.wav", "a.flac", "a.aiff", "a.caf", "a.w64"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct dx_file_writer_config config = {
            .path = names[i],
            .encoding = DX_FILE_ENCODING_S24,
            .info = {.frames = 60000, .rate_hz = 48000, .channels = 2},
            .source_rate_hz = 48000.0,
            .source_channels = 2,
        };
        struct dx_file_writer *writer = NULL;
        dx_error error = {""};
        cr_assert(eq(int, dx_file_writer_open(&config, &writer, &error), 0), "%s", error.message);
        static float noise[2 * 60000];
        uint32_t state = 3;
        for (size_t k = 0; k < 2 * 60000; k++)
            noise[k] = (float)next_random(&state) * 0x1p-24f;
        kern_return_t status = dx_file_writer_write(writer, noise, 60000, &error);
        if (status == kIOReturnSuccess)
            status = dx_file_writer_commit(writer, &error);
        cr_expect(eq(int, status, kIOReturnIOError), "%s", names[i]);
        cr_expect(has(&error, "File too large"), "%s: %s", names[i], error.message);
        dx_file_writer_close(writer);
    }
    cr_expect(eq(u32, count_files(), 0));
}

Test(file, an_old_file_stays_until_the_new_one_is_complete)
{
    dx_error error = {""};
    cr_assert(eq(int, write_file("a.wav", DX_FILE_ENCODING_S16, 1, 100, &error), 0), "%s", error.message);
    struct stat before;
    struct stat after;
    cr_assert(eq(int, stat("a.wav", &before), 0));

    const struct dx_file_writer_config config = {
        .path = "a.wav",
        .info = {.frames = 50, .rate_hz = 48000, .channels = 1},
        .source_rate_hz = 48000.0,
        .source_channels = 1,
    };
    struct dx_file_writer *writer = NULL;
    cr_assert(eq(int, dx_file_writer_open(&config, &writer, &error), 0), "%s", error.message);
    const float tone[30] = {0.25f};
    cr_assert(eq(int, dx_file_writer_write(writer, tone, 30, &error), 0));
    dx_file_writer_close(writer); // given up
    cr_assert(eq(int, stat("a.wav", &after), 0));
    cr_expect(eq(u64, after.st_ino, before.st_ino));
    cr_expect(eq(u32, count_files(), 1));

    cr_assert(eq(int, write_file("a.wav", DX_FILE_ENCODING_S16, 1, 50, &error), 0), "%s", error.message);
    struct dx_file_reader *const reader = open_reader("a.wav");
    cr_expect(eq(u64, dx_file_reader_info(reader)->frames, 50));
    dx_file_reader_close(reader);
    cr_expect(eq(u32, count_files(), 1));
}

/* The length comes bit by bit; read back with libsndfile alone. */
ParameterizedTestParameters(file, a_file_may_grow_while_it_is_written)
{
    static char paths[][12] = {"a.wav", "a.flac", "a.aiff", "a.caf", "a.w64", "a.rf64"};
    return cr_make_param_array(char[12], paths, sizeof paths / sizeof paths[0]);
}

ParameterizedTest(char path[12], file, a_file_may_grow_while_it_is_written)
{
    const struct dx_file_writer_config config = {
        .path = path,
        .encoding = DX_FILE_ENCODING_S16,
        .info = {.rate_hz = 48000, .channels = 2},
        .source_rate_hz = 48000,
        .source_channels = 2,
    };
    struct dx_file_writer *writer = NULL;
    dx_error error = {""};
    cr_assert(eq(int, dx_file_writer_open(&config, &writer, &error), 0), "%s", error.message);
    uint64_t frames = 0;
    for (uint32_t count = 1; count < 700; count += 50) {
        float block[2 * 700];
        for (uint32_t i = 0; i < 2 * count; i++)
            block[i] = (float)(2 * frames + i) / 32768.0f;
        frames += count;
        dx_file_writer_extend(writer, frames);
        cr_assert(eq(int, dx_file_writer_write(writer, block, count, &error), 0), "%s", error.message);
    }
    cr_assert(eq(int, dx_file_writer_commit(writer, &error), 0), "%s", error.message);
    dx_file_writer_close(writer);

    SF_INFO info = {0};
    SNDFILE *const file = sf_open(path, SFM_READ, &info);
    cr_assert(ne(ptr, file, NULL), "%s", sf_strerror(NULL));
    cr_assert(eq(i64, info.frames, (int64_t)frames));
    for (uint64_t i = 0; i < frames; i++) {
        short samples[2];
        cr_assert(eq(i64, sf_readf_short(file, samples, 1), 1));
        cr_assert(eq(int, samples[0], (int)(2 * i)));
        cr_assert(eq(int, samples[1], (int)(2 * i + 1)));
    }
    (void)sf_close(file);
    dx_file_reader_close(open_reader(path)); // its header is whole
}

Test(file, levels_are_those_of_the_samples)
{
    const float samples[4] = {0.5f, -1.0f, 0.0f, 1.5f};
    write_reference("a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 1, 48000, NULL, samples, 4);
    struct dx_file_reader *const reader = open_reader("a.wav");
    const struct dx_file_writer_config config = {
        .path = "b.wav",
        .encoding = DX_FILE_ENCODING_S16,
        .info = {.frames = 4, .rate_hz = 48000, .channels = 1},
        .source_rate_hz = 48000.0,
        .source_channels = 1,
    };
    struct dx_file_writer *writer = NULL;
    dx_error error = {""};
    cr_assert(eq(int, dx_file_writer_open(&config, &writer, &error), 0), "%s", error.message);
    float block[8] = {0};
    uint32_t got = 0;
    cr_assert(eq(int, dx_file_reader_read(reader, block, 8, &got, &error), 0));
    cr_assert(eq(u32, got, 4));
    cr_assert(eq(int, dx_file_writer_write(writer, block, 4, &error), 0));
    const struct dx_file_level in = dx_file_reader_level(reader);
    const struct dx_file_level out = dx_file_writer_level(writer);
    cr_expect(eq(u64, in.samples, 4));
    cr_expect(eq(dbl, in.peak, 1.5));
    cr_expect(eq(dbl, in.sum_squares, 0.25 + 1.0 + 2.25));
    cr_expect(eq(dbl, out.sum_squares, in.sum_squares));
    cr_expect(eq(u64, out.clipped, 1)); // 1.5; -1.0 fits
    dx_file_writer_close(writer);
    dx_file_reader_close(reader);
}
