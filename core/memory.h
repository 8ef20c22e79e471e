// SPDX-License-Identifier: MIT
// Classes of memory, for classes below them.

#ifndef DX_CORE_MEMORY_H
#define DX_CORE_MEMORY_H

#include "core/object.h"

#include <dextral/IOMemoryDescriptor.h>

extern const OSMetaClass dx_memory_descriptor_class;
extern const OSMetaClass dx_buffer_memory_descriptor_class;
extern const OSMetaClass dx_memory_map_class;

#endif /* DX_CORE_MEMORY_H */
