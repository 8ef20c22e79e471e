// SPDX-License-Identifier: MIT
// What a shared object exports to be a driver or a DSP plug-in.

#ifndef DEXTRAL_PLUGIN_H
#define DEXTRAL_PLUGIN_H

#include <dextral/AudioDriverKitTypes.h>
#include <dextral/base.h>

DX_BEGIN_DECLS

typedef struct IOUserAudioDriver IOUserAudioDriver;

/* Version of the structures below: the major part must match, a host takes any minor up to its own. */
#define DX_PLUGIN_ABI_MAJOR 1u
#define DX_PLUGIN_ABI_MINOR 0u
#define DX_PLUGIN_ABI ((DX_PLUGIN_ABI_MAJOR << 16) | DX_PLUGIN_ABI_MINOR)

/**
 * A driver class: what Info.plist's IOUserClass names.
 *
 * The shared object of a bundle exports one for each class with DX_DRIVER_CLASS().
 */
typedef struct dx_driver_class {
    uint32_t size;      ///< sizeof(dx_driver_class)
    uint32_t abi;       ///< DX_PLUGIN_ABI
    const char *name;   ///< the class's name
    /** Makes the driver: IOUserAudioDriverAlloc(), overrides set.  `init` is not called yet.  NULL on failure. */
    IOUserAudioDriver *(*alloc)(void);
} dx_driver_class;

/** The symbol of a class: dx_driver_class_ and its name. */
#define DX_DRIVER_CLASS_PREFIX "dx_driver_class_"

#ifdef __cplusplus
#    define DX_PLUGIN_EXTERN extern "C"
#else
#    define DX_PLUGIN_EXTERN extern
#endif

/** Exports a driver class: DX_DRIVER_CLASS(SimpleAudioDriver, alloc_simple_driver). */
#define DX_DRIVER_CLASS(class_name, alloc_function)                                  \
    DX_PLUGIN_EXTERN DX_API const dx_driver_class dx_driver_class_##class_name;      \
    const dx_driver_class dx_driver_class_##class_name = {sizeof(dx_driver_class),   \
                                                          DX_PLUGIN_ABI, #class_name, \
                                                          (alloc_function)}

/**
 * Selector of the custom property by which options of a declared device are changed while its driver runs: 'dxop'.
 *
 * A device that can do so has it, settable, at the global scope and the main element; the qualifier is the option's
 * name, and the value its text, both OSString.
 */
#define DX_OPTION_SELECTOR DX_FOURCC('d', 'x', 'o', 'p')

/**
 * What a DSP plug-in's callback works on, set by the engine before each call.
 *
 * `interleaved` is [frame][channel]; `planar[channel]` is [frame], and there only for plug-ins that asked for it
 * with DX_DSP_PLANAR (then `interleaved` is NULL).  The plug-in changes the samples in place.
 */
typedef struct dx_dsp_view {
    uint32_t size;        ///< sizeof(dx_dsp_view)
    uint32_t channels;    ///< fixed between activate and deactivate
    float *interleaved;   ///< frames * channels samples
    float *const *planar; ///< channels pointers
} dx_dsp_view;

/** A parameter of a DSP plug-in. */
typedef struct dx_dsp_parameter {
    const char *name;  ///< as written on a command line: "gain_db"
    const char *unit;  ///< "dB", "Hz", ...; "" for none
    double minimum;    ///< smallest value
    double maximum;    ///< largest value
    double initial;    ///< value at first
} dx_dsp_parameter;

enum {
    DX_DSP_PLANAR = 1u << 0, ///< wants planar[] in place of interleaved
};

/** A DSP plug-in: registered for the same callback as a driver's handler. */
typedef struct dx_dsp_plugin {
    uint32_t size;                      ///< sizeof(dx_dsp_plugin)
    uint32_t abi;                       ///< DX_PLUGIN_ABI
    const char *identifier;             ///< "org.dextral.dsp.gain"
    const char *name;                   ///< for people: "Gain"
    const char *version;                ///< "1.0"
    uint32_t flags;                     ///< DX_DSP_...
    uint32_t parameter_count;           ///< of parameters
    const dx_dsp_parameter *parameters; ///< fixed

    /** [control] Makes an instance; NULL on failure. */
    void *(*create)(void);
    /** [control, inactive] Frees it. */
    void (*destroy)(void *instance);
    /**
     * [control, inactive -> active] Gets ready: memory for `max_frames` frames is taken here.
     *
     * @param view  kept until deactivate; filled anew before each process().
     */
    kern_return_t (*activate)(void *instance, const dx_dsp_view *view, double rate_hz, uint32_t max_frames);
    /** [control, active -> inactive] Undoes activate. */
    void (*deactivate)(void *instance);
    /**
     * [IO, active] The callback: WriteEnd for sound on its way to the device, BeginRead for sound from it.
     * `context` is the instance.  Always finishes its work in time that depends on the frame count alone.
     */
    IOOperationHandler process;
    /** [any, any state] Sets a parameter, clamped to its range.  Real-time. */
    kern_return_t (*set_parameter)(void *instance, uint32_t index, double value) DX_REALTIME;
    /** [any, any state] A parameter's value.  Real-time. */
    double (*get_parameter)(void *instance, uint32_t index) DX_REALTIME;
    /** [control, active] Frames by which it delays. */
    uint32_t (*latency_frames)(void *instance);
} dx_dsp_plugin;

/** The symbol that a DSP plug-in exports: const dx_dsp_plugin *dx_dsp_plugin_entry(void). */
#define DX_DSP_ENTRY "dx_dsp_plugin_entry"
typedef const dx_dsp_plugin *(*dx_dsp_entry_function)(void);

/** Exports a DSP plug-in. */
#define DX_DSP_PLUGIN(plugin)                                               \
    DX_PLUGIN_EXTERN DX_API const dx_dsp_plugin *dx_dsp_plugin_entry(void); \
    const dx_dsp_plugin *dx_dsp_plugin_entry(void)                          \
    {                                                                       \
        return &(plugin);                                                   \
    }

DX_END_DECLS

#endif /* DEXTRAL_PLUGIN_H */
