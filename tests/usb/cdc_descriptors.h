// SPDX-License-Identifier: MIT
// Descriptors of CDC devices, byte by byte as the specifications have them.

#ifndef DX_TESTS_CDC_DESCRIPTORS_H
#define DX_TESTS_CDC_DESCRIPTORS_H

#define CONFIGURATION(total, interfaces, value) 9, 2, (total) & 0xff, (total) >> 8, interfaces, value, 0, 0x80, 50
#define INTERFACE(number, alternate, endpoints, class, subclass, protocol) \
    9, 4, number, alternate, endpoints, class, subclass, protocol, 0
#define ENDPOINT(address, attributes, packet, interval) \
    7, 5, address, attributes, (packet) & 0xff, (packet) >> 8, interval
#define CDC_HEADER 5, 0x24, 0x00, 0x10, 0x01
#define CDC_UNION(master, slave) 5, 0x24, 0x06, master, slave
#define CDC_ETHERNET(string, segment, filters) \
    13, 0x24, 0x0f, string, 0, 0, 0, 0, (segment) & 0xff, (segment) >> 8, (filters) & 0xff, (filters) >> 8, 0
#define CDC_NCM(capabilities) 6, 0x24, 0x1a, 0x00, 0x01, capabilities

#define DATA_SETTINGS(number, protocol) \
    INTERFACE(number, 0, 0, 0x0a, 0, protocol), INTERFACE(number, 1, 2, 0x0a, 0, protocol), \
        ENDPOINT(0x82, 2, 512, 0), ENDPOINT(0x03, 2, 512, 0)

/* A configuration with NCM: interface 0 tells, 1 has the data in its setting 1. */
#define NCM_TOTAL 86
#define NCM_CONFIGURATION(value, capabilities) \
    CONFIGURATION(NCM_TOTAL, 2, value), INTERFACE(0, 0, 1, 2, 0x0d, 0), CDC_HEADER, CDC_UNION(0, 1), \
        CDC_ETHERNET(3, 1514, 0), CDC_NCM(capabilities), ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(1, 1)

/* The same with ECM. */
#define ECM_TOTAL 80
#define ECM_CONFIGURATION(value, filters) \
    CONFIGURATION(ECM_TOTAL, 2, value), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 1), \
        CDC_ETHERNET(3, 1514, filters), ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(1, 0)

/* And RNDIS, as Windows wants it first. */
#define RNDIS_TOTAL 53
#define RNDIS_CONFIGURATION(value) \
    CONFIGURATION(RNDIS_TOTAL, 2, value), INTERFACE(0, 0, 1, 2, 2, 0xff), CDC_UNION(0, 1), \
        ENDPOINT(0x81, 3, 8, 9), INTERFACE(1, 0, 2, 0x0a, 0, 0), ENDPOINT(0x82, 2, 512, 0), \
        ENDPOINT(0x03, 2, 512, 0)

#endif /* DX_TESTS_CDC_DESCRIPTORS_H */
