// SPDX-License-Identifier: MIT
// What the sub-commands of `dextral` share.

#ifndef DX_CLI_CLI_H
#define DX_CLI_CLI_H

#include <dextral/base.h>

/** Exit codes; documented in dextral(1). */
enum cli_exit {
    CLI_OK = 0,            ///< done
    CLI_FAILED = 1,        ///< it went wrong while running, or this build lacks a feature
    CLI_USAGE = 2,         ///< an option or argument that cannot be
    CLI_BAD_INPUT = 3,     ///< the input file is missing, damaged or of no known kind
    CLI_BAD_DRIVER = 4,    ///< the bundle, the driver, its device, or a DSP plug-in cannot be used
    CLI_BAD_OUTPUT = 5,    ///< the output file could not be written
    CLI_LOST = 6,          ///< --strict: frames were lost or cycles were late
    CLI_NO_SUPERVISOR = 7, ///< there is none, or it is another user's
    CLI_SIGNALLED = 128,   ///< plus the signal's number: 130 after Ctrl-C
};

/** An option, as it is parsed and as the help shows it. */
struct cli_option {
    const char *name;     ///< after "--"
    const char *argument; ///< "PATH"; NULL: takes none
    const char *help;     ///< one or more lines
    char letter;          ///< short form, or 0
    bool is_repeatable;   ///< otherwise twice is an error
};

/** A sub-command. */
struct cli_command {
    const char *name;
    const char *summary; ///< one line
    const char *usage;   ///< after "dextral NAME "
    const char *text;    ///< what the help says before the options
    const struct cli_option *options;
    size_t option_count;
    void (*print_more)(void); ///< what the help says after the options; may be NULL
    int (*run)(const struct cli_command *command, int argc, char **argv); ///< arguments after the name
};

extern const struct cli_command cli_approve;
extern const struct cli_command cli_complete; ///< for shells: not listed
extern const struct cli_command cli_create;
extern const struct cli_command cli_drivers;
extern const struct cli_command cli_get;
extern const struct cli_command cli_grant;
extern const struct cli_command cli_incidents;
extern const struct cli_command cli_info;
extern const struct cli_command cli_list;
extern const struct cli_command cli_play;
extern const struct cli_command cli_process;
extern const struct cli_command cli_record;
extern const struct cli_command cli_remove;
extern const struct cli_command cli_restart;
extern const struct cli_command cli_revoke;
extern const struct cli_command cli_serve;
extern const struct cli_command cli_set;
extern const struct cli_command cli_top;
extern const struct cli_command cli_usb;

/** Options of every sub-command, after its own. */
extern const struct cli_option cli_common_options[];
extern const size_t cli_common_option_count;

/** What a sub-command does with its arguments; both return CLI_OK or an exit code, after a message. */
struct cli_arguments {
    int (*take_option)(void *context, size_t option, const char *value);
    int (*take_operand)(void *context, const char *value);
    void *context;
    bool wants_help; ///< set by cli_parse()
};

/**
 * Takes options anywhere ("--name value", "--name=value", "-n value"), up to "--".
 *
 * @return CLI_OK, or CLI_USAGE after a message.
 */
int cli_parse(const struct cli_command *command, struct cli_arguments *arguments, int argc, char **argv);

/** Prints a sub-command's help on stdout; CLI_OK, or CLI_FAILED. */
int cli_print_help(const struct cli_command *command);

/**
 * Prints "dextral: message" on stderr, control characters made harmless.
 *
 * @return `exit_code`, so that a failing check is one statement.
 */
int cli_fail(int exit_code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The same for what does not end the run; nothing when cli_set_quiet(). */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_set_quiet(bool quiet);

/** Flushes stdout; CLI_FAILED after a message when what was printed did not get out. */
int cli_finish_output(void);

/**
 * Prints "dextral: SUBJECT: message", without the subject where the message names it already.
 *
 * @return `exit_code`.
 */
int cli_fail_about(int exit_code, const char *subject, const char *message);

#define CLI_STATUS_BYTES 160u

/** "kIOReturnNoSpace: it does not fit", in `text`. */
const char *cli_status_text(kern_return_t status, char text[CLI_STATUS_BYTES]);

/** A list in a message: "a, b (detail), c".  Zeroed is empty; what does not fit is "...". */
struct cli_list {
    char text[700];
    size_t length;
};
void cli_list_append(struct cli_list *list, const char *item, const char *detail);

/** The name closest to `text`, if it is close at all; else NULL. */
const char *cli_closest(const char *text, const char *(*name)(const void *table, size_t index), const void *table,
                        size_t count);

/** Decimal numbers, all of the text, within bounds. */
bool cli_parse_unsigned(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value);
bool cli_parse_real(const char *text, double minimum, double maximum, double *ret_value);
/** The number before a unit: "-6dB", "50%".  Upper and lower case are one. */
bool cli_parse_with_unit(const char *text, const char *unit, double *ret_value);
/** on, off, true, false, yes, no, 1, 0. */
bool cli_parse_switch(const char *text, bool *ret_is_on);

/* Signals. */

/** From now on SIGINT, SIGTERM and SIGHUP ask for an orderly end; a second one of its kind ends the process. */
void cli_catch_signals(void);
/** The signal that asked for the end, or 0.  Thread: any. */
int cli_signal(void);

/* A bar on a terminal. */

void cli_progress_set(bool is_shown);
/** `total` 0: nobody knows. */
void cli_progress_show(uint64_t done, uint64_t total, double rate_hz);
void cli_progress_clear(void);

#endif /* DX_CLI_CLI_H */
