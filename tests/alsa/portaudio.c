// SPDX-License-Identifier: MIT
// Plays a file, or records one, as a PortAudio program does.
//
// usage: portaudio play DEVICE s16|s24|f32 CHANNELS RATE < FRAMES
//        portaudio record DEVICE s16|s24|f32 CHANNELS RATE > FRAMES    until it is interrupted

#include <portaudio.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_FRAMES 480u
#define TAIL_BLOCKS 100u
#define MOST_BYTES (BLOCK_FRAMES * 8u * 4u)

static volatile sig_atomic_t is_ending;

static void
end(int signal)
{
    (void)signal;
    is_ending = 1;
}

static void
check(PaError error, const char *what)
{
    if (error < 0 && error != paInputOverflowed && error != paOutputUnderflowed) {
        (void)fprintf(stderr, "%s: %s\n", what, Pa_GetErrorText(error));
        exit(1);
    }
    if (error < 0)
        (void)fprintf(stderr, "%s: %s\n", what, Pa_GetErrorText(error));
}

static PaDeviceIndex
find_device(const char *name)
{
    const PaDeviceIndex count = Pa_GetDeviceCount();
    for (PaDeviceIndex i = 0; i < count; i++)
        if (strcmp(Pa_GetDeviceInfo(i)->name, name) == 0)
            return i;
    (void)fprintf(stderr, "no device %s\n", name);
    exit(1);
}

int
main(int count, char **arguments)
{
    if (count != 6)
        return 2;
    const bool plays = strcmp(arguments[1], "play") == 0;
    const bool is_float = arguments[3][0] == 'f';
    const unsigned bits = (unsigned)strtoul(arguments[3] + 1, NULL, 10);
    const int channels = atoi(arguments[4]);
    const size_t frame_bytes = bits / 8u * (size_t)channels;
    if (frame_bytes * BLOCK_FRAMES > MOST_BYTES)
        return 2;
    (void)signal(SIGINT, end);
    check(Pa_Initialize(), "initialize");
    const PaStreamParameters parameters = {
        .device = find_device(arguments[2]),
        .channelCount = channels,
        .sampleFormat = is_float ? paFloat32 : bits == 16 ? paInt16 : paInt24,
        .suggestedLatency = 0.4,
    };
    PaStream *stream;
    check(Pa_OpenStream(&stream, plays ? NULL : &parameters, plays ? &parameters : NULL, atof(arguments[5]), BLOCK_FRAMES,
                        paClipOff | paDitherOff, NULL, NULL),
          "open");
    check(Pa_StartStream(stream), "start");
    char block[MOST_BYTES];
    size_t frames;
    while (plays && (frames = fread(block, frame_bytes, BLOCK_FRAMES, stdin)) > 0)
        check(Pa_WriteStream(stream, block, frames), "write");
    /* Stopping drops what is not heard yet: PortAudio never drains an ALSA device. */
    memset(block, 0, sizeof block);
    for (unsigned i = 0; plays && i < TAIL_BLOCKS; i++)
        check(Pa_WriteStream(stream, block, BLOCK_FRAMES), "write");
    while (!plays && !is_ending) {
        check(Pa_ReadStream(stream, block, BLOCK_FRAMES), "read");
        if (fwrite(block, frame_bytes, BLOCK_FRAMES, stdout) != BLOCK_FRAMES)
            return 1;
    }
    check(Pa_StopStream(stream), "stop");
    check(Pa_CloseStream(stream), "close");
    check(Pa_Terminate(), "terminate");
    return 0;
}
