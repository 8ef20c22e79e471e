// SPDX-License-Identifier: MIT
// What the driver of tests with user clients knows: types, methods and memory.

#ifndef TESTS_HOST_METHODS_H
#define TESTS_HOST_METHODS_H

#define METHODS_IDENTIFIER "org.dextral.test.methods"
#define METHODS_UID "org.dextral.test.methods.device"

/* Types of user clients. */
enum {
    TYPE_METHODS = 1,
    TYPE_LIE = 2,       // NewUserClient says that it made one, and did not
    TYPE_REFUSED = 3,   // Start answers kIOReturnNotPermitted
    TYPE_OWN_QUEUE = 4, // as TYPE_METHODS, but its methods do not run on the driver's queue
};

/* Selectors. */
enum {
    METHOD_SUM,           // any numbers -> their sum, and how many they were
    METHOD_REVERSE,       // bytes -> the same bytes from the last to the first
    METHOD_MAKE,          // length -> so many bytes, 0, 1, 2...; as data, however many
    METHOD_LOOK_TWICE,    // ms, bytes -> whether the bytes are the same after that time
    METHOD_COMPLETE,      // asynchronous: numbers are the arguments, before it returns
    METHOD_KEEP,          // asynchronous: completed by ...
    METHOD_COMPLETE_KEPT, // ... status, then numbers
    METHOD_LET_GO,        // of what was kept
    METHOD_FAIL,          // status; what is asynchronous is completed all the same
    METHOD_SLEEP,         // ms
    METHOD_CRASH,         //
    METHOD_TOO_MANY,      // answers with one number more than there is room for
    METHOD_COUNT_CLIENTS, // -> user clients that were started and not stopped
    METHOD_FORGE,         // -> what AsyncCompletion answers for an action of the driver's own
    METHOD_PEEK,          // memory, offset -> the byte there
    METHOD_POKE,          // memory, offset, byte
    METHODS,
};

/* Types of memory. */
enum {
    MEMORY_SHARED,    // MEMORY_BYTES
    MEMORY_READ_ONLY, // MEMORY_BYTES
    MEMORY_FIRST,     // the first page of the shared one
    MEMORY_REST,      // what is behind it
    MEMORY_LIE,       // success, and none
};

#define MEMORY_BYTES (2u * 65536u) // pages of any machine

#endif /* TESTS_HOST_METHODS_H */
