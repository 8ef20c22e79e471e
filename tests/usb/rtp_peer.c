// SPDX-License-Identifier: MIT
// The other end of an audio device behind a USB adapter: kernel sockets on the gadget's own interface.
//
//     rtp_peer play GROUP PORT INTERFACE_ADDRESS SECONDS   sends a ramp: sample n is n, modulo 2^22, of 2^-23
//     rtp_peer record GROUP PORT INTERFACE_ADDRESS COUNT   receives packets, and checks order and content: the same ramp,
//                                                          wherever it begins, after silence
//     rtp_peer check FILE.raw FRAMES                       float, two channels: so many frames of the ramp without a gap

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAMES 48u
#define CHANNELS 2u
#define SAMPLES (FRAMES * CHANNELS)
#define PACKET_BYTES (12u + SAMPLES * 3u)
#define RAMP (1u << 22)
#define PATIENCE_S 60

static int
fail(const char *what)
{
    (void)fprintf(stderr, "rtp_peer: %s: %s\n", what, strerror(errno));
    return 1;
}

static int
open_socket(const char *group, const char *port, const char *own, struct sockaddr_in *ret_to)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    const int on = 1, room = 1024 * 1024; // a machine that is emulated sleeps now and then
    struct ip_mreq join = {0};
    *ret_to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || inet_pton(AF_INET, group, &ret_to->sin_addr) != 1 || inet_pton(AF_INET, own, &join.imr_interface) != 1)
        return -1;
    join.imr_multiaddr = ret_to->sin_addr;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &join.imr_interface, sizeof join.imr_interface) != 0 ||
        setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join) != 0 ||
        bind(fd, (const struct sockaddr *)ret_to, sizeof *ret_to) != 0)
        return -1;
    return fd;
}

static int
play(int fd, const struct sockaddr_in *to, unsigned seconds)
{
    uint8_t bytes[PACKET_BYTES] = {0x80, 97, [8] = 'p', 'e', 'e', 'r'};
    uint32_t sample = 0;
    struct timespec due;
    (void)clock_gettime(CLOCK_MONOTONIC, &due);
    for (uint32_t packet = 0; packet < seconds * 1000; packet++) {
        const uint32_t timestamp = packet * FRAMES;
        bytes[2] = (uint8_t)(packet >> 8);
        bytes[3] = (uint8_t)packet;
        for (unsigned i = 0; i < 4; i++)
            bytes[4 + i] = (uint8_t)(timestamp >> (24 - 8 * i));
        for (uint32_t i = 0; i < SAMPLES; i++, sample++) {
            const uint32_t value = sample % RAMP;
            bytes[12 + 3 * i] = (uint8_t)(value >> 16);
            bytes[13 + 3 * i] = (uint8_t)(value >> 8);
            bytes[14 + 3 * i] = (uint8_t)value;
        }
        if (sendto(fd, bytes, sizeof bytes, 0, (const struct sockaddr *)to, sizeof *to) != (ssize_t)sizeof bytes)
            return fail("send");
        due.tv_nsec += 1000000;
        due.tv_sec += due.tv_nsec / 1000000000;
        due.tv_nsec %= 1000000000;
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    return 0;
}

static int
record(int fd, unsigned count)
{
    uint8_t bytes[2048];
    uint32_t sequence = 0;
    uint32_t sounding = 0;
    for (unsigned packet = 0; packet < count; packet++) {
        const ssize_t size = recv(fd, bytes, sizeof bytes, 0);
        if (size < 0)
            return fail("nothing came");
        if (size != (ssize_t)PACKET_BYTES || bytes[0] != 0x80 || bytes[1] != 97) {
            (void)fprintf(stderr, "rtp_peer: packet %u is none of two channels: %zd bytes\n", packet, size);
            return 1;
        }
        const uint32_t number = (uint32_t)bytes[2] << 8 | bytes[3];
        if (packet && number != ((sequence + 1) & 0xffff)) {
            (void)fprintf(stderr, "rtp_peer: %u follows %u\n", number, sequence);
            return 1;
        }
        sequence = number;
        for (unsigned i = 12; i < PACKET_BYTES; i++)
            if (bytes[i]) {
                sounding++;
                break;
            }
    }
    (void)printf("%u packets in order, %u of them not silent\n", count, sounding);
    return sounding > count / 30 ? 0 : 1; // the player may begin late, and the machine is slow
}

static int
check(const char *path, unsigned long wanted)
{
    FILE *const file = fopen(path, "rb");
    float frame[CHANNELS];
    unsigned long run = 0;
    unsigned long best = 0;
    unsigned long frames = 0;
    long expected = -1;
    if (!file)
        return fail(path);
    for (; fread(frame, sizeof frame, 1, file) == 1; frames++) {
        const long left = lrintf(frame[0] * 8388608.0f);
        const long right = lrintf(frame[1] * 8388608.0f);
        const int fits = right == left + 1 && left % 2 == 0 && left + right > 1;
        run = fits && left == expected ? run + 1 : 0;
        expected = fits ? (left + 2) % (long)RAMP : -1;
        best = run > best ? run : best;
    }
    (void)fclose(file);
    (void)printf("%lu frames recorded, %lu of them in one piece as they were sent\n", frames, best);
    return best >= wanted ? 0 : 1;
}

int
main(int argc, char **argv)
{
    struct sockaddr_in to;
    if (argc == 4 && strcmp(argv[1], "check") == 0)
        return check(argv[2], strtoul(argv[3], NULL, 10));
    if (argc != 6)
        return 2;
    const int fd = open_socket(argv[2], argv[3], argv[4], &to);
    if (fd < 0)
        return fail("socket");
    const unsigned number = (unsigned)strtoul(argv[5], NULL, 10);
    const int code = strcmp(argv[1], "play") == 0 ? play(fd, &to, number) : record(fd, number);
    (void)close(fd);
    return code;
}
