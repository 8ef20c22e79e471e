// SPDX-License-Identifier: MIT
// Makes WAV files of random samples, and looks for them in recordings.
//
// usage: wave make FILE s16|s24|s32|f32 RATE CHANNELS FRAMES
//        wave compare FILE RECORDING    0: the recording is silence, all of the file, and silence
//        wave raw FILE                  the frames to standard output
//        wave tone FILE s16 RATE CHANNELS FRAMES HZ    makes a sine of half the amplitude in every channel
//        wave whole RECORDING HZ        s16; 0: it is that sine, with silence before, after and in between; says how much

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846
/* What two converters look at, on either side. */
#define EDGE_FRAMES 500u

struct wave {
    uint8_t *bytes; // the whole file
    uint8_t *data;
    size_t frames;
    size_t frame_bytes;
    unsigned channels;
    unsigned bits;
    unsigned rate_hz;
    bool is_float;
};

static int
fail(const char *file, const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", file, what);
    exit(2);
}

static uint32_t
get(const uint8_t *from, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)from[i] << 8u * i;
    return value;
}

static void
put(FILE *file, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        (void)fputc((int)(value >> 8u * i & 0xFFu), file);
}

static void
read_format(struct wave *wave, const uint8_t *chunk, size_t size, const char *path)
{
    if (size < 16)
        (void)fail(path, "no format");
    unsigned tag = get(chunk, 2);
    if (tag == 0xFFFE && size >= 26)
        tag = get(chunk + 24, 2); // the first bytes of the sub-format
    wave->channels = get(chunk + 2, 2);
    wave->rate_hz = get(chunk + 4, 4);
    wave->frame_bytes = get(chunk + 12, 2);
    wave->bits = get(chunk + 14, 2);
    wave->is_float = tag == 3;
    if (!wave->frame_bytes || !wave->channels)
        (void)fail(path, "no frames");
}

/* What a program that was interrupted left in the length counts for nothing: the file ends where it ends. */
static struct wave
read_wave(const char *path)
{
    struct wave wave = {0};
    FILE *const file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) < 0)
        (void)fail(path, "cannot be read");
    const size_t size = (size_t)ftell(file);
    rewind(file);
    wave.bytes = malloc(size + 1);
    if (!wave.bytes || fread(wave.bytes, 1, size, file) != size)
        (void)fail(path, "cannot be read");
    (void)fclose(file);
    for (size_t at = 12; at + 8 <= size;) {
        const uint32_t length = get(wave.bytes + at + 4, 4);
        const size_t left = size - at - 8;
        if (memcmp(wave.bytes + at, "fmt ", 4) == 0)
            read_format(&wave, wave.bytes + at + 8, length < left ? length : left, path);
        if (memcmp(wave.bytes + at, "data", 4) == 0) {
            wave.data = wave.bytes + at + 8;
            wave.frames = length && length < left ? length : left;
            break;
        }
        at += 8 + (size_t)length + (length & 1u);
    }
    if (!wave.data || !wave.frame_bytes)
        (void)fail(path, "no WAV file");
    wave.frames /= wave.frame_bytes;
    return wave;
}

/* Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (SplitMix64). */
static uint32_t
next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)(z ^ (z >> 31));
}

/* Noise; no sample of the first and the last frame is 0. */
static int
make(char **arguments)
{
    const char *const format = arguments[1];
    const unsigned rate = (unsigned)strtoul(arguments[2], NULL, 10);
    const unsigned channels = (unsigned)strtoul(arguments[3], NULL, 10);
    const size_t frames = strtoul(arguments[4], NULL, 10);
    const bool is_float = format[0] == 'f';
    const unsigned bytes = (unsigned)strtoul(format + 1, NULL, 10) / 8u;
    FILE *const file = fopen(arguments[0], "wb");
    if (!file || bytes < 2 || bytes > 4)
        return fail(arguments[0], "cannot be made");
    const uint32_t size = (uint32_t)(frames * channels * bytes);
    (void)fputs("RIFF", file);
    put(file, 36 + size, 4);
    (void)fputs("WAVEfmt ", file);
    put(file, 16, 4);
    put(file, is_float ? 3 : 1, 2);
    put(file, channels, 2);
    put(file, rate, 4);
    put(file, rate * channels * bytes, 4);
    put(file, channels * bytes, 2);
    put(file, 8u * bytes, 2);
    (void)fputs("data", file);
    put(file, size, 4);
    uint64_t state = frames;
    for (size_t i = 0; i < frames * channels; i++) {
        int32_t sample = (int32_t)next_random(&state) / 2; // no program has to limit it
        if (i < channels || i >= (frames - 1) * channels)
            sample |= 0x01000000;
        uint32_t value = (uint32_t)sample >> (32u - 8u * bytes);
        if (is_float) {
            const float real = (float)(sample / 256) / 8388608.0f; // some programs count in 32 bits
            memcpy(&value, &real, sizeof value);
        }
        put(file, value, bytes);
    }
    return fclose(file) == 0 ? 0 : fail(arguments[0], "cannot be written");
}

static bool
is_silent(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

static int
compare(char **arguments)
{
    const struct wave file = read_wave(arguments[0]);
    const struct wave recording = read_wave(arguments[1]);
    const size_t bytes = file.frame_bytes;
    if (recording.frame_bytes != bytes || recording.is_float != file.is_float || recording.rate_hz != file.rate_hz) {
        (void)printf("another format: %u bits, %u channels, %u Hz\n", recording.bits, recording.channels,
                     recording.rate_hz);
        return 1;
    }
    size_t first = 0;
    while (first < recording.frames && is_silent(recording.data + first * bytes, bytes))
        first++;
    const size_t there = recording.frames - first;
    size_t same = 0;
    while (same < there && same < file.frames &&
           memcmp(recording.data + (first + same) * bytes, file.data + same * bytes, bytes) == 0)
        same++;
    if (same < file.frames) {
        (void)printf("%zu frames, silent until %zu, then %zu of %zu right\n", recording.frames, first, same, file.frames);
        return 1;
    }
    if (!is_silent(recording.data + (first + same) * bytes, (there - same) * bytes)) {
        (void)printf("something follows the last frame\n");
        return 1;
    }
    (void)printf("all %zu frames, from %zu of %zu on\n", same, first, recording.frames);
    return 0;
}

static int
make_tone(char **arguments)
{
    const int r = make(arguments);
    if (r != 0)
        return r;
    const struct wave wave = read_wave(arguments[0]);
    const double hz = strtod(arguments[5], NULL);
    FILE *const file = fopen(arguments[0], "r+b");
    if (!file || wave.bits != 16 || fseek(file, 44, SEEK_SET) < 0)
        return fail(arguments[0], "cannot be made");
    for (size_t i = 0; i < wave.frames; i++)
        for (unsigned c = 0; c < wave.channels; c++)
            put(file, (uint32_t)lrint(16384.0 * sin(2.0 * PI * hz * (double)i / wave.rate_hz)) & 0xFFFFu, 2);
    return fclose(file) == 0 ? 0 : fail(arguments[0], "cannot be written");
}

static double
get_sample(const struct wave *wave, size_t frame)
{
    return (int16_t)get(wave->data + frame * wave->frame_bytes, 2);
}

/* A sine follows from any two of its samples; near an edge a converter may have to ring. */
static int
check_whole(char **arguments)
{
    const struct wave wave = read_wave(arguments[0]);
    const double step = 2.0 * cos(2.0 * PI * strtod(arguments[1], NULL) / wave.rate_hz);
    size_t longest = 0, silences = 0, sound = 0;
    for (size_t at = 0; at < wave.frames;) {
        size_t quiet = at;
        while (quiet < wave.frames && fabs(get_sample(&wave, quiet)) < 100.0)
            quiet++;
        if (at && quiet < wave.frames && quiet - at > 20) {
            silences++;
            longest = quiet - at > longest ? quiet - at : longest;
        }
        size_t end = quiet;
        for (size_t run = 0; end < wave.frames && run < 20; end++)
            run = fabs(get_sample(&wave, end)) < 100.0 ? run + 1 : 0;
        for (size_t i = quiet + EDGE_FRAMES; i + EDGE_FRAMES < end; i++) {
            const double error = get_sample(&wave, i + 1) - step * get_sample(&wave, i) + get_sample(&wave, i - 1);
            if (fabs(error) > 20.0) {
                (void)printf("frame %zu is off by %g\n", i, error);
                return 1;
            }
        }
        sound += end - quiet;
        at = end > at ? end : at + 1;
    }
    (void)printf("%zu silences, the longest of %zu ms; %zu ms of sound\n", silences, longest * 1000 / wave.rate_hz,
                 sound * 1000 / wave.rate_hz);
    return 0;
}

int
main(int count, char **arguments)
{
    if (count == 7 && strcmp(arguments[1], "make") == 0)
        return make(arguments + 2);
    if (count == 4 && strcmp(arguments[1], "compare") == 0)
        return compare(arguments + 2);
    if (count == 8 && strcmp(arguments[1], "tone") == 0)
        return make_tone(arguments + 2);
    if (count == 4 && strcmp(arguments[1], "whole") == 0)
        return check_whole(arguments + 2);
    if (count == 3 && strcmp(arguments[1], "raw") == 0) {
        const struct wave wave = read_wave(arguments[2]);
        return fwrite(wave.data, wave.frame_bytes, wave.frames, stdout) == wave.frames ? 0 : 2;
    }
    (void)fprintf(stderr, "usage: wave make FILE FORMAT RATE CHANNELS FRAMES | compare FILE RECORDING | raw FILE |\n"
                          "            tone FILE s16 RATE CHANNELS FRAMES HZ | whole RECORDING HZ\n");
    return 2;
}
